/* Intrusion detection: Snort's rules over the byte streams of connections, and over datagrams.
 *
 * What is kept of a connection is flow.h's; how bytes are put in order, searched and judged is
 * inspect.h's. Here are the configuration, the object with the rules, and packets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

#include "nfs/ids/inspect.h"

enum { VARIABLES_MAX = 128, NAME_BYTES = 64, DATAGRAM_BYTES = 65536, STATE_BYTES_MAX = 60000 };
enum { SYN = 2 };

struct ids {
    struct rill_table *flows;
    int rules; /* the object */
    struct ids_layout layout;
    struct ids_worker *worker;
    struct ids_fields fields; /* of the packet at hand */
    uint8_t *datagram;        /* for one that lies in several pieces */
    int counters[IDS_COUNTS];
    int dropped, dropped_later, fragments;
};

static const char *const counter_names[IDS_COUNTS] = {
    [IDS_COUNT_ALERTS] = "alerts",
    [IDS_COUNT_OUT_OF_ORDER] = "segments_out_of_order",
    [IDS_COUNT_OVERLAPPING] = "segments_overlapping",
    [IDS_COUNT_RETRANSMITTED] = "segments_retransmitted",
    [IDS_COUNT_GAPS] = "stream_gaps",
    [IDS_COUNT_FAR] = "segments_out_of_window",
    [IDS_COUNT_STRAY_SYN] = "stray_syn",
    [IDS_COUNT_RULES_CHANGED] = "connections_with_new_rules",
    [IDS_COUNT_CANDIDATES_LOST] = "candidates_lost",
    [IDS_COUNT_STATE_LOST] = "search_state_lost",
};

static const struct rill_option ids_options[] = {
    {"rules", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "the object with the rules, in Snort's syntax; empty: nothing is inspected"},
    {"engine", RILL_OPT_ENUM, "", 0, 0, "aho-corasick|hyperscan", "aho-corasick",
     "what searches the streams; both find the same"},
    {"variables", RILL_OPT_LIST, "", 0, 0, NULL, "",
     "NAME=VALUE for rules, before the usual ones: \"HOME_NET=[10.0.0.0/8,2001:db8::/32]\""},
    {"window_bytes", RILL_OPT_U64, "bytes", 256, 16384, NULL, "2048",
     "of a stream in which all parts of a rule must lie, half before its fast pattern's end and "
     "half behind; a power of two"},
    {"reassembly_bytes", RILL_OPT_U64, "bytes", 1024, 16384, NULL, "4096",
     "of each direction that may wait for a segment before them; a power of two"},
    {"hyperscan_state_bytes", RILL_OPT_U64, "bytes", 64, 16384, NULL, "256",
     "room for a direction's search with engine hyperscan; rules that need more are refused"},
    {.name = NULL},
};

/* Of snort.conf, where the configuration says nothing else. */
static const struct ids_variable usual_variables[] = {
    {"HOME_NET", "[10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7]"},
    {"EXTERNAL_NET", "!$HOME_NET"},
    {"DNS_SERVERS", "$HOME_NET"},
    {"HTTP_SERVERS", "$HOME_NET"},
    {"SMTP_SERVERS", "$HOME_NET"},
    {"SQL_SERVERS", "$HOME_NET"},
    {"SIP_SERVERS", "$HOME_NET"},
    {"SSH_SERVERS", "$HOME_NET"},
    {"FTP_SERVERS", "$HOME_NET"},
    {"TELNET_SERVERS", "$HOME_NET"},
    {"HTTP_PORTS", "[80,81,311,591,593,901,1220,2301,3128,7777,8000,8080,8088,8180,8888]"},
    {"SHELLCODE_PORTS", "!80"},
    {"ORACLE_PORTS", "1024:"},
    {"SSH_PORTS", "22"},
    {"FTP_PORTS", "[21,2100,3535]"},
    {"SIP_PORTS", "[5060,5061,5600]"},
    {"FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"},
};

