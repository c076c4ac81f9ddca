#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfs/ids/rules_internal.h"

bool ids_refuse(struct ids_reader *r, const char *what, const char *text)
{
    snprintf(r->why, IDS_WHY_BYTES, "%s '%.60s'", what, text);
    return false;
}

static bool refuse_plainly(struct ids_reader *r, const char *what)
{
    snprintf(r->why, IDS_WHY_BYTES, "%s", what);
    return false;
}

/* --- contents --------------------------------------------------------------------------------- */

static struct ids_content *last_content(struct ids_reader *r)
{
    return r->rule->n_contents > 0 ? &r->rule->contents[r->rule->n_contents - 1] : NULL;
}

/* A number that stands after a modifier's name. */
static bool modifier_number(struct ids_reader *r, const char *name, const char *value, int64_t low,
                            int64_t *number)
{
    return ids_read_number(value, low, IDS_OFFSET_MAX, number) || ids_refuse(r, name, value);
}

/* True for a modifier of contents; *ok says whether it could be used. */
static bool read_modifier(struct ids_reader *r, const char *name, const char *value, bool *ok)
{
    struct ids_content *c = last_content(r);
    int64_t number = 0;
    bool numeric = true;

    if (strcmp(name, "nocase") == 0 || strcmp(name, "rawbytes") == 0 ||
        strcmp(name, "startswith") == 0 || strcmp(name, "fast_pattern") == 0 ||
        strcmp(name, "fast_pattern_offset") == 0 || strcmp(name, "fast_pattern_length") == 0)
        numeric = false;
    else if (strcmp(name, "offset") != 0 && strcmp(name, "depth") != 0 &&
             strcmp(name, "distance") != 0 && strcmp(name, "within") != 0)
        return false;
    *ok = c != NULL || ids_refuse(r, "no content before", name);
    if (numeric)
        *ok = *ok && modifier_number(r, name, value, name[1] == 'i' ? -IDS_OFFSET_MAX : 0, &number);
    if (!*ok)
        return true;
    if (strcmp(name, "nocase") == 0) {
        c->nocase = true;
    } else if (strcmp(name, "fast_pattern") == 0) {
        c->fast = true;
    } else if (strcmp(name, "startswith") == 0) {
        *ok = (!c->has_offset && !c->has_depth) || ids_refuse(r, "two places for a content:", name);
        c->has_offset = c->has_depth = true;
        c->depth = c->length;
    } else if (strcmp(name, "offset") == 0) {
        *ok = !c->has_offset || ids_refuse(r, "twice", name);
        c->has_offset = true;
        c->offset = (uint32_t)number;
    } else if (strcmp(name, "depth") == 0) {
        *ok = !c->has_depth || ids_refuse(r, "twice", name);
        c->has_depth = true;
        c->depth = (uint32_t)number;
    } else if (strcmp(name, "distance") == 0) {
        c->relative = true;
        c->distance = (int32_t)number;
    } else if (strcmp(name, "within") == 0) {
        c->relative = c->has_within = true;
        c->within = (uint32_t)number;
    }
    return true;
}

/* Snort 3 has a content's modifiers behind it: content:"x",nocase,offset 3 */
static bool read_modifiers(struct ids_reader *r, char *text)
{
    while (text != NULL) {
        char *comma = strchr(text, ','), *value;
        bool ok = false;

        if (comma != NULL)
            *comma++ = '\0';
        text = ids_trim(text);
        value = text + strcspn(text, " \t");
        if (*value != '\0')
            *value++ = '\0';
        if (!read_modifier(r, text, ids_trim(value), &ok))
            return ids_refuse(r, "modifier", text);
        if (!ok)
            return false;
        text = comma;
    }
    return true;
}

/* The comma after the closing quote, cut off; NULL if there is none. */
static char *cut_modifiers(char *value)
{
    char *quote = strrchr(value, '"'), *comma = quote != NULL ? strchr(quote, ',') : NULL;

    if (comma == NULL)
        return NULL;
    *comma = '\0';
    ids_trim(value);
    return comma + 1;
}

