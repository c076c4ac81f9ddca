#include "cli/fail.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/args.h"

enum { WORD_BYTES = 64 };

static int take_kind(const char *word, struct rill_fail *fail)
{
    static const enum rill_role_kind kinds[] = {RILL_ROLE_UNIT, RILL_ROLE_OUTPUT_LOGGER,
                                                RILL_ROLE_CONTROLLER, RILL_ROLE_RM,
                                                RILL_ROLE_AGENT};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(word, rill_role_kind_name(kinds[i])) != 0)
            continue;
        fail->kind = kinds[i];
        return 0;
    }
    return -EINVAL;
}

/* Before the number: "unit:3", or "unit-3" as `rill status` writes it. NULL: there is no number. */
static const char *separator(const char *text)
{
    const char *at = strchr(text, ':');

    if (at == NULL)
        at = strrchr(text, '-');
    return at != NULL && *at == '-' && !isdigit((unsigned char)at[1]) ? NULL : at;
}

int rill_fail_role(const char *text, struct rill_fail *fail, struct rill_error *err)
{
    const char *colon = separator(text);
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    char word[WORD_BYTES];
    uint64_t number = 0;

    snprintf(word, sizeof(word), "%.*s", (int)(length < WORD_BYTES ? length : 0), text);
    *fail = (struct rill_fail){.text = text};
    if (take_kind(word, fail) != 0)
        return rill_error_set(err, -EINVAL,
                              "'%.80s': the role is unit:N, output-logger:N, controller:N, rm or "
                              "agent",
                              text);
    if (fail->kind == RILL_ROLE_RM || fail->kind == RILL_ROLE_AGENT)
        return colon == NULL ? 0
                             : rill_error_set(err, -EINVAL,
                                              "'%.80s': there is one %s on a machine; leave out "
                                              "the number",
                                              text, word);
    if (colon == NULL || rill_args_u64(colon + 1, &number) != 0 || number == 0 ||
        number > RILL_ROLE_NUMBER_MAX)
        return rill_error_set(err, -EINVAL, "'%.80s': which %s? Its number follows, like %s:1",
                              text, word, word);
    fail->number = (uint32_t)number;
    return 0;
}

int rill_fail_parse(const char *text, struct rill_fail *fail, struct rill_error *err)
{
    const char *at = strchr(text, '@');
    char role[WORD_BYTES];
    int rc;

    if (at == NULL || at - text >= WORD_BYTES)
        return rill_error_set(err, -EINVAL, "'%.80s': it is ROLE:N@TIME, like unit:2@1.5s", text);
    snprintf(role, sizeof(role), "%.*s", (int)(at - text), text);
    rc = rill_fail_role(role, fail, err);
    fail->text = text;
    if (rc == 0 && rill_args_time(at + 1, &fail->at_ns) != 0)
        rc = rill_error_set(err, -EINVAL,
                            "'%.80s': the time is counted from the first packet and has a unit, "
                            "like 1.5s or 300ms",
                            text);
    return rc;
}
