#include "nfs/ids/automaton.h"

#include <stdlib.h>
#include <string.h>

enum {
    NONE = UINT32_MAX,
    HITS_MAX = 2 * IDS_PATTERN_BYTES_MAX, /* at one end: one of each length and machine */
};

/* States are numbered by depth, the root is 0. The first `dense` of them (root and depth 1, where
 * most bytes of most traffic lead) have a full row of transitions, the others their edges and where
 * to go on if there is none. */
struct machine {
    uint32_t states, dense;
    uint32_t *rows;      /* dense * 256 */
    uint32_t *edges;     /* of state s: [edges[s], edges[s + 1]), sorted by byte */
    uint8_t *edge_byte;  /* by edge */
    uint32_t *edge_to;   /* by edge */
    uint32_t *fail;      /* the longest proper suffix that is a state */
    uint32_t *pattern;   /* that ends in the state, or NONE */
    uint32_t *first_hit; /* the longest suffix, itself included, where a pattern ends; 0: none */
};

struct ids_automaton {
    struct machine exact, folded;
};

/* --- building --------------------------------------------------------------------------------- */

/* The trie while it grows: children as sorted lists. */
struct trie {
    struct node {
        uint32_t child, sibling, pattern;
        uint8_t byte;
    } * nodes;
    uint32_t n;
};

static uint32_t trie_child(struct trie *trie, uint32_t node, uint8_t byte)
{
    uint32_t *link = &trie->nodes[node].child;

    while (*link != 0 && trie->nodes[*link].byte < byte)
        link = &trie->nodes[*link].sibling;
    if (*link == 0 || trie->nodes[*link].byte != byte) {
        trie->nodes[trie->n] = (struct node){.sibling = *link, .pattern = NONE, .byte = byte};
        *link = trie->n++;
    }
    return *link;
}

static bool trie_build(struct trie *trie, const struct ids_pattern *patterns, uint32_t n,
                       bool nocase)
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
            node = trie_child(trie, node, patterns[i].bytes[k]);
        trie->nodes[node].pattern = i;
    }
    return true;
}

static bool machine_alloc(struct machine *m, uint32_t states)
{
    m->states = states;
    m->edges = calloc((size_t)states + 1, sizeof(uint32_t));
    m->edge_byte = calloc(states, 1);
    m->edge_to = calloc(states, sizeof(uint32_t));
    m->fail = calloc(states, sizeof(uint32_t));
    m->pattern = calloc(states, sizeof(uint32_t));
    m->first_hit = calloc(states, sizeof(uint32_t));
    return m->edges != NULL && m->edge_byte != NULL && m->edge_to != NULL && m->fail != NULL &&
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
            m->edge_byte[edge] = trie->nodes[c].byte;
            m->edge_to[edge++] = n;
            order[n++] = c;
        }
    }
    m->edges[n] = edge;
    m->dense = 1 + m->edges[1]; /* the root and its children */
    free(order);
    return true;
}

static uint32_t find_edge(const struct machine *m, uint32_t state, uint8_t byte)
{
    uint32_t low = m->edges[state], high = m->edges[state + 1];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (m->edge_byte[middle] == byte)
            return m->edge_to[middle];
        if (m->edge_byte[middle] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return NONE;
}

static uint32_t step(const struct machine *m, uint32_t state, uint8_t byte)
{
    while (state >= m->dense) {
        uint32_t to = find_edge(m, state, byte);

        if (to != NONE)
            return to;
        state = m->fail[state];
    }
    return m->rows[(size_t)state * 256 + byte];
}

static bool fill_rows(struct machine *m)
{
    m->rows = calloc((size_t)m->dense * 256, sizeof(uint32_t));
    if (m->rows == NULL)
        return false;
    for (uint32_t e = m->edges[0]; e < m->edges[1]; e++)
        m->rows[m->edge_byte[e]] = m->edge_to[e];
    for (uint32_t s = 1; s < m->dense; s++) {
        memcpy(m->rows + (size_t)s * 256, m->rows, 256 * sizeof(uint32_t));
        for (uint32_t e = m->edges[s]; e < m->edges[s + 1]; e++)
            m->rows[(size_t)s * 256 + m->edge_byte[e]] = m->edge_to[e];
    }
    return true;
}

/* By depth, so that a state's suffix is finished before the state is. */
static void link_suffixes(struct machine *m)
{
    for (uint32_t s = 0; s < m->states; s++) {
        m->first_hit[s] = m->pattern[s] != NONE ? s : m->first_hit[m->fail[s]];
        for (uint32_t e = m->edges[s]; e < m->edges[s + 1]; e++)
            if (s != 0)
                m->fail[m->edge_to[e]] = step(m, m->fail[s], m->edge_byte[e]);
    }
}

static bool machine_build(struct machine *m, const struct ids_pattern *patterns, uint32_t n,
                          bool nocase)
{
    struct trie trie = {.n = 0};
    bool ok = trie_build(&trie, patterns, n, nocase) && machine_alloc(m, trie.n) &&
              machine_lay_out(m, &trie) && fill_rows(m);

    if (ok)
        link_suffixes(m);
    free(trie.nodes);
    return ok;
}

static void machine_free(struct machine *m)
{
    free(m->rows);
    free(m->edges);
    free(m->edge_byte);
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
    if (machine_build(&a->exact, patterns, n, false) &&
        machine_build(&a->folded, patterns, n, true)) {
        *too_large = (uint64_t)a->exact.states * a->folded.states > UINT32_MAX;
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

uint32_t ids_automaton_scan(const struct ids_automaton *a, uint32_t state, const uint8_t *data,
                            uint32_t bytes, ids_hit hit, void *arg)
{
    uint32_t exact = state / a->folded.states, folded = state % a->folded.states;

    if (exact >= a->exact.states)
        exact = folded = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        exact = step(&a->exact, exact, data[i]);
        folded = step(&a->folded, folded, ids_fold(data[i]));
        if (a->exact.first_hit[exact] != 0 || a->folded.first_hit[folded] != 0)
            report(a, exact, folded, i + 1, hit, arg);
    }
    return exact * a->folded.states + folded;
}
