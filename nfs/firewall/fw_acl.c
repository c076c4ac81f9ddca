#include "fw_acl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_acl.h>

/* A key as rte_acl reads it: the protocol in its first byte, then words of 4 bytes in network
 * order: source and destination (1 each or 4 each), both ports; ICMP's type and code and the TCP
 * flags, in the last three bytes. */
enum {
    WORDS_MAX = 4, /* of an address */
    FIELDS_MAX = 1 + 2 * WORDS_MAX + 3,
    KEY_BYTES = 4 + 4 * (2 * WORDS_MAX + 2),
};

enum { FAMILY4, FAMILY6, FAMILIES };
static const unsigned words_of[FAMILIES] = {1, WORDS_MAX};

/* The rules for one family and direction. */
struct set {
    struct rte_acl_ctx **run;
    unsigned n;
};

struct fw_acl {
    /* By direction (enum fw_way - FW_OUTBOUND). Without a rule for one only, both are the same. */
    struct set set[2][FAMILIES];
    bool directed;
};

/* What one set is made from. */
struct build {
    struct rill_load *load;
    struct fw_acl *acl;
    const struct fw_rules *rules;
    uint8_t way;
    unsigned family;
    unsigned contexts; /* made so far, for their names */
    uint8_t *memory;   /* rules as rte_acl takes them */
};

/* --- fields ----------------------------------------------------------------------------------- */

static unsigned fields_of(unsigned family)
{
    return 1 + 2 * words_of[family] + 3;
}

static size_t rule_bytes(unsigned family)
{
    return RTE_ACL_RULE_SZ(fields_of(family));
}

static void define(struct rte_acl_config *config, uint8_t type, uint8_t bytes, unsigned word,
                   unsigned offset)
{
    unsigned i = config->num_fields++;

    config->defs[i] = (struct rte_acl_field_def){.type = type,
                                                 .size = bytes,
                                                 .field_index = (uint8_t)i,
                                                 .input_index = (uint8_t)word,
                                                 .offset = offset};
}

static void define_fields(struct rte_acl_config *config, unsigned family)
{
    unsigned word = 1, addresses = 2 * words_of[family];

    /* No max_size: with one, rte_acl tries larger tries first. */
    *config = (struct rte_acl_config){.num_categories = 1};
    define(config, RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0);
    for (; word <= addresses; word++)
        define(config, RTE_ACL_FIELD_TYPE_BITMASK, 4, word, 4 * word);
    define(config, RTE_ACL_FIELD_TYPE_RANGE, 2, word, 4 * word);
    define(config, RTE_ACL_FIELD_TYPE_RANGE, 2, word, 4 * word + 2);
    word++;
    define(config, RTE_ACL_FIELD_TYPE_BITMASK, 4, word, 4 * word);
}

/* --- rules ------------------------------------------------------------------------------------ */

static uint32_t mask_of(unsigned bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (bits < 32 ? 32 - bits : 0);
}

/* A mask of bits and not of a length: a wildcard may have holes, and costs no more. */
static struct rte_acl_field *set_prefix(struct rte_acl_field *field, const struct fw_prefix *prefix,
                                        uint32_t wild, unsigned words)
{
    for (unsigned i = 0; i < words; i++, field++) {
        unsigned bits = prefix->bits > 32 * i ? prefix->bits - 32 * i : 0;
        uint32_t word;

        memcpy(&word, prefix->addr + 4 * i, sizeof(word));
        field->mask_range.u32 = mask_of(bits) & ~wild;
        field->value.u32 = ntohl(word) & field->mask_range.u32;
    }
    return field;
}

static struct rte_acl_field *set_ports(struct rte_acl_field *field, const struct fw_ports *ports)
{
    field->value.u16 = ports->low;
    field->mask_range.u16 = ports->high;
    return field + 1;
}

static void set_icmp(struct rte_acl_field *field, const struct fw_icmp_message *message)
{
    if (message->type != FW_ICMP_ANY) {
        field->value.u32 |= (uint32_t)message->type << 16;
        field->mask_range.u32 |= 0xff0000;
    }
    if (message->code != FW_ICMP_ANY) {
        field->value.u32 |= (uint32_t)message->code << 8;
        field->mask_range.u32 |= 0xff00;
    }
}

static void convert(const struct build *b, size_t number, struct rte_acl_rule *out)
{
    const struct fw_rule *rule = &b->rules->rule[number];
    struct rte_acl_field *field = out->field;

    memset(out, 0, rule_bytes(b->family));
    out->data.category_mask = 1;
    out->data.priority = (int32_t)(RTE_ACL_MAX_PRIORITY - number);
    out->data.userdata = (uint32_t)number + 1; /* 0 is no match */
    if (rule->icmp)
        field->value.u8 = b->family == FAMILY4 ? RILL_ICMP : RILL_ICMP6;
    else
        field->value.u8 = rule->proto;
    field->mask_range.u8 = rule->any_proto ? 0 : 0xff;
    field = set_prefix(field + 1, &rule->from, rule->from_wild, words_of[b->family]);
    field = set_prefix(field, &rule->to, rule->to_wild, words_of[b->family]);
    field = set_ports(field, &rule->from_ports);
    field = set_ports(field, &rule->to_ports);
    field->value.u32 = rule->flags;
    field->mask_range.u32 = rule->flags_mask;
    if (rule->icmp_message.named)
        set_icmp(field, &rule->icmp_message.of[b->family]);
}

