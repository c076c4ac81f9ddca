/* Reads what rules ask of the payload beside contents: isdataat, byte_test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfs/ids/rules_internal.h"

enum { ITEMS_MAX = 8 };

/* The items of a list with commas; 0 if there are too many. */
static unsigned split(char *text, char *items[ITEMS_MAX])
{
    unsigned n = 0;

    for (;;) {
        char *comma = strchr(text, ',');

        if (n == ITEMS_MAX)
            return 0;
        if (comma != NULL)
            *comma = '\0';
        items[n++] = ids_trim(text);
        if (comma == NULL)
            return n;
        text = comma + 1;
    }
}

/* isdataat:[!]10[,relative][,rawbytes] */
static bool read_isdataat(char *text, struct ids_check *check)
{
    char *items[ITEMS_MAX];
    unsigned n = split(text, items);
    int64_t offset;

    check->kind = IDS_IS_DATA_AT;
    for (unsigned i = 1; i < n; i++) {
        if (strcmp(items[i], "relative") == 0)
            check->relative = true;
        else if (strcmp(items[i], "rawbytes") != 0)
            return false;
    }
    if (n == 0)
        return false;
    check->negated = items[0][0] == '!';
    if (!ids_read_number(ids_trim(items[0] + check->negated), 0, IDS_OFFSET_MAX, &offset))
        return false;
    check->offset = (int32_t)offset;
    return true;
}

/* "<", "!&", "<="; "!" alone is "not equal". */
static bool read_operator(const char *text, struct ids_check *check)
{
    static const struct {
        const char *text;
        uint8_t op;
    } ops[] = {{"<", IDS_LESS},           {">", IDS_MORE},     {"=", IDS_EQUAL},
               {"", IDS_EQUAL},           {"&", IDS_COMMON},   {"<=", IDS_LESS_OR_EQUAL},
               {">=", IDS_MORE_OR_EQUAL}, {"^", IDS_DIFFERENT}};

    if (*text == '\0')
        return false;
    check->negated = *text == '!';
    text += check->negated;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(ops[i].text, text) == 0) {
            check->op = ops[i].op;
            return true;
        }
    }
    return false;
}

static bool read_byte_word(const char *word, struct ids_check *check, bool *string)
{
    if (strcmp(word, "relative") == 0)
        check->relative = true;
    else if (strcmp(word, "little") == 0)
        check->little = true;
    else if (strcmp(word, "string") == 0)
        *string = true;
    else if (strcmp(word, "hex") == 0)
        check->base = 16;
    else if (strcmp(word, "dec") == 0)
        check->base = 10;
    else if (strcmp(word, "oct") == 0)
        check->base = 8;
    else
        return strcmp(word, "big") == 0;
    return true;
}

/* The value of a test may be written in hexadecimal. */
static bool read_operand(const char *text, int64_t *value)
{
    char *end;

    if (strncmp(text, "0x", 2) != 0)
        return ids_read_number(text, 0, UINT32_MAX, value);
    *value = strtoll(text + 2, &end, 16);
    return text[2] != '\0' && text[2] != '-' && strlen(text + 2) <= 8 && *end == '\0';
}

/* byte_test:4,>,1024,0,relative,little. As many digits at most as fit into 32 bits. */
static bool read_byte_test(char *text, struct ids_check *check)
{
    char *items[ITEMS_MAX];
    unsigned n = split(text, items);
    int64_t bytes, value, offset;
    bool string = false;

    check->kind = IDS_BYTE_TEST;
    for (unsigned i = 4; i < n; i++)
        if (!read_byte_word(items[i], check, &string))
            return false;
    if (n < 4 || string != (check->base != 0) || (string && check->little) ||
        !ids_read_number(items[0], 1, string ? (check->base == 16 ? 8 : 9) : 4, &bytes) ||
        !read_operator(items[1], check) || !read_operand(items[2], &value) ||
        !ids_read_number(items[3], check->relative ? -IDS_OFFSET_MAX : 0, IDS_OFFSET_MAX, &offset))
        return false;
    check->bytes = (uint8_t)bytes;
    check->value = (uint32_t)value;
    check->offset = (int32_t)offset;
    return true;
}

bool ids_check_read(const char *name, char *text, struct ids_check *check, char why[IDS_WHY_BYTES])
{
    char shown[64];
    bool ok;

    snprintf(shown, sizeof(shown), "%s", text);
    ok = strcmp(name, "isdataat") == 0 ? read_isdataat(text, check) : read_byte_test(text, check);
    if (!ok)
        snprintf(why, IDS_WHY_BYTES, "%s '%s'", name, shown);
    return ok;
}