/* --- the rules, from text --------------------------------------------------------------------- */

struct variables {
    struct ids_variable list[VARIABLES_MAX];
    char names[VARIABLES_MAX][NAME_BYTES];
    size_t n;
};

/* False for an entry that is not NAME=VALUE, or one too many. */
static bool read_variable(struct variables *v, const char *entry)
{
    const char *equals = strchr(entry, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - entry) : 0;

    if (bytes == 0 || bytes >= NAME_BYTES || equals[1] == '\0' || v->n == VARIABLES_MAX)
        return false;
    memcpy(v->names[v->n], entry, bytes);
    v->names[v->n][bytes] = '\0';
    v->list[v->n] = (struct ids_variable){v->names[v->n], equals + 1};
    v->n++;
    return true;
}

/* The configuration's, then the usual ones. Returns the entry that can't be read, or NULL. */
static const char *read_variables(struct variables *v, const struct rill_config *config)
{
    enum { USUAL = sizeof(usual_variables) / sizeof(usual_variables[0]) };
    const char *const *items;
    size_t n = rill_config_list(config, "variables", &items);

    for (size_t i = 0; i < n; i++)
        if (v->n + USUAL > VARIABLES_MAX || !read_variable(v, items[i]))
            return items[i];
    for (size_t i = 0; i < USUAL && v->n < VARIABLES_MAX; i++)
        v->list[v->n++] = usual_variables[i];
    return NULL;
}

static void skip_rule(void *arg, unsigned line, const char *reason)
{
    rill_load_skip(arg, line, "%s", reason);
}

/* FNV-1a, 32 bits (Fowler, Noll, Vo). */
static uint32_t hash(uint32_t h, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x01000193u;
    return h;
}

/* Of all on which the kept state of a search depends. */
static uint32_t version_of(const struct rill_config *config, const char *text, size_t bytes)
{
    const char *const *items;
    size_t n = rill_config_list(config, "variables", &items);
    uint32_t h = hash(0x811c9dc5u + rill_config_enum(config, "engine"), text, bytes);

    for (size_t i = 0; i < n; i++)
        h = hash(h, items[i], strlen(items[i]) + 1);
    return h != 0 ? h : 1;
}

static bool build_engine(struct rill_load *load, const struct rill_config *config,
                         struct ids_set *set)
{
    uint64_t room = rill_config_u64(config, "hyperscan_state_bytes");
    char why[IDS_WHY_BYTES];

    if (set->rules->n_patterns == 0)
        return true;
    set->engine = ids_engine_build(rill_config_enum(config, "engine"), set->rules->patterns,
                                   set->rules->n_patterns, why);
    if (set->engine == NULL) {
        rill_load_error(load, 0, "%s", why);
        return false;
    }
    if (ids_engine_saved_bytes(set->engine) > room) {
        rill_load_error(load, 0,
                        "with engine hyperscan a search of these rules needs %zu bytes for each "
                        "direction; set hyperscan_state_bytes to that or more",
                        ids_engine_saved_bytes(set->engine));
        return false;
    }
    return true;
}

static void ids_unload(void *object)
{
    struct ids_set *set = object;

    ids_engine_free(set->engine);
    ids_rules_free(set->rules);
    free(set);
}

static void *ids_load(struct rill_load *load, const struct rill_config *config, const char *text,
                      size_t bytes)
{
    struct ids_set *set = calloc(1, sizeof(*set));
    struct variables *variables = calloc(1, sizeof(*variables));
    char error[IDS_ERROR_BYTES];
    unsigned line = 0;

    if (set == NULL || variables == NULL) {
        free(set);
        free(variables);
        return rill_load_error(load, 0, "no memory for the rules");
    }
    read_variables(variables, config); /* judged by init */
    set->rules = ids_rules_read(&(struct ids_rules_input){.text = text,
                                                          .bytes = bytes,
                                                          .variables = variables->list,
                                                          .n_variables = variables->n,
                                                          .skip = skip_rule,
                                                          .arg = load},
                                &line, error);
    free(variables);
    set->version = version_of(config, text, bytes);
    if (set->rules != NULL && build_engine(load, config, set))
        return set;
    if (set->rules == NULL)
        rill_load_error(load, line, "%s", error);
    ids_unload(set);
    return NULL;
}

