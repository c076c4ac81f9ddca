/* UTF-8 (RFC 3629), one character at a time. */
#ifndef RILL_LIB_BASE_UTF8_H
#define RILL_LIB_BASE_UTF8_H

#include <stdbool.h>

static inline bool rill_utf8_continues(const unsigned char *s, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return false;
    }
    return true;
}

/* The bytes of the character at `text`, 0 if it is none (or the end of the string). */
static inline unsigned rill_utf8_bytes(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    if (s[0] == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return rill_utf8_continues(s, 1) ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
        bool surrogate = s[0] == 0xed && s[1] > 0x9f;

        return rill_utf8_continues(s, 2) && !overlong && !surrogate ? 3 : 0;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        bool overlong = s[0] == 0xf0 && s[1] < 0x90;
        bool too_large = s[0] == 0xf4 && s[1] > 0x8f;

        return rill_utf8_continues(s, 3) && !overlong && !too_large ? 4 : 0;
    }
    return 0;
}

#endif
