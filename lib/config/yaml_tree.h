/* A deployment file or a cluster file taken apart, before any schema is known: which keys stand
 * under which section, on which line, with what for a value. Only the shape of config.h is taken;
 * all else is an error.
 */
#ifndef RILL_LIB_CONFIG_YAML_TREE_H
#define RILL_LIB_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

enum rill_yaml_section {
    RILL_YAML_SETTINGS, /* of a deployment file */
    RILL_YAML_CONFIG,   /* of a deployment file */
    RILL_YAML_CLUSTER,  /* of a cluster file, its only one */
    RILL_YAML_SECTIONS
};

enum rill_yaml_kind { RILL_YAML_DEPLOYMENT_FILE, RILL_YAML_CLUSTER_FILE };

/* More keys in one file than any schema has options. Keeps the search for doubled ones short. */
enum { RILL_YAML_KEYS_MAX = 1000 };

struct rill_yaml_entry {
    enum rill_yaml_section section;
    char *key;
    size_t key_line;
    size_t line; /* of the value */
    char *text;  /* NULL where it is a list, or nothing */
    bool quoted; /* text that says of itself that it is text */
    bool is_list;
    char **items;
    size_t count, room;
};

struct rill_yaml_tree {
    const char *name; /* of the file, for errors */
    enum rill_yaml_kind kind;
    char *nf;                                /* a cluster file has none */
    size_t section_line[RILL_YAML_SECTIONS]; /* 0: absent */
    struct rill_yaml_entry *entries;
    size_t count;
};

/* The name of a section in the file. */
const char *rill_yaml_section_name(enum rill_yaml_section section);

/* Reads the bytes of a file, which must be UTF-8 without control characters, into a zeroed tree
 * with a name and a kind. -EINVAL or -ENOMEM; clear it either way. */
int rill_yaml_tree_read(struct rill_yaml_tree *tree, const char *text, size_t bytes,
                        struct rill_error *err);
void rill_yaml_tree_clear(struct rill_yaml_tree *tree);

#endif
