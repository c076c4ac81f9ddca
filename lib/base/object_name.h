/* Names of objects of the configuration store. */
#ifndef RILL_LIB_BASE_OBJECT_NAME_H
#define RILL_LIB_BASE_OBJECT_NAME_H

#include <stdbool.h>
#include <string.h>

enum {
    RILL_OBJECT_NAME_MAX = 128,
    RILL_OBJECT_VERSION_BYTES = 48, /* of a version's name, with the zero at its end */
};

/* A name that every store can keep: 1..128 bytes, no space, no '/', no '.' at its start. */
static inline bool rill_object_name_is_plain(const char *name)
{
    size_t bytes = strlen(name);

    if (bytes == 0 || bytes > RILL_OBJECT_NAME_MAX || name[0] == '.')
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '/')
            return false;
    return true;
}

#endif
