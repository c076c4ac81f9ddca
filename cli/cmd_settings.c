#include <stdio.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "lib/config/config.h"
#include "lib/config/settings.h"

struct request {
    struct rill_config *settings;
    const char *config;
};

static int take_config(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct request *)target)->config = value;
    return 0;
}

static int take_set(void *target, const char *value, struct rill_error *err)
{
    (void)target;
    (void)value;
    (void)err;
    return 0;
}

/* --set outranks the file, wherever it stands: so it is applied in a second pass. */
static int apply_set(void *target, const char *value, struct rill_error *err)
{
    return rill_config_set_pair(((struct request *)target)->settings, value, err);
}

#define CONFIG_DOC "as this deployment file (YAML) sets them"
#define SET_DOC "as this would set one; may be given again"

static const struct rill_arg first_pass[] = {
    {"config", "FILE", CONFIG_DOC, false, NULL, take_config},
    {"set", "NAME=VALUE", SET_DOC, true, NULL, take_set},
    {0},
};
static const struct rill_arg second_pass[] = {
    {"config", "FILE", CONFIG_DOC, false, NULL, take_config},
    {"set", "NAME=VALUE", SET_DOC, true, NULL, apply_set},
    {0},
};

static int apply_file(struct request *request, struct rill_error *err)
{
    struct rill_config_file *file = NULL;
    int rc;

    if (request->config == NULL)
        return 0;
    rc = rill_config_file_open(request->config, &file, err);
    if (rc == 0)
        rc = rill_config_file_apply(file, "settings", request->settings, err);
    rill_config_file_close(file);
    return rc;
}

static void help(void)
{
    puts("usage: rill settings [OPTION...]\n"
         "\n"
         "Lists Rill's settings: value, unit, what is allowed, default, where the value comes "
         "from.\n");
    rill_args_help(first_pass, stdout);
}

int rill_cmd_settings(int argc, char **argv)
{
    struct request request = {0};
    struct rill_args args = {.table = first_pass, .target = &request};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0) {
        help();
        return RILL_EXIT_DONE;
    }
    if (rc == 0) {
        request.settings = rill_config_create(rill_settings_schema, &err);
        rc = request.settings != NULL ? apply_file(&request, &err) : -1;
    }
    if (rc == 0) {
        args.table = second_pass;
        rc = rill_args_parse(&args, argc, argv, &err);
    }
    if (rc == 0)
        rill_config_print(request.settings, stdout);
    rill_config_destroy(request.settings);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("settings", err.text);
}
