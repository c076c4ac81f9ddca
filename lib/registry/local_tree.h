/* The tree of nodes that the local registry's server keeps. Sans-IO. */
#ifndef RILL_LIB_REGISTRY_LOCAL_TREE_H
#define RILL_LIB_REGISTRY_LOCAL_TREE_H

#include "lib/registry/registry_internal.h"

struct rill_tree_node {
    struct rill_tree_node *parent, *children, *next; /* children sorted by name, bytewise */
    struct rill_registry_stat stat;
    uint32_t sequence; /* of the next sequential child */
    uint32_t data_bytes;
    void *data;
    char name[RILL_REGISTRY_NAME_MAX + 1];
};

enum rill_tree_change {
    RILL_TREE_CREATED,
    RILL_TREE_CHANGED,
    RILL_TREE_DELETED,
    RILL_TREE_CHILDREN
};

struct rill_tree {
    struct rill_tree_node root;
    uint64_t created; /* of the last node that was */
    void (*changed)(void *arg, const char *path, enum rill_tree_change change);
    void *arg;
};

void rill_tree_fini(struct rill_tree *tree);

/* NULL: none. */
struct rill_tree_node *rill_tree_find(struct rill_tree *tree, const char *path);
void rill_tree_path(const struct rill_tree_node *node, char path[RILL_REGISTRY_PATH_MAX + 1]);

/* Carries out `count` ops for a session, all or none. */
void rill_tree_apply(struct rill_tree *tree, const struct rill_registry_op *ops, uint32_t count,
                     uint64_t session, struct rill_registry_answer *answer);
/* Reads into the answer. */
void rill_tree_get(struct rill_tree *tree, const char *path, struct rill_registry_answer *answer);
void rill_tree_list(struct rill_tree *tree, const char *path, struct rill_registry_answer *answer);
/* Deletes a session's ephemeral nodes. */
void rill_tree_end_session(struct rill_tree *tree, uint64_t session);

#endif
