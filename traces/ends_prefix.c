#include "traces/ends_prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "/24", or nothing: a single host. Digits only, so that "/ 8" or "/+8" is an error. */
static bool read_bits(const char *text, unsigned max, uint8_t *bits)
{
    unsigned value = 0;

    if (*text == '\0') {
        *bits = (uint8_t)max;
        return true;
    }
    text++;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = 10 * value + (unsigned)(*text - '0');
        if (value > max)
            return false;
    }
    *bits = (uint8_t)value;
    return true;
}

static bool read_prefix(struct ends_prefix *prefix, const char *item)
{
    char addr[INET6_ADDRSTRLEN];
    size_t n = strcspn(item, "/");

    if (n >= sizeof(addr))
        return false;
    memcpy(addr, item, n);
    addr[n] = '\0';
    memset(prefix, 0, sizeof(*prefix));
    if (inet_pton(AF_INET, addr, prefix->addr) == 1) {
        prefix->family = 4;
        return read_bits(item + n, 32, &prefix->bits);
    }
    prefix->family = 6;
    return inet_pton(AF_INET6, addr, prefix->addr) == 1 && read_bits(item + n, 128, &prefix->bits);
}

static int add_item(struct ends_prefixes *prefixes, const char *item, struct rill_error *err)
{
    struct ends_prefix *list =
        realloc(prefixes->list, (prefixes->n + 1) * sizeof(prefixes->list[0]));

    if (list == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the inside prefixes");
    prefixes->list = list;
    if (!read_prefix(&list[prefixes->n], item))
        return rill_error_set(err, -EINVAL,
                              "inside prefix '%s' is none; write it like 10.0.0.0/8 or "
                              "2001:db8::/32, several with commas between",
                              item);
    prefixes->n++;
    return 0;
}

int rill_ends_prefixes_read(struct ends_prefixes *prefixes, const char *text,
                            struct rill_error *err)
{
    char *copy = strdup(text), *rest = copy, *item;
    int rc = 0;

    memset(prefixes, 0, sizeof(*prefixes));
    if (copy == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the inside prefixes");
    while (rc == 0 && (item = strsep(&rest, ",")) != NULL)
        rc = add_item(prefixes, item, err);
    free(copy);
    if (rc != 0)
        rill_ends_prefixes_fini(prefixes);
    return rc;
}

void rill_ends_prefixes_fini(struct ends_prefixes *prefixes)
{
    free(prefixes->list);
    memset(prefixes, 0, sizeof(*prefixes));
}

static bool matches(const struct ends_prefix *p, const struct rill_endpoint *e)
{
    unsigned whole = p->bits / 8, rest = p->bits % 8;

    if (p->family != e->family || memcmp(p->addr, e->addr, whole) != 0)
        return false;
    return rest == 0 || ((p->addr[whole] ^ e->addr[whole]) >> (8 - rest)) == 0;
}

bool rill_ends_prefixes_have(const struct ends_prefixes *prefixes,
                             const struct rill_endpoint *endpoint)
{
    for (uint32_t i = 0; i < prefixes->n; i++) {
        if (matches(&prefixes->list[i], endpoint))
            return true;
    }
    return false;
}
