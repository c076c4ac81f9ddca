#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfs/ids/rules_internal.h"

enum { PORTS = 65536, NESTING_MAX = 8, ITEMS_MAX = 65536, WORDS = 6 };

/* --- lists ------------------------------------------------------------------------------------
 * An item is a word, a $VARIABLE, or a [list,of,items]; each may have a ! before it. */

struct list_reader {
    const struct ids_names *names;
    /* One item that is neither a variable nor a list. */
    bool (*item)(void *arg, const char *text, bool negated, char *why);
    void *arg;
    char *why;
    uint32_t items; /* so far */
};

static bool read_list(struct list_reader *r, const char *text, size_t bytes, bool negated,
                      unsigned depth);

static bool read_variable(struct list_reader *r, const char *name, size_t bytes, bool negated,
                          unsigned depth)
{
    const char *value = ids_names_find(r->names, name, bytes);

    if (value == NULL) {
        snprintf(r->why, IDS_WHY_BYTES, "variable $%.*s is not set", (int)(bytes < 40 ? bytes : 40),
                 name);
        return false;
    }
    return read_list(r, value, strlen(value), negated, depth + 1);
}

static bool read_item(struct list_reader *r, const char *text, size_t bytes, bool negated,
                      unsigned depth)
{
    char word[64];

    if (++r->items > ITEMS_MAX) {
        snprintf(r->why, IDS_WHY_BYTES, "a list of more than %d items", ITEMS_MAX);
        return false;
    }
    while (bytes > 0 && (*text == ' ' || *text == '\t'))
        text++, bytes--;
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        bytes--;
    if (bytes > 0 && *text == '!') {
        if (negated) {
            snprintf(r->why, IDS_WHY_BYTES, "a negation within a negation");
            return false;
        }
        return read_item(r, text + 1, bytes - 1, true, depth);
    }
    if (bytes > 1 && *text == '$')
        return read_variable(r, text + 1, bytes - 1, negated, depth);
    if (bytes > 1 && *text == '[' && text[bytes - 1] == ']')
        return read_list(r, text + 1, bytes - 2, negated, depth + 1);
    if (bytes == 0 || bytes >= sizeof(word)) {
        snprintf(r->why, IDS_WHY_BYTES, "an empty or overlong item in a list");
        return false;
    }
    memcpy(word, text, bytes);
    word[bytes] = '\0';
    return r->item(r->arg, word, negated, r->why);
}

