#include "cli/nf_input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/nf_path.h"
#include "lib/config/settings.h"

static int read_settings(const struct rill_nf_request *request, struct rill_nf_input *input,
                         struct rill_error *err)
{
    int rc = 0;

    input->settings = rill_config_create(rill_settings_schema, err);
    if (input->settings == NULL)
        return -ENOMEM;
    if (request->config != NULL) {
        rc = rill_config_file_open(request->config, &input->file, err);
        if (rc == 0)
            rc = rill_config_file_apply(input->file, "settings", input->settings, err);
    }
    for (size_t i = 0; rc == 0 && i < request->set_count; i++)
        rc = rill_config_set_pair(input->settings, request->sets[i], err);
    return rc;
}

/* The NF that was asked for. A path in a deployment file is relative to that file. */
static const char *nf_name(const struct rill_nf_request *request, const struct rill_nf_input *input,
                           char *buf, size_t bytes)
{
    const char *name = request->nf != NULL ? request->nf : rill_config_file_nf(input->file);
    const char *config = request->config;
    const char *slash = request->nf == NULL ? strrchr(config, '/') : NULL;

    if (slash == NULL || name[0] == '/' || strchr(name, '/') == NULL)
        return name;
    snprintf(buf, bytes, "%.*s/%s", (int)(slash - config), config, name);
    return buf;
}

static int load_nf(const struct rill_nf_request *request, struct rill_nf_input *input,
                   struct rill_error *err)
{
    static const struct rill_option no_options[] = {{.name = NULL}};
    const struct rill_option *schema;
    char search[4096], path[4096];
    int rc;

    rill_nf_search_path(search, sizeof(search));
    rc = rill_nf_load(nf_name(request, input, path, sizeof(path)), search, &input->image, err);
    if (rc != 0)
        return rc;
    schema = input->image.descriptor->options;
    input->nf_config = rill_config_create(schema != NULL ? schema : no_options, err);
    if (input->nf_config == NULL)
        return -ENOMEM;
    if (input->file != NULL)
        rc = rill_config_file_apply(input->file, "config", input->nf_config, err);
    return rc == 0 ? rill_config_complete(input->nf_config, err) : rc;
}

int rill_nf_input_read(const struct rill_nf_request *request, struct rill_nf_input *input,
                       struct rill_error *err)
{
    int rc = read_settings(request, input, err);

    return rc == 0 ? load_nf(request, input, err) : rc;
}

void rill_nf_input_fini(struct rill_nf_input *input)
{
    rill_config_destroy(input->nf_config);
    rill_nf_unload(&input->image);
    rill_config_file_close(input->file);
    rill_config_destroy(input->settings);
    memset(input, 0, sizeof(*input));
}
