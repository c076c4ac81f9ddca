/* The configuration store, for people: lib/objects/objects.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "lib/objects/objects.h"

struct request {
    const char *store;
    const char *words[3]; /* put NAME FILE; get NAME; list */
    int count;
};

static int take_word(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->count == 3)
        return rill_error_set(err, -EINVAL, "'%.100s': nothing follows the file", text);
    r->words[r->count++] = text;
    return 0;
}

static int take_store(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct request *)target)->store = value;
    return 0;
}

static const struct rill_arg table[] = {
    {"store", "ADDRESS",
     "a folder (default: the current one), redis://HOST:PORT[/PREFIX] or redis+unix:/PATH[:PREFIX]",
     false, NULL, take_store},
    {0},
};

static int help(void)
{
    puts("usage: rill store put NAME FILE [--store ADDRESS]\n"
         "       rill store get NAME [--store ADDRESS]\n"
         "       rill store list [--store ADDRESS]\n"
         "\n"
         "Objects that network functions read beside their options: rule sets, lists of backends.\n"
         "put writes a new version in one step; those that use it take it up by themselves.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

static int put(struct rill_objects *objects, const char *name, const char *file,
               struct rill_error *err)
{
    char version[RILL_OBJECT_VERSION_BYTES];
    struct rill_objects_text text;
    int rc = rill_objects_read_file(file, &text, err);

    if (rc != 0)
        return rc;
    rc = rill_objects_put(objects, name, text.bytes, text.count, version, err);
    free(text.bytes);
    if (rc == 0)
        printf("%s: version %s, %zu bytes\n", name, version, text.count);
    return rc;
}

static int get(struct rill_objects *objects, const char *name, struct rill_error *err)
{
    struct rill_objects_text text;
    int rc = rill_objects_get(objects, name, &text, err);

    if (rc == 0)
        fwrite(text.bytes, 1, text.count, stdout);
    free(text.bytes);
    return rc;
}

static void print_one(void *arg, const char *name, const char *version, size_t bytes)
{
    (void)arg;
    rill_format_name(stdout, name);
    printf("  ");
    rill_format_name(stdout, version);
    printf("  %zu bytes\n", bytes);
}

static int run(const struct request *r, struct rill_error *err)
{
    static const struct {
        const char *word;
        int count;
    } forms[] = {{"put", 3}, {"get", 2}, {"list", 1}};
    struct rill_objects *objects;
    size_t form = 0;
    int rc;

    while (form < 3 && (r->count == 0 || strcmp(r->words[0], forms[form].word) != 0))
        form++;
    if (form == 3 || r->count != forms[form].count)
        return rill_error_set(err, -EINVAL, "it is: put NAME FILE, get NAME, or list");
    objects = rill_objects_open(r->store != NULL ? r->store : ".", err);
    if (objects == NULL)
        return -EINVAL;
    if (form == 0)
        rc = put(objects, r->words[1], r->words[2], err);
    else if (form == 1)
        rc = get(objects, r->words[1], err);
    else
        rc = rill_objects_list(objects, print_one, NULL, err);
    rill_objects_close(objects);
    return rc;
}

int rill_cmd_store(int argc, char **argv)
{
    struct request request = {0};
    const struct rill_args args = {.table = table, .target = &request, .positional = take_word};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = run(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("store", err.text);
}
