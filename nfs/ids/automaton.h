/* Many byte strings searched for at once (Aho and Corasick, 1975), with a state of 4 bytes that can
 * be kept between two pieces of a stream.
 *
 * Strings that ignore the case of ASCII letters have a machine of their own, which sees folded
 * bytes. The state is the pair of both machines' states as one number.
 */
#ifndef RILL_NFS_IDS_AUTOMATON_H
#define RILL_NFS_IDS_AUTOMATON_H

#include <stdbool.h>
#include <stdint.h>

enum { IDS_PATTERN_BYTES_MAX = 255 };

/* No two of a set are equal; one that ignores case is given in lower case. */
struct ids_pattern {
    const uint8_t *bytes;
    uint16_t length; /* 1..IDS_PATTERN_BYTES_MAX */
    bool nocase;
};

/* Pattern `pattern` ends with byte `end` - 1 of the piece at hand: 1 is its first byte. Hits come
 * by end, those of one end by pattern. */
typedef void (*ids_hit)(void *arg, uint32_t pattern, uint32_t end);

struct ids_automaton;

/* NULL: no memory, or more states than fit into 4 bytes (*too_large is then true). */
struct ids_automaton *ids_automaton_build(const struct ids_pattern *patterns, uint32_t n,
                                          bool *too_large);
void ids_automaton_free(struct ids_automaton *automaton);

/* State 0 is the beginning. Returns the state after the piece. A state that this automaton can't
 * have given is taken for 0. */
uint32_t ids_automaton_scan(const struct ids_automaton *automaton, uint32_t state,
                            const uint8_t *data, uint32_t bytes, ids_hit hit, void *arg);

static inline uint8_t ids_fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

#endif
