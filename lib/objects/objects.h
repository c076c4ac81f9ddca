/* The configuration store: texts under names, each with a version. What NFs read beside their
 * options: rule sets, lists of backends. (lib/store is something else: flows' state.)
 *
 * Two forms behind one interface, chosen by the address:
 *
 *     PATH                        a folder: an object is the file of that name in it
 *     redis://HOST:PORT[/PREFIX]  a Redis server: an object is the hash PREFIX:object:NAME, with
 *     redis+unix:/PATH[:PREFIX]   the fields `version` and `text`; PREFIX is "rill" if not given
 *
 * A version is told by its text: the same text is the same version, in a folder and in Redis, as
 * long as Rill wrote it; who writes to Redis by other means may call it as he likes.
 *
 * Does I/O and waits for it: for a thread that has the time, never for one that handles packets.
 * Not thread-safe.
 */
#ifndef RILL_LIB_OBJECTS_OBJECTS_H
#define RILL_LIB_OBJECTS_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/object_name.h"

enum { RILL_OBJECTS_TEXT_MAX = 64 << 20 };

struct rill_objects;

struct rill_objects_text {
    char *bytes; /* the caller's to free(); `count` of them, and a zero */
    size_t count;
    char version[RILL_OBJECT_VERSION_BYTES];
};

/* Reaches out for nothing yet. NULL with a line in *err: the address is none, or this was built
 * without what it needs. */
struct rill_objects *rill_objects_open(const char *address, struct rill_error *err);
void rill_objects_close(struct rill_objects *objects); /* NULL is fine */
const char *rill_objects_address(const struct rill_objects *objects);

/* Each: 0; -ENOENT: there is no such object; -EIO: the store can't be reached or read, and the next
 * call tries anew; -EINVAL: the name is none; with a line in *err. */

/* Its present version: cheap where nothing changed. */
int rill_objects_version(struct rill_objects *objects, const char *name,
                         char version[RILL_OBJECT_VERSION_BYTES], struct rill_error *err);
int rill_objects_get(struct rill_objects *objects, const char *name, struct rill_objects_text *text,
                     struct rill_error *err);
/* In one step: who reads gets the old text or the new one. */
int rill_objects_put(struct rill_objects *objects, const char *name, const char *bytes,
                     size_t count, char version[RILL_OBJECT_VERSION_BYTES], struct rill_error *err);
/* In the order of their names. */
int rill_objects_list(struct rill_objects *objects,
                      void (*each)(void *arg, const char *name, const char *version, size_t bytes),
                      void *arg, struct rill_error *err);

/* What a version is called whose text is this. */
void rill_objects_name_version(const char *bytes, size_t count,
                               char version[RILL_OBJECT_VERSION_BYTES]);
/* A whole file, as an object's text is read. -ENOENT, -EIO, -ENOMEM. */
int rill_objects_read_file(const char *path, struct rill_objects_text *text,
                           struct rill_error *err);

#endif
