#include "backends_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends.h"

enum { LINE_BYTES = 256, ERROR_BYTES = 128 };

static const char blanks[] = " \t\r";

/* What may stand behind a server. False: it is none of that. */
static bool read_word(const char *word, struct server *server)
{
    static const char weight[] = "weight=";
    unsigned long value;
    char *end;

    if (strcmp(word, "drain") == 0 || strcmp(word, "down") == 0) {
        if (server->state != SERVER_UP)
            return false;
        server->state = word[1] == 'r' ? SERVER_DRAIN : SERVER_DOWN;
        return true;
    }
    if (strncmp(word, weight, sizeof(weight) - 1) != 0)
        return false;
    word += sizeof(weight) - 1;
    value = word[0] >= '1' && word[0] <= '9' ? strtoul(word, &end, 10) : 0;
    if (value == 0 || *end != '\0' || value > BACKEND_WEIGHT_MAX)
        return false;
    server->weight = (uint16_t)value;
    return true;
}

/* A line without its comment. False after an error. */
static bool read_line(struct rill_load *load, unsigned line, char *text, struct backends *backends)
{
    struct server server;
    char *save = NULL, *name = strtok_r(text, blanks, &save);
    const char *fault;

    if (name == NULL)
        return true;
    if (!server_read(name, &server)) {
        rill_load_error(load, line,
                        "'%s' is not a unicast ADDRESS, IPV4:PORT or [IPV6]:PORT; write it like "
                        "192.0.2.10:80 or [2001:db8::10]:80",
                        name);
        return false;
    }
    for (char *word; (word = strtok_r(NULL, blanks, &save)) != NULL;) {
        if (!read_word(word, &server)) {
            rill_load_error(load, line,
                            "'%s': what may follow a server is weight=1 to weight=%d, and one of "
                            "drain and down",
                            word, BACKEND_WEIGHT_MAX);
            return false;
        }
    }
    fault = backends_add(backends, &server);
    if (fault != NULL)
        rill_load_error(load, line, "'%s' %s", name, fault);
    return fault == NULL;
}

/* Cuts one line off the text, into `line`. False: it is longer than any that makes sense. */
static bool next_line(const char **text, const char *end, char line[LINE_BYTES])
{
    const char *newline = memchr(*text, '\n', (size_t)(end - *text));
    size_t bytes = (size_t)((newline != NULL ? newline : end) - *text);
    char *comment;

    if (bytes >= LINE_BYTES)
        return false;
    memcpy(line, *text, bytes);
    line[bytes] = '\0';
    comment = strchr(line, '#');
    if (comment != NULL)
        *comment = '\0';
    *text = newline != NULL ? newline + 1 : end;
    return true;
}

static bool read_all(struct rill_load *load, const char *text, size_t bytes,
                     struct backends *backends)
{
    const char *end = text + bytes;
    char buffer[LINE_BYTES];

    if (bytes > 0 && memchr(text, '\0', bytes) != NULL) {
        rill_load_error(load, 0, "is no text: there is a zero byte in it");
        return false;
    }
    for (unsigned line = 1; text < end; line++) {
        if (!next_line(&text, end, buffer)) {
            rill_load_error(load, line, "is longer than %d bytes; one server a line", LINE_BYTES);
            return false;
        }
        if (!read_line(load, line, buffer, backends))
            return false;
    }
    if (backends->four.n + backends->six.n > 0)
        return true;
    rill_load_error(load, 0, "has no server; give at least one");
    return false;
}

static void *load_backends(struct rill_load *load, const struct rill_config *config,
                           const char *text, size_t bytes)
{
    struct backends *backends = backends_new();
    char why[ERROR_BYTES];
    const char *fault = NULL;

    if (backends == NULL)
        return rill_load_error(load, 0, "no memory");
    if (read_all(load, text, bytes, backends)) {
        fault =
            backends_build(backends, rill_config_enum(config, "hash"),
                           (uint32_t)rill_config_u64(config, "maglev_entries"), why, sizeof(why));
        if (fault == NULL)
            return backends;
        rill_load_error(load, 0, "%s", fault);
    }
    backends_free(backends);
    return NULL;
}

static void unload_backends(void *backends)
{
    backends_free(backends);
}

const struct rill_object_type backends_object_type = {.load = load_backends,
                                                      .unload = unload_backends};