static bool read_content(struct ids_reader *r, char *value)
{
    char *modifiers = cut_modifiers(value);
    struct ids_content *c = ids_grow(&r->rule->contents, r->rule->n_contents, sizeof(*c));
    uint8_t bytes[IDS_PATTERN_BYTES_MAX];

    if (c == NULL)
        return ids_refuse(r, "no memory for", "content");
    if (!ids_unquote(&value, &c->negated))
        return ids_refuse(r, "content without quotes:", value);
    c->length = ids_read_bytes(value, bytes);
    c->bytes = c->length > 0 ? malloc(c->length) : NULL;
    if (c->bytes == NULL)
        return ids_refuse(r, "content that is empty, too long or can't be read:", value);
    memcpy(c->bytes, bytes, c->length);
    c->after_pcre = r->pcre_since;
    r->pcre_since = r->pcre_since && c->negated;
    r->content_before = r->content_before || !c->negated;
    r->rule->n_contents++;
    return modifiers == NULL || read_modifiers(r, modifiers);
}

/* --- checks and tests ------------------------------------------------------------------------- */

bool ids_may_be_relative(struct ids_reader *r, const char *what)
{
    if (r->content_before && !r->pcre_since)
        return true;
    return ids_refuse(
        r, r->pcre_since ? "relative to a pcre:" : "relative, with no content before:", what);
}

static bool read_check(struct ids_reader *r, const char *name, char *value)
{
    struct ids_rule *rule = r->rule;
    struct ids_check *check = ids_grow(&rule->checks, rule->n_checks, sizeof(*check));

    if (check == NULL)
        return ids_refuse(r, "no memory for", name);
    if (!ids_check_read(name, value, check, r->why))
        return false;
    check->after = rule->n_contents;
    rule->n_checks++;
    if (check->relative && !ids_may_be_relative(r, name))
        return false;
    if (r->stream && check->kind == IDS_IS_DATA_AT && check->negated)
        return ids_refuse(r, "on a stream, whose end is not known:", "isdataat:!...");
    return true;
}

static bool read_test(struct ids_reader *r, const char *name, char *value)
{
    struct ids_rule *rule = r->rule;
    struct ids_test *test = ids_grow(&rule->tests, rule->n_tests, sizeof(*test));

    if (test == NULL)
        return ids_refuse(r, "no memory for", name);
    rule->n_tests++;
    return ids_test_read(name, value, r->header, test, r->why);
}

/* --- flow, and the rest ----------------------------------------------------------------------- */

static bool read_flow(struct ids_reader *r, char *value)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {
        {"to_server", IDS_TO_SERVER},
        {"from_client", IDS_TO_SERVER},
        {"to_client", IDS_TO_CLIENT},
        {"from_server", IDS_TO_CLIENT},
        {"established", IDS_ESTABLISHED},
        {"not_established", IDS_NOT_ESTABLISHED},
        {"stateless", 0},
    };
    unsigned *flow = &r->rule->flow;

    for (char *save = NULL, *w = strtok_r(value, ",", &save); w != NULL;
         w = strtok_r(NULL, ",", &save)) {
        size_t i = 0;

        w = ids_trim(w);
        while (i < sizeof(words) / sizeof(words[0]) && strcmp(words[i].word, w) != 0)
            i++;
        if (i == sizeof(words) / sizeof(words[0]))
            return ids_refuse(r, "flow", w);
        *flow |= words[i].bit;
    }
    if (*flow != 0 && r->header->proto != RILL_TCP && r->header->proto != RILL_UDP)
        return refuse_plainly(r, "flow of a protocol that has no connections");
    if ((*flow & (IDS_TO_SERVER | IDS_TO_CLIENT)) == (IDS_TO_SERVER | IDS_TO_CLIENT) ||
        (*flow & (IDS_ESTABLISHED | IDS_NOT_ESTABLISHED)) ==
            (IDS_ESTABLISHED | IDS_NOT_ESTABLISHED))
        return ids_refuse(r, "flow that can't be:", "both of two opposites");
    return true;
}

static bool read_id(struct ids_reader *r, const char *name, const char *value, uint32_t *id)
{
    int64_t number;

    if (!ids_read_number(value, 0, UINT32_MAX, &number))
        return ids_refuse(r, name, value);
    *id = (uint32_t)number;
    return true;
}

static bool read_msg(struct ids_reader *r, char *value)
{
    bool negated;

    if (!ids_unquote(&value, &negated) || negated || r->rule->msg != NULL)
        return ids_refuse(r, "msg", value);
    r->rule->msg = ids_plain_text(value);
    return r->rule->msg != NULL || ids_refuse(r, "no memory for", "msg");
}

