#include "fw_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAGMENTATION_NEEDED = 4 }; /* code of ICMP's "unreachable" */

/* --- the list --------------------------------------------------------------------------------- */

int fw_rules_add(struct fw_lines *lines, struct fw_rules *rules, const struct fw_rule *rule)
{
    if (rules->n == FW_RULES_MAX) {
        rill_load_error(lines->load, lines->number, "is one rule too many; at most %d are possible",
                        FW_RULES_MAX);
        return -1;
    }
    if (rules->n == rules->room) {
        size_t room = rules->room > 0 ? 2 * rules->room : 64;
        struct fw_rule *list = reallocarray(rules->rule, room, sizeof(*list));

        if (list == NULL) {
            rill_load_error(lines->load, lines->number, "no memory for so many rules; free some");
            return -1;
        }
        rules->rule = list;
        rules->room = room;
    }
    rules->rule[rules->n++] = *rule;
    return 0;
}

void fw_rules_fini(struct fw_rules *rules)
{
    free(rules->rule);
    *rules = (struct fw_rules){0};
}

/* --- Rill's format ---------------------------------------------------------------------------- */

struct reading {
    struct fw_lines *lines;
    struct fw_rule rule;
    bool has_proto, has_way, has_from, has_to;
    struct fw_ports *ports; /* of the end that was read last */
    bool has_ports, has_type, has_code;
    bool both_families; /* its type has a name, which either family has a number for */
};

static int read_way(struct reading *r, const char *word)
{
    if (r->has_way) {
        rill_load_error(r->lines->load, r->lines->number, "'%s': the direction is there already",
                        word);
        return -1;
    }
    r->has_way = true;
    r->rule.way = strcmp(word, "outbound") == 0 ? FW_OUTBOUND : FW_INBOUND;
    return 0;
}

/* -1: the word is no protocol. */
static int read_proto(struct reading *r, const char *word)
{
    unsigned long number;

    if (r->has_proto)
        return -1;
    r->rule.any_proto = false;
    if (strcmp(word, "any") == 0)
        r->rule.any_proto = true;
    else if (strcmp(word, "tcp") == 0)
        r->rule.proto = RILL_TCP;
    else if (strcmp(word, "udp") == 0)
        r->rule.proto = RILL_UDP;
    else if (strcmp(word, "icmp") == 0)
        r->rule.icmp = true;
    else if (fw_number_read(word, 255, &number))
        r->rule.proto = (uint8_t)number;
    else
        return -1;
    r->has_proto = true;
    return 0;
}

static int read_end(struct reading *r, const char *name, const char *word)
{
    bool is_from = strcmp(name, "from") == 0, clean = true;
    struct fw_prefix *prefix = is_from ? &r->rule.from : &r->rule.to;
    bool *has = is_from ? &r->has_from : &r->has_to;

    if (*has) {
        rill_load_error(r->lines->load, r->lines->number, "'%s' stands twice; give one", name);
        return -1;
    }
    *has = true;
    r->ports = is_from ? &r->rule.from_ports : &r->rule.to_ports;
    r->has_ports = false;
    if (word != NULL && strcmp(word, "any") == 0)
        return 0;
    if (word == NULL || !fw_prefix_read(word, prefix, &clean)) {
        rill_load_error(r->lines->load, r->lines->number,
                        "%s '%s': give any, an address or a prefix, as in %s 10.0.0.0/8", name,
                        word != NULL ? word : "", name);
        return -1;
    }
    if (!clean) {
        rill_load_error(r->lines->load, r->lines->number,
                        "%s %s: the address has bits behind its prefix; clear them", name, word);
        return -1;
    }
    return 0;
}

static bool read_range(char *word, struct fw_ports *ports)
{
    char *dash = strchr(word, '-');
    unsigned long low, high;

    if (dash != NULL)
        *dash = '\0';
    if (!fw_number_read(word, 65535, &low))
        return false;
    high = low;
    if (dash != NULL && !fw_number_read(dash + 1, 65535, &high))
        return false;
    ports->low = (uint16_t)low;
    ports->high = (uint16_t)high;
    return low <= high;
}

