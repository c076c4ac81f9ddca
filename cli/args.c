#include "cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 31, TABLE_MAX = 64 };

enum { TIME_MAX_S = 1000000 };

static const struct rill_arg *find(const struct rill_arg *table, const char *name, size_t length)
{
    for (const struct rill_arg *arg = table; arg->name != NULL; arg++) {
        if (strlen(arg->name) == length && strncmp(arg->name, name, length) == 0)
            return arg;
    }
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two short words (Levenshtein), one row of the matrix at a time. */
static size_t edits(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], columns = strlen(b);

    if (strlen(a) > WORD_MAX || columns > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[columns];
}

const char *rill_args_nearest(const char *word, const char *const *names)
{
    size_t best = strlen(word) < 4 ? 2 : 3; /* more edits than that are another word */
    const char *nearest = NULL;

    for (; *names != NULL; names++) {
        size_t distance = edits(word, *names);

        if (distance < best && distance < strlen(*names)) {
            best = distance;
            nearest = *names;
        }
    }
    return nearest;
}

static int unknown(const struct rill_arg *table, const char *text, size_t length,
                   struct rill_error *err)
{
    const char *names[TABLE_MAX + 2];
    char word[WORD_MAX + 2];
    const char *nearest;
    size_t count = 0;

    for (const struct rill_arg *arg = table; arg->name != NULL; arg++) {
        if (arg->instead == NULL)
            names[count++] = arg->name;
    }
    names[count++] = "help";
    names[count] = NULL;
    snprintf(word, sizeof(word), "%.*s", (int)length, text);
    nearest = rill_args_nearest(word, names);
    if (nearest != NULL)
        return rill_error_set(err, -EINVAL, "unknown option --%.*s; did you mean --%s?",
                              (int)length, text, nearest);
    return rill_error_set(err, -EINVAL, "unknown option --%.*s; --help lists them", (int)length,
                          text);
}

/* One option at argv[*at]; moves *at past its value where that is a word of its own. */
static int take_option(const struct rill_args *args, int argc, char **argv, int *at, uint64_t *seen,
                       struct rill_error *err)
{
    const char *text = argv[*at] + 2, *equals = strchr(text, '=');
    size_t length = equals != NULL ? (size_t)(equals - text) : strlen(text);
    const struct rill_arg *arg = find(args->table, text, length);
    const char *value = equals != NULL ? equals + 1 : NULL;
    uint64_t bit;

    if (arg == NULL)
        return unknown(args->table, text, length, err);
    if (arg->instead != NULL)
        return rill_error_set(err, -EINVAL, "--%s is not in this version (%s): %s", arg->name,
                              RILL_VERSION, arg->instead);
    bit = UINT64_C(1) << (arg - args->table);
    if ((*seen & bit) != 0 && !arg->repeatable)
        return rill_error_set(err, -EINVAL, "--%s is given twice", arg->name);
    *seen |= bit;
    if (arg->value == NULL && value != NULL)
        return rill_error_set(err, -EINVAL, "--%s takes no value", arg->name);
    if (arg->value != NULL && value == NULL) {
        if (*at + 1 >= argc)
            return rill_error_set(err, -EINVAL, "--%s needs a value: --%s %s", arg->name, arg->name,
                                  arg->value);
        value = argv[++*at];
    }
    return arg->take(args->target, value, err);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

int rill_args_parse(const struct rill_args *args, int argc, char **argv, struct rill_error *err)
{
    bool options_end = false;
    uint64_t seen = 0;
    int rc = 0;

    if (asks_for_help(argc, argv))
        return 1;
    for (int i = 1; i < argc && rc == 0; i++) {
        const char *text = argv[i];

        if (!options_end && strcmp(text, "--") == 0)
            options_end = true;
        else if (!options_end && strncmp(text, "--", 2) == 0)
            rc = take_option(args, argc, argv, &i, &seen, err);
        else if (!options_end && text[0] == '-' && text[1] != '\0')
            rc = rill_error_set(err, -EINVAL, "unknown option %s; --help lists them", text);
        else if (args->positional == NULL)
            rc = rill_error_set(err, -EINVAL, "unexpected argument '%s'", text);
        else
            rc = args->positional(args->target, text, err);
    }
    return rc;
}

static void help_entry(const char *name, const char *value, const char *doc, FILE *out)
{
    fprintf(out, "  --%s%s%s\n", name, value != NULL ? " " : "", value != NULL ? value : "");
    while (*doc != '\0') {
        size_t length = strcspn(doc, "\n");

        fprintf(out, "        %.*s\n", (int)length, doc);
        doc += length + (doc[length] == '\n');
    }
}

void rill_args_help(const struct rill_arg *table, FILE *out)
{
    for (const struct rill_arg *arg = table; arg->name != NULL; arg++) {
        if (arg->instead == NULL)
            help_entry(arg->name, arg->value, arg->doc, out);
    }
    help_entry("help", NULL, "this text", out);
}

int rill_args_add_pair(char ***pairs, size_t *count, const char *prefix, const char *value,
                       struct rill_error *err)
{
    const char *equals = strchr(value, '=');
    char *pair = NULL, **grown;

    if (prefix[0] == '\0' && (equals == NULL || equals == value))
        return rill_error_set(err, -EINVAL, "--set '%s': it is NAME=VALUE", value);
    grown = realloc(*pairs, (*count + 1) * sizeof(grown[0]));
    if (grown != NULL)
        *pairs = grown;
    if (grown == NULL || asprintf(&pair, "%s%s", prefix, value) < 0)
        return rill_error_set(err, -ENOMEM, "no memory for the command line");
    grown[(*count)++] = pair;
    return 0;
}

void rill_args_free_pairs(char **pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(pairs[i]);
    free(pairs);
}

int rill_args_decimal(const char *text, double *value)
{
    size_t whole = strspn(text, "0123456789");
    size_t fraction = 0, end = whole;

    if (text[end] == '.') {
        fraction = strspn(text + end + 1, "0123456789");
        end += 1 + fraction;
        if (fraction == 0)
            return -EINVAL;
    }
    if (whole == 0 || text[end] != '\0' || whole + fraction > 15)
        return -EINVAL;
    *value = strtod(text, NULL);
    return 0;
}

int rill_args_u64(const char *text, uint64_t *value)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || text[digits] != '\0')
        return -EINVAL;
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0 ? 0 : -EINVAL;
}

int rill_args_rate(const char *text, uint64_t *bps)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"bps", 1}, {"kbps", 1e3}, {"Mbps", 1e6}, {"Gbps", 1e9}};
    size_t digits = strspn(text, "0123456789.");
    char number[24];
    double value;

    snprintf(number, sizeof(number), "%.*s", (int)digits, text);
    if (digits >= sizeof(number) || rill_args_decimal(number, &value) != 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(text + digits, units[i].unit) != 0)
            continue;
        if (value * units[i].factor < 1 || value * units[i].factor > 1e12)
            return -EINVAL;
        *bps = (uint64_t)(value * units[i].factor + 0.5);
        return 0;
    }
    return -EINVAL;
}

int rill_args_time(const char *text, uint64_t *ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    size_t digits = strspn(text, "0123456789.");
    char number[24];
    double value;

    snprintf(number, sizeof(number), "%.*s", (int)digits, text);
    if (digits >= sizeof(number) || rill_args_decimal(number, &value) != 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + digits, units[i].unit) != 0)
            continue;
        if (value * units[i].ns > TIME_MAX_S * 1e9)
            return -EINVAL;
        *ns = (uint64_t)(value * units[i].ns + 0.5);
        return 0;
    }
    return -EINVAL;
}
