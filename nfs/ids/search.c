/* Bytes and rules: the search in a stream or datagram, and what its hits come to. */
#include <stddef.h>
#include <string.h>

#include "nfs/ids/inspect_internal.h"
#include "nfs/ids/worker.h"

enum {
    LOOKS_MAX = 256,      /* around hits of one rule, in one search */
    OF_ONE_RULE_MAX = 16, /* candidates */
};

/* The bytes at hand, with those before them. */
struct search {
    struct ids_inspection *in;
    const uint8_t *data;
    uint32_t bytes;
    uint32_t before;     /* bytes of the window that are known */
    uint32_t position;   /* of data[0] in the stream */
    uint32_t scanned;    /* before data[0] */
    bool whole;          /* a datagram, or a segment by itself */
    uint32_t dsize;      /* of that one, on the wire */
    const uint8_t *line; /* NULL until it is needed */
};

/* --- does a rule speak of these packets? ------------------------------------------------------ */

void ids_search_turn(struct ids_inspection *in)
{
    struct ids_worker *w = in->worker;

    if (++w->turn == UINT32_MAX / 2) { /* what was worked out then is forgotten */
        memset(w->header, 0, w->set->rules->n_headers * sizeof(uint32_t));
        w->turn = 1;
    }
}

static bool header_matches(struct ids_inspection *in, uint32_t header)
{
    struct ids_worker *w = in->worker;

    if (w->header[header] / 2 != w->turn) {
        const struct rill_endpoint *from = in->reversed ? &in->destination : &in->source;
        const struct rill_endpoint *to = in->reversed ? &in->source : &in->destination;

        w->header[header] =
            w->turn * 2 + ids_header_matches(&in->set->rules->headers[header], from, to);
    }
    return w->header[header] % 2 != 0;
}

static bool is_established(uint8_t flags)
{
    return (flags & IDS_PICKED_UP) != 0 ||
           (flags & (IDS_CLIENT_SEEN | IDS_SERVER_SEEN)) == (IDS_CLIENT_SEEN | IDS_SERVER_SEEN);
}

static bool applies(struct ids_inspection *in, const struct ids_rule *rule)
{
    unsigned wrong = in->direction == 0 ? IDS_TO_CLIENT : IDS_TO_SERVER;

    wrong |= is_established(ids_hot(in)->flags) ? IDS_NOT_ESTABLISHED : IDS_ESTABLISHED;
    return (rule->flow & wrong) == 0 && header_matches(in, rule->header);
}

/* --- alerts ----------------------------------------------------------------------------------- */

static uint32_t *told(struct ids_inspection *in)
{
    return (uint32_t *)(void *)(in->value + in->layout->told);
}

static bool was_told(struct ids_inspection *in, const struct ids_rule *rule)
{
    for (uint32_t i = 0; i < ids_hot(in)->n_told; i++)
        if (told(in)[i] == rule->sid)
            return true;
    return false;
}

static void alert(struct ids_inspection *in, const struct ids_rule *rule)
{
    struct ids_hot *hot = ids_hot(in);

    if (rule->action == IDS_DROP) {
        in->drop = true;
        if (in->source.proto == RILL_TCP)
            hot->flags |= IDS_DROPPED;
        ids_changed_rest(in);
    }
    if (was_told(in, rule))
        return;
    told(in)[hot->told_at] = rule->sid;
    ids_changed(in, in->layout->told + hot->told_at * 4u, 4);
    hot->told_at = (uint8_t)((hot->told_at + 1) % IDS_TOLD_MAX);
    hot->n_told += hot->n_told < IDS_TOLD_MAX;
    ids_changed_rest(in);
    in->counts[IDS_COUNT_ALERTS]++;
    in->alert(in->arg, rule);
}

/* --- rules of several parts ------------------------------------------------------------------- */

/* The window's bytes and those at hand in one piece. */
static const uint8_t *line(struct search *s)
{
    const struct ids_layout *layout = s->in->layout;
    const uint8_t *ring = s->in->value + layout->window[s->in->direction];
    uint8_t *to = s->in->worker->line;

    if (s->line != NULL)
        return s->line;
    for (uint32_t i = 0; i < s->before; i++)
        to[i] = ring[(s->scanned - s->before + i) & (layout->window_bytes - 1)];
    memcpy(to + s->before, s->data, s->bytes);
    return s->line = to;
}

/* Does it hold there? Counts what was not looked for to its end. */
static enum ids_holds judge(struct ids_inspection *in, const struct ids_rule *rule,
                            const struct ids_window *window)
{
    struct ids_match_scratch *scratch = &in->worker->scratch;
    enum ids_holds holds = ids_rule_holds(rule, window, scratch);

    in->counts[IDS_COUNT_CANDIDATES_LOST] += scratch->lost;
    scratch->lost = 0;
    return holds;
}

