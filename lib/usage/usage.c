#include "lib/usage/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Names are those of deployments and roles, which hold nothing that JSON would escape; anything
 * else becomes a dash. */
static void write_name(FILE *to, const char *key, const char *name)
{
    fprintf(to, ",\"%s\":\"", key);
    for (; *name != '\0'; name++)
        fputc(*name > ' ' && *name < 127 && *name != '"' && *name != '\\' ? *name : '-', to);
    fputc('"', to);
}

void rill_usage_write(FILE *to, const struct rill_usage_record *r)
{
    fprintf(to, "{\"sequence\":%" PRIu64 ",\"start_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64,
            r->sequence, r->start_ns, r->end_ns);
    write_name(to, "deployment", r->deployment);
    write_name(to, "role", r->role);
    fprintf(to, ",\"final\":%s", r->final ? "true" : "false");
#define X(name) fprintf(to, ",\"" #name "\":%" PRIu64, r->counts.name);
    RILL_USAGE_COUNTS(X)
#undef X
    fputs("}\n", to);
}

/* Where the value of that key begins; NULL if it is not there. Names hold no quotes, so a key's
 * are unmistakable. */
static const char *value_of(const char *line, const char *key)
{
    char quoted[RILL_USAGE_NAME_BYTES];
    const char *at;

    snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    at = strstr(line, quoted);
    return at == NULL ? NULL : at + strlen(quoted);
}

static bool read_number(const char *line, const char *key, uint64_t *number)
{
    const char *at = value_of(line, key);
    char *end;

    if (at == NULL || *at < '0' || *at > '9')
        return false;
    errno = 0;
    *number = strtoull(at, &end, 10);
    return errno == 0 && (*end == ',' || *end == '}');
}

static bool read_name(const char *line, const char *key, char name[RILL_USAGE_NAME_BYTES])
{
    const char *at = value_of(line, key);
    const char *end = at == NULL || *at != '"' ? NULL : strchr(at + 1, '"');
    size_t bytes = end == NULL ? 0 : (size_t)(end - at - 1);

    if (end == NULL || bytes >= RILL_USAGE_NAME_BYTES)
        return false;
    memcpy(name, at + 1, bytes);
    name[bytes] = '\0';
    return true;
}

int rill_usage_read(const char *line, struct rill_usage_record *r)
{
    const char *final = value_of(line, "final");
    bool good = line[0] == '{' && strchr(line, '}') != NULL;

    *r = (struct rill_usage_record){.final = final != NULL && strncmp(final, "true", 4) == 0};
    good = good && final != NULL && read_number(line, "sequence", &r->sequence) &&
           read_number(line, "start_ns", &r->start_ns) && read_number(line, "end_ns", &r->end_ns) &&
           read_name(line, "deployment", r->deployment) && read_name(line, "role", r->role);
#define X(name) good = good && read_number(line, #name, &r->counts.name);
    RILL_USAGE_COUNTS(X)
#undef X
    return good ? 0 : -EINVAL;
}
