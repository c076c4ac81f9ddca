#include "fw_list.h"

#include <stdlib.h>
#include <string.h>

/* First and last address, in network order, so that memcmp() orders them. */
struct range {
    uint8_t low[16], high[16];
};

/* Sorted; none overlaps another. */
struct ranges {
    struct range *range;
    size_t n, room;
};

struct fw_list {
    struct ranges family4, family6;
};

static int add(struct fw_lines *lines, struct ranges *ranges, const struct fw_prefix *prefix)
{
    struct range *range;

    if (ranges->n == ranges->room) {
        size_t room = ranges->room > 0 ? 2 * ranges->room : 64;
        struct range *list = reallocarray(ranges->range, room, sizeof(*list));

        if (list == NULL) {
            rill_load_error(lines->load, lines->number,
                            "no memory for so many prefixes; free some");
            return -1;
        }
        ranges->range = list;
        ranges->room = room;
    }
    range = &ranges->range[ranges->n++];
    memcpy(range->low, prefix->addr, sizeof(range->low));
    memcpy(range->high, prefix->addr, sizeof(range->high));
    for (unsigned i = prefix->bits; i < 128; i++)
        range->high[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return 0;
}

static int by_low(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return memcmp(x->low, y->low, sizeof(x->low));
}

static void merge(struct ranges *ranges)
{
    size_t kept = 0;

    if (ranges->n == 0)
        return;
    qsort(ranges->range, ranges->n, sizeof(*ranges->range), by_low);
    for (size_t i = 1; i < ranges->n; i++) {
        struct range *last = &ranges->range[kept], *next = &ranges->range[i];

        if (memcmp(next->low, last->high, sizeof(next->low)) > 0)
            ranges->range[++kept] = *next;
        else if (memcmp(next->high, last->high, sizeof(next->high)) > 0)
            memcpy(last->high, next->high, sizeof(last->high));
    }
    ranges->n = kept + 1;
}

static int read_line(struct fw_lines *lines, struct fw_list *list)
{
    char *rest = lines->line, *word = fw_word(&rest);
    struct fw_prefix prefix;
    bool clean;

    if (!fw_prefix_read(word, &prefix, &clean) || !clean || fw_word(&rest) != NULL) {
        rill_load_error(lines->load, lines->number,
                        "'%s' is no prefix alone on its line; write it like 192.0.2.0/24, with no "
                        "bits behind the prefix",
                        word);
        return -1;
    }
    return add(lines, prefix.family == 4 ? &list->family4 : &list->family6, &prefix);
}

struct fw_list *fw_list_read(struct rill_load *load, const char *text, size_t bytes)
{
    struct fw_list *list = calloc(1, sizeof(*list));
    struct fw_lines lines;

    if (list == NULL)
        return rill_load_error(load, 0, "no memory for a list of prefixes; free some");
    fw_lines_start(&lines, load, text, bytes);
    while (fw_lines_next(&lines))
        if (read_line(&lines, list) != 0)
            lines.failed = true, lines.at = lines.end;
    if (lines.failed) {
        fw_list_free(list);
        return NULL;
    }
    merge(&list->family4);
    merge(&list->family6);
    return list;
}

void fw_list_free(struct fw_list *list)
{
    if (list == NULL)
        return;
    free(list->family4.range);
    free(list->family6.range);
    free(list);
}

bool fw_list_has(const struct fw_list *list, const struct rill_endpoint *endpoint)
{
    const struct ranges *ranges = endpoint->family == 4 ? &list->family4 : &list->family6;
    size_t low = 0, high = ranges->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(ranges->range[middle].low, endpoint->addr, sizeof(endpoint->addr)) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 &&
           memcmp(endpoint->addr, ranges->range[low - 1].high, sizeof(endpoint->addr)) <= 0;
}
