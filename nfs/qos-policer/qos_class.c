#include "qos_class.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 256 };

#define BURST_BYTES_MAX UINT64_C(1000000000)
#define RATE_KBPS_MAX UINT64_C(400000000)

/* What is read of a class; rates and bursts are 0 where they are not given. */
struct reading {
    struct qos_class *class;
    uint64_t cir_kbps, pir_kbps;
    uint64_t cbs_bytes, ebs_bytes, pbs_bytes;
    char *why;
    size_t why_bytes;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reading *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->why, r->why_bytes, format, args);
    va_end(args);
    return -1;
}

/* --- numbers ---------------------------------------------------------------------------------- */

struct unit {
    const char *name;
    uint64_t factor;
};

/* A whole number and its unit, in [1, max]; 0 if the text is none. */
static uint64_t read_quantity(const char *text, const struct unit *units, uint64_t max)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t number;

    if (digits == 0 || digits > 12)
        return 0;
    number = strtoull(text, NULL, 10);
    for (; units->name != NULL; units++)
        if (strcmp(text + digits, units->name) == 0)
            return number <= max / units->factor ? number * units->factor : 0;
    return 0;
}

static int read_rate(struct reading *r, const char *name, const char *value, uint64_t *kbps)
{
    static const struct unit units[] = {{"kbps", 1}, {"Mbps", 1000}, {"Gbps", 1000000}, {NULL, 0}};

    *kbps = read_quantity(value, units, RATE_KBPS_MAX);
    if (*kbps == 0)
        return refuse(r,
                      "%s=%s is no rate; give a whole number of kbps, Mbps or Gbps, up to 400Gbps",
                      name, value);
    return 0;
}

static int read_burst(struct reading *r, const char *name, const char *value, uint64_t *bytes)
{
    static const struct unit units[] = {{"B", 1}, {"KB", 1000}, {"MB", 1000000}, {NULL, 0}};

    *bytes = read_quantity(value, units, BURST_BYTES_MAX);
    if (*bytes == 0)
        return refuse(r, "%s=%s is no size; give a whole number of B, KB or MB, up to 1000MB", name,
                      value);
    return 0;
}

/* --- actions ---------------------------------------------------------------------------------- */

/* RFC 2474, 2597, 3246, 5865, 8622. -1 if the text is no code point. */
static int read_code_point(const char *text)
{
    static const struct unit names[] = {{"df", 0},  {"be", 0},  {"le", 1},
                                        {"ef", 46}, {"va", 44}, {NULL, 0}};
    size_t length = strlen(text);

    for (const struct unit *n = names; n->name != NULL; n++)
        if (strcmp(text, n->name) == 0)
            return (int)n->factor;
    if (length == 3 && strncmp(text, "cs", 2) == 0 && text[2] >= '0' && text[2] <= '7')
        return 8 * (text[2] - '0');
    if (length == 4 && strncmp(text, "af", 2) == 0 && text[2] >= '1' && text[2] <= '4' &&
        text[3] >= '1' && text[3] <= '3')
        return 8 * (text[2] - '0') + 2 * (text[3] - '0');
    if (length >= 1 && length <= 2 && strspn(text, "0123456789") == length && atoi(text) <= 63)
        return atoi(text);
    return -1;
}

static int read_action(struct reading *r, const char *name, const char *value, uint8_t *action)
{
    int code_point = read_code_point(value);

    if (strcmp(value, "keep") == 0)
        *action = QOS_KEEP;
    else if (strcmp(value, "drop") == 0)
        *action = QOS_DROP;
    else if (code_point >= 0)
        *action = (uint8_t)code_point;
    else
        return refuse(r,
                      "%s=%s: give keep, drop, or a code point: ef, af11 to af43, cs0 to cs7, df, "
                      "le, va, or 0 to 63",
                      name, value);
    return 0;
}

