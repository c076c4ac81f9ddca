#include "fw_ios_entry.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fw_ios_names.h"

enum { PORTS_MAX = 10, RANGES_MAX = PORTS_MAX + 1, FLAGS_MAX = 6 };
enum { ACK = 0x10, RST = 0x04 };

/* Any of these ranges. */
struct ranges {
    struct fw_ports at[RANGES_MAX];
    unsigned n;
};

/* Of TCP; any of these. */
struct flags {
    struct {
        uint8_t value, mask;
    } at[FLAGS_MAX];
    unsigned n;
};

struct reading {
    struct fw_ios_entry *entry;
    struct fw_lines *lines;
    char *word; /* the present one; NULL at the end */
    struct fw_rule rule;
    struct ranges from_ports, to_ports;
    struct flags flags;
    const char *unseen; /* what it looks at that an NF can't see; NULL: nothing */
};

static void next(struct reading *r)
{
    r->word = fw_word(&r->entry->rest);
}

static bool is(const struct reading *r, const char *word)
{
    return r->word != NULL && strcasecmp(r->word, word) == 0;
}

static const char *shown(const struct reading *r)
{
    return r->word != NULL ? r->word : "";
}

/* --- ends ------------------------------------------------------------------------------------- */

static bool read_address(const struct reading *r, uint8_t *address)
{
    return r->word != NULL && inet_pton(AF_INET, r->word, address) == 1;
}

static int bad_end(const struct reading *r, const char *name)
{
    rill_load_error(r->lines->load, r->lines->number,
                    "%s '%s': give any, host ADDRESS, or an address and its wildcard, as in "
                    "10.0.0.0 0.255.255.255",
                    name, shown(r));
    return -1;
}

static int read_host(struct reading *r, const char *name, struct fw_prefix *prefix)
{
    next(r);
    if (!read_address(r, prefix->addr))
        return bad_end(r, name);
    next(r);
    return 0;
}

/* A standard list's address may stand alone: a host. */
static int read_end(struct reading *r, const char *name, struct fw_prefix *prefix, uint32_t *wild)
{
    uint8_t bits[4];

    *prefix = (struct fw_prefix){.family = 4, .bits = 32};
    *wild = 0;
    if (is(r, "any")) {
        *wild = UINT32_MAX;
        next(r);
        return 0;
    }
    if (is(r, "host"))
        return read_host(r, name, prefix);
    if (!read_address(r, prefix->addr))
        return bad_end(r, name);
    next(r);
    if (!read_address(r, bits)) {
        if (r->entry->standard)
            return 0;
        return bad_end(r, name);
    }
    memcpy(wild, bits, sizeof(*wild));
    *wild = ntohl(*wild);
    next(r);
    return 0;
}

/* --- ports ------------------------------------------------------------------------------------ */

static int bad_port(const struct reading *r)
{
    rill_load_error(r->lines->load, r->lines->number,
                    "port '%s': give a number, 0 to 65535, or a name that IOS has for it",
                    shown(r));
    return -1;
}

static int port(const struct reading *r)
{
    return r->word != NULL ? fw_ios_port(r->rule.proto, r->word) : -1;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Up to 10 ports: each one, or all but these. */
static int read_list(struct reading *r, bool but, struct ranges *ranges)
{
    int list[PORTS_MAX], low = 0;
    unsigned n = 0;

    for (; port(r) >= 0 && n < PORTS_MAX; next(r))
        list[n++] = port(r);
    if (n == 0 || port(r) >= 0)
        return bad_port(r);
    qsort(list, n, sizeof(list[0]), by_number);
    ranges->n = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!but)
            ranges->at[ranges->n++] = (struct fw_ports){(uint16_t)list[i], (uint16_t)list[i]};
        else if (low < list[i])
            ranges->at[ranges->n++] = (struct fw_ports){(uint16_t)low, (uint16_t)(list[i] - 1)};
        low = list[i] + 1;
    }
    if (but && low <= UINT16_MAX)
        ranges->at[ranges->n++] = (struct fw_ports){(uint16_t)low, UINT16_MAX};
    return 0;
}

static int set_range(const struct reading *r, int low, int high, struct ranges *ranges)
{
    if (low > high || low > UINT16_MAX || high < 0) {
        rill_load_error(r->lines->load, r->lines->number,
                        "no port is in that range; give the lower one first");
        return -1;
    }
    ranges->at[0] = (struct fw_ports){(uint16_t)low, (uint16_t)high};
    return 0;
}

static int read_range(struct reading *r, struct ranges *ranges)
{
    int low = port(r), high;

    if (low < 0)
        return bad_port(r);
    next(r);
    high = port(r);
    if (high < 0)
        return bad_port(r);
    next(r);
    return set_range(r, low, high, ranges);
}