/* Around the end of a fast content, which is `end` bytes behind data[0] (before it: negative): half
 * a window before it and half a window behind it. */
static enum ids_holds holds_around(struct search *s, const struct ids_rule *rule, int32_t end)
{
    int64_t half = s->in->layout->window_bytes / 2, at = (int64_t)s->before + end;
    int64_t low = at > half ? at - half : 0, high = at + half;
    int64_t have = (int64_t)s->before + s->bytes;
    struct ids_window window = {
        .data = line(s) + low,
        .bytes = (uint32_t)((high < have ? high : have) - low),
        .start = s->position == IDS_FAR_IN ? IDS_FAR_IN : (uint32_t)(s->position - s->before + low),
    };
    enum ids_holds holds = judge(s->in, rule, &window);

    return holds == IDS_NOT_YET && high <= have ? IDS_NEVER : holds;
}

static void changed_candidates(struct ids_inspection *in, uint32_t first, uint32_t n)
{
    uint32_t each = (uint32_t)sizeof(struct ids_candidate);

    ids_changed(in,
                in->layout->warm[in->direction] + (uint32_t)offsetof(struct ids_warm, candidates) +
                    first * each,
                n * each);
    ids_changed_rest(in);
}

/* Its place among the candidates. Where a rule has too many of them, or all have, that of the
 * rule's newest, as it has the longest to live; IDS_CANDIDATES_MAX if there is none. */
static uint8_t candidate_place(struct search *s, uint32_t rule)
{
    const struct ids_candidate *candidates = ids_warm(s->in)->candidates;
    uint8_t n = ids_hot(s->in)->n_candidates[s->in->direction], newest = IDS_CANDIDATES_MAX, of = 0;

    for (uint8_t i = 0; i < n; i++) {
        if (candidates[i].rule == rule) {
            newest = i;
            of++;
        }
    }
    return n < IDS_CANDIDATES_MAX && of < OF_ONE_RULE_MAX ? n : newest;
}

static void add_candidate(struct search *s, uint32_t rule, uint32_t end)
{
    uint8_t *n = &ids_hot(s->in)->n_candidates[s->in->direction];
    uint8_t place = candidate_place(s, rule);

    if (place != *n || place == IDS_CANDIDATES_MAX)
        s->in->counts[IDS_COUNT_CANDIDATES_LOST]++;
    if (place == IDS_CANDIDATES_MAX)
        return;
    ids_warm(s->in)->candidates[place] = (struct ids_candidate){rule, s->scanned + end};
    changed_candidates(s->in, place, 1);
    *n += place == *n;
}

/* Those of earlier packets, with what came since. */
static void judge_candidates(struct search *s)
{
    struct ids_inspection *in = s->in;
    struct ids_candidate *candidates = ids_warm(in)->candidates;
    uint8_t *n = &ids_hot(in)->n_candidates[in->direction], kept = 0;

    for (uint8_t i = 0; i < *n; i++) {
        const struct ids_rule *rule = &in->set->rules->rules[candidates[i].rule];
        enum ids_holds holds;

        if (was_told(in, rule))
            continue;
        holds = holds_around(s, rule, (int32_t)(candidates[i].end - s->scanned));
        if (holds == IDS_HOLDS)
            alert(in, rule);
        else if (holds == IDS_NOT_YET)
            candidates[kept++] = candidates[i];
    }
    if (kept == *n)
        return;
    memset(candidates + kept, 0, (*n - kept) * sizeof(candidates[0])); /* zeros cost nothing */
    changed_candidates(in, 0, *n);
    *n = kept;
}

/* The rule's earlier hits in this search. */
static struct ids_tried *tried(struct search *s, uint32_t index)
{
    struct ids_tried *t = &s->in->worker->tried[index];

    if (t->search != s->in->worker->search)
        *t = (struct ids_tried){.search = s->in->worker->search};
    return t;
}

static void try_datagram(struct search *s, const struct ids_rule *rule, uint32_t index)
{
    const struct ids_window window = {.data = s->data, .bytes = s->bytes, .whole = true};

    if (tried(s, index)->hits++ > 0)
        return;
    if (judge(s->in, rule, &window) == IDS_HOLDS)
        alert(s->in, rule);
}

static void try_plain(struct search *s, const struct ids_rule *rule, uint32_t end)
{
    const struct ids_content *c = &rule->contents[0];
    uint64_t at = s->position == IDS_FAR_IN ? IDS_FAR_IN : (uint64_t)s->position + end - c->length;

    if (ids_content_is_placed(c, at < IDS_FAR_IN ? (uint32_t)at : IDS_FAR_IN))
        alert(s->in, rule);
}

