#include "cli/format.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/utf8.h"

const char *rill_format_count(char *buf, uint64_t n)
{
    char digits[RILL_FORMAT_BYTES];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    char *to = buf;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return buf;
}

/* Three significant digits. The bounds are where rounding would give a fourth. */
static const char *three_digits(char *buf, double value, const char *unit)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    snprintf(buf, RILL_FORMAT_BYTES, "%.*f %s", decimals, value, unit);
    return buf;
}

const char *rill_format_ns(char *buf, uint64_t ns)
{
    double value = (double)ns;

    if (ns < 1000)
        snprintf(buf, RILL_FORMAT_BYTES, "%" PRIu64 " ns", ns);
    else if (value < 999.5e3)
        three_digits(buf, value / 1e3, "us");
    else if (value < 999.5e6)
        three_digits(buf, value / 1e6, "ms");
    else
        three_digits(buf, value / 1e9, "s");
    return buf;
}

const char *rill_format_share(char *buf, uint64_t part, uint64_t whole)
{
    if (whole == 0)
        snprintf(buf, RILL_FORMAT_BYTES, "-");
    else
        snprintf(buf, RILL_FORMAT_BYTES, "%.1f%%", 100.0 * (double)part / (double)whole);
    return buf;
}

void rill_format_name(FILE *out, const char *name)
{
    while (*name != '\0') {
        unsigned bytes = rill_utf8_bytes(name);
        unsigned char c = (unsigned char)*name;

        /* U+0080..U+009F are control characters too, and terminals obey them. */
        if (bytes == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)name[1] < 0xa0))
            fputc('?', out);
        else
            fwrite(name, 1, bytes, out);
        name += bytes ? bytes : 1;
    }
}
