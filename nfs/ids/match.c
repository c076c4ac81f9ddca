#include "nfs/ids/match.h"

#include <stdlib.h>
#include <string.h>

/* From how many places a regular expression is looked for at most, for each content before it. */
enum { LOOKS_MAX = 256 };

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

/* --- checks ----------------------------------------------------------------------------------- */

static enum ids_holds if_true(bool holds)
{
    return holds ? IDS_HOLDS : IDS_NEVER;
}

/* Digits as strtoul() takes them: space and a sign may stand before them. False: there are none. */
static bool read_digits(const struct ids_check *c, const uint8_t *p, uint32_t *value)
{
    char digits[16], *end;

    memcpy(digits, p, c->bytes);
    digits[c->bytes] = '\0';
    *value = (uint32_t)strtoul(digits, &end, c->base);
    return end != digits;
}

static bool read_number(const struct ids_check *c, const uint8_t *p, uint32_t *value)
{
    if (c->base != 0)
        return read_digits(c, p, value);
    *value = 0;
    for (unsigned i = 0; i < c->bytes; i++)
        *value = *value << 8 | p[c->little ? c->bytes - 1u - i : i];
    return true;
}

static bool compare(enum ids_operator op, uint32_t a, uint32_t b)
{
    switch (op) {
    case IDS_LESS:
        return a < b;
    case IDS_MORE:
        return a > b;
    case IDS_LESS_OR_EQUAL:
        return a <= b;
    case IDS_MORE_OR_EQUAL:
        return a >= b;
    case IDS_COMMON:
        return (a & b) != 0;
    case IDS_DIFFERENT:
        return a != b;
    default:
        return a == b;
    }
}

/* What is not there can't be compared, negated or not. */
static enum ids_holds byte_test_at(const struct ids_check *c, const struct ids_window *w,
                                   int64_t place)
{
    uint32_t value;

    if (place < 0)
        return IDS_NEVER;
    if (place + c->bytes > w->bytes)
        return w->whole ? IDS_NEVER : IDS_NOT_YET;
    return if_true(read_number(c, w->data + place, &value) &&
                   compare(c->op, value, c->value) != c->negated);
}

/* `from`: where its offset counts from. */
static enum ids_holds check_at(const struct ids_check *c, const struct ids_window *w, int64_t from,
                               const struct ids_match_scratch *scratch)
{
    bool there;

    if (c->kind == IDS_BYTE_TEST)
        return byte_test_at(c, w, from + c->offset);
    if (c->kind == IDS_IS_DATA_AT)
        there = from + c->offset < w->bytes;
    else
        there =
            ids_regex_found(c->regex, scratch->regex, w->data + from, w->bytes - (uint32_t)from);
    if (there || w->whole)
        return if_true(there != c->negated);
    return IDS_NOT_YET;
}

/* Leaves the ends of the content before at which the check holds. Nothing is relative to an
 * expression, so of its ends one is enough; and unless it is anchored, the first has what any other
 * has. */
static void keep_checked(const struct ids_check *c, const struct ids_window *w, struct ends *ends,
                         struct ids_match_scratch *scratch)
{
    bool regex = c->kind == IDS_PCRE_FROM, one = regex && !c->negated;
    uint32_t n = 0, looks = 0;

    for (uint32_t i = 0; i < ends->n; i++) {
        enum ids_holds holds;

        if (regex && looks++ == LOOKS_MAX) {
            scratch->lost++;
            ends->open = true;
            break;
        }
        holds = check_at(c, w, ends->at[i], scratch);
        ends->open |= holds == IDS_NOT_YET;
        if (holds == IDS_HOLDS)
            ends->at[n++] = ends->at[i];
        if (one && (n > 0 || !c->anchored))
            break;
    }
    ends->n = n;
}

/* Those that stand anywhere: their places are known. */
static enum ids_holds absolute_checks_hold(const struct ids_rule *rule, const struct ids_window *w,
                                           const struct ids_match_scratch *scratch)
{
    enum ids_holds all = IDS_HOLDS;

    for (uint32_t i = 0; i < rule->n_checks && all != IDS_NEVER; i++) {
        const struct ids_check *c = &rule->checks[i];
        enum ids_holds holds;

        if (c->relative)
            continue;
        holds = check_at(c, w, -(int64_t)w->start, scratch);
        all = holds < all ? holds : all;
    }
    return all;
}

static void keep_all_checked(const struct ids_rule *rule, uint32_t contents,
                             const struct ids_window *w, struct ends *ends,
                             struct ids_match_scratch *scratch)
{
    for (uint32_t i = 0; i < rule->n_checks; i++)
        if (rule->checks[i].relative && rule->checks[i].after == contents)
            keep_checked(&rule->checks[i], w, ends, scratch);
}

static bool has_checks_after(const struct ids_rule *rule, uint32_t contents)
{
    for (uint32_t i = 0; i < rule->n_checks; i++)
        if (rule->checks[i].relative && rule->checks[i].after == contents)
            return true;
    return false;
}

/* --- a rule ----------------------------------------------------------------------------------- */

static enum ids_holds contents_hold(const struct ids_rule *rule, const struct ids_window *w,
                                    struct ids_match_scratch *scratch)
{
    enum ids_holds all = absolute_checks_hold(rule, w, scratch);
    uint32_t *const *places = scratch->ends;
    struct ends ends = {.n = 0};
    unsigned turn = 0;

    for (uint32_t i = 0; i < rule->n_contents && all != IDS_NEVER; i++) {
        const struct ids_content *c = &rule->contents[i];

        if (c->negated && !c->relative) {
            if (is_placed_somewhere(c, w))
                return IDS_NEVER;
            if (!has_checks_after(rule, i + 1))
                continue;
        } else if (c->negated) {
            keep_without(c, w, &ends);
        } else if (c->relative) {
            ends = find_after(c, w, &ends, places[turn ^= 1]);
        } else {
            ends = find_placed(c, w, places[turn ^= 1]);
        }
        if (rule->n_checks > 0)
            keep_all_checked(rule, i + 1, w, &ends, scratch);
        if (ends.n == 0)
            all = ends.open ? IDS_NOT_YET : IDS_NEVER;
    }
    return all;
}

enum ids_holds ids_rule_holds(const struct ids_rule *rule, const struct ids_window *w,
                              struct ids_match_scratch *scratch)
{
    enum ids_holds all = contents_hold(rule, w, scratch);

    for (uint32_t i = 0; i < rule->n_pcres && all == IDS_HOLDS; i++)
        if (ids_regex_found(rule->pcres[i].regex, scratch->regex, w->data, w->bytes) ==
            rule->pcres[i].negated)
            all = w->whole ? IDS_NEVER : IDS_NOT_YET;
    return all;
}
