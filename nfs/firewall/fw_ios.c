#include "fw_ios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fw_ios_entry.h"

enum { NAME_BYTES = 65, FIRST_SEQUENCE = 10, SEQUENCE_STEP = 10, SEQUENCE_MAX = 999999999 };
/* In place of a list's number. */
enum { NONE = -1, BAD_LINE = -2, ELSEWHERE = -3 };

/* One of the lists that are in the text. */
struct list {
    char name[NAME_BYTES];
    bool standard;
    unsigned entries;
};

/* An entry that was read: its rules are [first, first + n). */
struct span {
    unsigned sequence, line;
    size_t first, n;
};

struct reading {
    struct rill_load *load;
    struct fw_lines lines;
    struct list *list;
    size_t lists_n, lists_room;
    int within; /* number of the list whose entries follow; NONE; ELSEWHERE: what is no list */
    struct span *span;
    size_t spans_n, spans_room;
    struct fw_rules rules; /* as they stand in the text */
    unsigned logs, first_log;
};

static int fail(struct reading *r, const char *what, const char *advice)
{
    rill_load_error(r->load, r->lines.number, "'%s' %s", what != NULL ? what : "", advice);
    return -1;
}

/* One more of `size` bytes; NULL after rill_load_error(). */
static void *grow(struct reading *r, void *list, size_t n, size_t *room, size_t size)
{
    size_t more = *room > 0 ? 2 * *room : 16;

    if (n < *room)
        return list;
    list = reallocarray(list, more, size);
    if (list == NULL)
        return rill_load_error(r->load, r->lines.number, "no memory for so much; free some");
    *room = more;
    return list;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* Number of the list, which is new if need be; -1 after rill_load_error(). */
static int find_list(struct reading *r, const char *name, bool standard)
{
    struct list *list;

    for (size_t i = 0; i < r->lists_n; i++)
        if (strcmp(r->list[i].name, name) == 0) {
            if (r->list[i].standard == standard)
                return (int)i;
            return fail(r, name, "is both standard and extended; give each list a name of its own");
        }
    list = grow(r, r->list, r->lists_n, &r->lists_room, sizeof(*list));
    if (list == NULL)
        return -1;
    r->list = list;
    list = &r->list[r->lists_n];
    *list = (struct list){.standard = standard};
    if ((size_t)snprintf(list->name, sizeof(list->name), "%s", name) >= sizeof(list->name))
        return fail(r, name, "is too long for a list's name");
    return (int)r->lists_n++;
}

/* A list's number says what it is. False: it is none of IP's. */
static bool kind_of_number(unsigned long number, bool *standard)
{
    *standard = (number >= 1 && number <= 99) || (number >= 1300 && number <= 1999);
    return *standard || (number >= 100 && number <= 199) || (number >= 2000 && number <= 2699);
}

static int numbered_list(struct reading *r, const char *word)
{
    unsigned long number;
    bool standard;

    if (word == NULL || !fw_number_read(word, 9999, &number) || !kind_of_number(number, &standard))
        return fail(r, word,
                    "is no IP access list's number: standard ones are 1-99 and 1300-1999, "
                    "extended ones 100-199 and 2000-2699");
    return find_list(r, word, standard);
}

static int named_list(struct reading *r, char **rest)
{
    const char *kind = fw_word(rest), *name = fw_word(rest), *more = fw_word(rest);
    bool standard = kind != NULL && strcasecmp(kind, "standard") == 0, by_number;
    unsigned long number;

    if (kind == NULL || (!standard && strcasecmp(kind, "extended") != 0))
        return fail(r, kind, "is no kind of list: write ip access-list standard|extended NAME");
    if (name == NULL || more != NULL)
        return fail(r, more, "is not understood: write ip access-list standard|extended NAME");
    if (fw_number_read(name, SEQUENCE_MAX, &number) &&
        (!kind_of_number(number, &by_number) || by_number != standard))
        return fail(r, name, "is not that kind of list's number");
    return find_list(r, name, standard);
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(word, *words) == 0)
            return true;
    return false;
}

