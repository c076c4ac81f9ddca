#include "nfs/ids/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "nfs/ids/prefilter.h"

enum {
    NONE = UINT32_MAX,
    HITS_MAX = 2 * IDS_PATTERN_BYTES_MAX, /* at one end: one of each length and machine */
    ROWS_BYTES_MAX = 32 << 20,            /* of one machine */
};

/* In a row's entry: a pattern ends in the state that it leads to. */
#define HIT (UINT32_C(1) << 31)

/* States are numbered by depth, the root is 0. Bytes that no pattern tells apart are one class. The
 * first `dense` states (all of them, unless there are very many) have a row of transitions by
 * class, the others their edges and where to go on if there is none. While it runs, a machine is at
 * a place: its state's number times the number of classes, which is where a dense state's row is.
 */
struct machine {
    uint32_t states, dense, classes;
    uint32_t rows_end;     /* dense * classes */
    uint8_t class_of[256]; /* 0: of bytes that no pattern has */
    uint32_t *rows;        /* dense * classes; places, or-ed with HIT */
    uint32_t *edges;       /* of state s: [edges[s], edges[s + 1]), sorted by class */
    uint8_t *edge_class;   /* by edge */
    uint32_t *edge_to;     /* by edge */
    uint32_t *fail;        /* the longest proper suffix that is a state */
    uint32_t *pattern;     /* that ends in the state, or NONE */
    uint32_t *first_hit;   /* the longest suffix, itself included, where a pattern ends; 0: none */
};

struct ids_automaton {
    struct machine exact, folded;
    struct ids_prefilter prefilter;
};

/* --- building --------------------------------------------------------------------------------- */

static void find_classes(struct machine *m, const struct ids_pattern *patterns, uint32_t n,
                         bool nocase)
{
    bool used[256] = {false};

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < patterns[i].length && patterns[i].nocase == nocase; k++)
            used[patterns[i].bytes[k]] = true;
    m->classes = 1;
    for (uint32_t byte = 0; byte < 256; byte++)
        if (used[byte])
            m->class_of[byte] = (uint8_t)m->classes++;
    if (m->classes == 257) /* no byte is left for class 0; the last one takes it */
        m->classes = 256;
    for (uint32_t byte = 'A'; byte <= 'Z' && nocase; byte++)
        m->class_of[byte] = m->class_of[ids_fold((uint8_t)byte)];
}

/* The trie while it grows: children as sorted lists. */
struct trie {
    struct node {
        uint32_t child, sibling, pattern;
        uint8_t class;
    } * nodes;
    uint32_t n;
};

static uint32_t trie_child(struct trie *trie, uint32_t node, uint8_t class)
{
    uint32_t *link = &trie->nodes[node].child;

    while (*link != 0 && trie->nodes[*link].class < class)
        link = &trie->nodes[*link].sibling;
    if (*link == 0 || trie->nodes[*link].class != class) {
        trie->nodes[trie->n] = (struct node){.sibling = *link, .pattern = NONE, .class = class};
        *link = trie->n++;
    }
    return *link;
}

static bool trie_build(struct trie *trie, const struct machine *m,
                       const struct ids_pattern *patterns, uint32_t n, bool nocase)
{
    size_t bytes = 1;

    for (uint32_t i = 0; i < n; i++)
        if (patterns[i].nocase == nocase)
            bytes += patterns[i].length;
    trie->nodes = bytes < NONE ? calloc(bytes, sizeof(trie->nodes[0])) : NULL;
    if (trie->nodes == NULL)
        return false;
    trie->nodes[0].pattern = NONE;
    trie->n = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = 0;

        if (patterns[i].nocase != nocase)
            continue;
        for (uint32_t k = 0; k < patterns[i].length; k++)
            node = trie_child(trie, node, m->class_of[patterns[i].bytes[k]]);
        trie->nodes[node].pattern = i;
    }
    return true;
}

static bool machine_alloc(struct machine *m, uint32_t states)
{
    m->states = states;
    m->edges = calloc((size_t)states + 1, sizeof(uint32_t));
    m->edge_class = calloc(states, 1);
    m->edge_to = calloc(states, sizeof(uint32_t));
    m->fail = calloc(states, sizeof(uint32_t));
    m->pattern = calloc(states, sizeof(uint32_t));
    m->first_hit = calloc(states, sizeof(uint32_t));
    return m->edges != NULL && m->edge_class != NULL && m->edge_to != NULL && m->fail != NULL &&
           m->pattern != NULL && m->first_hit != NULL;
}