static int read_ports(struct reading *r, char *word)
{
    if (r->ports == NULL || r->has_ports) {
        rill_load_error(r->lines->load, r->lines->number,
                        "'port' follows an end, once: from any port 53, to 10.0.0.1 port 80-443");
        return -1;
    }
    if (word == NULL || !read_range(word, r->ports)) {
        rill_load_error(r->lines->load, r->lines->number,
                        "port '%s': give a port or a range, 0 to 65535, as in port 80-443",
                        word != NULL ? word : "");
        return -1;
    }
    r->has_ports = true;
    return 0;
}

/* What both families have, under numbers of their own. */
static const struct {
    const char *name;
    int16_t type[2];
} icmp_types[] = {
    {"echo-request", {8, 128}},
    {"echo-reply", {0, 129}},
    {"unreachable", {3, 1}},
    {"time-exceeded", {11, 3}},
    {"parameter-problem", {12, 4}},
    {"packet-too-big", {3, 2}},
    {"redirect", {5, 137}},
    {"router-solicitation", {10, 133}},
    {"router-advertisement", {9, 134}},
};

static bool find_icmp_type(struct reading *r, const char *word)
{
    struct fw_icmp_message *of = r->rule.icmp_message.of;
    unsigned long number;

    for (unsigned i = 0; i < sizeof(icmp_types) / sizeof(icmp_types[0]); i++) {
        if (strcmp(icmp_types[i].name, word) != 0)
            continue;
        for (unsigned k = 0; k < 2; k++)
            of[k] = (struct fw_icmp_message){icmp_types[i].type[k], FW_ICMP_ANY};
        if (strcmp(word, "packet-too-big") == 0)
            of[0].code = FRAGMENTATION_NEEDED; /* a type of its own in ICMPv6 */
        r->both_families = true;
        return true;
    }
    if (!fw_number_read(word, 255, &number))
        return false;
    of[0] = of[1] = (struct fw_icmp_message){(int16_t)number, FW_ICMP_ANY};
    return true;
}

static int read_type(struct reading *r, const char *word)
{
    if (r->has_type) {
        rill_load_error(r->lines->load, r->lines->number, "'type' stands twice; give one");
        return -1;
    }
    if (word == NULL || !find_icmp_type(r, word)) {
        rill_load_error(r->lines->load, r->lines->number,
                        "type '%s': give a number, 0 to 255, or echo-request, echo-reply, "
                        "unreachable, packet-too-big, time-exceeded, parameter-problem, redirect, "
                        "router-solicitation, router-advertisement",
                        word != NULL ? word : "");
        return -1;
    }
    r->has_type = r->rule.icmp_message.named = true;
    return 0;
}

static int read_code(struct reading *r, const char *word)
{
    struct fw_icmp_message *of = r->rule.icmp_message.of;
    unsigned long number;

    if (!r->has_type || r->has_code || of[0].code != FW_ICMP_ANY) {
        rill_load_error(r->lines->load, r->lines->number,
                        "'code' follows a type that says none itself, once: type 3 code 4");
        return -1;
    }
    if (word == NULL || !fw_number_read(word, 255, &number)) {
        rill_load_error(r->lines->load, r->lines->number, "code '%s': give a number, 0 to 255",
                        word != NULL ? word : "");
        return -1;
    }
    of[0].code = of[1].code = (int16_t)number;
    r->has_code = true;
    return 0;
}