static int read_half(struct reading *r, bool above, struct ranges *ranges)
{
    int than = port(r);

    if (than < 0)
        return bad_port(r);
    next(r);
    return above ? set_range(r, than + 1, UINT16_MAX, ranges) : set_range(r, 0, than - 1, ranges);
}

static int read_ports(struct reading *r, struct ranges *ranges)
{
    bool eq = is(r, "eq"), neq = is(r, "neq"), gt = is(r, "gt"), lt = is(r, "lt");

    *ranges = (struct ranges){.at = {{0, UINT16_MAX}}, .n = 1};
    if (!eq && !neq && !gt && !lt && !is(r, "range"))
        return 0;
    if (r->rule.any_proto || (r->rule.proto != RILL_TCP && r->rule.proto != RILL_UDP)) {
        rill_load_error(r->lines->load, r->lines->number, "'%s': ports are for tcp and udp",
                        r->word);
        return -1;
    }
    next(r);
    if (eq || neq)
        return read_list(r, neq, ranges);
    return gt || lt ? read_half(r, gt, ranges) : read_range(r, ranges);
}

/* --- what may follow -------------------------------------------------------------------------- */

/* The bit of a flag's name; 0 if it is none. */
static uint8_t flag(const char *name)
{
    static const char *const names[FLAGS_MAX] = {"fin", "syn", "rst", "psh", "ack", "urg"};

    for (unsigned i = 0; i < FLAGS_MAX; i++)
        if (strcasecmp(names[i], name) == 0)
            return (uint8_t)(1u << i);
    return 0;
}

static int bad_flags(const struct reading *r, const char *why)
{
    rill_load_error(r->lines->load, r->lines->number, "'%s': %s", shown(r), why);
    return -1;
}

/* match-all +syn -ack, match-any +ack +rst. */
static int read_signed_flags(struct reading *r, bool all)
{
    struct flags *f = &r->flags;
    uint8_t seen = 0, bit;

    for (next(r); r->word != NULL && strchr("+-", r->word[0]) != NULL; next(r)) {
        bit = flag(r->word + 1);
        if (bit == 0 || (seen & bit) != 0)
            return bad_flags(r, "give each of fin, syn, rst, psh, ack, urg once");
        seen |= bit;
        if (f->n == 0 || !all)
            f->at[f->n++].mask = 0;
        f->at[f->n - 1].mask |= bit;
        f->at[f->n - 1].value |= r->word[0] == '+' ? bit : 0;
    }
    return seen != 0 ? 0 : bad_flags(r, "give flags, as in match-all +syn -ack");
}

static int read_flags(struct reading *r)
{
    if (r->rule.any_proto || r->rule.proto != RILL_TCP)
        return bad_flags(r, "is for tcp");
    if (r->flags.n > 0)
        return bad_flags(r, "flags are there already; use match-any or match-all for several");
    if (is(r, "match-all") || is(r, "match-any"))
        return read_signed_flags(r, is(r, "match-all"));
    if (is(r, "established")) {
        r->flags.at[0].value = r->flags.at[0].mask = ACK;
        r->flags.at[1].value = r->flags.at[1].mask = RST;
        r->flags.n = 2;
    } else {
        r->flags.at[0].value = r->flags.at[0].mask = flag(r->word);
        r->flags.n = 1;
    }
    next(r);
    return 0;
}

static bool is_flags(const struct reading *r)
{
    return is(r, "established") || is(r, "match-all") || is(r, "match-any") || flag(r->word) != 0;
}