static void look_around(struct search *s, const struct ids_rule *rule, uint32_t index, uint32_t end)
{
    switch (holds_around(s, rule, (int32_t)end)) {
    case IDS_HOLDS:
        alert(s->in, rule);
        break;
    case IDS_NOT_YET:
        add_candidate(s, index, end);
        break;
    default:
        break;
    }
}

/* What the rule comes to in all of the bytes: at most that in any window of them. */
static enum ids_holds holds_at_most(struct search *s, const struct ids_rule *rule)
{
    const struct ids_window all = {
        .data = line(s),
        .bytes = s->before + s->bytes,
        .start = s->position == IDS_FAR_IN ? IDS_FAR_IN : s->position - s->before,
    };

    return judge(s->in, rule, &all);
}

/* A fast content that comes again and again must not cost a look around it each time. */
static void try_again(struct search *s, const struct ids_rule *rule, uint32_t index, uint32_t end)
{
    struct ids_tried *t = tried(s, index);

    if (t->hits == 2)
        t->at_most = holds_at_most(s, rule);
    if (t->at_most == IDS_HOLDS && t->hits <= LOOKS_MAX)
        look_around(s, rule, index, end);
    else if (t->at_most == IDS_HOLDS)
        s->in->counts[IDS_COUNT_CANDIDATES_LOST]++;
    else if (t->at_most == IDS_NOT_YET && end + s->in->layout->window_bytes / 2 > s->bytes)
        add_candidate(s, index, end);
}

static void try_windowed(struct search *s, const struct ids_rule *rule, uint32_t index,
                         uint32_t end)
{
    if (++tried(s, index)->hits == 1)
        look_around(s, rule, index, end);
    else
        try_again(s, rule, index, end);
}

/* --- the search ------------------------------------------------------------------------------- */

static void try_rule(struct search *s, uint32_t index, uint32_t end)
{
    const struct ids_rule *rule = &s->in->set->rules->rules[index];

    if (rule->stream == s->whole || s->dsize < rule->dsize_low || s->dsize > rule->dsize_high)
        return;
    if ((rule->action == IDS_ALERT && was_told(s->in, rule)) || !applies(s->in, rule) ||
        (rule->n_tests > 0 && !ids_tests_hold(rule->tests, rule->n_tests, s->in->fields)))
        return;
    if (rule->plain)
        try_plain(s, rule, end);
    else if (s->whole)
        try_datagram(s, rule, index);
    else
        try_windowed(s, rule, index, end);
}

static void on_hit(void *arg, uint32_t pattern, uint32_t end)
{
    struct search *s = arg;
    const struct ids_rules *rules = s->in->set->rules;

    for (uint32_t i = rules->first_rule[pattern]; i < rules->first_rule[pattern + 1]; i++)
        try_rule(s, rules->of_pattern[i], end);
}

static void begin_search(struct ids_worker *w)
{
    if (++w->search != 0)
        return;
    memset(w->tried, 0, w->set->rules->n_rules * sizeof(w->tried[0])); /* as new */
    w->search = 1;
}

/* The last bytes of the stream, in a ring: the byte that is the n-th of the search at n. */
static void keep_window(struct ids_inspection *in, uint32_t scanned, const uint8_t *data,
                        uint32_t bytes)
{
    uint32_t size = in->layout->window_bytes, offset = in->layout->window[in->direction], at, n;

    if (bytes > size) {
        scanned += bytes - size;
        data += bytes - size;
        bytes = size;
    }
    at = scanned & (size - 1);
    n = bytes < size - at ? bytes : size - at;
    memcpy(in->value + offset + at, data, n);
    memcpy(in->value + offset, data + n, bytes - n);
    ids_changed(in, offset + at, n);
    ids_changed(in, offset, bytes - n);
}

static void advance(struct ids_inspection *in, uint32_t bytes)
{
    struct ids_hot *hot = ids_hot(in);
    struct ids_direction *d = &hot->direction[in->direction];
    uint8_t *of = &hot->of[in->direction];

    if (d->position > UINT32_MAX - 1 - bytes)
        d->position = IDS_FAR_IN;
    else
        d->position += bytes;
    d->scanned += bytes;
    if ((*of & IDS_LONG) == 0 && d->scanned >= in->layout->window_bytes) {
        *of |= IDS_LONG;
        ids_changed_rest(in);
    }
    ids_changed_direction(in);
}

/* With Hyperscan: what is saved of the direction's search, as many bytes as its state says. */
static uint8_t *saved(struct ids_inspection *in)
{
    const struct ids_direction *first = &ids_hot(in)->direction[0];

    return in->value + in->layout->saved + (in->direction == 0 ? 0 : first->state);
}

/* What is saved is in the worker's hands, and takes its place: where it grows or shrinks, that of
 * the other direction gives way. */
