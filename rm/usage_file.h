/* The file of a cluster's usage records, FOLDER/logs/usage.jsonl: only ever appended to. Numbers
 * go on where the file's last record ended, so that they rise by one over restarts, too. */
#ifndef RILL_RM_USAGE_FILE_H
#define RILL_RM_USAGE_FILE_H

#include <stdio.h>

#include "lib/base/error.h"
#include "lib/usage/usage.h"

/* What the file has of a role that had not ended when it was opened. */
struct rill_usage_sum {
    char deployment[RILL_USAGE_NAME_BYTES], role[RILL_USAGE_NAME_BYTES];
    uint64_t end_ns; /* of its last record */
    struct rill_usage_counts counts;
};

struct rill_usage_file {
    struct rill_usage_sum *open;
    uint32_t open_count, open_room;
    FILE *file;
    uint64_t sequence; /* of the last record */
    bool failed;       /* something could not be written, and that was said */
};

/* A line that was cut off when somebody died while writing goes: its record was nobody's yet. A
 * line in the middle that is none is an error. */
int rill_usage_file_open(struct rill_usage_file *file, const char *path, struct rill_error *err);
/* Of a role that this process has not recorded anything of yet; NULL: the file has nothing of it,
 * or it had ended. Valid until the file is closed. */
const struct rill_usage_sum *rill_usage_file_sum(const struct rill_usage_file *file,
                                                 const char *deployment, const char *role);
/* Numbers and writes it, at once. -errno if it can't: the same number is then tried again with the
 * next record, and `record` is lost. */
int rill_usage_file_put(struct rill_usage_file *file, struct rill_usage_record *record);
void rill_usage_file_close(struct rill_usage_file *file);

#endif
