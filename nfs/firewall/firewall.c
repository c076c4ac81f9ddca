/* Stateful firewall: the first of many ordered rules says whether a connection may begin; what
 * belongs to one that may passes both ways.
 *
 * The rules are objects of the configuration store, so they change while packets flow. A connection
 * remembers by which version it was let in, and who opened it.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

#include "fw_acl.h"
#include "fw_ios.h"
#include "fw_list.h"

enum { TCP_SYN = 0x02, TCP_ACK = 0x10 };
enum { DEFAULT_OUTBOUND, DEFAULT_DENY, DEFAULT_ALLOW };
enum { ON_CHANGE_REJUDGE, ON_CHANGE_KEEP };
#define VERSION_MASK ((UINT64_C(1) << 45) - 1)

/* All zero until a packet of it was allowed. */
struct fw_flow {
    uint64_t allowed : 1;
    uint64_t low_opened : 1; /* the opener's endpoint is the lower one (memcmp) */
    uint64_t outbound : 1;   /* its first packet came from the inside */
    uint64_t icmp_type : 8;  /* that opened it */
    uint64_t icmp_code : 8;
    uint64_t version : 45; /* of rules and lists, by which it was allowed */
};
_Static_assert(sizeof(struct fw_flow) == 8, "README.md says so");

struct firewall {
    struct rill_table *flows;
    int rules, allow_list, deny_list; /* objects */
    unsigned on_unmatched, on_change;
    bool require_syn;
    int opened, rejudged, revoked, denied, no_syn, stray_error;
};

/* What is read of an object: rules or a list. */
struct fw_object {
    struct fw_acl *acl;
    uint8_t *allow; /* by rule, a byte each */
    uint8_t *typed; /* likewise: it names an ICMP type */
    bool any_typed;
    struct fw_list *list;
    uint64_t version;
};

static const struct rill_option firewall_options[] = {
    {"rules", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "object with the rules, one a line, first match: allow tcp from 10.0.0.0/8 to any port "
     "80-443"},
    {"format", RILL_OPT_ENUM, "", 0, 0, "rill|classbench|ios", "rill",
     "how the rules are written; ClassBench's have no action and are exceptions from `unmatched`"},
    {"access_list", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "with format=ios: number or name of the list that judges connections from either side; empty: "
     "the only one"},
    {"access_list_inbound", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "the same, for those begun from the outside alone"},
    {"access_list_outbound", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "the same, for those begun from the inside alone"},
    {"unmatched", RILL_OPT_ENUM, "", 0, 0, "outbound|deny|allow", "outbound",
     "what no rule matches may begin: from the inside only, never, always"},
    {"deny_list", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "object with prefixes, one a line: no connection with either end in it; before the rules"},
    {"allow_list", RILL_OPT_STRING, "", 0, 0, NULL, "",
     "the same: every such connection, unless deny_list has it"},
    {"on_change", RILL_OPT_ENUM, "", 0, 0, "rejudge|keep", "rejudge",
     "when an object changes, connections that are there have to pass the new version, or stay"},
    {"require_syn", RILL_OPT_BOOL, "", 0, 0, NULL, "false",
     "a TCP connection begins with a SYN and no other packet"},
    {.name = NULL},
};

/* --- objects ---------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits: the same text is the same version at every unit. */
static uint64_t text_version(const char *text, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash;
}

static void object_unload(void *object)
{
    struct fw_object *o = object;

    fw_acl_free(o->acl);
    fw_list_free(o->list);
    free(o->allow);
    free(o->typed);
    free(o);
}

static struct fw_object *object_create(struct rill_load *load, const char *text, size_t bytes)
{
    struct fw_object *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return rill_load_error(load, 0, "no memory; free some");
    o->version = text_version(text, bytes);
    return o;
}

static bool fill_rules(struct fw_object *o, struct rill_load *load, const struct fw_rules *rules)
{
    o->allow = malloc(rules->n + 1);
    o->typed = malloc(rules->n + 1);
    if (o->allow == NULL || o->typed == NULL)
        return rill_load_error(load, 0, "no memory for %zu rules; free some", rules->n) != NULL;
    for (size_t i = 0; i < rules->n; i++) {
        o->allow[i] = rules->rule[i].allow;
        o->typed[i] = rules->rule[i].icmp_message.named;
        o->any_typed = o->any_typed || o->typed[i];
    }
    o->acl = fw_acl_build(load, rules);
    return o->acl != NULL;
}

