#include "nfs/ids/match.h"

#include <string.h>

/* Where a content can end, in ascending order. */
struct ends {
    uint32_t *at;
    uint32_t n;
    bool open; /* with bytes that may come there may be more */
};

bool ids_content_is_placed(const struct ids_content *c, uint32_t position)
{
    return (!c->has_offset || position >= c->offset) &&
           (!c->has_depth || (uint64_t)position + c->length <= (uint64_t)c->offset + c->depth);
}

static bool equal_folded(const uint8_t *data, const struct ids_content *c)
{
    for (uint32_t i = 0; i < c->length; i++)
        if (ids_fold(data[i]) != c->bytes[i])
            return false;
    return true;
}

/* The first place in [from, to) where the content stands whole; `to` if there is none. */
static uint32_t find(const struct ids_content *c, const uint8_t *data, uint32_t from, uint32_t to)
{
    if (to < c->length || from > to - c->length)
        return to;
    if (!c->nocase) {
        const uint8_t *at = memmem(data + from, to - from, c->bytes, c->length);

        return at != NULL ? (uint32_t)(at - data) : to;
    }
    for (; from <= to - c->length; from++)
        if (equal_folded(data + from, c))
            return from;
    return to;
}

/* The part of the window in which offset and depth let a content be. */
static void placed_range(const struct ids_content *c, const struct ids_window *w, uint32_t *from,
                         uint32_t *to)
{
    uint64_t end = (uint64_t)c->offset + c->depth;

    *from = c->offset > w->start ? c->offset - w->start : 0;
    *to = w->bytes;
    if (c->has_depth)
        *to = end <= w->start ? 0 : end - w->start < w->bytes ? (uint32_t)(end - w->start) : *to;
}

static struct ends find_placed(const struct ids_content *c, const struct ids_window *w,
                               uint32_t *place)
{
    bool ends_later =
        !c->has_depth || (uint64_t)c->offset + c->depth > (uint64_t)w->start + w->bytes;
    struct ends found = {.at = place, .open = !w->whole && ends_later};
    uint32_t from, to, at;

    placed_range(c, w, &from, &to);
    for (; (at = find(c, w->data, from, to)) != to; from = at + 1)
        found.at[found.n++] = at + c->length;
    return found;
}

/* The ends of a content that stands as it should to one of the ends of the content before. Of the
 * earlier ends that are near enough, the last leaves `within` the most room. */
static struct ends find_after(const struct ids_content *c, const struct ids_window *w,
                              const struct ends *before, uint32_t *place)
{
    struct ends found = {.at = place, .open = before->open};
    int64_t first, last;
    uint32_t from, at, k = 0;

    if (before->n == 0)
        return found;
    first = (int64_t)before->at[0] + c->distance;
    last = (int64_t)before->at[before->n - 1] + c->distance + (int64_t)c->within;
    from = first > 0 ? (uint32_t)(first < w->bytes ? first : w->bytes) : 0;
    found.open |= !w->whole && (!c->has_within || last > w->bytes);
    for (; (at = find(c, w->data, from, w->bytes)) != w->bytes; from = at + 1) {
        while (k + 1 < before->n && (int64_t)before->at[k + 1] + c->distance <= at)
            k++;
        if (!c->has_within ||
            at + c->length <= (int64_t)before->at[k] + c->distance + (int64_t)c->within)
            found.at[found.n++] = at + c->length;
    }
    return found;
}

/* Leaves the ends after which the negated content is not where it must not be. While the stream's
 * bytes of that place are still to come, nothing is said of them. */
static void keep_without(const struct ids_content *c, const struct ids_window *w, struct ends *ends)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ends->n; i++) {
        int64_t low = (int64_t)ends->at[i] + c->distance, high = w->bytes;
        uint32_t from, to;

        if (c->has_within)
            high = low + c->within;
        if (high > w->bytes && !w->whole) {
            ends->open = true;
            continue;
        }
        from = low > 0 ? (uint32_t)(low < w->bytes ? low : w->bytes) : 0;
        to = high > 0 ? (uint32_t)(high < w->bytes ? high : w->bytes) : 0;
        if (find(c, w->data, from, to) == to)
            ends->at[n++] = ends->at[i];
    }
    ends->n = n;
}

static bool is_placed_somewhere(const struct ids_content *c, const struct ids_window *w)
{
    uint32_t from, to;

    placed_range(c, w, &from, &to);
    return find(c, w->data, from, to) != to;
}

static enum ids_holds contents_hold(const struct ids_rule *rule, const struct ids_window *w,
                                    uint32_t *const places[2])
{
    enum ids_holds all = IDS_HOLDS;
    struct ends ends = {.n = 0};
    unsigned turn = 0;

    for (uint32_t i = 0; i < rule->n_contents; i++) {
        const struct ids_content *c = &rule->contents[i];

        if (c->negated && !c->relative) {
            if (is_placed_somewhere(c, w))
                return IDS_NEVER;
            continue;
        }
        if (c->negated)
            keep_without(c, w, &ends);
        else if (c->relative)
            ends = find_after(c, w, &ends, places[turn ^= 1]);
        else
            ends = find_placed(c, w, places[turn ^= 1]);
        if (ends.n == 0 && !ends.open)
            return IDS_NEVER;
        if (ends.n == 0)
            all = IDS_NOT_YET;
    }
    return all;
}

enum ids_holds ids_rule_holds(const struct ids_rule *rule, const struct ids_window *w,
                              const struct ids_match_scratch *scratch)
{
    enum ids_holds all = contents_hold(rule, w, scratch->ends);

    for (uint32_t i = 0; i < rule->n_pcres && all == IDS_HOLDS; i++)
        if (ids_regex_found(rule->pcres[i].regex, scratch->regex, w->data, w->bytes) ==
            rule->pcres[i].negated)
            all = w->whole ? IDS_NEVER : IDS_NOT_YET;
    return all;
}
