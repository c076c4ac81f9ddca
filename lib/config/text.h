/* Words for error lines: foreign text made harmless, and the known name that is nearest to a typo.
 */
#ifndef RILL_LIB_CONFIG_TEXT_H
#define RILL_LIB_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* At most 48 bytes of the text, with "..." where it was cut and \xNN for all that is not printable
 * ASCII, so that an error stays one line and can't steer a terminal. */
struct rill_shown {
    char text[48 * 4 + 8];
};

struct rill_shown rill_show(const char *text);

/* Levenshtein's distance; of each string only the first 64 bytes count. */
unsigned rill_edit_distance(const char *a, const char *b);
/* Is `known` what somebody meant who wrote `typed`: it begins so, or two in three letters fit? */
bool rill_is_like(const char *typed, const char *known);

/* How many bytes the UTF-8 character at `text` takes and which one it is; 0 if it is malformed:
 * cut off, overlong, a surrogate, or past U+10FFFF. */
size_t rill_utf8_character(const char *text, size_t bytes, unsigned *character);

/* True for well-formed UTF-8 without control characters. */
bool rill_text_is_plain(const char *text);

#endif
