#include "fw_text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fw_lines_start(struct fw_lines *lines, struct rill_load *load, const char *text, size_t bytes)
{
    *lines = (struct fw_lines){.load = load, .at = text, .end = text + bytes, .comment = '#'};
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == '\0';
}

/* Takes a line into lines->line. False if it does not fit or holds a zero. */
static bool take_line(struct fw_lines *lines)
{
    const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *end = newline != NULL ? newline : lines->end;
    const char *comment = lines->comment != '\0'
                              ? memchr(lines->at, lines->comment, (size_t)(end - lines->at))
                              : NULL;
    size_t bytes = (size_t)((comment != NULL ? comment : end) - lines->at);
    bool fits = bytes < sizeof(lines->line) && memchr(lines->at, '\0', bytes) == NULL;

    lines->number++;
    if (fits) {
        memcpy(lines->line, lines->at, bytes);
        lines->line[bytes] = '\0';
    }
    lines->at = newline != NULL ? newline + 1 : lines->end;
    return fits;
}

bool fw_lines_next(struct fw_lines *lines)
{
    while (lines->at < lines->end) {
        if (!take_line(lines)) {
            rill_load_error(lines->load, lines->number,
                            "has more than %d bytes, or a zero; write one rule or prefix a line",
                            FW_LINE_BYTES - 1);
            lines->failed = true;
            return false;
        }
        if (!is_blank(lines->line))
            return true;
    }
    return false;
}

char *fw_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t\r");

    if (*word == '\0')
        return NULL;
    *rest = word + strcspn(word, " \t\r");
    if (**rest != '\0')
        *(*rest)++ = '\0';
    return word;
}

bool fw_number_read(const char *text, unsigned long most, unsigned long *number)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return false;
    *number = strtoul(text, NULL, 10);
    return *number <= most;
}

/* True if there was nothing to clear. */
static bool clear_behind(struct fw_prefix *prefix)
{
    bool clean = true;

    for (unsigned i = prefix->bits; i < 128; i++) {
        uint8_t bit = (uint8_t)(0x80 >> i % 8);

        clean &= (prefix->addr[i / 8] & bit) == 0;
        prefix->addr[i / 8] &= (uint8_t)~bit;
    }
    return clean;
}

bool fw_prefix_read(const char *text, struct fw_prefix *prefix, bool *clean)
{
    char copy[INET6_ADDRSTRLEN + 8], *slash;
    unsigned long bits;

    memset(prefix, 0, sizeof(*prefix));
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return false;
    slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, copy, prefix->addr) == 1)
        prefix->family = 4;
    else if (inet_pton(AF_INET6, copy, prefix->addr) == 1)
        prefix->family = 6;
    else
        return false;
    bits = prefix->family == 4 ? 32 : 128;
    if (slash != NULL && !fw_number_read(slash + 1, bits, &bits))
        return false;
    prefix->bits = (uint8_t)bits;
    *clean = clear_behind(prefix);
    return true;
}