static bool read_class(struct ids_reader *r, const char *value)
{
    uint32_t priority;

    if (r->rule->category != NULL)
        return ids_refuse(r, "twice", "classtype");
    r->rule->category = ids_plain_text(ids_class_text(value, &priority));
    if (r->rule->severity == 0)
        r->rule->severity = priority;
    return r->rule->category != NULL || ids_refuse(r, "no memory for", "classtype");
}

/* "300", "<300", ">300"; "300<>400" has both ends in it, as in Snort 2. */
static bool read_dsize(struct ids_reader *r, char *value)
{
    struct ids_rule *rule = r->rule;
    char *between = strstr(value, "<>");
    int64_t low = 0, high = IDS_DSIZE_MAX;
    bool ok;

    if (rule->has_dsize)
        return ids_refuse(r, "twice", "dsize");
    rule->has_dsize = true;
    if (between != NULL) {
        *between = '\0';
        ok = ids_read_number(ids_trim(value), 0, IDS_DSIZE_MAX, &low) &&
             ids_read_number(ids_trim(between + 2), 0, IDS_DSIZE_MAX, &high);
    } else if (*value == '<' || *value == '>') {
        bool less = *value == '<';

        ok = ids_read_number(ids_trim(value + 1), 0, IDS_DSIZE_MAX, less ? &high : &low);
        high -= less;
        low += !less;
    } else {
        ok = ids_read_number(value, 0, IDS_DSIZE_MAX, &low);
        high = low;
    }
    if (!ok || low > high)
        return ids_refuse(r, "dsize", value);
    rule->dsize_low = (uint32_t)low;
    rule->dsize_high = (uint32_t)high;
    return true;
}

/* Metadata with words that Snort 2 heeds in choosing rules is a mere note here, as in Snort without
 * a table of hosts. */
static bool is_note(const char *name)
{
    return strcmp(name, "metadata") == 0 || strcmp(name, "reference") == 0 ||
           strcmp(name, "rem") == 0;
}

static bool read_option(struct ids_reader *r, char *name, char *value)
{
    struct ids_rule *rule = r->rule;
    bool ok;

    if (is_note(name))
        return true;
    if (strcmp(name, "content") == 0)
        return read_content(r, value);
    if (read_modifier(r, name, value, &ok))
        return ok;
    if (strcmp(name, "pcre") == 0)
        return ids_pcre_read(r, value);
    if (strcmp(name, "flow") == 0)
        return read_flow(r, value);
    if (strcmp(name, "dsize") == 0)
        return read_dsize(r, value);
    if (strcmp(name, "isdataat") == 0 || strcmp(name, "byte_test") == 0)
        return read_check(r, name, value);
    if (ids_is_test(name))
        return read_test(r, name, value);
    if (strcmp(name, "msg") == 0)
        return read_msg(r, value);
    if (strcmp(name, "classtype") == 0)
        return read_class(r, value);
    if (strcmp(name, "sid") == 0) {
        r->has_sid = true;
        return read_id(r, "sid", value, &rule->sid);
    }
    if (strcmp(name, "rev") == 0)
        return read_id(r, "rev", value, &rule->rev);
    if (strcmp(name, "gid") == 0)
        return read_id(r, "gid", value, &rule->gid);
    if (strcmp(name, "priority") == 0)
        return read_id(r, "priority", value, &rule->severity);
    return ids_refuse(r, "keyword", name);
}

/* --- what the options say together ------------------------------------------------------------ */

static bool judge_content(struct ids_reader *r, const struct ids_content *c, bool first)
{
    bool bounded = c->relative ? c->has_within : c->has_depth;

    if (c->relative && (c->has_offset || c->has_depth))
        return refuse_plainly(r, "offset or depth together with distance or within");
    if (c->relative && c->after_pcre)
        return refuse_plainly(r, "content relative to a pcre");
    if (c->relative && first)
        return refuse_plainly(r, "distance or within with no content before that is not negated");
    if ((c->has_depth && c->depth < c->length) || (c->has_within && c->within < c->length))
        return refuse_plainly(r, "depth or within shorter than the content");
    if (c->negated && c->fast)
        return refuse_plainly(r, "fast_pattern of a negated content");
    if (c->negated && r->stream && c->distance < 0)
        return refuse_plainly(r, "negated content on a stream with a distance below 0");
    if (c->negated && r->stream && (!bounded || !c->relative))
        return refuse_plainly(r, "negated content on a stream without within");
    return true;
}