/* One list for both directions, or for each one of its own: what has none is left to `unmatched`.
 */
static int read_access_lists(struct rill_load *load, const struct rill_config *config,
                             const char *text, size_t bytes, struct fw_rules *rules)
{
    const char *in = rill_config_string(config, "access_list_inbound");
    const char *out = rill_config_string(config, "access_list_outbound");

    if (in[0] == '\0' && out[0] == '\0')
        return fw_ios_read(load, rill_config_string(config, "access_list"), FW_BOTH_WAYS, text,
                           bytes, rules);
    if (in[0] != '\0' && fw_ios_read(load, in, FW_INBOUND, text, bytes, rules) != 0)
        return -1;
    return out[0] == '\0' ? 0 : fw_ios_read(load, out, FW_OUTBOUND, text, bytes, rules);
}

static int read_rules(struct rill_load *load, const struct rill_config *config, const char *text,
                      size_t bytes, struct fw_rules *rules)
{
    enum fw_format format = (enum fw_format)rill_config_enum(config, "format");
    bool allow = rill_config_enum(config, "unmatched") != DEFAULT_ALLOW;

    if (format == FW_FORMAT_IOS)
        return read_access_lists(load, config, text, bytes, rules);
    return fw_rules_read(load, format, allow, text, bytes, rules);
}

static void *rules_load(struct rill_load *load, const struct rill_config *config, const char *text,
                        size_t bytes)
{
    struct fw_object *o = object_create(load, text, bytes);
    struct fw_rules rules = {0};
    bool good;

    if (o == NULL)
        return NULL;
    good = read_rules(load, config, text, bytes, &rules) == 0 && fill_rules(o, load, &rules);
    fw_rules_fini(&rules);
    if (good)
        return o;
    object_unload(o);
    return NULL;
}

static void *list_load(struct rill_load *load, const struct rill_config *config, const char *text,
                       size_t bytes)
{
    struct fw_object *o = object_create(load, text, bytes);

    (void)config;
    if (o == NULL)
        return NULL;
    o->list = fw_list_read(load, text, bytes);
    if (o->list != NULL)
        return o;
    object_unload(o);
    return NULL;
}

static const struct rill_object_type rules_type = {.load = rules_load, .unload = object_unload};
static const struct rill_object_type list_type = {.load = list_load, .unload = object_unload};

static int check_access_lists(struct rill_nf *nf, const struct rill_config *config)
{
    bool both = rill_config_string(config, "access_list")[0] != '\0';
    bool one = rill_config_string(config, "access_list_inbound")[0] != '\0' ||
               rill_config_string(config, "access_list_outbound")[0] != '\0';

    if ((both || one) && rill_config_enum(config, "format") != FW_FORMAT_IOS)
        return rill_nf_error(nf, "access_list%s: is for format: ios; give that, or leave it out",
                             both ? "" : "_inbound, access_list_outbound");
    if (both && one)
        return rill_nf_error(nf, "access_list: is for both directions; leave it out, or "
                                 "access_list_inbound and access_list_outbound");
    return 0;
}

static int firewall_init(struct rill_nf *nf, const struct rill_config *config)
{
    struct firewall *f = rill_nf_private(nf);

    f->on_unmatched = rill_config_enum(config, "unmatched");
    f->on_change = rill_config_enum(config, "on_change");
    f->require_syn = rill_config_bool(config, "require_syn");
    f->rules = rill_object_declare(nf, "rules", &rules_type);
    f->deny_list = rill_object_declare(nf, "deny_list", &list_type);
    f->allow_list = rill_object_declare(nf, "allow_list", &list_type);
    f->flows = rill_table_create(nf, "flows", RILL_PER_FLOW, RILL_WRITE, sizeof(struct fw_flow));
    if (f->rules < 0 || f->deny_list < 0 || f->allow_list < 0 || f->flows == NULL ||
        check_access_lists(nf, config) != 0)
        return -1;
    f->opened = rill_counter(nf, "opened");
    f->rejudged = rill_counter(nf, "rejudged");
    f->revoked = rill_counter(nf, "revoked");
    f->denied = rill_counter(nf, "denied");
    f->no_syn = rill_counter(nf, "no_syn");
    f->stray_error = rill_counter(nf, "stray_error");
    return 0;
}

