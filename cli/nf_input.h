/* What is to run: Rill's settings, an NF and the NF's configuration, from a command line and a
 * deployment file. Every error is the line that all commands show for it. */
#ifndef RILL_CLI_NF_INPUT_H
#define RILL_CLI_NF_INPUT_H

#include "lib/base/error.h"
#include "lib/config/config.h"
#include "nf-runtime/loader.h"

struct rill_nf_request {
    const char *nf;     /* name or path; NULL: `config` names it */
    const char *config; /* deployment file; NULL: none */
    char *const *sets;  /* set_count times "NAME=VALUE" for the settings; they outrank the file */
    size_t set_count;
};

/* Zeroed memory is an empty one. */
struct rill_nf_input {
    struct rill_config_file *file; /* NULL: none */
    struct rill_config *settings;
    struct rill_config *nf_config; /* complete */
    struct rill_nf_image image;
};

/* Into a zeroed one; fini it in any case. 0, or negative with *err. */
int rill_nf_input_read(const struct rill_nf_request *request, struct rill_nf_input *input,
                       struct rill_error *err);
void rill_nf_input_fini(struct rill_nf_input *input);

#endif
