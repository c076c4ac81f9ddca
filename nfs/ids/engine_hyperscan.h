/* What uses Hyperscan: the engine of that name, and regular expressions. In a build without it
 * (it exists for x86 only) everything here fails with that reason. */
#ifndef RILL_NFS_IDS_ENGINE_HYPERSCAN_H
#define RILL_NFS_IDS_ENGINE_HYPERSCAN_H

#include "nfs/ids/engine.h"

bool ids_has_hyperscan(void);

struct ids_hs;
struct ids_hs_scanner;

struct ids_hs *ids_hs_build(const struct ids_pattern *patterns, uint32_t n,
                            char why[IDS_WHY_BYTES]);
void ids_hs_free(struct ids_hs *hs);
size_t ids_hs_saved_bytes(const struct ids_hs *hs);
struct ids_hs_scanner *ids_hs_scanner_create(const struct ids_hs *hs);
void ids_hs_scanner_free(struct ids_hs_scanner *scanner);
bool ids_hs_scan(struct ids_hs_scanner *scanner, struct ids_stream *stream, const uint8_t *data,
                 uint32_t bytes, ids_hit hit, void *arg);

/* --- regular expressions ---------------------------------------------------------------------- */

enum { IDS_REGEX_I = 1, IDS_REGEX_S = 2, IDS_REGEX_M = 4 }; /* as after the second slash */

struct ids_regex;
struct ids_regex_scratch;

struct ids_regex *ids_regex_compile(const char *expression, unsigned flags,
                                    char why[IDS_WHY_BYTES]);
void ids_regex_free(struct ids_regex *regex);
/* Makes *scratch, NULL at first, fit this one too. False: no memory. */
bool ids_regex_prepare(const struct ids_regex *regex, struct ids_regex_scratch **scratch);
void ids_regex_scratch_free(struct ids_regex_scratch *scratch);
bool ids_regex_found(const struct ids_regex *regex, struct ids_regex_scratch *scratch,
                     const uint8_t *data, uint32_t bytes);

#endif