static void set_state(struct ids_inspection *in, uint32_t state)
{
    struct ids_direction *d = ids_hot(in)->direction;
    uint32_t before = d[0].state + d[1].state, after, offset = in->layout->saved;

    if (in->layout->saved_bytes == 0) {
        d[in->direction].state = state;
        return;
    }
    if (in->direction == 0)
        memmove(saved(in) + state, saved(in) + d[0].state, d[1].state);
    d[in->direction].state = state;
    memcpy(saved(in), in->worker->saved, state);
    after = d[0].state + d[1].state;
    if (after < before)
        memset(in->value + offset + after, 0, before - after);
    ids_changed(in, offset, after > before ? after : before);
}

void ids_search_restart(struct ids_inspection *in)
{
    struct ids_hot *hot = ids_hot(in);
    struct ids_direction *d = &hot->direction[in->direction];

    set_state(in, 0);
    d->scanned = 0;
    hot->of[in->direction] &= (uint8_t)~IDS_LONG;
    hot->n_candidates[in->direction] = 0;
    ids_changed_direction(in);
    ids_changed_rest(in);
}

static bool scan(struct search *s, struct ids_direction *d)
{
    struct ids_inspection *in = s->in;
    struct ids_worker *w = in->worker;
    uint32_t state = d->state;
    struct ids_stream stream = {&state, w->saved, w->saved_bytes, d->scanned};
    bool kept;

    if (w->saved_bytes > 0)
        memcpy(w->saved, saved(in), state);
    kept = ids_scan(w->scanner, &stream, s->data, s->bytes, on_hit, s);
    set_state(in, state);
    return kept;
}

static void search_chunk(struct ids_inspection *in, const uint8_t *data, uint32_t bytes)
{
    struct ids_hot *hot = ids_hot(in);
    struct ids_direction *d = &hot->direction[in->direction];
    uint8_t of = hot->of[in->direction];
    const struct ids_layout *layout = in->layout;
    struct search s = {
        .in = in, .data = data, .bytes = bytes, .position = d->position, .scanned = d->scanned};
    bool kept;

    if ((of & IDS_WINDOWED) != 0)
        s.before = (of & IDS_LONG) != 0 ? layout->window_bytes : d->scanned;
    begin_search(in->worker);
    if (hot->n_candidates[in->direction] > 0)
        judge_candidates(&s);
    kept = scan(&s, d);
    if ((of & IDS_WINDOWED) != 0)
        keep_window(in, d->scanned, data, bytes);
    advance(in, bytes);
    if (!kept) {
        in->counts[IDS_COUNT_STATE_LOST]++;
        ids_search_restart(in);
    }
}

void ids_search_stream(struct ids_inspection *in, const uint8_t *data, uint32_t bytes)
{
    while (bytes > 0) {
        uint32_t n = bytes < IDS_CHUNK_MAX ? bytes : IDS_CHUNK_MAX;

        search_chunk(in, data, n);
        data += n;
        bytes -= n;
    }
}

/* A later fragment has nothing but its IP header. */
static bool is_of_ip_alone(const struct ids_inspection *in, const struct ids_rule *rule)
{
    return in->set->rules->headers[rule->header].any_proto && !rule->has_dsize &&
           rule->n_contents == 0 && rule->n_pcres == 0 && rule->n_checks == 0;
}

static void try_bare(struct search *s, const struct ids_rule *rule)
{
    const struct ids_window window = {.data = s->data, .bytes = s->bytes, .whole = true};
    struct ids_inspection *in = s->in;

    if (s->dsize < rule->dsize_low || s->dsize > rule->dsize_high ||
        (rule->action == IDS_ALERT && was_told(in, rule)) || !applies(in, rule) ||
        (rule->n_tests > 0 && !ids_tests_hold(rule->tests, rule->n_tests, in->fields)) ||
        (in->fields != NULL && in->fields->later_fragment && !is_of_ip_alone(in, rule)))
        return;
    if (judge(in, rule, &window) == IDS_HOLDS)
        alert(in, rule);
}

void ids_search_packet(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                       uint32_t whole, bool searched, bool bare)
{
    const struct ids_rules *rules = in->set->rules;
    struct ids_worker *w = in->worker;
    uint32_t state = 0;
    struct ids_stream stream = {.state = &state};
    struct search s = {.in = in,
                       .data = bytes > 0 ? data : w->line,
                       .bytes = bytes < IDS_CHUNK_MAX ? bytes : IDS_CHUNK_MAX,
                       .whole = true,
                       .dsize = whole};

    ids_search_turn(in);
    begin_search(w);
    if (searched && bytes > 0)
        ids_scan(w->scanner, &stream, s.data, s.bytes, on_hit, &s);
    for (uint32_t i = 0; bare && i < rules->n_bare; i++)
        try_bare(&s, &rules->rules[rules->bare[i]]);
}
