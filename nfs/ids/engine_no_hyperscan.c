/* engine_hyperscan.h where there is no Hyperscan. */
#include "nfs/ids/engine_hyperscan.h"

#include <stdio.h>

static const char *const without = "this build has no Hyperscan";

bool ids_has_hyperscan(void)
{
    return false;
}

struct ids_hs *ids_hs_build(const struct ids_pattern *patterns, uint32_t n, char why[IDS_WHY_BYTES])
{
    (void)patterns;
    (void)n;
    snprintf(why, IDS_WHY_BYTES, "%s", without);
    return NULL;
}

void ids_hs_free(struct ids_hs *hs)
{
    (void)hs;
}

size_t ids_hs_saved_bytes(const struct ids_hs *hs)
{
    (void)hs;
    return 0;
}

struct ids_hs_scanner *ids_hs_scanner_create(const struct ids_hs *hs)
{
    (void)hs;
    return NULL;
}

void ids_hs_scanner_free(struct ids_hs_scanner *scanner)
{
    (void)scanner;
}

bool ids_hs_scan(struct ids_hs_scanner *scanner, struct ids_stream *stream, const uint8_t *data,
                 uint32_t bytes, ids_hit hit, void *arg)
{
    (void)scanner;
    (void)stream;
    (void)data;
    (void)bytes;
    (void)hit;
    (void)arg;
    return false;
}

struct ids_regex *ids_regex_compile(const char *expression, unsigned flags, char why[IDS_WHY_BYTES])
{
    (void)expression;
    (void)flags;
    snprintf(why, IDS_WHY_BYTES, "%s", without);
    return NULL;
}

void ids_regex_free(struct ids_regex *regex)
{
    (void)regex;
}

bool ids_regex_prepare(const struct ids_regex *regex, struct ids_regex_scratch **scratch)
{
    (void)regex;
    (void)scratch;
    return false;
}

void ids_regex_scratch_free(struct ids_regex_scratch *scratch)
{
    (void)scratch;
}

bool ids_regex_found(const struct ids_regex *regex, struct ids_regex_scratch *scratch,
                     const uint8_t *data, uint32_t bytes)
{
    (void)regex;
    (void)scratch;
    (void)data;
    (void)bytes;
    return false;
}
