#include "rm/usage_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the last whole line ends, and the number that it has. */
static int find_end(FILE *in, const char *path, long *end, uint64_t *sequence,
                    struct rill_error *err)
{
    struct rill_usage_record record;
    char *line = NULL;
    size_t room = 0;
    uint64_t number = 0;
    ssize_t bytes;
    int rc = 0;

    *end = 0;
    *sequence = 0;
    while (rc == 0 && (bytes = getline(&line, &room, in)) > 0 && line[bytes - 1] == '\n') {
        number++;
        if (rill_usage_read(line, &record) != 0)
            rc = rill_error_set(err, -EINVAL,
                                "%s:%" PRIu64 ": is no usage record; move the file away", path,
                                number);
        *end += bytes;
        *sequence = record.sequence;
    }
    free(line);
    return rc;
}

int rill_usage_file_open(struct rill_usage_file *file, const char *path, struct rill_error *err)
{
    long end;
    int rc;

    *file = (struct rill_usage_file){.file = fopen(path, "a+e")};
    if (file->file == NULL)
        return rill_error_set(err, -errno, "%s: %s", path, strerror(errno));
    rewind(file->file);
    rc = find_end(file->file, path, &end, &file->sequence, err);
    if (rc == 0 && ftruncate(fileno(file->file), end) != 0)
        rc = rill_error_set(err, -errno, "%s: %s", path, strerror(errno));
    if (rc == 0)
        fseek(file->file, 0, SEEK_END);
    else
        rill_usage_file_close(file);
    return rc;
}

int rill_usage_file_put(struct rill_usage_file *file, struct rill_usage_record *record)
{
    record->sequence = file->sequence + 1;
    clearerr(file->file);
    rill_usage_write(file->file, record);
    if (fflush(file->file) != 0 || ferror(file->file))
        return errno != 0 ? -errno : -EIO;
    file->sequence++;
    return 0;
}

void rill_usage_file_close(struct rill_usage_file *file)
{
    if (file->file != NULL)
        fclose(file->file);
    file->file = NULL;
}