/* Lines that say where a list is applied, and what may follow them. */
static bool is_elsewhere(struct reading *r, const char *word, const char *second)
{
    static const char *const sections[] = {"interface", "line", NULL};
    static const char *const ends[] = {"exit", "end", NULL};
    static const char *const applied[] = {"access-group", "access-class", NULL};

    if (one_of(word, sections) ||
        (strcasecmp(word, "ipv6") == 0 && second != NULL && strcasecmp(second, "access-list") == 0))
        r->within = ELSEWHERE;
    else if (one_of(word, ends))
        r->within = NONE;
    else
        return one_of(word, applied) ||
               (strcasecmp(word, "ip") == 0 && second != NULL && one_of(second, applied));
    return true;
}

static bool is_remark(const char *entry)
{
    char copy[FW_LINE_BYTES], *rest = copy, *word;
    unsigned long number;

    snprintf(copy, sizeof(copy), "%s", entry);
    word = fw_word(&rest);
    if (word != NULL && fw_number_read(word, SEQUENCE_MAX, &number))
        word = fw_word(&rest);
    return word != NULL && strcasecmp(word, "remark") == 0;
}

/* What the present line is: number of the list of which it holds an entry, from *entry on; NONE if
 * it holds none; BAD_LINE after rill_load_error(). */
static int classify(struct reading *r, char **entry)
{
    char copy[FW_LINE_BYTES], *rest = copy, *word, *second;
    bool indented = r->lines.line[0] == ' ' || r->lines.line[0] == '\t';
    int list;

    memcpy(copy, r->lines.line, sizeof(copy));
    word = fw_word(&rest);
    *entry = r->lines.line;
    if (word[0] == '!')
        return NONE;
    if (strcasecmp(word, "access-list") == 0) {
        fw_word(entry);
        list = numbered_list(r, fw_word(entry));
        r->within = NONE;
        return list >= 0 ? list : BAD_LINE;
    }
    second = fw_word(&rest);
    if (strcasecmp(word, "ip") == 0 && second != NULL && strcasecmp(second, "access-list") == 0) {
        r->within = named_list(r, &rest);
        return r->within >= 0 ? NONE : BAD_LINE;
    }
    if (is_elsewhere(r, word, second) || (r->within == ELSEWHERE && indented))
        return NONE;
    if (r->within >= 0)
        return r->within;
    fail(r, word, "begins no line of an access list; take other configuration out");
    return BAD_LINE;
}

/* The next line with an entry. Number of its list; NONE at the end, BAD_LINE. */
static int next_entry(struct reading *r, char **entry)
{
    while (fw_lines_next(&r->lines)) {
        int list = classify(r, entry);

        if (list == BAD_LINE || (list >= 0 && !is_remark(*entry)))
            return list;
    }
    return r->lines.failed ? BAD_LINE : NONE;
}

static void start(struct reading *r, const char *text, size_t bytes)
{
    fw_lines_start(&r->lines, r->load, text, bytes);
    r->lines.comment = '\0'; /* '#' is none, and a list's name may have it */
    r->within = NONE;
}

/* --- choosing --------------------------------------------------------------------------------- */

static int fail_choice(struct reading *r, const char *name)
{
    char names[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < r->lists_n && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "",
                                 r->list[i].name);
    if (used >= sizeof(names))
        memcpy(names + sizeof(names) - 4, "...", 4);
    if (r->lists_n == 0)
        rill_load_error(r->load, 0,
                        "holds no access list; write one, as in access-list 101 "
                        "permit ip any any");
    else if (name[0] != '\0')
        rill_load_error(r->load, 0, "holds no access list '%s'; there are: %s", name, names);
    else
        rill_load_error(r->load, 0,
                        "holds several access lists; say with access_list, access_list_inbound or "
                        "access_list_outbound which is meant: %s",
                        names);
    return -1;
}

