#include "nfs/ids/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfs/ids/engine_hyperscan.h"

struct ids_engine {
    struct ids_automaton *automaton;
    struct ids_hs *hs;
};

struct ids_scanner {
    const struct ids_engine *engine;
    struct ids_hs_scanner *hs;
};

struct ids_engine *ids_engine_build(enum ids_engine_kind kind, const struct ids_pattern *patterns,
                                    uint32_t n, char why[IDS_WHY_BYTES])
{
    struct ids_engine *engine = calloc(1, sizeof(*engine));
    bool too_large = false;

    snprintf(why, IDS_WHY_BYTES, "no memory for the patterns");
    if (engine == NULL)
        return NULL;
    if (kind == IDS_HYPERSCAN)
        engine->hs = ids_hs_build(patterns, n, why);
    else
        engine->automaton = ids_automaton_build(patterns, n, &too_large);
    if (too_large)
        snprintf(why, IDS_WHY_BYTES, "the patterns need more states than 4 bytes can tell apart");
    if (engine->hs != NULL || engine->automaton != NULL)
        return engine;
    free(engine);
    return NULL;
}

void ids_engine_free(struct ids_engine *engine)
{
    if (engine == NULL)
        return;
    ids_automaton_free(engine->automaton);
    ids_hs_free(engine->hs);
    free(engine);
}

size_t ids_engine_saved_bytes(const struct ids_engine *engine)
{
    return engine->hs != NULL ? ids_hs_saved_bytes(engine->hs) : 0;
}

struct ids_scanner *ids_scanner_create(const struct ids_engine *engine)
{
    struct ids_scanner *scanner = calloc(1, sizeof(*scanner));

    if (scanner == NULL)
        return NULL;
    scanner->engine = engine;
    if (engine->hs != NULL) {
        scanner->hs = ids_hs_scanner_create(engine->hs);
        if (scanner->hs == NULL) {
            free(scanner);
            return NULL;
        }
    }
    return scanner;
}

void ids_scanner_free(struct ids_scanner *scanner)
{
    if (scanner == NULL)
        return;
    ids_hs_scanner_free(scanner->hs);
    free(scanner);
}

bool ids_scan(struct ids_scanner *scanner, struct ids_stream *stream, const uint8_t *data,
              uint32_t bytes, ids_hit hit, void *arg)
{
    if (scanner->hs != NULL)
        return ids_hs_scan(scanner->hs, stream, data, bytes, hit, arg);
    *stream->state =
        ids_automaton_scan(scanner->engine->automaton, *stream->state, data, bytes, hit, arg);
    return true;
}