/* Items separated by commas that stand in no inner brackets. */
static bool read_list(struct list_reader *r, const char *text, size_t bytes, bool negated,
                      unsigned depth)
{
    size_t from = 0;
    int brackets = 0;

    if (depth > NESTING_MAX) {
        snprintf(r->why, IDS_WHY_BYTES, "lists or variables are nested too deep");
        return false;
    }
    for (size_t i = 0; i <= bytes; i++) {
        if (i < bytes && text[i] == '[')
            brackets++;
        if (i < bytes && text[i] == ']')
            brackets--;
        if (i < bytes && (text[i] != ',' || brackets > 0))
            continue;
        if (brackets != 0) {
            snprintf(r->why, IDS_WHY_BYTES, "brackets that don't match");
            return false;
        }
        if (!read_item(r, text + from, i - from, negated, depth))
            return false;
        from = i + 1;
    }
    return true;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool read_prefix(const char *text, struct ids_prefix *prefix)
{
    char address[64];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    int64_t bits;

    memset(prefix, 0, sizeof(*prefix));
    memcpy(address, text, n);
    address[n] = '\0';
    if (inet_pton(AF_INET, address, prefix->addr) == 1)
        prefix->family = 4;
    else if (inet_pton(AF_INET6, address, prefix->addr) == 1)
        prefix->family = 6;
    else
        return false;
    bits = prefix->family == 4 ? 32 : 128;
    if (slash != NULL && !ids_read_number(slash + 1, 0, bits, &bits))
        return false;
    prefix->bits = (uint8_t)bits;
    return true;
}

struct address_list {
    struct ids_addresses *addresses;
    bool any;
};

static bool address_item(void *arg, const char *text, bool negated, char *why)
{
    struct address_list *list = arg;
    struct ids_addresses *a = list->addresses;
    struct ids_prefix prefix, *place;

    if (strcmp(text, "any") == 0) {
        list->any = true;
        if (negated)
            snprintf(why, IDS_WHY_BYTES, "!any matches nothing");
        return !negated;
    }
    if (!read_prefix(text, &prefix)) {
        snprintf(why, IDS_WHY_BYTES, "'%s' is no address", text);
        return false;
    }
    place = negated ? ids_grow(&a->out, a->n_out, sizeof(prefix))
                    : ids_grow(&a->in, a->n_in, sizeof(prefix));
    if (place == NULL) {
        snprintf(why, IDS_WHY_BYTES, "no memory");
        return false;
    }
    *place = prefix;
    a->n_out += negated;
    a->n_in += !negated;
    return true;
}

static bool read_addresses(struct ids_addresses *addresses, const char *text,
                           const struct ids_names *names, char *why)
{
    struct address_list list = {.addresses = addresses};
    struct list_reader reader = {.names = names, .item = address_item, .arg = &list, .why = why};

    if (!read_list(&reader, text, strlen(text), false, 0))
        return false;
    if (list.any)
        addresses->n_in = 0;
    return true;
}

static bool in_prefix(const struct ids_prefix *p, const struct rill_endpoint *e)
{
    unsigned bytes = p->bits / 8, bits = p->bits % 8;

    return p->family == e->family && memcmp(p->addr, e->addr, bytes) == 0 &&
           (bits == 0 || ((p->addr[bytes] ^ e->addr[bytes]) >> (8 - bits)) == 0);
}

static bool in_any(const struct ids_prefix *prefixes, uint32_t n, const struct rill_endpoint *e)
{
    for (uint32_t i = 0; i < n; i++)
        if (in_prefix(&prefixes[i], e))
            return true;
    return false;
}

bool ids_addresses_match(const struct ids_addresses *a, const struct rill_endpoint *e)
{
    return (a->n_in == 0 || in_any(a->in, a->n_in, e)) && !in_any(a->out, a->n_out, e);
}

/* --- ports ------------------------------------------------------------------------------------ */

struct port_list {
    bool *in, *out;
    bool some_in;
};

static bool port_item(void *arg, const char *text, bool negated, char *why)
{
    struct port_list *list = arg;
    const char *colon = strchr(text, ':');
    char low_text[64];
    int64_t low = 0, high = PORTS - 1;
    bool ok = true;

    snprintf(low_text, sizeof(low_text), "%.*s", colon != NULL ? (int)(colon - text) : 63, text);
    if (strcmp(text, "any") != 0) {
        if (colon == NULL || colon != text)
            ok = ids_read_number(low_text, 0, PORTS - 1, &low);
        if (colon == NULL)
            high = low;
        else if (colon[1] != '\0')
            ok = ok && ids_read_number(colon + 1, 0, PORTS - 1, &high);
        ok = ok && strcmp(text, ":") != 0;
    }
    if (!ok || low > high || (negated && low == 0 && high == PORTS - 1)) {
        snprintf(why, IDS_WHY_BYTES, "'%s%s' is no port or range", negated ? "!" : "", text);
        return false;
    }
    memset((negated ? list->out : list->in) + low, true, (size_t)(high - low + 1));
    list->some_in = list->some_in || !negated;
    return true;
}

static bool collect_ranges(struct ids_ports *ports, const struct port_list *list)
{
    for (uint32_t p = 0; p < PORTS; p++) {
        struct ids_port_range *range;

        if ((list->some_in && !list->in[p]) || list->out[p])
            continue;
        if (ports->n > 0 && ports->ranges[ports->n - 1].high + 1u == p) {
            ports->ranges[ports->n - 1].high = (uint16_t)p;
            continue;
        }
        range = ids_grow(&ports->ranges, ports->n, sizeof(*range));
        if (range == NULL)
            return false;
        *range = (struct ids_port_range){(uint16_t)p, (uint16_t)p};
        ports->n++;
    }
    return true;
}

static bool read_ports(struct ids_ports *ports, const char *text, const struct ids_names *names,
                       char *why)
{
    bool *both = calloc(2 * PORTS, sizeof(bool));
    struct port_list list = {.in = both, .out = both + PORTS};
    struct list_reader reader = {.names = names, .item = port_item, .arg = &list, .why = why};
    bool ok;

    snprintf(why, IDS_WHY_BYTES, "no memory");
    ok = both != NULL && read_list(&reader, text, strlen(text), false, 0) &&
         collect_ranges(ports, &list);
    free(both);
    return ok;
}

bool ids_ports_match(const struct ids_ports *ports, uint16_t port)
{
    uint32_t low = 0, high = ports->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (ports->ranges[middle].high < port)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ports->n && ports->ranges[low].low <= port;
}

/* --- the header ------------------------------------------------------------------------------- */

/* Cuts the text at spaces that stand in no brackets. Returns the number of words, WORDS + 1 for
 * more than there may be. */
static unsigned split_words(char *text, char *words[WORDS])
{
    unsigned n = 0;
    int brackets = 0;
    bool in_word = false;

    for (char *p = text; *p != '\0'; p++) {
        bool space = (*p == ' ' || *p == '\t') && brackets == 0;

        brackets += *p == '[';
        brackets -= *p == ']';
        if (space) {
            *p = '\0';
            in_word = false;
        } else if (!in_word) {
            if (n == WORDS)
                return WORDS + 1;
            words[n++] = p;
            in_word = true;
        }
    }
    return n;
}

static bool read_proto(struct ids_header *header, const char *text, char *why)
{
    if (strcmp(text, "tcp") == 0)
        header->proto = RILL_TCP;
    else if (strcmp(text, "udp") == 0)
        header->proto = RILL_UDP;
    else if (strcmp(text, "icmp") == 0)
        header->proto = RILL_ICMP;
    else if (strcmp(text, "ip") == 0)
        header->any_proto = true;
    else
        snprintf(why, IDS_WHY_BYTES, "protocol '%.20s'", text);
    return header->proto != 0 || header->any_proto;
}

static bool is_all(const struct ids_ports *ports)
{
    return ports->n == 1 && ports->ranges[0].low == 0 && ports->ranges[0].high == PORTS - 1;
}

/* What has no ports can't be told apart by them. */
static bool check_ports(const struct ids_header *h, char *why)
{
    if (h->proto == RILL_TCP || h->proto == RILL_UDP ||
        (is_all(&h->source_ports) && is_all(&h->destination_ports)))
        return true;
    snprintf(why, IDS_WHY_BYTES, "ports with a protocol that has none");
    return false;
}

static bool read_words(struct ids_header *header, char *text, const struct ids_names *names,
                       char *why)
{
    char *words[WORDS];
    unsigned n = split_words(text, words);

    if (n > 0 && !read_proto(header, words[0], why))
        return false;
    if (n != WORDS) {
        snprintf(why, IDS_WHY_BYTES, "the header is not 'PROTOCOL ADDRESS PORT -> ADDRESS PORT'");
        return false;
    }
    header->both_ways = strcmp(words[3], "<>") == 0;
    if (!header->both_ways && strcmp(words[3], "->") != 0) {
        snprintf(why, IDS_WHY_BYTES, "direction '%.20s' is neither -> nor <>", words[3]);
        return false;
    }
    return read_addresses(&header->source, words[1], names, why) &&
           read_ports(&header->source_ports, words[2], names, why) &&
           read_addresses(&header->destination, words[4], names, why) &&
           read_ports(&header->destination_ports, words[5], names, why) && check_ports(header, why);
}

bool ids_header_read(struct ids_header *header, const char *text, const struct ids_names *names,
                     char why[IDS_WHY_BYTES])
{
    char *copy = strdup(text);
    bool ok;

    *header = (struct ids_header){.text = strdup(text)};
    snprintf(why, IDS_WHY_BYTES, "no memory");
    ok = copy != NULL && header->text != NULL && read_words(header, copy, names, why);
    free(copy);
    if (!ok)
        ids_header_free(header);
    return ok;
}

void ids_header_free(struct ids_header *header)
{
    free(header->text);
    free(header->source.in);
    free(header->source.out);
    free(header->destination.in);
    free(header->destination.out);
    free(header->source_ports.ranges);
    free(header->destination_ports.ranges);
    *header = (struct ids_header){.text = NULL};
}

static bool one_way(const struct ids_header *h, const struct rill_endpoint *source,
                    const struct rill_endpoint *destination)
{
    return ids_ports_match(&h->source_ports, source->port) &&
           ids_ports_match(&h->destination_ports, destination->port) &&
           ids_addresses_match(&h->source, source) &&
           ids_addresses_match(&h->destination, destination);
}

static bool is_of(const struct ids_header *h, const struct rill_endpoint *e)
{
    if (h->proto == RILL_ICMP)
        return e->proto == (e->family == 4 ? RILL_ICMP : RILL_ICMP6);
    return h->proto == e->proto || h->any_proto;
}

bool ids_header_matches(const struct ids_header *h, const struct rill_endpoint *source,
                        const struct rill_endpoint *destination)
{
    return is_of(h, source) &&
           (one_way(h, source, destination) || (h->both_ways && one_way(h, destination, source)));
}
