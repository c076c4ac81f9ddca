#include "lib/registry/local_tree.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- finding ---------------------------------------------------------------------------------- */

static struct rill_tree_node *find_child(const struct rill_tree_node *node, const char *name,
                                         size_t length)
{
    struct rill_tree_node *child = node->children;

    while (child != NULL &&
           (strncmp(child->name, name, length) != 0 || child->name[length] != '\0'))
        child = child->next;
    return child;
}

/* The node that the first `length` bytes of the path name. */
static struct rill_tree_node *find(struct rill_tree *tree, const char *path, size_t length)
{
    struct rill_tree_node *node = &tree->root;
    const char *name = path + 1, *end = path + length;

    while (node != NULL && name < end) {
        size_t name_length = strcspn(name, "/");

        if (name + name_length > end)
            name_length = (size_t)(end - name);
        node = find_child(node, name, name_length);
        name += name_length + 1;
    }
    return node;
}

struct rill_tree_node *rill_tree_find(struct rill_tree *tree, const char *path)
{
    return find(tree, path, strlen(path));
}

static struct rill_tree_node *find_parent(struct rill_tree *tree, const char *path)
{
    return find(tree, path, (size_t)(strrchr(path, '/') - path));
}

void rill_tree_path(const struct rill_tree_node *node, char path[RILL_REGISTRY_PATH_MAX + 1])
{
    char *at = path + RILL_REGISTRY_PATH_MAX;
    size_t length;

    *at = '\0';
    for (; node->parent != NULL; node = node->parent) {
        length = strlen(node->name);
        at -= length;
        memcpy(at, node->name, length);
        *--at = '/';
    }
    if (*at == '\0')
        *--at = '/';
    memmove(path, at, strlen(at) + 1);
}

/* --- checking an op before any is carried out ------------------------------------------------- */

/* The name that a CREATE would make. */
static void name_of(const struct rill_registry_op *op, const struct rill_tree_node *parent,
                    char name[RILL_REGISTRY_NAME_MAX + 1])
{
    const char *base = strrchr(op->path, '/') + 1;

    if (op->flags & RILL_REGISTRY_SEQUENTIAL)
        snprintf(name, RILL_REGISTRY_NAME_MAX + 1, "%.53s%010u", base, parent->sequence);
    else
        snprintf(name, RILL_REGISTRY_NAME_MAX + 1, "%s", base);
}

static int check_create(struct rill_tree *tree, const struct rill_registry_op *op)
{
    const struct rill_tree_node *parent = find_parent(tree, op->path);
    char name[RILL_REGISTRY_NAME_MAX + 1];

    if (parent == NULL)
        return -ENOENT;
    if (parent->stat.owner != 0)
        return -ENOTDIR;
    name_of(op, parent, name);
    return find_child(parent, name, strlen(name)) != NULL ? -EEXIST : 0;
}

static int check(struct rill_tree *tree, const struct rill_registry_op *op)
{
    const struct rill_tree_node *node;

    if (op->type == RILL_REGISTRY_CREATE)
        return check_create(tree, op);
    node = rill_tree_find(tree, op->path);
    if (node == NULL)
        return -ENOENT;
    if (op->version != RILL_REGISTRY_ANY_VERSION && op->version != node->stat.version)
        return -ESTALE;
    if (op->type == RILL_REGISTRY_DELETE && node->children != NULL)
        return -ENOTEMPTY;
    return 0;
}

/* --- carrying out ----------------------------------------------------------------------------- */

static void tell_change(struct rill_tree *tree, const struct rill_tree_node *node,
                        enum rill_tree_change change)
{
    char path[RILL_REGISTRY_PATH_MAX + 1];

    rill_tree_path(node, path);
    if (tree->changed != NULL)
        tree->changed(tree->arg, path, change);
}

static void children_changed(struct rill_tree *tree, struct rill_tree_node *parent)
{
    parent->stat.children_version++;
    parent->sequence++;
    tell_change(tree, parent, RILL_TREE_CHILDREN);
}

static int put_data(struct rill_tree_node *node, const struct rill_registry_op *op)
{
    void *data = malloc(op->data_bytes + 1);

    if (data == NULL)
        return -ENOMEM;
    if (op->data_bytes > 0)
        memcpy(data, op->data, op->data_bytes);
    free(node->data);
    node->data = data;
    node->data_bytes = op->data_bytes;
    return 0;
}

static int create(struct rill_tree *tree, const struct rill_registry_op *op, uint64_t session,
                  struct rill_registry_answer *answer)
{
    struct rill_tree_node *parent = find_parent(tree, op->path), *node = calloc(1, sizeof(*node));
    struct rill_tree_node **at = &parent->children;
    char path[RILL_REGISTRY_PATH_MAX + 1];