/* Sees all lines, and gives the number of the list that is meant; -1 after rill_load_error(). */
static int choose(struct reading *r, const char *name)
{
    int at, chosen = -1;
    char *entry;

    while ((at = next_entry(r, &entry)) >= 0)
        r->list[at].entries++;
    if (at == BAD_LINE)
        return -1;
    if (name[0] == '\0' && r->lists_n == 1)
        chosen = 0;
    for (size_t i = 0; i < r->lists_n && name[0] != '\0'; i++)
        if (strcmp(r->list[i].name, name) == 0)
            chosen = (int)i;
    if (chosen < 0)
        return fail_choice(r, name);
    if (r->list[chosen].entries > 0)
        return chosen;
    rill_load_error(r->load, 0,
                    "access list %s has no entry; a router would let everything pass: if that is "
                    "meant, write permit ip any any",
                    r->list[chosen].name);
    return -1;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* The entry's place in the list: its number if it has one (*entry goes behind it), else behind the
 * others. 0, or -1 after rill_load_error(). */
static int read_sequence(struct reading *r, char **entry, unsigned last, unsigned *sequence)
{
    char *at = *entry + strspn(*entry, " \t");
    unsigned long number;

    *sequence = last > 0 ? last + SEQUENCE_STEP : FIRST_SEQUENCE;
    if (*at < '0' || *at > '9') {
        if (*sequence <= SEQUENCE_MAX)
            return 0;
        return fail(r, "permit or deny", "needs a lower number before it");
    }
    *entry = at;
    at = fw_word(entry);
    if (!fw_number_read(at, SEQUENCE_MAX, &number) || number == 0)
        return fail(r, at, "is no number of an entry; give 1 to 999999999");
    *sequence = (unsigned)number;
    return 0;
}

static int read_entry(struct reading *r, int list, enum fw_way way, char *text, unsigned *last)
{
    struct fw_ios_entry entry = {
        .lines = &r->lines, .way = way, .standard = r->list[list].standard};
    struct span *span = grow(r, r->span, r->spans_n, &r->spans_room, sizeof(*span));

    if (span == NULL)
        return -1;
    r->span = span;
    span += r->spans_n;
    *span = (struct span){.line = r->lines.number, .first = r->rules.n};
    if (read_sequence(r, &text, *last, &span->sequence) != 0)
        return -1;
    entry.rest = text;
    if (fw_ios_entry_read(&entry, &r->rules) != 0)
        return -1;
    span->n = r->rules.n - span->first;
    r->spans_n++;
    *last = span->sequence > *last ? span->sequence : *last;
    if (entry.logs && r->logs++ == 0)
        r->first_log = span->line;
    return 0;
}

static int by_sequence(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* The rules, in the order of their numbers, to *rules. */
static int put_in_order(struct reading *r, struct fw_rules *rules)
{
    qsort(r->span, r->spans_n, sizeof(*r->span), by_sequence);
    for (size_t i = 0; i < r->spans_n; i++) {
        const struct span *span = &r->span[i];

        if (i > 0 && span[-1].sequence == span->sequence) {
            unsigned low = span[-1].line < span->line ? span[-1].line : span->line;
            unsigned high = span[-1].line + span->line - low;

            rill_load_error(r->load, high, "has the number %u, as line %u has; number them anew",
                            span->sequence, low);
            return -1;
        }
        r->lines.number = span->line;
        for (size_t k = 0; k < span->n; k++)
            if (fw_rules_add(&r->lines, rules, &r->rules.rule[span->first + k]) != 0)
                return -1;
    }
    return 0;
}

static int read_list(struct reading *r, int list, enum fw_way way, struct fw_rules *rules)
{
    struct fw_rule end = fw_ios_deny_all(way);
    unsigned last = 0;
    char *entry;
    int at;

    while ((at = next_entry(r, &entry)) >= 0)
        if (at == list && read_entry(r, list, way, entry, &last) != 0)
            return -1;
    if (at == BAD_LINE || put_in_order(r, rules) != 0 || fw_rules_add(&r->lines, rules, &end) != 0)
        return -1;
    if (r->logs > 0)
        rill_load_skip(r->load, r->first_log,
                       "'log' of access list %s, here and in %u entries more: the firewall writes "
                       "no log",
                       r->list[list].name, r->logs - 1);
    return 0;
}

int fw_ios_read(struct rill_load *load, const char *name, enum fw_way way, const char *text,
                size_t bytes, struct fw_rules *rules)
{
    struct reading r = {.load = load};
    int list, rc = -1;

    start(&r, text, bytes);
    list = choose(&r, name);
    if (list >= 0) {
        start(&r, text, bytes);
        rc = read_list(&r, list, way, rules);
    }
    fw_rules_fini(&r.rules);
    free(r.list);
    free(r.span);
    return rc;
}