static int read_word(struct reading *r, char *word, char **rest)
{
    if (strcmp(word, "inbound") == 0 || strcmp(word, "outbound") == 0)
        return read_way(r, word);
    if (strcmp(word, "from") == 0 || strcmp(word, "to") == 0)
        return read_end(r, word, fw_word(rest));
    if (strcmp(word, "port") == 0)
        return read_ports(r, fw_word(rest));
    if (strcmp(word, "type") == 0)
        return read_type(r, fw_word(rest));
    if (strcmp(word, "code") == 0)
        return read_code(r, fw_word(rest));
    if (read_proto(r, word) == 0)
        return 0;
    rill_load_error(r->lines->load, r->lines->number,
                    "'%s' is not understood; write it like: allow tcp from 10.0.0.0/8 to any port "
                    "80-443",
                    word);
    return -1;
}

static bool is_all(const struct fw_ports *ports)
{
    return ports->low == 0 && ports->high == 65535;
}

/* Of which family a rule must be; 0: either. */
static uint8_t family_of(const struct fw_rule *rule)
{
    if (!rule->icmp && !rule->any_proto && rule->proto == RILL_ICMP)
        return 4;
    if (!rule->icmp && !rule->any_proto && rule->proto == RILL_ICMP6)
        return 6;
    return rule->from.family != 0 ? rule->from.family : rule->to.family;
}

/* A number means one thing in ICMP and another in ICMPv6. */
static int check_icmp(struct reading *r)
{
    struct fw_rule *rule = &r->rule;
    bool icmp =
        rule->icmp || (!rule->any_proto && (rule->proto == RILL_ICMP || rule->proto == RILL_ICMP6));

    if (!r->has_type)
        return 0;
    if (!icmp) {
        rill_load_error(r->lines->load, r->lines->number, "type is for icmp; write icmp, too");
        return -1;
    }
    if (family_of(rule) == 0 && (!r->both_families || r->has_code)) {
        rill_load_error(r->lines->load, r->lines->number,
                        "a number of a type or code is ICMP's or ICMPv6's; write 1 or 58 for icmp, "
                        "or an address, as in from 0.0.0.0/0");
        return -1;
    }
    return 0;
}

static int check(struct reading *r)
{
    struct fw_rule *rule = &r->rule;
    bool has_ports = !is_all(&rule->from_ports) || !is_all(&rule->to_ports);

    if (has_ports &&
        (rule->any_proto || rule->icmp || (rule->proto != RILL_TCP && rule->proto != RILL_UDP))) {
        rill_load_error(r->lines->load, r->lines->number,
                        "port is for tcp and udp; write a rule for each");
        return -1;
    }
    if (rule->from.family != 0 && rule->to.family != 0 && rule->from.family != rule->to.family) {
        rill_load_error(r->lines->load, r->lines->number,
                        "from and to are of two families; nothing can match");
        return -1;
    }
    return check_icmp(r);
}

static int read_line(struct fw_lines *lines, struct fw_rules *rules)
{
    struct reading r = {
        .lines = lines,
        .rule = {.any_proto = true, .from_ports = {0, 65535}, .to_ports = {0, 65535}}};
    char *rest = lines->line, *word = fw_word(&rest);

    if (strcmp(word, "allow") != 0 && strcmp(word, "deny") != 0) {
        rill_load_error(lines->load, lines->number, "begins with '%s'; begin with allow or deny",
                        word);
        return -1;
    }
    r.rule.allow = strcmp(word, "allow") == 0;
    while ((word = fw_word(&rest)) != NULL)
        if (read_word(&r, word, &rest) != 0)
            return -1;
    return check(&r) == 0 ? fw_rules_add(lines, rules, &r.rule) : -1;
}

/* --- ClassBench's format -----------------------------------------------------------------------
 */

struct bench_line {
    char from[24], to[24];
    unsigned from_low, from_high, to_low, to_high;
    unsigned proto, proto_mask, flags, flags_mask;
    bool has_action, allow;
};

static bool scan_action(struct bench_line *b, char *rest)
{
    const char *word = fw_word(&rest);

    if (word == NULL)
        return true;
    b->has_action = true;
    b->allow = strcmp(word, "allow") == 0;
    return (b->allow || strcmp(word, "deny") == 0) && fw_word(&rest) == NULL;
}

