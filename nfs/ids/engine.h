/* The search for patterns in streams: two engines behind one interface, which give the same hits in
 * the same order.
 *
 * aho-corasick   automaton.h; a stream's state is 4 bytes
 * hyperscan      Hyperscan's streaming mode; a stream's state is its compressed form and the length
 *                of that, in a place of hyperscan_state_bytes
 */
#ifndef RILL_NFS_IDS_ENGINE_H
#define RILL_NFS_IDS_ENGINE_H

#include <stddef.h>

#include "nfs/ids/automaton.h"

enum ids_engine_kind { IDS_AHO_CORASICK, IDS_HYPERSCAN };

/* A set of patterns made ready. Not written after it was built. */
struct ids_engine;
/* What one thread needs to search with it. */
struct ids_scanner;

/* A stream's state. All zeros is a stream's beginning. */
struct ids_stream {
    uint32_t *state; /* aho-corasick: the automaton's; hyperscan: bytes used of `saved` */
    uint8_t *saved;  /* hyperscan only; NULL: nothing goes on after these bytes */
    size_t saved_bytes;
    uint32_t scanned; /* bytes since the beginning, modulo 2^32 */
};

enum { IDS_WHY_BYTES = 200 };

/* NULL with the reason in `why`. */
struct ids_engine *ids_engine_build(enum ids_engine_kind kind, const struct ids_pattern *patterns,
                                    uint32_t n, char why[IDS_WHY_BYTES]);
void ids_engine_free(struct ids_engine *engine);
/* What a stream's `saved` must have room for: no stream of this engine needs more. */
size_t ids_engine_saved_bytes(const struct ids_engine *engine);

/* NULL: no memory. */
struct ids_scanner *ids_scanner_create(const struct ids_engine *engine);
void ids_scanner_free(struct ids_scanner *scanner);

/* Searches the stream's next bytes. False if the state after them could not be kept (the place for
 * it is too small): the stream then begins anew. */
bool ids_scan(struct ids_scanner *scanner, struct ids_stream *stream, const uint8_t *data,
              uint32_t bytes, ids_hit hit, void *arg);

#endif
