#include "cli/place.h"

#include <errno.h>
#include <string.h>

int rill_place_take_cluster(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct rill_place *)target)->given_name = value;
    return 0;
}

int rill_place_take_base(void *target, const char *value, struct rill_error *err)
{
    (void)err;
    ((struct rill_place *)target)->given_base = value;
    return 0;
}

/* A name becomes part of folders', containers' and control groups' names. */
int rill_place_check_name(const char *name, struct rill_error *err)
{
    size_t bytes = strlen(name);

    if (bytes >= 1 && bytes <= RILL_PLACE_NAME_MAX &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == bytes)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "'%.40s': a cluster's name has 1 to %d characters of a-z and 0-9", name,
                          RILL_PLACE_NAME_MAX);
}

int rill_place_check_base(const char *base, struct rill_error *err)
{
    size_t bytes = strlen(base);

    if (base[0] != '/' || bytes < 2)
        return rill_error_set(err, -EINVAL, "'%.80s': it is an absolute path, like /run/rill/x",
                              base);
    if (bytes > RILL_PLACE_BASE_MAX)
        return rill_error_set(err, -EINVAL,
                              "'%.80s': longer than %d bytes; the paths of sockets below it would "
                              "get too long",
                              base, RILL_PLACE_BASE_MAX);
    if (strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") !=
            bytes ||
        strstr(base, "//") != NULL || strstr(base, "/.") != NULL || base[bytes - 1] == '/')
        return rill_error_set(
            err, -EINVAL, "'%.80s': a plain path of letters, digits, '.', '_', '-' and '/'", base);
    return 0;
}

int rill_place_resolve(struct rill_place *place, struct rill_error *err)
{
    const char *name = place->given_name != NULL ? place->given_name : RILL_PLACE_DEFAULT_NAME;
    struct rill_error why;

    if (rill_place_check_name(name, &why) != 0)
        return rill_error_set(err, -EINVAL, "--cluster %.400s", why.text);
    if (place->given_base != NULL && rill_place_check_base(place->given_base, &why) != 0)
        return rill_error_set(err, -EINVAL, "--base %.400s", why.text);
    snprintf(place->name, sizeof(place->name), "%s", name);
    if (place->given_base != NULL)
        snprintf(place->base, sizeof(place->base), "%s", place->given_base);
    else
        snprintf(place->base, sizeof(place->base), "%s/%s", RILL_PLACE_DEFAULT_ROOT, place->name);
    return 0;
}

const char *rill_place_path(const struct rill_place *place, const char *name,
                            char buf[RILL_PLACE_PATH_BYTES])
{
    snprintf(buf, RILL_PLACE_PATH_BYTES, "%s/%s", place->base, name);
    return buf;
}

const char *rill_place_command(const struct rill_place *place, const char *command,
                               char buf[RILL_PLACE_PATH_BYTES])
{
    char usual[sizeof(RILL_PLACE_DEFAULT_ROOT) + RILL_PLACE_NAME_MAX + 1];
    bool named = strcmp(place->name, RILL_PLACE_DEFAULT_NAME) != 0, moved;

    snprintf(usual, sizeof(usual), "%s/%s", RILL_PLACE_DEFAULT_ROOT, place->name);
    moved = strcmp(place->base, usual) != 0;
    snprintf(buf, RILL_PLACE_PATH_BYTES, "rill %s%s%s%s%s", command, named ? " --cluster " : "",
             named ? place->name : "", moved ? " --base " : "", moved ? place->base : "");
    return buf;
}
