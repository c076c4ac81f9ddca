/* What may be asked for: paths, sizes, what goes together. */
#include <errno.h>
#include <string.h>

#include "lib/registry/registry_internal.h"

static bool name_is_valid(const char *name, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";

    if (length == 0 || (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'))))
        return false;
    return strspn(name, allowed) >= length;
}

/* `reserve`: for the digits of a sequence number. */
static int check_path(const char *path, uint32_t reserve, struct rill_error *err)
{
    size_t length = 0;

    if (path == NULL || path[0] != '/')
        return rill_error_set(err, -EINVAL, "registry: path '%s' does not begin with '/'",
                              path == NULL ? "" : path);
    if (strlen(path) + reserve > RILL_REGISTRY_PATH_MAX)
        return rill_error_set(err, -ENAMETOOLONG,
                              "registry: path '%.40s...' has %zu bytes, at most %u are possible",
                              path, strlen(path), RILL_REGISTRY_PATH_MAX - reserve);
    if (path[1] == '\0')
        return 0;
    for (const char *name = path + 1;; name += length + 1) {
        length = strcspn(name, "/");
        if (!name_is_valid(name, length))
            return rill_error_set(err, -EINVAL,
                                  "registry: path '%s': name '%.*s' is not of letters, digits, "
                                  "'.', '_' and '-'",
                                  path, (int)length, name);
        if (name[length] == '\0')
            break;
        if (length > RILL_REGISTRY_NAME_MAX)
            break;
    }
    if (length + reserve > RILL_REGISTRY_NAME_MAX)
        return rill_error_set(err, -ENAMETOOLONG,
                              "registry: path '%s': a name has %zu bytes, at most %u are possible",
                              path, length, RILL_REGISTRY_NAME_MAX - reserve);
    return 0;
}

int rill_registry_check_path(const char *path, struct rill_error *err)
{
    return check_path(path, 0, err);
}

static int check_op(const struct rill_registry_op *op, bool alone, struct rill_error *err)
{
    enum { SEQUENCE_DIGITS = 10 };
    bool sequential = op->type == RILL_REGISTRY_CREATE && (op->flags & RILL_REGISTRY_SEQUENTIAL);
    bool writes_data = op->type == RILL_REGISTRY_CREATE || op->type == RILL_REGISTRY_SET;
    int rc = check_path(op->path, sequential ? SEQUENCE_DIGITS : 0, err);

    if (rc != 0)
        return rc;
    if (!alone && (op->type == RILL_REGISTRY_GET || op->type == RILL_REGISTRY_LIST))
        return rill_error_set(err, -EINVAL, "registry: '%s' can't be read among other operations",
                              op->path);
    if (op->path[1] == '\0' &&
        (op->type == RILL_REGISTRY_CREATE || op->type == RILL_REGISTRY_DELETE))
        return rill_error_set(err, -EINVAL, "registry: '/' can't be made or deleted");
    if (writes_data && op->data_bytes > RILL_REGISTRY_DATA_MAX)
        return rill_error_set(err, -EMSGSIZE,
                              "registry: %u bytes of data for '%s', at most %d are possible",
                              op->data_bytes, op->path, RILL_REGISTRY_DATA_MAX);
    return 0;
}

static bool makes_or_deletes(const struct rill_registry_op *op)
{
    return op->type == RILL_REGISTRY_CREATE || op->type == RILL_REGISTRY_DELETE;
}

static bool is_parent(const char *parent, const char *path)
{
    size_t length = strlen(parent);

    return strncmp(parent, path, length) == 0 && path[length] == '/' &&
           strchr(path + length + 1, '/') == NULL;
}

static int check_pair(const struct rill_registry_op *a, const struct rill_registry_op *b,
                      struct rill_error *err)
{
    if (strcmp(a->path, b->path) == 0)
        return rill_error_set(err, -EINVAL, "registry: '%s' is named twice in one request",
                              a->path);
    if (makes_or_deletes(a) && makes_or_deletes(b) &&
        (is_parent(a->path, b->path) || is_parent(b->path, a->path)))
        return rill_error_set(err, -EINVAL,
                              "registry: '%s' and '%s' can't be made or deleted in one request",
                              a->path, b->path);
    return 0;
}

int rill_registry_check_ops(const struct rill_registry_op *ops, unsigned count,
                            struct rill_error *err)
{
    int rc = 0;

    if (count == 0 || count > RILL_REGISTRY_OPS_MAX)
        return rill_error_set(err, -EINVAL, "registry: %u operations in one request, not 1 to %d",
                              count, RILL_REGISTRY_OPS_MAX);
    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = check_op(&ops[i], count == 1, err);
    for (unsigned i = 0; i < count && rc == 0; i++)
        for (unsigned j = 0; j < i && rc == 0; j++)
            rc = check_pair(&ops[i], &ops[j], err);
    return rc;
}
