/* Configuration: YAML and --set against a schema (rill/schema.h). Made and checked here, read
 * through the accessors of rill/schema.h.
 *
 * Every error is one line that names FILE:LINE (or --set) and the key, and says what would be
 * right: unknown key (with the nearest known one, or with all), doubled key, wrong type, value out
 * of range (with the range and the unit), empty document, a list where a value belongs, anchors and
 * aliases refused.
 */
#ifndef RILL_LIB_CONFIG_CONFIG_H
#define RILL_LIB_CONFIG_CONFIG_H

#include <stdio.h>

#include <rill/schema.h>

#include "lib/base/error.h"

/* All defaults; an option without a default is "missing" until it is set. The schema must outlive
 * it; NULL is a schema without options. NULL, with a line in *err, if the schema itself is faulty
 * or there is no memory. */
struct rill_config *rill_config_create(const struct rill_option *schema, struct rill_error *err);
void rill_config_destroy(struct rill_config *config); /* NULL is fine */

/* Sets one option from text; `source` is what rill_config_source will say (copied). -EINVAL. */
int rill_config_set(struct rill_config *config, const char *name, const char *text,
                    const char *source, struct rill_error *err);
/* "NAME=VALUE", as after --set. */
int rill_config_set_pair(struct rill_config *config, const char *pair, struct rill_error *err);
/* -EINVAL, naming the first option that has no default and was not set. */
int rill_config_complete(const struct rill_config *config, struct rill_error *err);

/* Name, value, unit, what is allowed, default, source and meaning of every option, as a table for
 * people, 120 columns wide unless a text is longer. */
void rill_config_print(const struct rill_config *config, FILE *out);

const struct rill_option *rill_config_schema(const struct rill_config *config);
/* The present value as text, into buf; returns buf. */
const char *rill_config_text(const struct rill_config *config, const char *name, char *buf,
                             size_t bytes);

/* A deployment file:
 *
 *     nf: nat                 # required: name, or path of a shared object
 *     settings:               # optional: Rill's settings
 *       unit_capacity_mbps: 100
 *     config:                 # optional: the NF's own
 *       public_addresses: [198.51.100.1]
 *
 * Read in two steps, because the NF's schema is known only after its name is: open, then apply. */
struct rill_config_file;
int rill_config_file_open(const char *path, struct rill_config_file **file, struct rill_error *err);
/* A cluster file has one section, "cluster", and nothing else:
 *
 *     cluster:
 *       warm: 2
 */
int rill_config_cluster_file_open(const char *path, struct rill_config_file **file,
                                  struct rill_error *err);
void rill_config_file_close(struct rill_config_file *file);           /* NULL is fine */
const char *rill_config_file_nf(const struct rill_config_file *file); /* NULL: a cluster file */
/* Applies the mapping under `section` ("settings", "config" or "cluster") to `config`. A section
 * that is absent is no error; one that is present although the schema is empty (NF without options)
 * is. */
int rill_config_file_apply(const struct rill_config_file *file, const char *section,
                           struct rill_config *config, struct rill_error *err);

#endif
