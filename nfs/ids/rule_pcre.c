/* Reads regular expressions: pcre:"/expression/flags". */
#include <stdio.h>
#include <string.h>

#include "nfs/ids/rules_internal.h"

/* A window of a stream begins and ends anywhere, so there nothing may ask for the beginning or end
 * of the data, nor for the byte beside it. With `from_known`, where it begins is certain: only what
 * looks at its end is of that kind. */
static bool has_anchor(const char *e, bool from_known)
{
    const char *escapes = from_known ? "bBzZGK" : "bBAzZGK";
    bool set = false;

    for (; *e != '\0'; e++) {
        if (*e == '\\') {
            if (e[1] == '\0' || (!set && strchr(escapes, e[1]) != NULL))
                return true;
            e++;
        } else if (set) {
            set = *e != ']';
        } else if (*e == '[') {
            set = true;
            e += e[1] == '^';
            e += e[1] == ']';
        } else if ((*e == '^' && !from_known) || *e == '$') {
            return true;
        }
    }
    return false;
}

/* Cuts "/expression/flags" in two. NULL if it is not of that form. */
static char *cut_flags(char *value, char **flags)
{
    char *slash = strrchr(value, '/');

    if (value[0] != '/' || slash == value || slash == NULL)
        return NULL;
    *slash = '\0';
    *flags = slash + 1;
    return value + 1;
}

/* B and O change nothing here: nothing is decoded, and there is no limit. */
static bool read_flags(struct ids_reader *r, const char *text, unsigned *flags, bool *relative)
{
    *flags = 0;
    *relative = false;
    for (; *text != '\0'; text++) {
        const char *known = strchr("ismRBO", *text);
        char flag[2] = {*text, '\0'};

        if (known == NULL)
            return ids_refuse(r, "pcre flag", flag);
        *flags |= *text == 'i'   ? IDS_REGEX_I
                  : *text == 's' ? IDS_REGEX_S
                  : *text == 'm' ? IDS_REGEX_M
                                 : 0;
        *relative = *relative || *text == 'R';
    }
    return true;
}

/* The expression's place in the rule: among the pcres or, with flag R, among the checks. */
static struct ids_regex **add_pcre(struct ids_reader *r, bool negated, bool relative, bool anchored)
{
    struct ids_rule *rule = r->rule;
    struct ids_pcre *pcre;
    struct ids_check *check;

    if (!relative) {
        pcre = ids_grow(&rule->pcres, rule->n_pcres, sizeof(*pcre));
        if (pcre == NULL)
            return NULL;
        pcre->negated = negated;
        rule->n_pcres++;
        return &pcre->regex;
    }
    check = ids_grow(&rule->checks, rule->n_checks, sizeof(*check));
    if (check == NULL)
        return NULL;
    *check = (struct ids_check){.kind = IDS_PCRE_FROM,
                                .relative = true,
                                .after = rule->n_contents,
                                .negated = negated,
                                .anchored = anchored};
    rule->n_checks++;
    return &check->regex;
}

bool ids_pcre_read(struct ids_reader *r, char *value)
{
    char *expression, *flag_text = NULL, why[IDS_WHY_BYTES];
    bool negated, relative;
    struct ids_regex **place;
    unsigned flags;

    if (!ids_unquote(&value, &negated) || (expression = cut_flags(value, &flag_text)) == NULL)
        return ids_refuse(r, "pcre that is not \"/expression/flags\":", value);
    if (!read_flags(r, flag_text, &flags, &relative) ||
        (relative && !ids_may_be_relative(r, "pcre")))
        return false;
    if (r->stream && negated)
        return ids_refuse(r, "negated pcre on a stream:", expression);
    if (r->stream && has_anchor(expression, relative))
        return ids_refuse(r, "pcre with an anchor (^ $ \\b ...) on a stream:", expression);
    place = add_pcre(r, negated, relative, has_anchor(expression, false));
    if (place == NULL)
        return ids_refuse(r, "no memory for", "pcre");
    *place = ids_regex_compile(expression, flags, why);
    if (*place == NULL) {
        snprintf(r->why, IDS_WHY_BYTES, "pcre: %.150s", why);
        return false;
    }
    r->pcre_since = r->pcre_since || !negated;
    return true;
}