/* Numbers the nodes by depth and lays down their edges. */
static bool machine_lay_out(struct machine *m, const struct trie *trie)
{
    uint32_t *order = malloc(trie->n * sizeof(uint32_t)); /* nodes by number */
    uint32_t n = 1, edge = 0;

    if (order == NULL)
        return false;
    order[0] = 0;
    for (uint32_t s = 0; s < n; s++) {
        m->edges[s] = edge;
        m->pattern[s] = trie->nodes[order[s]].pattern;
        for (uint32_t c = trie->nodes[order[s]].child; c != 0; c = trie->nodes[c].sibling) {
            m->edge_class[edge] = trie->nodes[c].class;
            m->edge_to[edge++] = n;
            order[n++] = c;
        }
    }
    m->edges[n] = edge;
    free(order);
    return true;
}

static uint32_t find_edge(const struct machine *m, uint32_t state, uint8_t class)
{
    uint32_t low = m->edges[state], high = m->edges[state + 1];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (m->edge_class[middle] == class)
            return m->edge_to[middle];
        if (m->edge_class[middle] < class)
            low = middle + 1;
        else
            high = middle;
    }
    return NONE;
}

static uint32_t entry(const struct machine *m, uint32_t state)
{
    return state * m->classes | (m->first_hit[state] != 0 ? HIT : 0);
}

/* From a state that has no row. */
static uint32_t step_by_edges(const struct machine *m, uint32_t state, uint8_t class)
{
    while (state >= m->dense) {
        uint32_t to = find_edge(m, state, class);

        if (to != NONE)
            return entry(m, to);
        state = m->fail[state];
    }
    return m->rows[(size_t)state * m->classes + class];
}

/* By depth, so that a state's suffix is finished before the state is: its row is that of the
 * suffix, but for its own edges. */
static void link_suffixes(struct machine *m)
{
    for (uint32_t s = 0; s < m->states; s++) {
        uint32_t *row = s < m->dense ? m->rows + (size_t)s * m->classes : NULL;

        m->first_hit[s] = m->pattern[s] != NONE ? s : m->first_hit[m->fail[s]];
        for (uint32_t e = m->edges[s]; e < m->edges[s + 1] && s != 0; e++)
            m->fail[m->edge_to[e]] =
                (step_by_edges(m, m->fail[s], m->edge_class[e]) & ~HIT) / m->classes;
        if (row != NULL && s != 0)
            memcpy(row, m->rows + (size_t)m->fail[s] * m->classes, m->classes * sizeof(row[0]));
        for (uint32_t e = m->edges[s]; row != NULL && e < m->edges[s + 1]; e++)
            row[m->edge_class[e]] = m->edge_to[e] * m->classes;
    }
}

/* Only now it is known of all states whether a pattern ends there. */
static void mark_hits(struct machine *m)
{
    for (size_t i = 0; i < m->rows_end; i++)
        m->rows[i] = entry(m, m->rows[i] / m->classes);
}

static bool alloc_rows(struct machine *m)
{
    uint32_t most = ROWS_BYTES_MAX / (m->classes * (uint32_t)sizeof(uint32_t));

    m->dense = m->states < most ? m->states : most;
    m->rows_end = m->dense * m->classes;
    m->rows = calloc(m->rows_end, sizeof(uint32_t));
    return m->rows != NULL;
}

static bool machine_build(struct machine *m, const struct ids_pattern *patterns, uint32_t n,
                          bool nocase, bool *too_large)
{
    struct trie trie = {.n = 0};
    bool ok;

    find_classes(m, patterns, n, nocase);
    ok = trie_build(&trie, m, patterns, n, nocase) && machine_alloc(m, trie.n) &&
         machine_lay_out(m, &trie) && alloc_rows(m);
    free(trie.nodes);
    *too_large |= ok && (uint64_t)m->states * m->classes >= HIT;
    if (!ok || *too_large)
        return false;
    link_suffixes(m);
    mark_hits(m);
    return true;
}

static void machine_free(struct machine *m)
{
    free(m->rows);
    free(m->edges);
    free(m->edge_class);
    free(m->edge_to);
    free(m->fail);
    free(m->pattern);
    free(m->first_hit);
}