static int ids_changed_rules(struct rill_nf *nf, const void *object)
{
    struct ids *ids = rill_nf_private(nf);
    struct ids_worker *worker = ids_worker_create(object, &ids->layout);

    if (worker == NULL)
        return rill_nf_error(nf, "rules: no memory to search by them");
    ids_worker_free(ids->worker);
    ids->worker = worker;
    return 0;
}

static const struct rill_object_type rules_type = {
    .load = ids_load, .unload = ids_unload, .changed = ids_changed_rules};

/* --- init ------------------------------------------------------------------------------------- */

static bool is_power_of_two(uint64_t n)
{
    return (n & (n - 1)) == 0;
}

static int read_sizes(struct rill_nf *nf, const struct rill_config *config, struct ids *ids)
{
    static const char *const sizes[] = {"window_bytes", "reassembly_bytes"};
    bool hyperscan = rill_config_enum(config, "engine") == IDS_HYPERSCAN;

    for (size_t i = 0; i < 2; i++)
        if (!is_power_of_two(rill_config_u64(config, sizes[i])))
            return rill_nf_error(nf, "%s (%s): is no power of two; give 1024, 2048, 4096, ...",
                                 sizes[i], rill_config_source(config, sizes[i]));
    if (hyperscan && !ids_has_hyperscan())
        return rill_nf_error(nf,
                             "engine (%s): this build has no Hyperscan; set aho-corasick, or "
                             "install libhyperscan-dev and build Rill again",
                             rill_config_source(config, "engine"));
    ids->layout =
        ids_layout_make((uint32_t)rill_config_u64(config, "window_bytes"),
                        (uint32_t)rill_config_u64(config, "reassembly_bytes"),
                        hyperscan ? (uint32_t)rill_config_u64(config, "hyperscan_state_bytes") : 0);
    if (ids->layout.bytes > STATE_BYTES_MAX)
        return rill_nf_error(nf,
                             "window_bytes (%s): a connection would need %u bytes of state, and "
                             "%d are possible; make this, reassembly_bytes or "
                             "hyperscan_state_bytes smaller",
                             rill_config_source(config, "window_bytes"), ids->layout.bytes,
                             STATE_BYTES_MAX);
    return 0;
}

static int check_variables(struct rill_nf *nf, const struct rill_config *config)
{
    struct variables *variables = calloc(1, sizeof(*variables));
    const char *bad = variables != NULL ? read_variables(variables, config) : "";

    free(variables);
    if (bad == NULL)
        return 0;
    return rill_nf_error(nf, "variables (%s): '%s' is not NAME=VALUE, or one of too many",
                         rill_config_source(config, "variables"), bad);
}

static int ids_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct ids *ids = rill_nf_private(nf);

    if (read_sizes(nf, config, ids) != 0 || check_variables(nf, config) != 0)
        return -1;
    ids->datagram = malloc(DATAGRAM_BYTES);
    if (ids->datagram == NULL)
        return rill_nf_error(nf, "no memory for a datagram");
    ids->flows = rill_table_create(nf, "connections", RILL_PER_FLOW, RILL_WRITE, ids->layout.bytes);
    ids->rules = rill_object_declare(nf, "rules", &rules_type);
    if (ids->flows == NULL || ids->rules < 0)
        return -1;
    for (unsigned i = 0; i < IDS_COUNTS; i++)
        ids->counters[i] = rill_counter(nf, counter_names[i]);
    ids->dropped = rill_counter(nf, "dropped_by_rule");
    ids->dropped_later = rill_counter(nf, "dropped_after_rule");
    ids->fragments = rill_counter(nf, "fragments");
    return 0;
}