static bool belongs(const struct build *b, const struct fw_rule *rule)
{
    uint8_t family = rule->from.family != 0 ? rule->from.family : rule->to.family;

    if (b->acl->directed && rule->way != FW_BOTH_WAYS && rule->way != b->way)
        return false;
    if (rule->icmp_message.named && rule->icmp_message.of[b->family].type == FW_ICMP_NONE)
        return false;
    return family == 0 || family == (b->family == FAMILY4 ? 4 : 6);
}

/* --- building --------------------------------------------------------------------------------- */

static struct rte_acl_ctx *build_run(struct build *b, unsigned n)
{
    char name[RTE_ACL_NAMESIZE]; /* of a context that is there, rte_acl gives that one */
    struct rte_acl_param param = {.name = name,
                                  .socket_id = SOCKET_ID_ANY,
                                  .rule_size = (uint32_t)rule_bytes(b->family),
                                  .max_rule_num = n};
    struct rte_acl_config config;
    struct rte_acl_ctx *ctx;
    int rc;

    snprintf(name, sizeof(name), "fw%p.%u", (void *)b->acl, b->contexts++);
    define_fields(&config, b->family);
    ctx = rte_acl_create(&param);
    rc = ctx == NULL ? -ENOMEM
                     : rte_acl_add_rules(ctx, (const struct rte_acl_rule *)(void *)b->memory, n);
    if (rc == 0)
        rc = rte_acl_build(ctx, &config);
    if (rc == 0)
        return ctx;
    rte_acl_free(ctx);
    rill_load_error(b->load, 0,
                    "rte_acl can't build tries for these %zu rules: %s; give more memory "
                    "(memory_mb, --memory-mb) or fewer rules",
                    b->rules->n, strerror(-rc));
    return NULL;
}

static int end_run(struct build *b, struct set *set, unsigned *n)
{
    struct rte_acl_ctx *ctx;

    if (*n == 0)
        return 0;
    ctx = build_run(b, *n);
    if (ctx == NULL)
        return -1;
    set->run[set->n++] = ctx;
    *n = 0;
    return 0;
}

static int build_set(struct build *b, struct set *set)
{
    unsigned n = 0;

    set->run = calloc(b->rules->n / FW_RUN_RULES + 1, sizeof(struct rte_acl_ctx *));
    b->memory = malloc(FW_RUN_RULES * rule_bytes(b->family));
    if (set->run == NULL || b->memory == NULL) {
        rill_load_error(b->load, 0, "no memory for %zu rules; free some", b->rules->n);
        return -1;
    }
    for (size_t i = 0; i < b->rules->n; i++) {
        if (!belongs(b, &b->rules->rule[i]))
            continue;
        convert(b, i, (struct rte_acl_rule *)(void *)(b->memory + n++ * rule_bytes(b->family)));
        if (n == FW_RUN_RULES && end_run(b, set, &n) != 0)
            return -1;
    }
    return end_run(b, set, &n);
}

static bool any_is_directed(const struct fw_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        if (rules->rule[i].way != FW_BOTH_WAYS)
            return true;
    return false;
}

struct fw_acl *fw_acl_build(struct rill_load *load, const struct fw_rules *rules)
{
    struct fw_acl *acl = calloc(1, sizeof(*acl));
    struct build b = {.load = load, .acl = acl, .rules = rules};
    int rc = 0;

    if (acl == NULL)
        return rill_load_error(load, 0, "no memory for %zu rules; free some", rules->n);
    acl->directed = any_is_directed(rules);
    for (unsigned way = 0; way < (acl->directed ? 2 : 1); way++)
        for (b.family = 0; b.family < FAMILIES && rc == 0; b.family++) {
            b.way = (uint8_t)(FW_OUTBOUND + way);
            rc = build_set(&b, &acl->set[way][b.family]);
            free(b.memory);
        }
    if (rc == 0)
        return acl;
    fw_acl_free(acl);
    return NULL;
}

void fw_acl_free(struct fw_acl *acl)
{
    if (acl == NULL)
        return;
    for (unsigned i = 0; i < 2 * FAMILIES; i++) {
        struct set *set = &acl->set[i / FAMILIES][i % FAMILIES];

        while (set->n > 0)
            rte_acl_free(set->run[--set->n]);
        free(set->run);
    }
    free(acl);
}

/* --- looking up ------------------------------------------------------------------------------- */

static void put_port(uint8_t *at, uint16_t port)
{
    at[0] = (uint8_t)(port >> 8);
    at[1] = (uint8_t)port;
}

static void make_key(uint8_t *key, unsigned family, const struct fw_packet *packet)
{
    size_t bytes = 4 * words_of[family];

    memset(key, 0, KEY_BYTES);
    key[0] = packet->source.proto;
    memcpy(key + 4, packet->source.addr, bytes);
    memcpy(key + 4 + bytes, packet->destination.addr, bytes);
    put_port(key + 4 + 2 * bytes, packet->source.port);
    put_port(key + 6 + 2 * bytes, packet->destination.port);
    key[8 + 2 * bytes + 1] = packet->icmp_type;
    key[8 + 2 * bytes + 2] = packet->icmp_code;
    key[8 + 2 * bytes + 3] = packet->tcp_flags;
}

int fw_acl_find(const struct fw_acl *acl, const struct fw_packet *packet)
{
    unsigned family = packet->source.family == 4 ? FAMILY4 : FAMILY6;
    const struct set *set = &acl->set[acl->directed && !packet->outbound ? 1 : 0][family];
    uint8_t key[KEY_BYTES];
    const uint8_t *keys[] = {key};
    uint32_t found = 0;

    make_key(key, family, packet);
    for (unsigned i = 0; i < set->n && found == 0; i++)
        if (rte_acl_classify(set->run[i], keys, &found, 1, 1) != 0)
            found = 0;
    return (int)found - 1;
}
