#include "lib/daemon/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TURNS_BYTES = sizeof(uint64_t) };

_Static_assert(sizeof(_Atomic uint64_t) == TURNS_BYTES && ATOMIC_LLONG_LOCK_FREE == 2,
               "a count is the 8 bytes that another process reads");

static int map(struct rill_turns *turns, int fd, const char *path, struct rill_error *err)
{
    struct stat info;
    void *memory;

    if (fstat(fd, &info) != 0)
        return rill_error_set(err, -errno, "turns file %s: %s", path, strerror(errno));
    if (info.st_size < TURNS_BYTES)
        return rill_error_set(err, -EINVAL,
                              "turns file %s: it has %lld bytes where %d are needed; name the file "
                              "that the node agent made",
                              path, (long long)info.st_size, TURNS_BYTES);
    memory = mmap(NULL, TURNS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return rill_error_set(err, -errno, "turns file %s: cannot map it: %s", path,
                              strerror(errno));
    turns->count = memory;
    return 0;
}

int rill_turns_open(struct rill_turns *turns, const char *path, struct rill_error *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC), code;

    turns->count = NULL;
    if (fd < 0)
        return rill_error_set(err, -errno,
                              "turns file %s: %s; it is there in containers that the node agent "
                              "starts",
                              path, strerror(errno));
    code = map(turns, fd, path, err);
    close(fd);
    return code;
}

void rill_turns_close(struct rill_turns *turns)
{
    if (turns->count != NULL)
        munmap(turns->count, TURNS_BYTES);
    turns->count = NULL;
}

int rill_turns_make(const char *path, uint32_t uid, struct rill_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), code;

    if (fd < 0)
        return rill_error_set(err, -errno, "cannot make the turns file %s: %s", path,
                              strerror(errno));
    /* The mode once more: a umask may have taken from it. */
    if (ftruncate(fd, TURNS_BYTES) == 0 && fchmod(fd, 0600) == 0 && fchown(fd, uid, uid) == 0)
        return fd;
    code = rill_error_set(err, -errno, "cannot make the turns file %s: %s", path, strerror(errno));
    close(fd);
    unlink(path);
    return code;
}

int rill_turns_read(int fd, uint64_t *count)
{
    ssize_t length = pread(fd, count, TURNS_BYTES, 0);

    if (length < 0)
        return -errno;
    return length == TURNS_BYTES ? 0 : -ENODATA; /* its owner cut it off */
}
