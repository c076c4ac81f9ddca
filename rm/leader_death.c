#include "rm/leader_death.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/registry/number.h"

enum { WORD_BYTES = 48, STAT_BYTES = 1024, START_FIELD = 22 };

/* --- who a process is ------------------------------------------------------------------------- */

static ssize_t read_file(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, bytes - 1);

    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n;
}

/* Since the machine's start; 0: there is no such process. */
static uint64_t start_of(int pid)
{
    char path[WORD_BYTES], text[STAT_BYTES];
    const char *at;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (read_file(path, text, sizeof(text)) <= 0)
        return 0;
    at = strrchr(text, ')'); /* behind the name, which is field 2 */
    for (int field = 2; at != NULL && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* "BOOT NAMESPACE": what a pid means something in. */
static void place_of(char place[2 * WORD_BYTES])
{
    char boot[WORD_BYTES], space[WORD_BYTES];
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);

    read_file("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    boot[strcspn(boot, "\n")] = '\0';
    space[n < 0 ? 0 : n] = '\0';
    snprintf(place, 2 * WORD_BYTES, "%s %s", boot, space);
}

const char *rill_leader_info(const char *name, char info[RILL_LEADER_INFO_BYTES])
{
    char place[2 * WORD_BYTES];

    place_of(place);
    snprintf(info, RILL_LEADER_INFO_BYTES, "%.60s %s %d %" PRIu64, name, place, (int)getpid(),
             start_of((int)getpid()));
    return info;
}

/* False: it is somewhere else. */
static bool parse(const char *info, int *pid, uint64_t *start)
{
    char here[2 * WORD_BYTES], place[2 * WORD_BYTES], boot[WORD_BYTES], space[WORD_BYTES];

    if (sscanf(info, "%*s %47s %47s %d %" SCNu64, boot, space, pid, start) != 4)
        return false;
    place_of(here);
    snprintf(place, sizeof(place), "%s %s", boot, space);
    return strcmp(here, place) == 0 && *pid > 0 && *pid != getpid() && *start != 0;
}

/* --- watching --------------------------------------------------------------------------------- */

static void forget(struct rill_leader_death *death)
{
    if (death->fd >= 0)
        close(death->fd);
    death->fd = -1;
    death->is_gone = death->asked = false;
    death->epoch = 0;
}

void rill_leader_death_begin(struct rill_leader_death *death, struct rill_registry *registry,
                             const char *folder)
{
    *death = (struct rill_leader_death){.registry = registry, .fd = -1};
    snprintf(death->epoch_path, sizeof(death->epoch_path), "%.240s/epoch", folder);
    snprintf(death->leader_path, sizeof(death->leader_path), "%.240s/leader", folder);
}

void rill_leader_death_end(struct rill_leader_death *death)
{
    if (death->registry == NULL)
        return;
    forget(death);
    death->registry = NULL;
}

void rill_leader_death_watch(struct rill_leader_death *death, uint64_t epoch, const void *info,
                             uint32_t info_bytes)
{
    char text[RILL_LEADER_INFO_BYTES];
    uint64_t start;
    int pid;

    forget(death);
    snprintf(text, sizeof(text), "%.*s", (int)info_bytes, (const char *)info);
    if (epoch == 0 || !parse(text, &pid, &start))
        return;
    death->epoch = epoch;
    death->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* Looked at afterwards: what is held can't be another's any more. */
    death->is_gone = start_of(pid) != start && (death->fd >= 0 || errno == ESRCH);
}

/* --- taking note ------------------------------------------------------------------------------ */

/* Only if nobody has been elected since. */
static void on_epoch(void *arg, const struct rill_registry_result *result)
{
    struct rill_leader_death *death = arg;
    const struct rill_registry_op ops[] = {
        {.type = RILL_REGISTRY_CHECK, .path = death->epoch_path, .version = result->stat.version},
        {.type = RILL_REGISTRY_DELETE,
         .path = death->leader_path,
         .version = RILL_REGISTRY_ANY_VERSION},
    };
    char text[RILL_NUMBER_MAX + 1] = "";

    if (result->status != 0 || result->data_bytes >= sizeof(text))
        return;
    memcpy(text, result->data, result->data_bytes);
    text[result->data_bytes] = '\0';
    if (strtoull(text, NULL, 10) == death->epoch)
        rill_registry_ask(death->registry, ops, 2, NULL, NULL, NULL);
}

bool rill_leader_death_look(struct rill_leader_death *death)
{
    const struct rill_registry_op get = {.type = RILL_REGISTRY_GET, .path = death->epoch_path};
    struct pollfd end = {.fd = death->fd, .events = POLLIN};

    if (death->epoch == 0 || death->asked ||
        (!death->is_gone && (death->fd < 0 || poll(&end, 1, 0) != 1)))
        return false;
    death->asked = rill_registry_ask(death->registry, &get, 1, on_epoch, death, NULL) == 0;
    return death->asked;
}
