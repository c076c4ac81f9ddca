#include "lib/config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/text.h"

static const double TWO_POW_64 = 18446744073709551616.0;

uint64_t rill_option_min_u64(const struct rill_option *option)
{
    uint64_t down = option->min <= 0 ? 0 : (uint64_t)option->min;

    return (double)down < option->min ? down + 1 : down;
}

uint64_t rill_option_max_u64(const struct rill_option *option)
{
    return option->max >= TWO_POW_64 ? UINT64_MAX : (uint64_t)option->max;
}

/* Decimal digits without a needless zero in front; `bytes` of them. False also where 64 bits are
 * not enough: no range holds such a number. */
static bool read_digits(const char *text, size_t bytes, uint64_t *number)
{
    uint64_t n = 0;

    if (bytes == 0 || (bytes > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
            return false;
    }
    *number = n;
    return true;
}

static bool in_range_u64(const struct rill_option *option, uint64_t number)
{
    return number >= rill_option_min_u64(option) && number <= rill_option_max_u64(option);
}

static const char *unit_before(const struct rill_option *option)
{
    return option->unit != NULL && option->unit[0] != '\0' ? " " : "";
}

static const char *unit_of(const struct rill_option *option)
{
    return option->unit != NULL ? option->unit : "";
}

static int read_bool(const char *text, bool *value, struct rill_error *err)
{
    *value = strcmp(text, "true") == 0;
    if (*value || strcmp(text, "false") == 0)
        return 0;
    return rill_error_set(err, -EINVAL, "\"%s\" is neither true nor false", rill_show(text).text);
}

static int read_u64(const struct rill_option *option, const char *text, uint64_t *value,
                    struct rill_error *err)
{
    if (read_digits(text, strlen(text), value) && in_range_u64(option, *value))
        return 0;
    return rill_error_set(err, -EINVAL,
                          "\"%s\" is not an integer in %" PRIu64 "..%" PRIu64
                          "%s%s; write it in plain decimal digits",
                          rill_show(text).text, rill_option_min_u64(option),
                          rill_option_max_u64(option), unit_before(option), unit_of(option));
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* [-] digits [. digits] [e [sign] digits]: what strtod takes besides (hex, inf, nan, blanks) is
 * more often a slip than meant. */
static bool looks_like_number(const char *text)
{
    const char *digits = text + (*text == '-');
    const char *p = skip_digits(digits);

    if (p == digits)
        return false;
    if (*p == '.') {
        digits = p + 1;
        p = skip_digits(digits);
        if (p == digits)
            return false;
    }
    if (*p == 'e' || *p == 'E') {
        digits = p + 1 + (p[1] == '-' || p[1] == '+');
        p = skip_digits(digits);
        if (p == digits)
            return false;
    }
    return *p == '\0';
}

static int read_double(const struct rill_option *option, const char *text, double *value,
                       struct rill_error *err)
{
    if (looks_like_number(text)) {
        *value = strtod(text, NULL) + 0.0; /* -0 becomes 0 */
        if (isfinite(*value) && *value >= option->min && *value <= option->max)
            return 0;
    }
    return rill_error_set(err, -EINVAL, "\"%s\" is not a number in %.15g..%.15g%s%s",
                          rill_show(text).text, option->min, option->max, unit_before(option),
                          unit_of(option));
}

static int read_range(const struct rill_option *option, const char *text, struct rill_value *value,
                      struct rill_error *err)
{
    const char *dash = strchr(text, '-');

    if (dash != NULL && read_digits(text, (size_t)(dash - text), &value->range.low) &&
        read_digits(dash + 1, strlen(dash + 1), &value->range.high) &&
        in_range_u64(option, value->range.low) && in_range_u64(option, value->range.high) &&
        value->range.low <= value->range.high)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "\"%s\" is not a range LOW-HIGH of integers in %" PRIu64 "..%" PRIu64
                          "%s%s, LOW not above HIGH",
                          rill_show(text).text, rill_option_min_u64(option),
                          rill_option_max_u64(option), unit_before(option), unit_of(option));
}

/* `word` is one choice; one that holds "<N>" takes a number in that place. */
static bool is_choice(const struct rill_option *option, const char *word, size_t bytes,
                      const char *text, uint64_t *number)
{
    size_t length = strlen(text), mark = strlen(RILL_CHOICE_NUMBER);
    const char *place = memmem(word, bytes, RILL_CHOICE_NUMBER, mark);
    size_t before = place != NULL ? (size_t)(place - word) : bytes;
    size_t after = place != NULL ? bytes - before - mark : 0;

    *number = 0;
    if (bytes == 0)
        return false;
    if (place == NULL)
        return length == bytes && memcmp(word, text, bytes) == 0;
    return length > before + after && memcmp(word, text, before) == 0 &&
           memcmp(place + mark, text + length - after, after) == 0 &&
           read_digits(text + before, length - before - after, number) &&
           in_range_u64(option, *number);
}

static int read_choice(const struct rill_option *option, const char *text, struct rill_value *value,
                       struct rill_error *err)
{
    const char *word = option->choices;
    char choices[256];

    for (value->choice = 0;; value->choice++) {
        size_t bytes = strcspn(word, "|");

        if (is_choice(option, word, bytes, text, &value->choice_number))
            return 0;
        if (word[bytes] == '\0')
            break;
        word += bytes + 1;
    }
    rill_option_choices(option, choices, sizeof(choices));
    return rill_error_set(err, -EINVAL, "\"%s\" is not one of %s", rill_show(text).text, choices);
}

static int read_string(const char *text, size_t bytes, char **string, struct rill_error *err)
{
    if (bytes > RILL_VALUE_STRING_BYTES)
        return rill_error_set(err, -EINVAL, "\"%.32s...\" is longer than %d bytes",
                              rill_show(text).text, RILL_VALUE_STRING_BYTES);
    *string = strndup(text, bytes);
    if (*string == NULL)
        return rill_error_set(err, -ENOMEM, "no memory");
    if (rill_text_is_plain(*string))
        return 0;
    rill_error_set(err, -EINVAL, "\"%s\" must be UTF-8 on one line, without control characters",
                   rill_show(*string).text);
    free(*string);
    *string = NULL;
    return -EINVAL;
}

static void clear_list(struct rill_value *value)
{
    for (size_t i = 0; i < value->list.count; i++)
        free(value->list.items[i]);
    free(value->list.items);
    memset(value, 0, sizeof(*value));
}

static int add_item(struct rill_value *value, const char *text, size_t bytes,
                    struct rill_error *err)
{
    int rc;

    if (bytes == 0)
        return rill_error_set(err, -EINVAL, "item %zu of the list is empty", value->list.count + 1);
    rc = read_string(text, bytes, &value->list.items[value->list.count], err);
    if (rc == 0)
        value->list.count++;
    return rc;
}

static int make_list(struct rill_value *value, size_t items, struct rill_error *err)
{
    memset(value, 0, sizeof(*value));
    value->list.items = calloc(items + 1, sizeof(value->list.items[0]));
    return value->list.items != NULL ? 0 : rill_error_set(err, -ENOMEM, "no memory");
}

int rill_value_read_items(const char *const *items, size_t count, struct rill_value *value,
                          struct rill_error *err)
{
    int rc = make_list(value, count, err);

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_item(value, items[i], strlen(items[i]), err);
    if (rc != 0)
        clear_list(value);
    return rc;
}

/* Blanks at the ends of an item are not part of it. */
static void trim(const char **text, size_t *bytes)
{
    while (*bytes > 0 && isblank((unsigned char)**text)) {
        ++*text;
        --*bytes;
    }
    while (*bytes > 0 && isblank((unsigned char)(*text)[*bytes - 1]))
        --*bytes;
}

/* "a, b" or "[a, b]"; a list without items is "" or "[]". */
static int read_list(const char *text, struct rill_value *value, struct rill_error *err)
{
    size_t bytes = strlen(text), commas = 0;
    int rc;

    trim(&text, &bytes);
    if (bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']') {
        text++;
        bytes -= 2;
        trim(&text, &bytes);
    }
    for (size_t i = 0; i < bytes; i++)
        commas += text[i] == ',';
    rc = make_list(value, commas + 1, err);
    while (rc == 0 && (bytes > 0 || value->list.count > 0)) {
        const char *comma = memchr(text, ',', bytes), *item = text;
        size_t item_bytes = comma != NULL ? (size_t)(comma - text) : bytes;

        text += item_bytes;
        bytes -= item_bytes;
        trim(&item, &item_bytes);
        rc = add_item(value, item, item_bytes, err);
        if (comma == NULL)
            break;
        text++;
        bytes--;
    }
    if (rc != 0)
        clear_list(value);
    return rc;
}

int rill_value_read(const struct rill_option *option, const char *text, struct rill_value *value,
                    struct rill_error *err)
{
    switch (option->type) {
    case RILL_OPT_BOOL:
        return read_bool(text, &value->boolean, err);
    case RILL_OPT_U64:
        return read_u64(option, text, &value->u64, err);
    case RILL_OPT_DOUBLE:
        return read_double(option, text, &value->number, err);
    case RILL_OPT_STRING:
        return read_string(text, strlen(text), &value->string, err);
    case RILL_OPT_ENUM:
        return read_choice(option, text, value, err);
    case RILL_OPT_RANGE:
        return read_range(option, text, value, err);
    case RILL_OPT_LIST:
        return read_list(text, value, err);
    }
    return rill_error_set(err, -EINVAL, "the schema gives it a type that does not exist");
}

void rill_value_clear(const struct rill_option *option, struct rill_value *value)
{
    if (option->type == RILL_OPT_STRING)
        free(value->string);
    if (option->type == RILL_OPT_LIST)
        clear_list(value);
    memset(value, 0, sizeof(*value));
}

/* The fewest digits that read back as the same number. */
static void write_double(double number, char *buf, size_t bytes)
{
    char text[40];

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (fabs(number) < 1e15 && number == (double)(int64_t)number)
        snprintf(text, sizeof(text), "%" PRId64, (int64_t)number); /* 100, not 1e+02 */
    snprintf(buf, bytes, "%s", text);
}

static void write_choice(const struct rill_option *option, const struct rill_value *value,
                         char *buf, size_t bytes)
{
    const char *word = option->choices, *place;
    size_t length, before;

    for (unsigned i = 0; i < value->choice; i++)
        word += strcspn(word, "|") + 1;
    length = strcspn(word, "|");
    place = memmem(word, length, RILL_CHOICE_NUMBER, strlen(RILL_CHOICE_NUMBER));
    if (place == NULL) {
        snprintf(buf, bytes, "%.*s", (int)length, word);
        return;
    }
    before = (size_t)(place - word);
    place += strlen(RILL_CHOICE_NUMBER);
    snprintf(buf, bytes, "%.*s%" PRIu64 "%.*s", (int)before, word, value->choice_number,
             (int)(word + length - place), place);
}

static void write_list(const struct rill_value *value, char *buf, size_t bytes)
{
    size_t used = (size_t)snprintf(buf, bytes, "[");

    for (size_t i = 0; i < value->list.count && used < bytes; i++)
        used += (size_t)snprintf(buf + used, bytes - used, "%s%s", i > 0 ? ", " : "",
                                 value->list.items[i]);
    if (used < bytes)
        snprintf(buf + used, bytes - used, "]");
}

void rill_value_write(const struct rill_option *option, const struct rill_value *value, char *buf,
                      size_t bytes)
{
    switch (option->type) {
    case RILL_OPT_BOOL:
        snprintf(buf, bytes, "%s", value->boolean ? "true" : "false");
        break;
    case RILL_OPT_U64:
        snprintf(buf, bytes, "%" PRIu64, value->u64);
        break;
    case RILL_OPT_DOUBLE:
        write_double(value->number, buf, bytes);
        break;
    case RILL_OPT_STRING:
        snprintf(buf, bytes, "%s", value->string);
        break;
    case RILL_OPT_ENUM:
        write_choice(option, value, buf, bytes);
        break;
    case RILL_OPT_RANGE:
        snprintf(buf, bytes, "%" PRIu64 "-%" PRIu64, value->range.low, value->range.high);
        break;
    case RILL_OPT_LIST:
        write_list(value, buf, bytes);
        break;
    }
}

void rill_option_choices(const struct rill_option *option, char *buf, size_t bytes)
{
    if (strstr(option->choices, RILL_CHOICE_NUMBER) == NULL)
        snprintf(buf, bytes, "%s", option->choices);
    else
        snprintf(buf, bytes, "%s, " RILL_CHOICE_NUMBER " an integer in %" PRIu64 "..%" PRIu64,
                 option->choices, rill_option_min_u64(option), rill_option_max_u64(option));
}

void rill_option_takes(const struct rill_option *option, char *buf, size_t bytes)
{
    switch (option->type) {
    case RILL_OPT_BOOL:
        snprintf(buf, bytes, "true|false");
        break;
    case RILL_OPT_U64:
    case RILL_OPT_RANGE:
        snprintf(buf, bytes, "%" PRIu64 "..%" PRIu64, rill_option_min_u64(option),
                 rill_option_max_u64(option));
        break;
    case RILL_OPT_DOUBLE:
        snprintf(buf, bytes, "%.15g..%.15g", option->min, option->max);
        break;
    case RILL_OPT_STRING:
        snprintf(buf, bytes, "text");
        break;
    case RILL_OPT_ENUM:
        snprintf(buf, bytes, "%s", option->choices);
        break;
    case RILL_OPT_LIST:
        snprintf(buf, bytes, "list");
        break;
    }
}
