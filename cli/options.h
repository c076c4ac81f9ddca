/* What `rill replay` was asked to do: its command line, judged and put into one struct. */
#ifndef RILL_CLI_OPTIONS_H
#define RILL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/fail.h"
#include "cli/update.h"
#include "lib/base/error.h"

enum rill_replay_clock { RILL_CLOCK_REAL, RILL_CLOCK_VIRTUAL };

/* Strings point into the command line, but for `sets`. */
struct rill_replay_options {
    const char *trace;      /* the capture; never NULL */
    const char *nf;         /* NF's name or path; NULL: the one that `config` names */
    const char *config;     /* deployment file; NULL: none. Exactly one of the two is NULL, ... */
    const char *cluster;    /* ... or a cluster's name: then both are; NULL: all in this process */
    const char *base;       /* its folder; NULL: the usual one */
    const char *deployment; /* of the cluster; NULL: its only one */
    enum rill_replay_clock clock;
    double speed;         /* the capture's gaps are divided by it */
    uint64_t rate_bps;    /* not 0: instead, gaps are scaled to this mean rate */
    const char *inside;   /* prefixes, for traces/ends.h; NULL: the side that opened a connection */
    uint32_t units_milli; /* units, in thousandths: 2500 is two whole ones and half a one; 0: the
                           * cluster's */
    uint32_t controllers; /* at a time; 0: the cluster's */
    char **sets;          /* set_count times "NAME=VALUE", in order: what is later wins */
    size_t set_count;
    const char *out;         /* capture to write; NULL: none */
    const char *out_devargs; /* DPDK port to release to, instead; NULL: none */
    const char *json;        /* report's path, "-" for stdout; NULL: none */
    const char *epochs;      /* path of the figures per epoch and unit; NULL: none */
    const char *usage;       /* path of the usage records; NULL: none */
    const char *records;     /* path of the NF's records; NULL: none */
    bool quiet;
    struct rill_fail fails[RILL_FAILS_MAX]; /* fail_count of them, by time */
    uint32_t fail_count;
    struct rill_update *updates; /* update_count of them, by time */
    uint32_t update_count;
    uint32_t memory_mb; /* bound of DPDK's memory; 0: whatever the capture and the units need */

    /* Called from time to time while packets go in, at least once every 100 ms of a long run:
     * `done` of `total` packets are in, `released` came out. Not 0: go in with no more packets,
     * drain, and report what was done (rill_report.interrupted). NULL: nobody wants to know. */
    int (*progress)(void *arg, uint64_t done, uint64_t total, uint64_t released);
    void *progress_arg;
};

/* Parses; argv[0] is "replay". 0; 1: --help was asked for; negative with a line in *err. In every
 * case *options is then fit for rill_replay_options_fini(). */
int rill_replay_options_parse(int argc, char **argv, struct rill_replay_options *options,
                              struct rill_error *err);
void rill_replay_options_fini(struct rill_replay_options *options); /* NULL is fine */

void rill_replay_help(FILE *out);

#endif
