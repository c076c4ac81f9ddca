#include "nfs/ids/engine_hyperscan.h"

#include <stdio.h>
#include <stdlib.h>

#include <hs/hs.h>

enum {
    GROUP_MAX = 2 * IDS_PATTERN_BYTES_MAX, /* patterns that end with the same byte */
    HEAD_BYTES = 64,                       /* a compressed stream beyond the plain one's bytes */
};

struct ids_hs {
    hs_database_t *database;
    size_t stream_bytes;
};

struct ids_hs_scanner {
    hs_scratch_t *scratch;
    hs_stream_t *stream;
    /* Of the search under way. */
    ids_hit hit;
    void *arg;
    uint32_t scanned;
    /* The hits of one end: Hyperscan gives them in any order. */
    uint32_t end, n;
    uint32_t group[GROUP_MAX];
};

bool ids_has_hyperscan(void)
{
    return true;
}

/* Any machine that Hyperscan runs on: all units of a deployment then have the same database, and
 * can go on with each other's streams. */
static const hs_platform_info_t any_machine = {.tune = HS_TUNE_FAMILY_GENERIC};

/* --- the patterns ----------------------------------------------------------------------------- */

static hs_database_t *compile(const struct ids_pattern *patterns, uint32_t n,
                              char why[IDS_WHY_BYTES])
{
    const char **text = calloc(n, sizeof(*text));
    unsigned *flags = calloc(n, sizeof(*flags)), *ids = calloc(n, sizeof(*ids));
    size_t *lengths = calloc(n, sizeof(*lengths));
    hs_database_t *database = NULL;
    hs_compile_error_t *error = NULL;

    if (text != NULL && flags != NULL && ids != NULL && lengths != NULL) {
        for (uint32_t i = 0; i < n; i++) {
            text[i] = (const char *)patterns[i].bytes;
            lengths[i] = patterns[i].length;
            flags[i] = patterns[i].nocase ? HS_FLAG_CASELESS : 0;
            ids[i] = i;
        }
        if (hs_compile_lit_multi(text, flags, ids, lengths, n, HS_MODE_STREAM, &any_machine,
                                 &database, &error) != HS_SUCCESS) {
            snprintf(why, IDS_WHY_BYTES, "Hyperscan refuses the patterns: %s",
                     error != NULL ? error->message : "no reason given");
            hs_free_compile_error(error);
            database = NULL;
        }
    }
    free(text);
    free(flags);
    free(ids);
    free(lengths);
    return database;
}

struct ids_hs *ids_hs_build(const struct ids_pattern *patterns, uint32_t n, char why[IDS_WHY_BYTES])
{
    struct ids_hs *hs;

    if (hs_valid_platform() != HS_SUCCESS) {
        snprintf(why, IDS_WHY_BYTES, "Hyperscan needs a processor with SSSE3");
        return NULL;
    }
    hs = calloc(1, sizeof(*hs));
    if (hs == NULL)
        return NULL;
    hs->database = compile(patterns, n, why);
    if (hs->database != NULL && hs_stream_size(hs->database, &hs->stream_bytes) == HS_SUCCESS)
        return hs;
    ids_hs_free(hs);
    return NULL;
}

void ids_hs_free(struct ids_hs *hs)
{
    if (hs == NULL)
        return;
    hs_free_database(hs->database);
    free(hs);
}

size_t ids_hs_saved_bytes(const struct ids_hs *hs)
{
    return hs->stream_bytes + HEAD_BYTES;
}

struct ids_hs_scanner *ids_hs_scanner_create(const struct ids_hs *hs)
{
    struct ids_hs_scanner *scanner = calloc(1, sizeof(*scanner));

    if (scanner == NULL)
        return NULL;
    if (hs_alloc_scratch(hs->database, &scanner->scratch) == HS_SUCCESS &&
        hs_open_stream(hs->database, 0, &scanner->stream) == HS_SUCCESS)
        return scanner;
    ids_hs_scanner_free(scanner);
    return NULL;
}

void ids_hs_scanner_free(struct ids_hs_scanner *scanner)
{
    if (scanner == NULL)
        return;
    if (scanner->stream != NULL)
        hs_close_stream(scanner->stream, NULL, NULL, NULL);
    hs_free_scratch(scanner->scratch);
    free(scanner);
}