/* --- judging ---------------------------------------------------------------------------------- */

/* The objects, as they are for this packet. */
struct policy {
    const struct fw_object *rules, *deny_list, *allow_list; /* NULL: none */
    uint64_t version;
};

static void get_policy(struct rill_nf *nf, const struct firewall *f, struct policy *p)
{
    p->rules = rill_object(nf, f->rules);
    p->deny_list = rill_object(nf, f->deny_list);
    p->allow_list = rill_object(nf, f->allow_list);
    p->version = p->rules != NULL ? p->rules->version : 0;
    if (p->deny_list != NULL)
        p->version = p->version * 31 + p->deny_list->version;
    if (p->allow_list != NULL)
        p->version = p->version * 31 + p->allow_list->version;
    p->version &= VERSION_MASK;
}

static bool in_list(const struct fw_object *object, const struct fw_packet *o)
{
    return object != NULL &&
           (fw_list_has(object->list, &o->source) || fw_list_has(object->list, &o->destination));
}

static bool may_open(const struct firewall *f, const struct policy *p, const struct fw_packet *o)
{
    int rule = -1;

    if (in_list(p->deny_list, o))
        return false;
    if (in_list(p->allow_list, o))
        return true;
    if (p->rules != NULL)
        rule = fw_acl_find(p->rules->acl, o);
    if (rule >= 0)
        return p->rules->allow[rule] != 0;
    return f->on_unmatched == DEFAULT_ALLOW || (f->on_unmatched == DEFAULT_OUTBOUND && o->outbound);
}

static bool is_low(const struct rill_endpoint *a, const struct rill_endpoint *b)
{
    return memcmp(a, b, sizeof(*a)) < 0;
}

/* The packet as its connection's opener would have sent it. */
static struct fw_packet of_opener(const struct fw_flow *flow, const struct fw_packet *packet)
{
    struct fw_packet o = *packet;

    if (is_low(&packet->source, &packet->destination) != flow->low_opened) {
        o.source = packet->destination;
        o.destination = packet->source;
    }
    o.outbound = flow->outbound;
    o.icmp_type = flow->icmp_type;
    o.icmp_code = flow->icmp_code;
    return o;
}

static bool is_icmp(const struct fw_packet *packet)
{
    return packet->source.proto == (packet->source.family == 4 ? RILL_ICMP : RILL_ICMP6);
}

