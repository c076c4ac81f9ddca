/* A loop's turn counter, for whoever has to notice that the loop stands still: 8 bytes in a file of
 * its own, in memory (tmpfs). The loop's process maps and writes it; the watcher only ever reads it
 * by pread(), so that nothing that the process does to its file can hurt the watcher.
 */
#ifndef RILL_LIB_DAEMON_TURNS_H
#define RILL_LIB_DAEMON_TURNS_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/error.h"

struct rill_turns {
    _Atomic uint64_t *count;
};

/* Maps an existing file of at least 8 bytes. -errno with a line in *err. */
int rill_turns_open(struct rill_turns *turns, const char *path, struct rill_error *err);
void rill_turns_close(struct rill_turns *turns);

/* Once per turn of the loop. One writer. */
static inline void rill_turns_count(struct rill_turns *turns)
{
    uint64_t n = atomic_load_explicit(turns->count, memory_order_relaxed);

    atomic_store_explicit(turns->count, n + 1, memory_order_relaxed);
}

/* The watcher's side. Makes the file (mode 0600, owned by uid and gid), 0 turns; a descriptor for
 * rill_turns_read(), or -errno with a line in *err. */
int rill_turns_make(const char *path, uint32_t uid, struct rill_error *err);
int rill_turns_read(int fd, uint64_t *count); /* 0 or -errno */

#endif
