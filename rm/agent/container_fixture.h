/* What container_test, container_measure and keeper_test share: a cluster of this process's own,
 * the probe and reading what it says, and what is left on the machine.
 */
#ifndef RILL_RM_AGENT_CONTAINER_FIXTURE_H
#define RILL_RM_AGENT_CONTAINER_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "rm/agent/container.h"

enum { FIXTURE_SKIPPED = 77, FIXTURE_UID_BASE = 3000000, FIXTURE_TEXT_MAX = 32768 };

struct fixture {
    char cluster[RILL_CLUSTER_NAME_MAX + 1];
    uint32_t uid;      /* of the containers, on the host; of this process only */
    char base[64];     /* folder of this process, below /run */
    char run[80];      /* the module's */
    char programs[80]; /* with the probe in it; at /opt/rill inside */
    char shared[80];   /* the container may write there; at /run/sockets inside */
    struct rill_containers *containers;
};

/* Ends the process with FIXTURE_SKIPPED and a line why if containers are not possible here; with 1
 * if they should be. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* Copies a program from beside this one to fixture->programs: the build folder may lie where the
 * container's uid can not go. */
void fixture_copy(const struct fixture *fixture, const char *program, const char *name);

uint64_t fixture_now_ns(void);

/* Starts `argv` as rill-<cluster>-<name>. With `output_fd` not NULL its output comes out there. */
int fixture_start(struct fixture *fixture, const char *name, char *const *argv,
                  struct rill_container **container, int *output_fd, struct rill_error *err);

/* The same, with host_network as asked for. */
int fixture_start_as(struct fixture *fixture, const char *name, char *const *argv,
                     bool host_network, struct rill_container **container, int *output_fd,
                     struct rill_error *err);

/* Reads to the line "end" or to the end; terminated; the length. Closes. */
size_t fixture_read(int output_fd, char *text, size_t size);

/* The number after `name=` in the text; 0 if it is not there. */
uint64_t fixture_number(const char *text, const char *name);

/* What is left on the machine of a cluster whose folders are below fixture->base; files and locks
 * are for the caller to count. */
struct remains {
    int cgroups, files, mounts, monitors, processes, locks, descriptors;
};
struct remains fixture_look(const struct fixture *fixture, const char *cluster);
int fixture_entries(const char *path, const char *prefix); /* how many files it has there */

#define FIXTURE_ARGV(...) ((char *[]){(char *)"/opt/rill/container_probe", __VA_ARGS__, NULL})

#endif
