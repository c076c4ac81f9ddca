#include "rm/usage_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rill_usage_sum *find_open(const struct rill_usage_file *file, const char *deployment,
                                        const char *role)
{
    for (uint32_t i = 0; i < file->open_count; i++)
        if (strcmp(file->open[i].role, role) == 0 &&
            strcmp(file->open[i].deployment, deployment) == 0)
            return &file->open[i];
    return NULL;
}

static int add_open(struct rill_usage_file *file, const struct rill_usage_record *record)
{
    if (file->open_count == file->open_room) {
        uint32_t room = file->open_room ? 2 * file->open_room : 64;
        struct rill_usage_sum *more = realloc(file->open, room * sizeof(more[0]));

        if (more == NULL)
            return -ENOMEM;
        file->open = more;
        file->open_room = room;
    }
    file->open[file->open_count] = (struct rill_usage_sum){.end_ns = 0};
    strcpy(file->open[file->open_count].deployment, record->deployment);
    strcpy(file->open[file->open_count].role, record->role);
    file->open_count++;
    return 0;
}

static int sum_up(struct rill_usage_file *file, const struct rill_usage_record *record)
{
    struct rill_usage_sum *sum = find_open(file, record->deployment, record->role);

    if (record->final) {
        if (sum != NULL)
            *sum = file->open[--file->open_count];
        return 0;
    }
    if (sum == NULL && add_open(file, record) != 0)
        return -ENOMEM;
    sum = sum != NULL ? sum : &file->open[file->open_count - 1];
    sum->end_ns = record->end_ns;
    rill_usage_add(&sum->counts, &record->counts);
    return 0;
}

const struct rill_usage_sum *rill_usage_file_sum(const struct rill_usage_file *file,
                                                 const char *deployment, const char *role)
{
    return find_open(file, deployment, role);
}

/* Where the last whole line ends; sums and numbers of what is there. */
static int read_all(struct rill_usage_file *file, const char *path, long *end,
                    struct rill_error *err)
{
    struct rill_usage_record record;
    char *line = NULL;
    size_t room = 0;
    uint64_t number = 0;
    ssize_t bytes;
    int rc = 0;

    *end = 0;
    while (rc == 0 && (bytes = getline(&line, &room, file->file)) > 0 && line[bytes - 1] == '\n') {
        number++;
        if (rill_usage_read(line, &record) != 0)
            rc = rill_error_set(err, -EINVAL,
                                "%s:%" PRIu64 ": is no usage record; move the file away", path,
                                number);
        else if (sum_up(file, &record) != 0)
            rc = rill_error_set(err, -ENOMEM, "%s: no memory to sum it up", path);
        *end += bytes;
        file->sequence = record.sequence;
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
    rc = read_all(file, path, &end, err);
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
    free(file->open);
    *file = (struct rill_usage_file){.file = NULL};
}