/* What the present word looks at, if that is nothing an NF sees; else NULL. */
static const char *unseen(const struct reading *r)
{
    static const char *const words[] = {"dscp",   "precedence", "tos",       "ttl",
                                        "option", "time-range", "fragments", "reflect"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (is(r, words[i]))
            return words[i];
    return NULL;
}

/* --- ICMP messages ---------------------------------------------------------------------------- */

/* A name of IOS's, or a type and maybe a code. True: it is one; *rc is not 0 after an error. */
static bool read_icmp(struct reading *r, int *rc)
{
    struct fw_icmp *icmp = &r->rule.icmp_message;
    unsigned long number;

    if (r->rule.any_proto || r->rule.proto != RILL_ICMP || r->entry->standard)
        return false;
    if (fw_ios_icmp_message(r->word, &icmp->of[0])) {
        next(r);
    } else if (fw_number_read(r->word, 255, &number)) {
        icmp->of[0] = (struct fw_icmp_message){(int16_t)number, FW_ICMP_ANY};
        next(r);
        if (r->word != NULL && fw_number_read(r->word, 255, &number)) {
            icmp->of[0].code = (int16_t)number;
            next(r);
        }
    } else {
        return false;
    }
    *rc =
        icmp->named ? bad_flags(r, "an ICMP message is there already; write an entry for each") : 0;
    icmp->named = true;
    return true;
}

static int read_options(struct reading *r)
{
    int rc = 0;

    while (r->word != NULL) {
        if (is(r, "log") || is(r, "log-input")) {
            r->entry->logs = true;
            next(r);
        } else if (read_icmp(r, &rc)) {
            if (rc != 0)
                return -1;
        } else if (!r->entry->standard && is_flags(r)) {
            if (read_flags(r) != 0)
                return -1;
        } else if (!r->entry->standard && unseen(r) != NULL) {
            r->unseen = unseen(r);
            return 0; /* the whole entry is out: what else it says does not matter */
        } else {
            rill_load_error(r->lines->load, r->lines->number,
                            "'%s' is not understood; write it like: permit tcp any host 192.0.2.1 "
                            "eq www",
                            r->word);
            return -1;
        }
    }
    return 0;
}

/* --- the entry -------------------------------------------------------------------------------- */

static int read_action(struct reading *r)
{
    next(r);
    if (!is(r, "permit") && !is(r, "deny")) {
        rill_load_error(r->lines->load, r->lines->number,
                        "'%s' is no entry; begin with permit, deny or remark", shown(r));
        return -1;
    }
    r->rule.allow = is(r, "permit");
    next(r);
    return 0;
}

/* Number 0 is a protocol to some versions of IOS, and all of them to others. */
static int read_proto(struct reading *r)
{
    int proto = r->word != NULL ? fw_ios_protocol(r->word) : -1;

    if (proto <= 0) {
        rill_load_error(r->lines->load, r->lines->number,
                        "protocol '%s': give ip for all, a name that IOS has, or 1 to 255",
                        shown(r));
        return -1;
    }
    r->rule.any_proto = proto == FW_IOS_IP;
    r->rule.proto = r->rule.any_proto ? 0 : (uint8_t)proto;
    next(r);
    return 0;
}

static int read_standard(struct reading *r)
{
    r->rule.any_proto = true;
    r->from_ports = r->to_ports = (struct ranges){.at = {{0, UINT16_MAX}}, .n = 1};
    if (read_end(r, "source", &r->rule.from, &r->rule.from_wild) != 0)
        return -1;
    return read_options(r);
}

static int read_extended(struct reading *r)
{
    struct fw_rule *rule = &r->rule;

    if (read_proto(r) != 0 || read_end(r, "source", &rule->from, &rule->from_wild) != 0 ||
        read_ports(r, &r->from_ports) != 0 ||
        read_end(r, "destination", &rule->to, &rule->to_wild) != 0 ||
        read_ports(r, &r->to_ports) != 0)
        return -1;
    return read_options(r);
}

/* A list with one permit less lets nothing more in; with one deny less it may. */
static int leave_out(const struct reading *r)
{
    if (r->rule.allow) {
        rill_load_skip(r->lines->load, r->lines->number,
                       "permits by %s, of which the firewall knows nothing", r->unseen);
        return 0;
    }
    rill_load_error(
        r->lines->load, r->lines->number,
        "denies by %s, of which the firewall knows nothing; take the entry out, or deny "
        "without it",
        r->unseen);
    return -1;
}

static int add_rules(struct reading *r, struct fw_rules *rules)
{
    struct fw_rule *rule = &r->rule;
    int rc = 0;

    if (r->flags.n == 0)
        r->flags.n = 1; /* any */
    for (unsigned f = 0; f < r->flags.n; f++)
        for (unsigned i = 0; i < r->from_ports.n; i++)
            for (unsigned k = 0; k < r->to_ports.n && rc == 0; k++) {
                rule->flags = r->flags.at[f].value;
                rule->flags_mask = r->flags.at[f].mask;
                rule->from_ports = r->from_ports.at[i];
                rule->to_ports = r->to_ports.at[k];
                rc = fw_rules_add(r->lines, rules, rule);
            }
    return rc;
}

int fw_ios_entry_read(struct fw_ios_entry *entry, struct fw_rules *rules)
{
    struct reading r = {.entry = entry, .lines = entry->lines, .rule = fw_ios_deny_all(entry->way)};

    entry->logs = false;
    if (read_action(&r) != 0 || (entry->standard ? read_standard(&r) : read_extended(&r)) != 0)
        return -1;
    return r.unseen != NULL ? leave_out(&r) : add_rules(&r, rules);
}

struct fw_rule fw_ios_deny_all(enum fw_way way)
{
    const struct fw_prefix any = {.family = 4};

    return (struct fw_rule){.way = (uint8_t)way,
                            .any_proto = true,
                            .from = any,
                            .to = any,
                            .from_ports = {0, UINT16_MAX},
                            .to_ports = {0, UINT16_MAX}};
}