static void ids_fini(struct rill_nf *nf)
{
    struct ids *ids = rill_nf_private(nf);

    ids_worker_free(ids->worker);
    free(ids->datagram);
}

/* --- packets ---------------------------------------------------------------------------------- */

struct teller {
    struct rill_nf *nf;
    struct rill_pkt *pkt;
};

static void tell(void *arg, const struct ids_rule *rule)
{
    const struct teller *teller = arg;
    struct rill_record *record = rill_record_begin(teller->nf, teller->pkt, "alert");

    rill_record_open(record, "alert");
    rill_record_text(record, "action", rule->action == IDS_DROP ? "blocked" : "allowed");
    rill_record_number(record, "gid", rule->gid);
    rill_record_number(record, "signature_id", rule->sid);
    rill_record_number(record, "rev", rule->rev);
    rill_record_text(record, "signature", rule->msg != NULL ? rule->msg : "");
    rill_record_text(record, "category", rule->category != NULL ? rule->category : "");
    rill_record_number(record, "severity", rule->severity);
    rill_record_close(record);
    rill_record_end(record);
}

static void inspect_stream(struct ids_inspection *in, const struct rill_pkt *pkt, uint32_t sequence)
{
    uint32_t at = 0, bytes, whole = rill_pkt_payload_bytes(pkt);
    const uint8_t *piece;

    for (; (piece = rill_pkt_payload(pkt, at, &bytes)) != NULL; at += bytes)
        ids_inspect_segment(in, sequence + at, piece, bytes);
    if (at < whole)
        ids_inspect_missing(in, sequence + at, whole - at);
}

static void read_fields(struct ids *ids, struct ids_inspection *in, const struct rill_pkt *pkt)
{
    struct ids_headers headers = {.family = in->source.family,
                                  .proto = in->source.proto,
                                  .later_fragment = rill_pkt_is_later_fragment(pkt)};

    headers.ip = rill_pkt_ip(pkt, &headers.ip_bytes);
    headers.transport = rill_pkt_transport(pkt, &headers.transport_bytes);
    ids_fields_read(&ids->fields, &headers);
    in->fields = &ids->fields;
}

typedef void inspect_whole(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                           uint32_t whole);

/* By itself: a datagram, or a segment, for rules of single packets. */
static void inspect_packet(struct ids *ids, struct ids_inspection *in, const struct rill_pkt *pkt,
                           inspect_whole *inspect)
{
    uint32_t first, bytes, n = 0, whole = rill_pkt_payload_bytes(pkt);
    const uint8_t *data = rill_pkt_payload(pkt, 0, &first), *piece = data;

    if (in->set->rules->has_tests || inspect == ids_inspect_apart)
        read_fields(ids, in, pkt);
    if (first == whole || rill_pkt_payload(pkt, first, &bytes) == NULL) {
        inspect(in, data, first, whole);
        return;
    }
    for (; (piece = rill_pkt_payload(pkt, n, &bytes)) != NULL && n < DATAGRAM_BYTES; n += bytes) {
        bytes = bytes < DATAGRAM_BYTES - n ? bytes : DATAGRAM_BYTES - n;
        memcpy(ids->datagram + n, piece, bytes);
    }
    inspect(in, ids->datagram, n, whole);
}

static void inspect_apart(struct ids *ids, struct ids_inspection *in, const struct rill_pkt *pkt)
{
    in->low = UINT32_MAX;
    if (ids_inspect_wants_apart(in->set))
        inspect_packet(ids, in, pkt, ids_inspect_apart);
}