static int read_setting(struct reading *r, const char *name, const char *value)
{
    uint8_t *action = r->class->action;

    if (strcmp(name, "cir") == 0)
        return read_rate(r, name, value, &r->cir_kbps);
    if (strcmp(name, "pir") == 0)
        return read_rate(r, name, value, &r->pir_kbps);
    if (strcmp(name, "cbs") == 0)
        return read_burst(r, name, value, &r->cbs_bytes);
    if (strcmp(name, "ebs") == 0)
        return read_burst(r, name, value, &r->ebs_bytes);
    if (strcmp(name, "pbs") == 0)
        return read_burst(r, name, value, &r->pbs_bytes);
    if (strcmp(name, "green") == 0)
        return read_action(r, name, value, &action[RTE_COLOR_GREEN]);
    if (strcmp(name, "yellow") == 0)
        return read_action(r, name, value, &action[RTE_COLOR_YELLOW]);
    if (strcmp(name, "red") == 0)
        return read_action(r, name, value, &action[RTE_COLOR_RED]);
    return refuse(r, "there is no '%s'; there are cir, cbs, ebs, pir, pbs, green, yellow, red",
                  name);
}

/* --- which packets ---------------------------------------------------------------------------- */

static int read_proto(struct reading *r, const char *word)
{
    if (strcmp(word, "any") == 0)
        r->class->proto = 0;
    else if (strcmp(word, "tcp") == 0)
        r->class->proto = RILL_TCP;
    else if (strcmp(word, "udp") == 0)
        r->class->proto = RILL_UDP;
    else if (strcmp(word, "icmp") == 0)
        r->class->proto = RILL_ICMP;
    else
        return refuse(r, "begins with '%s'; begin with any, tcp, udp or icmp", word);
    return 0;
}

static bool is_port(const char *text, size_t length)
{
    return length >= 1 && length <= 5 && strspn(text, "0123456789") >= length &&
           atoi(text) <= 65535;
}

static int read_ports(struct reading *r, const char *word)
{
    const char *dash = word != NULL ? strchr(word, '-') : NULL;
    struct qos_class *c = r->class;

    if (word == NULL || !is_port(word, dash != NULL ? (size_t)(dash - word) : strlen(word)) ||
        (dash != NULL && !is_port(dash + 1, strlen(dash + 1))))
        return refuse(r, "port '%s': give a port or a range, as in port 5060 or port 5000-5099",
                      word != NULL ? word : "");
    if (c->proto != RILL_TCP && c->proto != RILL_UDP)
        return refuse(r, "port is for tcp and udp; write a class for each");
    c->port_low = (uint16_t)atoi(word);
    c->port_high = dash != NULL ? (uint16_t)atoi(dash + 1) : c->port_low;
    c->has_ports = true;
    return c->port_low <= c->port_high ? 0
                                       : refuse(r, "port %s: its end is before its start", word);
}

static bool in_prefix(const uint8_t *addr, const uint8_t *prefix, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;

    if (memcmp(addr, prefix, bytes) != 0)
        return false;
    return rest == 0 || (addr[bytes] ^ prefix[bytes]) >> (8 - rest) == 0;
}

/* The address without the bits behind the prefix; false if there are any. */
static bool is_clean(const uint8_t *prefix, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        if (prefix[i / 8] & (0x80 >> i % 8))
            return false;
    return true;
}

static int read_prefix(struct reading *r, const char *word)
{
    struct qos_class *c = r->class;
    char text[TEXT_BYTES], *slash;
    unsigned most;

    snprintf(text, sizeof(text), "%s", word != NULL ? word : "");
    slash = strchr(text, '/');
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, text, c->prefix) == 1)
        c->family = 4;
    else if (inet_pton(AF_INET6, text, c->prefix) == 1)
        c->family = 6;
    most = c->family == 4 ? 32 : 128;
    if (c->family == 0 || (slash != NULL && (!is_port(slash + 1, strlen(slash + 1)) ||
                                             (unsigned)atoi(slash + 1) > most)))
        return refuse(r, "net '%s': give a prefix, as in net 10.0.0.0/8 or net 2001:db8::/32",
                      word != NULL ? word : "");
    c->bits = slash != NULL ? (uint8_t)atoi(slash + 1) : (uint8_t)most;
    if (!is_clean(c->prefix, c->bits))
        return refuse(r, "net %s: the address has bits behind its prefix; clear them", word);
    return 0;
}