/* --- searching -------------------------------------------------------------------------------- */

static void flush(struct ids_hs_scanner *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        s->hit(s->arg, s->group[i], s->end);
    s->n = 0;
}

/* Ends come in order; within one, the hits are sorted. */
static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context)
{
    struct ids_hs_scanner *s = context;
    uint32_t end = (uint32_t)to - s->scanned, k;

    (void)from;
    (void)flags;
    if (end != s->end || s->n == GROUP_MAX)
        flush(s);
    s->end = end;
    for (k = s->n++; k > 0 && s->group[k - 1] > id; k--)
        s->group[k] = s->group[k - 1];
    s->group[k] = id;
    return 0;
}

static bool load(struct ids_hs_scanner *s, const struct ids_stream *stream)
{
    if (*stream->state != 0 && *stream->state <= stream->saved_bytes &&
        hs_reset_and_expand_stream(s->stream, (const char *)stream->saved, *stream->state,
                                   s->scratch, NULL, NULL) == HS_SUCCESS) {
        s->scanned = stream->scanned;
        return true;
    }
    s->scanned = 0;
    return hs_reset_stream(s->stream, 0, s->scratch, NULL, NULL) == HS_SUCCESS;
}

bool ids_hs_scan(struct ids_hs_scanner *s, struct ids_stream *stream, const uint8_t *data,
                 uint32_t bytes, ids_hit hit, void *arg)
{
    size_t used = 0;

    s->hit = hit;
    s->arg = arg;
    s->n = 0;
    if (!load(s, stream) || hs_scan_stream(s->stream, (const char *)data, bytes, 0, s->scratch,
                                           on_match, s) != HS_SUCCESS) {
        *stream->state = 0;
        return false;
    }
    flush(s);
    if (stream->saved == NULL)
        return true;
    if (hs_compress_stream(s->stream, (char *)stream->saved, stream->saved_bytes, &used) !=
        HS_SUCCESS)
        used = 0;
    *stream->state = (uint32_t)used;
    return used != 0;
}

/* --- regular expressions ---------------------------------------------------------------------- */

struct ids_regex {
    hs_database_t *database;
};

struct ids_regex *ids_regex_compile(const char *expression, unsigned flags, char why[IDS_WHY_BYTES])
{
    struct ids_regex *regex = calloc(1, sizeof(*regex));
    hs_compile_error_t *error = NULL;
    unsigned hs_flags = HS_FLAG_SINGLEMATCH;

    snprintf(why, IDS_WHY_BYTES, "no memory");
    if (regex == NULL)
        return NULL;
    hs_flags |= (flags & IDS_REGEX_I ? HS_FLAG_CASELESS : 0) |
                (flags & IDS_REGEX_S ? HS_FLAG_DOTALL : 0) |
                (flags & IDS_REGEX_M ? HS_FLAG_MULTILINE : 0);
    if (hs_compile(expression, hs_flags, HS_MODE_BLOCK, NULL, &regex->database, &error) ==
        HS_SUCCESS)
        return regex;
    snprintf(why, IDS_WHY_BYTES, "Hyperscan: %s",
             error != NULL ? error->message : "no reason given");
    hs_free_compile_error(error);
    free(regex);
    return NULL;
}

void ids_regex_free(struct ids_regex *regex)
{
    if (regex == NULL)
        return;
    hs_free_database(regex->database);
    free(regex);
}

bool ids_regex_prepare(const struct ids_regex *regex, struct ids_regex_scratch **scratch)
{
    return hs_alloc_scratch(regex->database, (hs_scratch_t **)(void *)scratch) == HS_SUCCESS;
}

void ids_regex_scratch_free(struct ids_regex_scratch *scratch)
{
    hs_free_scratch((hs_scratch_t *)(void *)scratch);
}

static int on_found(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context)
{
    (void)id;
    (void)from;
    (void)to;
    (void)flags;
    *(bool *)context = true;
    return 1; /* one is enough */
}

bool ids_regex_found(const struct ids_regex *regex, struct ids_regex_scratch *scratch,
                     const uint8_t *data, uint32_t bytes)
{
    bool found = false;

    hs_scan(regex->database, (const char *)data, bytes, 0, (hs_scratch_t *)(void *)scratch,
            on_found, &found);
    return found;
}