/* The type that answers one; -1: there is none. */
static int answer_to(uint8_t family, uint8_t type)
{
    static const struct {
        uint8_t family, type, answer;
    } pairs[] = {
        {4, 8, 0},     {4, 13, 14},   {4, 15, 16},   {4, 17, 18},   {4, 10, 9},
        {6, 128, 129}, {6, 133, 134}, {6, 135, 136}, {6, 139, 140},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (pairs[i].family == family && pairs[i].type == type)
            return pairs[i].answer;
    return -1;
}

/* Of ICMP, more of what opened the flow and the answers to it; all of what is not ICMP. */
static bool belongs(const struct fw_flow *flow, const struct fw_packet *packet)
{
    if (!is_icmp(packet))
        return true;
    if (is_low(&packet->source, &packet->destination) == flow->low_opened)
        return packet->icmp_type == flow->icmp_type && packet->icmp_code == flow->icmp_code;
    return packet->icmp_type == answer_to(packet->source.family, (uint8_t)flow->icmp_type);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void let_in(struct firewall *f, struct rill_pkt *pkt, struct fw_flow *flow,
                   const struct fw_packet *o, uint64_t version)
{
    *flow = (struct fw_flow){.allowed = 1,
                             .low_opened = is_low(&o->source, &o->destination),
                             .outbound = o->outbound,
                             .icmp_type = o->icmp_type,
                             .icmp_code = o->icmp_code,
                             .version = version & VERSION_MASK};
    rill_put(f->flows, pkt, 0, sizeof(*flow));
}

/* Of a connection that was let in: does it stay? */
static bool stays(struct rill_nf *nf, struct firewall *f, struct rill_pkt *pkt,
                  struct fw_flow *flow, const struct fw_packet *packet, const struct policy *p)
{
    struct fw_packet o;

    if (flow->version == p->version || f->on_change == ON_CHANGE_KEEP)
        return true;
    o = of_opener(flow, packet);
    if (may_open(f, p, &o)) {
        let_in(f, pkt, flow, &o, p->version);
        rill_count(nf, f->rejudged, 1);
        return true;
    }
    memset(flow, 0, sizeof(*flow));
    rill_put(f->flows, pkt, 0, sizeof(*flow));
    rill_count(nf, f->revoked, 1);
    return false;
}

static enum rill_verdict open_flow(struct rill_nf *nf, struct firewall *f, struct rill_pkt *pkt,
                                   struct fw_flow *flow, const struct fw_packet *o,
                                   const struct policy *p)
{
    if (f->require_syn && o->source.proto == RILL_TCP &&
        (o->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) {
        rill_count(nf, f->no_syn, 1);
        return RILL_DROP;
    }
    if (!may_open(f, p, o)) {
        rill_count(nf, f->denied, 1);
        return RILL_DROP;
    }
    let_in(f, pkt, flow, o, p->version);
    rill_count(nf, f->opened, 1);
    return RILL_FORWARD;
}

/* An error goes with the connection that it is about, unless a rule that names a type says
 * otherwise.
 */
static enum rill_verdict judge_error(struct rill_nf *nf, const struct firewall *f,
                                     const struct fw_flow *flow, const struct fw_packet *packet,
                                     const struct policy *p)
{
    const struct fw_object *rules = p->rules;
    bool pass = flow->allowed;
    int rule = -1;

    if (rules != NULL && rules->any_typed)
        rule = fw_acl_find(rules->acl, packet);
    if (rule >= 0 && rules->typed[rule])
        pass = rules->allow[rule] && (pass || !in_list(p->deny_list, packet));
    if (!pass)
        rill_count(nf, flow->allowed ? f->denied : f->stray_error, 1);
    return pass ? RILL_FORWARD : RILL_DROP;
}

static void read_packet(const struct rill_pkt *pkt, struct fw_packet *packet)
{
    const uint8_t *header;
    uint32_t bytes;

    rill_pkt_source(pkt, &packet->source);
    rill_pkt_destination(pkt, &packet->destination);
    packet->outbound = rill_pkt_from_inside(pkt);
    packet->tcp_flags = rill_pkt_tcp_flags(pkt);
    packet->icmp_type = packet->icmp_code = 0;
    if (!is_icmp(packet))
        return;
    header = rill_pkt_transport(pkt, &bytes);
    if (header != NULL) {
        packet->icmp_type = header[0];
        packet->icmp_code = header[1];
    }
}

static enum rill_verdict firewall_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct firewall *f = rill_nf_private(nf);
    struct fw_flow *flow = rill_get(f->flows, pkt);
    struct rill_endpoint source, destination;
    struct fw_packet packet;
    struct policy policy;
    bool later;

    read_packet(pkt, &packet);
    get_policy(nf, f, &policy);
    if (rill_pkt_quoted(pkt, &source, &destination))
        return judge_error(nf, f, flow, &packet, &policy);
    later = is_icmp(&packet) && rill_pkt_is_later_fragment(pkt);
    if (flow->allowed && (later || belongs(flow, &packet)) &&
        stays(nf, f, pkt, flow, &packet, &policy))
        return RILL_FORWARD;
    if (later) { /* its type went by with the first one */
        rill_count(nf, f->denied, 1);
        return RILL_DROP;
    }
    return open_flow(nf, f, pkt, flow, &packet, &policy);
}

static const struct rill_nf_descriptor firewall_descriptor = {
    .abi = RILL_NF_ABI,
    .name = "firewall",
    .version = "1",
    .summary = "Stateful firewall: thousands of ordered rules, allow and deny lists",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_ICMP4_ECHO | RILL_HANDLES_TCP6 |
               RILL_HANDLES_UDP6 | RILL_HANDLES_ICMP6_ECHO | RILL_HANDLES_ICMP4_ERROR |
               RILL_HANDLES_ICMP6_ERROR | RILL_HANDLES_OTHER4 | RILL_HANDLES_OTHER6,
    .flags = RILL_NF_INVERTS,
    .unhandled_passes = true, /* ARP, and whatever else is not IP */
    .options = firewall_options,
    .instance_bytes = sizeof(struct firewall),
    .init = firewall_init,
    .process_packet = firewall_process,
};

RILL_NF(&firewall_descriptor);