/* The flags are a later addition, and may be missing; the action is ours. */
static bool scan_bench(char *line, struct bench_line *b)
{
    int used = 0;

    *b = (struct bench_line){.flags = 0};
    if (sscanf(line, " @%23s %23s %5u : %5u %5u : %5u %4x/%4x%n", b->from, b->to, &b->from_low,
               &b->from_high, &b->to_low, &b->to_high, &b->proto, &b->proto_mask, &used) != 8 ||
        used == 0)
        return false;
    line += used;
    used = 0;
    if (sscanf(line, " %6x/%6x%n", &b->flags, &b->flags_mask, &used) == 2)
        line += used;
    return scan_action(b, line);
}

static bool convert_bench(const struct bench_line *b, struct fw_rule *rule)
{
    bool clean;

    if (!fw_prefix_read(b->from, &rule->from, &clean) ||
        !fw_prefix_read(b->to, &rule->to, &clean) || rule->from.family != 4 ||
        rule->to.family != 4 || strchr(b->from, '/') == NULL || strchr(b->to, '/') == NULL)
        return false;
    if (b->from_low > b->from_high || b->to_low > b->to_high || b->from_high > 65535 ||
        b->to_high > 65535 || b->proto > 255 || (b->proto_mask != 0 && b->proto_mask != 0xff) ||
        b->flags > 0xffff || b->flags_mask > 0xffff)
        return false;
    rule->from_ports = (struct fw_ports){(uint16_t)b->from_low, (uint16_t)b->from_high};
    rule->to_ports = (struct fw_ports){(uint16_t)b->to_low, (uint16_t)b->to_high};
    rule->any_proto = b->proto_mask == 0;
    rule->proto = rule->any_proto ? 0 : (uint8_t)b->proto;
    return true;
}

/* A rule that looks at what an NF can't see would match more than it says: it is left out. */
static int add_bench(struct fw_lines *lines, struct fw_rules *rules, const struct bench_line *b,
                     struct fw_rule *rule)
{
    if (b->flags_mask != 0 && (rule->any_proto || rule->proto != RILL_TCP)) {
        rill_load_skip(lines->load, lines->number,
                       "looks at flags of a protocol other than TCP (an ICMP type)");
        return 0;
    }
    if ((b->flags_mask & 0xff) != 0) {
        rill_load_skip(lines->load, lines->number, "looks at flags that TCP does not have");
        return 0;
    }
    rule->flags_mask = (uint8_t)(b->flags_mask >> 8);
    rule->flags = (uint8_t)(b->flags >> 8) & rule->flags_mask;
    return fw_rules_add(lines, rules, rule);
}

static int read_bench(struct fw_lines *lines, struct fw_rules *rules, bool allow)
{
    struct fw_rule rule = {.allow = allow};
    struct bench_line b;

    if (!scan_bench(lines->line, &b) || !convert_bench(&b, &rule)) {
        rill_load_error(lines->load, lines->number,
                        "is no ClassBench filter; write it like: @10.0.0.0/8 192.0.2.0/24 "
                        "0 : 65535 80 : 80 0x06/0xFF");
        return -1;
    }
    if (b.has_action)
        rule.allow = b.allow;
    return add_bench(lines, rules, &b, &rule);
}

/* --- both ------------------------------------------------------------------------------------- */

int fw_rules_read(struct rill_load *load, enum fw_format format, bool allow, const char *text,
                  size_t bytes, struct fw_rules *rules)
{
    struct fw_lines lines;
    int rc = 0;

    *rules = (struct fw_rules){0};
    fw_lines_start(&lines, load, text, bytes);
    while (rc == 0 && fw_lines_next(&lines))
        rc = format == FW_FORMAT_RILL ? read_line(&lines, rules) : read_bench(&lines, rules, allow);
    if (rc == 0 && !lines.failed)
        return 0;
    fw_rules_fini(rules);
    return -1;
}
