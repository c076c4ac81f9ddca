#include "lib/daemon/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 65536 };

static int copy_from(int in, off_t at, int out)
{
    char bytes[COPY_BYTES];
    ssize_t n;

    while ((n = pread(in, bytes, sizeof(bytes), at)) > 0) {
        if (write(out, bytes, (size_t)n) != n)
            return errno != 0 ? -errno : -EIO;
        at += n;
    }
    return n < 0 ? -errno : 0;
}

static int keep_end(const char *path, int in, off_t at)
{
    char older[PATH_MAX];
    int out, rc;

    if (snprintf(older, sizeof(older), "%s.1", path) >= (int)sizeof(older))
        return -ENAMETOOLONG;
    out = open(older, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (out < 0)
        return -errno;
    rc = copy_from(in, at, out);
    close(out);
    return rc;
}

int rill_log_file_bound(const char *path, uint64_t max_bytes)
{
    off_t half = (off_t)(max_bytes / 2);
    struct stat info;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), rc;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= half) {
        close(fd);
        return 0;
    }
    rc = keep_end(path, fd, info.st_size - half);
    /* Without room for the copy, too: it must not grow on. */
    if (ftruncate(fd, 0) != 0)
        rc = -errno;
    close(fd);
    return rc == 0 ? 1 : rc;
}