static int read_way(struct reading *r, const char *word)
{
    if (r->class->way != QOS_BOTH_WAYS)
        return refuse(r, "outbound or inbound stands twice");
    r->class->way = strcmp(word, "outbound") == 0 ? QOS_OUTBOUND : QOS_INBOUND;
    return 0;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int read_word(struct reading *r, char *word, char **rest)
{
    char *equals = strchr(word, '=');

    if (equals != NULL) {
        *equals = '\0';
        return read_setting(r, word, equals + 1);
    }
    if (strcmp(word, "port") == 0)
        return read_ports(r, strtok_r(NULL, " \t", rest));
    if (strcmp(word, "net") == 0)
        return read_prefix(r, strtok_r(NULL, " \t", rest));
    if (strcmp(word, "outbound") == 0 || strcmp(word, "inbound") == 0)
        return read_way(r, word);
    return refuse(r,
                  "'%s' is not known; there are port, net, outbound, inbound, and settings with "
                  "'='",
                  word);
}

/* Periods after which `tokens` have come. */
static uint64_t fill_ns(uint64_t tokens, uint64_t per_period)
{
    return (tokens + per_period - 1) / per_period * QOS_PERIOD_NS;
}

static int settle(struct reading *r)
{
    struct qos_class *c = r->class;
    uint64_t cbs = r->cbs_bytes * QOS_TOKENS_PER_BYTE, ebs = r->ebs_bytes * QOS_TOKENS_PER_BYTE;
    uint64_t pbs = r->pbs_bytes * QOS_TOKENS_PER_BYTE;

    if (cbs == 0 || r->cir_kbps == 0)
        return refuse(r, "needs cir (the rate) and cbs (the burst), as in cir=1Mbps cbs=10KB");
    c->two_rates = pbs != 0;
    if ((pbs != 0) != (r->pir_kbps != 0) || (c->two_rates && ebs != 0))
        return refuse(r, "give ebs (one rate), or pir and pbs (two rates), or neither");
    if (c->two_rates && r->pir_kbps < r->cir_kbps)
        return refuse(r, "pir is less than cir; it is the larger of both");
    c->one = (struct rte_meter_srtcm_profile){
        .cbs = cbs, .ebs = ebs, .cir_period = QOS_PERIOD_NS, .cir_bytes_per_period = r->cir_kbps};
    c->committed_fill_ns = fill_ns(cbs + ebs, r->cir_kbps);
    if (!c->two_rates)
        return 0;
    c->two = (struct rte_meter_trtcm_profile){.cbs = cbs,
                                              .pbs = pbs,
                                              .cir_period = QOS_PERIOD_NS,
                                              .pir_period = QOS_PERIOD_NS,
                                              .cir_bytes_per_period = r->cir_kbps,
                                              .pir_bytes_per_period = r->pir_kbps};
    c->peak_fill_ns = fill_ns(pbs, r->pir_kbps);
    return 0;
}

int qos_class_read(const char *text, struct qos_class *class, char *why, size_t why_bytes)
{
    struct reading r = {.class = class, .why = why, .why_bytes = why_bytes};
    char copy[TEXT_BYTES], *rest, *word;

    memset(class, 0, sizeof(*class));
    class->action[RTE_COLOR_GREEN] = class->action[RTE_COLOR_YELLOW] = QOS_KEEP;
    class->action[RTE_COLOR_RED] = QOS_DROP;
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return refuse(&r, "is too long");
    word = strtok_r(copy, " \t", &rest);
    if (word == NULL)
        return refuse(&r, "is empty");
    if (read_proto(&r, word) != 0)
        return -1;
    while ((word = strtok_r(NULL, " \t", &rest)) != NULL)
        if (read_word(&r, word, &rest) != 0)
            return -1;
    return settle(&r);
}

static bool has_port(const struct qos_class *class, const struct rill_endpoint *endpoint)
{
    return endpoint->port >= class->port_low && endpoint->port <= class->port_high;
}

static bool has_address(const struct qos_class *class, const struct rill_endpoint *endpoint)
{
    return endpoint->family == class->family &&
           in_prefix(endpoint->addr, class->prefix, class->bits);
}

bool qos_class_has(const struct qos_class *class, bool outbound, const struct rill_endpoint *source,
                   const struct rill_endpoint *destination)
{
    uint8_t proto = source->proto == RILL_ICMP6 ? RILL_ICMP : source->proto;

    if (class->proto != 0 && class->proto != proto)
        return false;
    if (class->way != QOS_BOTH_WAYS && (class->way == QOS_OUTBOUND) != outbound)
        return false;
    if (class->has_ports && !has_port(class, source) && !has_port(class, destination))
        return false;
    return class->family == 0 || has_address(class, source) || has_address(class, destination);
}