struct ids_automaton *ids_automaton_build(const struct ids_pattern *patterns, uint32_t n,
                                          bool *too_large)
{
    struct ids_automaton *a = calloc(1, sizeof(*a));

    *too_large = false;
    if (a == NULL)
        return NULL;
    if (machine_build(&a->exact, patterns, n, false, too_large) &&
        machine_build(&a->folded, patterns, n, true, too_large)) {
        *too_large = (uint64_t)a->exact.states * a->folded.states > UINT32_MAX;
        ids_prefilter_build(&a->prefilter, patterns, n);
        if (!*too_large)
            return a;
    }
    ids_automaton_free(a);
    return NULL;
}

void ids_automaton_free(struct ids_automaton *a)
{
    if (a == NULL)
        return;
    machine_free(&a->exact);
    machine_free(&a->folded);
    free(a);
}

/* --- searching -------------------------------------------------------------------------------- */

enum {
    PATIENCE_MAX = 4,    /* looks ahead that may be in vain */
    PAYS_BYTES = 24,     /* what a look ahead has to pass over */
    WITHOUT_BYTES = 512, /* after so many in vain the machines run so far without one */
};

static uint32_t collect(const struct machine *m, uint32_t state, uint32_t *hits, uint32_t n)
{
    for (uint32_t s = m->first_hit[state]; s != 0 && n < HITS_MAX; s = m->first_hit[m->fail[s]])
        hits[n++] = m->pattern[s];
    return n;
}

static void report(const struct ids_automaton *a, uint32_t exact, uint32_t folded, uint32_t end,
                   ids_hit hit, void *arg)
{
    uint32_t hits[HITS_MAX], n = collect(&a->exact, exact, hits, 0);

    n = collect(&a->folded, folded, hits, n);
    for (uint32_t i = 1; i < n; i++) { /* few: sorted by insertion */
        uint32_t pattern = hits[i], k = i;

        for (; k > 0 && hits[k - 1] > pattern; k--)
            hits[k] = hits[k - 1];
        hits[k] = pattern;
    }
    for (uint32_t i = 0; i < n; i++)
        hit(arg, hits[i], end);
}

/* A search under way: where both machines are. */
struct run {
    const struct ids_automaton *a;
    const uint8_t *data;
    uint32_t exact, folded; /* places */
    ids_hit hit;
    void *arg;
};

static inline uint32_t step(const struct machine *m, uint32_t place, uint8_t byte)
{
    if (__builtin_expect(place >= m->rows_end, 0))
        return step_by_edges(m, place / m->classes, m->class_of[byte]);
    return m->rows[place + m->class_of[byte]];
}

/* Both machines take the bytes [from, to), or as many as it takes them to be at the root again, if
 * that is not before `least`. Returns how far they came. */
static uint32_t run_machines(struct run *r, uint32_t from, uint32_t least, uint32_t to)
{
    const struct machine *e = &r->a->exact, *f = &r->a->folded;
    uint32_t exact = r->exact, folded = r->folded;

    while (from < to) {
        exact = step(e, exact, r->data[from]);
        folded = step(f, folded, r->data[from]);
        from++;
        if (__builtin_expect(((exact | folded) & HIT) != 0, 0)) {
            exact &= ~HIT;
            folded &= ~HIT;
            report(r->a, exact / e->classes, folded / f->classes, from, r->hit, r->arg);
        }
        if ((exact | folded) == 0 && from >= least)
            break;
    }
    r->exact = exact;
    r->folded = folded;
    return from;
}

uint32_t ids_automaton_scan(const struct ids_automaton *a, uint32_t state, const uint8_t *data,
                            uint32_t bytes, ids_hit hit, void *arg)
{
    struct run r = {.a = a, .data = data, .hit = hit, .arg = arg};
    uint32_t at = 0, patience = PATIENCE_MAX;

    if (state != 0 && state / a->folded.states < a->exact.states) {
        r.exact = state / a->folded.states * a->exact.classes;
        r.folded = state % a->folded.states * a->folded.classes;
        at = run_machines(&r, 0, 0, bytes);
    }
    while (at < bytes) {
        uint32_t begin = ids_prefilter_next(&a->prefilter, data, at, bytes);

        if (begin - at < PAYS_BYTES)
            patience--;
        else if (patience < PATIENCE_MAX)
            patience++;
        at = run_machines(&r, begin, patience > 0 ? 0 : begin + WITHOUT_BYTES, bytes);
        patience += patience == 0;
    }
    return (r.exact | r.folded) == 0
               ? 0
               : r.exact / a->exact.classes * a->folded.states + r.folded / a->folded.classes;
}
