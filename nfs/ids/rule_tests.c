/* Reads what rules ask of header fields: itype:8; ttl:<5; flags:S,12; ... */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <rill/endpoint.h>

#include "nfs/ids/rules_internal.h"

enum ids_form { NUMBER, PROTOCOL, TTL, FRAGBITS, FLAGS };

static const struct keyword {
    const char *name;
    uint8_t field, form;
    int64_t most;
} keywords[] = {
    {"itype", IDS_ITYPE, NUMBER, 255},
    {"icode", IDS_ICODE, NUMBER, 255},
    {"icmp_id", IDS_ICMP_ID, NUMBER, 65535},
    {"icmp_seq", IDS_ICMP_SEQ, NUMBER, 65535},
    {"ttl", IDS_TTL, TTL, 255},
    {"tos", IDS_TOS, NUMBER, 255},
    {"id", IDS_ID, NUMBER, 65535},
    {"ip_proto", IDS_IP_PROTO, PROTOCOL, 255},
    {"fragbits", IDS_FRAGBITS, FRAGBITS, 0},
    {"flags", IDS_TCP_FLAGS, FLAGS, 0},
    {"seq", IDS_TCP_SEQ, NUMBER, UINT32_MAX},
    {"ack", IDS_TCP_ACK, NUMBER, UINT32_MAX},
    {"window", IDS_TCP_WINDOW, NUMBER, 65535},
};

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

bool ids_is_test(const char *name)
{
    return find_keyword(name) != NULL;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static bool read_protocol(const char *text, int64_t *number)
{
    static const struct {
        const char *name;
        uint8_t number;
    } names[] = {{"icmp", 1},  {"igmp", 2},   {"tcp", 6},       {"udp", 17},
                 {"ipv6", 41}, {"gre", 47},   {"esp", 50},      {"ah", 51},
                 {"pim", 103}, {"sctp", 132}, {"ipv6-icmp", 58}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(names[i].name, text) == 0) {
            *number = names[i].number;
            return true;
        }
    }
    return ids_read_number(text, 0, 255, number);
}

static bool read_value(const struct keyword *k, char *text, int64_t *number)
{
    text = ids_trim(text);
    return k->form == PROTOCOL ? read_protocol(text, number)
                               : ids_read_number(text, 0, k->most, number);
}

/* "3-5", "-5", "5-", as of ttl. */
static bool read_range(const struct keyword *k, char *text, char *dash, struct ids_test *t)
{
    int64_t low = 0, high = k->most;

    *dash = '\0';
    if ((*text != '\0' && !read_value(k, text, &low)) ||
        (dash[1] != '\0' && !read_value(k, dash + 1, &high)) || (*text == '\0' && dash[1] == '\0'))
        return false;
    t->low = (uint32_t)low;
    t->high = (uint32_t)high;
    return low <= high;
}

/* "8", "!8", "<8", ">=8", ... Whether "3<>8" has its ends in it is something that Snort's versions
 * and Suricata do not agree on, so it is left out. */
static bool read_number(const struct keyword *k, char *text, struct ids_test *t)
{
    char op = strchr("!<>=", *text) != NULL ? *text++ : '=';
    bool equal = op == '=' || (op != '!' && *text == '=');
    int64_t number, low, high;

    text += (op == '<' || op == '>') && *text == '=';
    if (!read_value(k, text, &number))
        return false;
    low = op == '<' ? 0 : op == '>' ? number + !equal : number;
    high = op == '>' ? k->most : op == '<' ? number - !equal : number;
    t->how = op == '!' ? IDS_NOT_WITHIN : IDS_WITHIN;
    t->low = (uint32_t)low;
    t->high = (uint32_t)high;
    return low <= high;
}

/* --- bits ------------------------------------------------------------------------------------- */

/* Bits by letters, up to a comma; + * ! may stand before or behind them. */
static bool read_letters(char *text, const char *letters, const uint8_t *bits, char *mode,
                         uint32_t *value)
{
    *mode = '\0';
    *value = 0;
    for (; *text != '\0'; text++) {
        const char *letter = strchr(letters, *text);

        if (strchr("+*!", *text) != NULL && *mode == '\0')
            *mode = *text;
        else if (letter != NULL)
            *value |= bits[letter - letters];
        else
            return false;
    }
    return true;
}

static void set_bits(struct ids_test *t, char mode, uint32_t value)
{
    t->low = t->high = value;
    t->how = mode == '+'   ? IDS_ALL_BITS
             : mode == '*' ? IDS_ANY_BIT
             : mode == '!' ? IDS_NO_BIT
                           : IDS_WITHIN; /* just these */
}

static bool read_fragbits(char *text, struct ids_test *t)
{
    static const uint8_t bits[] = {1, 2, 4};
    uint32_t value;
    char mode;

    if (!read_letters(text, "MDR", bits, &mode, &value) || value == 0)
        return false;
    set_bits(t, mode, value);
    return true;
}

/* "S,12": the bits behind the comma are ignored. "0": none is set. */
static bool read_flags(char *text, struct ids_test *t)
{
    static const char letters[] = "FSRPAUEC210";
    static const uint8_t bits[] = {1, 2, 4, 8, 16, 32, 64, 128, 64, 128, 0};
    char *comma = strchr(text, ','), mode, none = '\0';
    uint32_t value;

    if (comma != NULL) {
        *comma = '\0';
        if (!read_letters(ids_trim(comma + 1), letters, bits, &none, &t->ignored) || none != '\0' ||
            t->ignored == 0)
            return false;
    }
    text = ids_trim(text);
    if (!read_letters(text, letters, bits, &mode, &value) || (value == 0 && strcmp(text, "0") != 0))
        return false;
    set_bits(t, mode, value);
    return true;
}

/* --- a keyword -------------------------------------------------------------------------------- */

/* Fields that no packet of the rule's protocol has. */
static bool is_of(const struct keyword *k, const struct ids_header *header)
{
    if (header->any_proto)
        return true;
    if (k->field <= IDS_ICMP_SEQ)
        return header->proto == RILL_ICMP;
    return k->field < IDS_TCP_FLAGS || header->proto == RILL_TCP;
}

bool ids_test_read(const char *name, char *text, const struct ids_header *header,
                   struct ids_test *test, char why[IDS_WHY_BYTES])
{
    const struct keyword *k = find_keyword(name);
    char shown[64];
    bool ok;

    snprintf(shown, sizeof(shown), "%s", text);
    *test = (struct ids_test){.field = k->field};
    if (!is_of(k, header)) {
        snprintf(why, IDS_WHY_BYTES, "%s with a protocol that has none", name);
        return false;
    }
    if (k->form == FLAGS)
        ok = read_flags(text, test);
    else if (k->form == FRAGBITS)
        ok = read_fragbits(text, test);
    else if (k->form == TTL && strchr(text, '-') != NULL)
        ok = read_range(k, text, strchr(text, '-'), test);
    else
        ok = read_number(k, text, test);
    if (!ok)
        snprintf(why, IDS_WHY_BYTES, "%s '%s'", name, shown);
    return ok;
}