static void inspect_tcp(struct ids *ids, struct ids_inspection *in, const struct rill_pkt *pkt)
{
    struct ids_tcp tcp = {.flags = rill_pkt_tcp_flags(pkt)};
    uint32_t bytes, whole = rill_pkt_payload_bytes(pkt);
    const uint8_t *first;

    if (!rill_pkt_tcp_numbers(pkt, &tcp.sequence, &tcp.acknowledgement))
        return;
    first = rill_pkt_payload(pkt, 0, &bytes);
    if ((bytes != whole || !ids_inspect_next(in, &tcp, first, bytes)) &&
        ids_inspect_begin(in, &tcp))
        inspect_stream(in, pkt, tcp.sequence + ((tcp.flags & SYN) != 0));
    if (ids_inspect_wants_packet(in))
        inspect_packet(ids, in, pkt, ids_inspect_packet);
}

/* The transport's header and what is behind it are there. */
static void inspect_by_protocol(struct ids *ids, struct ids_inspection *in,
                                const struct rill_pkt *pkt)
{
    if (in->source.proto == RILL_TCP)
        inspect_tcp(ids, in, pkt);
    else if (in->source.proto != RILL_UDP)
        inspect_apart(ids, in, pkt);
    else if (ids_inspect_begin(in, NULL))
        inspect_packet(ids, in, pkt, ids_inspect_packet);
}

static enum rill_verdict settle(struct rill_nf *nf, struct ids *ids, struct rill_pkt *pkt,
                                const struct ids_inspection *in)
{
    uint32_t any = 0;

    if (in->low < in->high)
        rill_put(ids->flows, pkt, in->low, in->high - in->low);
    for (unsigned i = 0; i < IDS_COUNTS; i++)
        any |= in->counts[i];
    for (unsigned i = 0; i < IDS_COUNTS && any != 0; i++)
        if (in->counts[i] > 0)
            rill_count(nf, ids->counters[i], in->counts[i]);
    if (!in->drop)
        return RILL_FORWARD;
    rill_count(nf, ids->dropped, 1);
    return RILL_DROP;
}

static enum rill_verdict ids_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct ids *ids = rill_nf_private(nf);
    struct teller teller = {nf, pkt};
    struct ids_inspection in = {
        .layout = &ids->layout,
        .set = rill_object(nf, ids->rules),
        .worker = ids->worker,
        .value = rill_get(ids->flows, pkt),
        .alert = tell,
        .arg = &teller,
    };
    const struct ids_hot *hot = (const void *)(in.value + ids->layout.hot);
    bool later = false;

    if (in.set == NULL)
        return RILL_FORWARD;
    if ((hot->flags & IDS_DROPPED) != 0) {
        rill_count(nf, ids->dropped_later, 1);
        return RILL_DROP;
    }
    if (rill_pkt_is_fragment(pkt)) {
        rill_count(nf, ids->fragments, 1);
        later = rill_pkt_is_later_fragment(pkt);
    }
    rill_pkt_source(pkt, &in.source);
    rill_pkt_destination(pkt, &in.destination);
    if (later)
        inspect_apart(ids, &in, pkt);
    else
        inspect_by_protocol(ids, &in, pkt);
    return settle(nf, ids, pkt, &in);
}

static const struct rill_nf_descriptor ids_descriptor = {
    .abi = RILL_NF_ABI,
    .name = "ids",
    .version = "1",
    .summary = "Intrusion detection and prevention by rules in Snort's syntax",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_ICMP4_ECHO | RILL_HANDLES_TCP6 |
               RILL_HANDLES_UDP6 | RILL_HANDLES_ICMP6_ECHO | RILL_HANDLES_ICMP4_ERROR |
               RILL_HANDLES_ICMP6_ERROR | RILL_HANDLES_OTHER4 | RILL_HANDLES_OTHER6,
    .unhandled_passes = true,
    .options = ids_options,
    .instance_bytes = sizeof(struct ids),
    .init = ids_init,
    .process_packet = ids_process,
    .fini = ids_fini,
};

RILL_NF(&ids_descriptor);
