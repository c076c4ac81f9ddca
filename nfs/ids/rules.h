/* Rules in Snort's syntax, read and made ready.
 *
 * A rule is taken whole or left out whole: what it asks for beyond the list in README.md makes it
 * skipped, with its line and the reason.
 */
#ifndef RILL_NFS_IDS_RULES_H
#define RILL_NFS_IDS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rill/endpoint.h>

#include "nfs/ids/automaton.h"
#include "nfs/ids/engine_hyperscan.h"

/* --- a rule's header -------------------------------------------------------------------------- */

struct ids_prefix {
    uint8_t addr[16];
    uint8_t family, bits;
};

/* Matches what is in one of `in` (everything, if `in` is empty) and in none of `out`. */
struct ids_addresses {
    struct ids_prefix *in, *out;
    uint32_t n_in, n_out;
};

struct ids_port_range {
    uint16_t low, high;
};

struct ids_ports {
    struct ids_port_range *ranges; /* sorted */
    uint32_t n;
};

struct ids_header {
    char *text; /* without the action: what tells headers apart */
    uint8_t proto;
    bool both_ways;
    bool has_plain, has_windowed, has_packet; /* rules of this header */
    struct ids_addresses source, destination;
    struct ids_ports source_ports, destination_ports;
};

/* --- a rule ----------------------------------------------------------------------------------- */

enum ids_action { IDS_ALERT, IDS_DROP };

enum ids_flow_option {
    IDS_TO_SERVER = 1,
    IDS_TO_CLIENT = 2,
    IDS_ESTABLISHED = 4,
    IDS_NOT_ESTABLISHED = 8,
};

enum { IDS_OFFSET_MAX = 65535, IDS_DSIZE_MAX = 65535 };

struct ids_content {
    uint8_t *bytes; /* folded if nocase */
    uint16_t length;
    bool nocase, negated, fast;
    bool after_pcre; /* the last thing before it that is not negated is a pcre */
    bool relative;   /* distance or within: to the last content that is not negated */
    bool has_offset, has_depth, has_within;
    int32_t distance;
    uint32_t within, offset, depth;
};

struct ids_pcre {
    struct ids_regex *regex;
    bool negated;
};

struct ids_rule {
    uint32_t sid, rev, gid;
    enum ids_action action;
    char *msg, *category;
    uint32_t severity;
    uint32_t header;
    unsigned flow; /* enum ids_flow_option, or-ed */
    struct ids_content *contents;
    struct ids_pcre *pcres;
    uint32_t n_contents, n_pcres;
    uint32_t fast; /* the content by which it is found */
    bool plain;    /* that content, and where it begins, is all */
    bool packet;   /* of TCP, but it speaks of single segments and not of the stream */
    uint32_t dsize_low, dsize_high; /* bytes that its packet may carry */
};

/* --- a set of rules --------------------------------------------------------------------------- */

struct ids_rules {
    struct ids_header *headers;
    uint32_t n_headers;
    struct ids_rule *rules;
    uint32_t n_rules;
    struct ids_pattern *patterns; /* the rules' fast contents, each once; theirs are the bytes */
    uint32_t n_patterns;
    uint32_t *of_pattern; /* rules by pattern: of pattern p [first_rule[p], first_rule[p + 1]) */
    uint32_t *first_rule; /* n_patterns + 1 */
    uint32_t skipped;
};

struct ids_variable {
    const char *name, *value;
};

struct ids_rules_input {
    const char *text;
    size_t bytes;
    const struct ids_variable *variables; /* those that the text does not set */
    size_t n_variables;
    /* For each rule that is left out. */
    void (*skip)(void *arg, unsigned line, const char *reason);
    void *arg;
};

enum { IDS_ERROR_BYTES = 256 };

/* NULL with the line (0: none) and the reason: a variable that can't be read, no rule that can be
 * used where there are some, no memory. */
struct ids_rules *ids_rules_read(const struct ids_rules_input *input, unsigned *line,
                                 char error[IDS_ERROR_BYTES]);
void ids_rules_free(struct ids_rules *rules);

bool ids_addresses_match(const struct ids_addresses *addresses,
                         const struct rill_endpoint *endpoint);
bool ids_ports_match(const struct ids_ports *ports, uint16_t port);
bool ids_header_matches(const struct ids_header *header, const struct rill_endpoint *source,
                        const struct rill_endpoint *destination);

#endif
