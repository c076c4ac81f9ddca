#include "cli/nf_path.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* build/release/bin/rill has its NFs in build/release/nfs; /usr/bin/rill in /usr/lib/rill/nfs. */
void rill_nf_search_path(char *buf, size_t bytes)
{
    const char *given = getenv("RILL_NF_PATH");
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');

        if (slash != NULL)
            *slash = '\0';
    }
    snprintf(buf, bytes, "%s%s%s/nfs:%s/lib/rill/nfs", given != NULL ? given : "",
             given != NULL ? ":" : "", self, self);
}
