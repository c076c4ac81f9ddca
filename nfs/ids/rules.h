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
#include "nfs/ids/fields.h"

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
    char *text;     /* without the action: what tells headers apart */
    uint8_t proto;  /* RILL_ICMP: ICMPv6, too */
    bool any_proto; /* "ip" */
    bool both_ways;
    /* Rules of this header: see struct ids_rule. */
    bool has_plain, has_windowed, has_packet, has_bare;
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

enum ids_check_kind { IDS_IS_DATA_AT, IDS_BYTE_TEST, IDS_PCRE_FROM /* flag R */ };
enum ids_operator {
    IDS_LESS,
    IDS_MORE,
    IDS_EQUAL,
    IDS_LESS_OR_EQUAL,
    IDS_MORE_OR_EQUAL,
    IDS_COMMON,   /* a bit of both */
    IDS_DIFFERENT /* a bit of one alone */
};

/* Something else that is asked of the payload, at a place in it. */
struct ids_check {
    uint8_t kind;
    bool relative;  /* the place counts from the end of the last content that is not negated ... */
    uint32_t after; /* ... of so many contents before it; else from the beginning */
    bool negated;
    int32_t offset;
    /* byte_test: a number of `bytes` bytes; base: it is written in that; 0: it is binary. */
    uint8_t bytes, base, op;
    bool little;
    uint32_t value;
    /* pcre */
    struct ids_regex *regex;
    bool anchored; /* where it begins to look may matter */
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
    struct ids_check *checks;
    struct ids_test *tests; /* of header fields */
    uint32_t n_contents, n_pcres, n_checks, n_tests;
    uint32_t fast; /* the content by which it is found */
    bool stream;   /* judged on TCP's streams; else on each packet by itself */
    bool bare;     /* there is no such content: it is judged on every packet */
    bool plain;    /* that content, and where it begins, is all */
    bool has_dsize;
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
    uint32_t *bare; /* rules without a fast content */
    uint32_t n_bare;
    bool has_tests; /* some rule looks at header fields */
    /* Of "icmp" and "ip": there are rules with a fast content, and without one. */
    bool apart_packet, apart_bare;
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
/* `source` has the packet's family and protocol. */
bool ids_header_matches(const struct ids_header *header, const struct rill_endpoint *source,
                        const struct rill_endpoint *destination);

#endif
