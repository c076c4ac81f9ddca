/* A bound on a log file that others append to (O_APPEND): they keep it open, so it can't be renamed
 * away from under them. Its owner looks now and then. */
#ifndef RILL_LIB_DAEMON_LOG_FILE_H
#define RILL_LIB_DAEMON_LOG_FILE_H

#include <stdint.h>

/* If there is more than half of max_bytes in it, the last half of max_bytes become PATH.1, in place
 * of the one before, and the file begins anew; what is written in that moment is lost. So both
 * together have max_bytes, and what comes in between two looks. 1: so; 0: it is small enough, or
 * there is none; or -errno. */
int rill_log_file_bound(const char *path, uint64_t max_bytes);

#endif