    if (node == NULL || put_data(node, op) != 0) {
        free(node);
        return -ENOMEM;
    }
    name_of(op, parent, node->name);
    node->parent = parent;
    node->stat.created = ++tree->created;
    node->stat.owner = op->flags & RILL_REGISTRY_EPHEMERAL ? session : 0;
    while (*at != NULL && strcmp((*at)->name, node->name) < 0)
        at = &(*at)->next;
    node->next = *at;
    *at = node;
    rill_tree_path(node, path);
    free(answer->path);
    answer->path = strdup(path);
    tell_change(tree, node, RILL_TREE_CREATED);
    children_changed(tree, parent);
    return answer->path == NULL ? -ENOMEM : 0;
}

static void delete_node(struct rill_tree *tree, struct rill_tree_node *node)
{
    struct rill_tree_node *parent = node->parent, **at = &parent->children;

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    tell_change(tree, node, RILL_TREE_DELETED);
    children_changed(tree, parent);
    free(node->data);
    free(node);
}

static int apply(struct rill_tree *tree, const struct rill_registry_op *op, uint64_t session,
                 struct rill_registry_answer *answer)
{
    struct rill_tree_node *node;

    if (op->type == RILL_REGISTRY_CREATE)
        return create(tree, op, session, answer);
    node = rill_tree_find(tree, op->path);
    if (op->type == RILL_REGISTRY_DELETE) {
        delete_node(tree, node);
    } else if (op->type == RILL_REGISTRY_SET) {
        if (put_data(node, op) != 0)
            return -ENOMEM;
        node->stat.version++;
        answer->stat = node->stat;
        tell_change(tree, node, RILL_TREE_CHANGED);
    }
    return 0;
}

void rill_tree_apply(struct rill_tree *tree, const struct rill_registry_op *ops, uint32_t count,
                     uint64_t session, struct rill_registry_answer *answer)
{
    for (uint32_t i = 0; i < count; i++) {
        answer->status = check(tree, &ops[i]);
        answer->failed = i;
        if (answer->status != 0)
            return;
    }
    answer->failed = 0;
    for (uint32_t i = 0; i < count && answer->status == 0; i++)
        answer->status = apply(tree, &ops[i], session, answer);
}

/* --- reading ---------------------------------------------------------------------------------- */

void rill_tree_get(struct rill_tree *tree, const char *path, struct rill_registry_answer *answer)
{
    const struct rill_tree_node *node = rill_tree_find(tree, path);

    answer->status = node == NULL ? -ENOENT : 0;
    if (node == NULL)
        return;
    answer->stat = node->stat;
    answer->data = malloc(node->data_bytes + 1);
    if (answer->data == NULL) {
        answer->status = -ENOMEM;
        return;
    }
    answer->data_bytes = node->data_bytes;
    if (node->data_bytes > 0)
        memcpy(answer->data, node->data, node->data_bytes);
}

void rill_tree_list(struct rill_tree *tree, const char *path, struct rill_registry_answer *answer)
{
    const struct rill_tree_node *node = rill_tree_find(tree, path);
    uint32_t count = 0;

    answer->status = node == NULL ? -ENOENT : 0;
    if (node == NULL)
        return;
    answer->stat = node->stat;
    for (const struct rill_tree_node *child = node->children; child != NULL; child = child->next)
        count++;
    answer->children = calloc(count + 1, sizeof(answer->children[0]));
    if (answer->children == NULL) {
        answer->status = -ENOMEM;
        return;
    }
    for (const struct rill_tree_node *child = node->children; child != NULL; child = child->next) {
        char *name = strdup(child->name);

        if (name == NULL)
            answer->status = -ENOMEM;
        else
            answer->children[answer->children_count++] = name;
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

static struct rill_tree_node *find_owned(struct rill_tree_node *node, uint64_t session)
{
    struct rill_tree_node *found = node->stat.owner == session ? node : NULL;

    for (struct rill_tree_node *child = node->children; child != NULL && found == NULL;
         child = child->next)
        found = find_owned(child, session);
    return found;
}

void rill_tree_end_session(struct rill_tree *tree, uint64_t session)
{
    struct rill_tree_node *node;

    assert(session != 0);
    while ((node = find_owned(&tree->root, session)) != NULL)
        delete_node(tree, node);
}

static void free_children(struct rill_tree_node *node)
{
    for (struct rill_tree_node *child = node->children, *next; child != NULL; child = next) {
        next = child->next;
        free_children(child);
        free(child->data);
        free(child);
    }
}

void rill_tree_fini(struct rill_tree *tree)
{
    free_children(&tree->root);
    free(tree->root.data);
}
