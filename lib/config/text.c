#include "lib/config/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES = 48, DISTANCE_BYTES = 64 };

struct rill_shown rill_show(const char *text)
{
    struct rill_shown shown;
    char *out = shown.text;

    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];

        if (i == SHOWN_BYTES) {
            memcpy(out, "...", 3);
            out += 3;
            break;
        }
        if (c >= 0x20 && c < 0x7f)
            *out++ = (char)c;
        else
            out += sprintf(out, "\\x%02x", c);
    }
    *out = '\0';
    return shown;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

unsigned rill_edit_distance(const char *a, const char *b)
{
    size_t a_bytes = strnlen(a, DISTANCE_BYTES), b_bytes = strnlen(b, DISTANCE_BYTES);
    unsigned row[DISTANCE_BYTES + 1];

    for (size_t j = 0; j <= b_bytes; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_bytes; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_bytes];
}

bool rill_is_like(const char *typed, const char *known)
{
    size_t bytes = strnlen(typed, DISTANCE_BYTES);

    return strncmp(typed, known, bytes) == 0 || rill_edit_distance(typed, known) * 3 <= bytes * 2;
}

size_t rill_utf8_character(const char *text, size_t bytes, unsigned *character)
{
    static const unsigned least_of_length[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead;
    size_t length;

    if (bytes == 0)
        return 0;
    lead = (unsigned char)text[0];
    *character = lead;
    if (lead < 0x80)
        return 1;
    if (lead < 0xc0 || lead > 0xf7)
        return 0;
    length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length > bytes)
        return 0;
    *character = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (*character < least_of_length[length] || *character > 0x10ffff ||
        (*character >= 0xd800 && *character <= 0xdfff))
        return 0;
    return length;
}

bool rill_text_is_plain(const char *text)
{
    size_t bytes = strlen(text), length;

    for (size_t i = 0; i < bytes; i += length) {
        unsigned c;

        length = rill_utf8_character(text + i, bytes - i, &c);
        if (length == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
            return false;
    }
    return true;
}