/* Folds, checks, and chooses the content by which the rule is found: the one that says so, else the
 * longest. */
static bool judge_contents(struct ids_reader *r)
{
    struct ids_rule *rule = r->rule;
    struct ids_content *fast = NULL;
    bool first = true;

    for (uint32_t i = 0; i < rule->n_contents; i++) {
        struct ids_content *c = &rule->contents[i];

        for (uint32_t k = 0; c->nocase && k < c->length; k++)
            c->bytes[k] = ids_fold(c->bytes[k]);
        if (!judge_content(r, c, first))
            return false;
        first = first && c->negated;
        if (c->negated)
            continue;
        if (fast == NULL || (c->fast && !fast->fast) ||
            (c->fast == fast->fast && c->length > fast->length))
            fast = c;
    }
    rule->bare = fast == NULL;
    if (rule->bare)
        return !r->stream || refuse_plainly(r, "no content to search for");
    rule->fast = (uint32_t)(fast - rule->contents);
    rule->plain = rule->n_contents == 1 && rule->n_pcres == 0 && rule->n_checks == 0 &&
                  rule->n_tests == 0 && !rule->has_dsize;
    return true;
}

static bool read_one(struct ids_reader *r, char *option)
{
    char *colon = strchr(option, ':'), *value = option + strlen(option);

    if (colon != NULL) {
        *colon = '\0';
        value = ids_trim(colon + 1);
    }
    return read_option(r, ids_trim(option), value);
}

/* The next ';' that stands in no quotes, or NULL. */
static char *option_end(char *p)
{
    bool quoted = false;

    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (*p == ';' && !quoted)
            return p;
    }
    return NULL;
}

/* Of the packet alone, or of the payload. */
static bool is_of_packet(const char *name)
{
    return strcmp(name, "dsize") == 0 || ids_is_test(name);
}

static bool is_of_payload(const char *name)
{
    static const char *const names[] = {"content", "pcre", "isdataat", "byte_test"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* What a rule is judged on has to be known before its options are: on TCP, the stream, if it looks
 * for something in the payload and at nothing of the packet. */
static bool is_of_stream(const struct ids_header *header, char *text)
{
    bool payload = false;

    for (char *end; (end = option_end(text)) != NULL; text = end + 1) {
        char name[16];

        text += strspn(text, " \t");
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, " \t:;"), text);
        if (is_of_packet(name))
            return false;
        payload = payload || is_of_payload(name);
    }
    return header->proto == RILL_TCP && payload;
}

bool ids_options_read(struct ids_rule *rule, const struct ids_header *header, char *text,
                      char why[IDS_WHY_BYTES])
{
    struct ids_reader r = {.rule = rule, .header = header, .why = why};

    r.stream = rule->stream = is_of_stream(header, text);
    rule->dsize_high = IDS_DSIZE_MAX;
    rule->gid = 1;
    for (text = ids_trim(text); *text != '\0'; text = ids_trim(text)) {
        char *end = option_end(text);

        if (end == NULL)
            return ids_refuse(&r, "an option without ';' at its end:", text);
        *end = '\0';
        if (!read_one(&r, text))
            return false;
        text = end + 1;
    }
    if (!r.has_sid)
        return refuse_plainly(&r, "no sid");
    if (rule->severity == 0)
        rule->severity = 3;
    return judge_contents(&r);
}

void ids_rule_free(struct ids_rule *rule)
{
    for (uint32_t i = 0; i < rule->n_contents; i++)
        free(rule->contents[i].bytes);
    for (uint32_t i = 0; i < rule->n_pcres; i++)
        ids_regex_free(rule->pcres[i].regex);
    for (uint32_t i = 0; i < rule->n_checks; i++)
        ids_regex_free(rule->checks[i].regex);
    free(rule->contents);
    free(rule->pcres);
    free(rule->checks);
    free(rule->tests);
    free(rule->msg);
    free(rule->category);
    *rule = (struct ids_rule){.msg = NULL};
}
