/* The end of a leading resource manager, as another one on the same machine sees it: the kernel
 * says that its process is gone, long before its session with the registry has run out. Its
 * leadership is then taken from it in the registry, where the next one is elected at once.
 *
 * That is proof, where a session that runs out is only a guess; on another machine, or in another
 * namespace of processes, nothing is seen, and the session has to do.
 */
#ifndef RILL_RM_LEADER_DEATH_H
#define RILL_RM_LEADER_DEATH_H

#include "lib/registry/registry.h"

enum { RILL_LEADER_INFO_BYTES = 192, RILL_LEADER_PATH_BYTES = RILL_REGISTRY_PATH_MAX + 1 };

struct rill_leader_death {
    struct rill_registry *registry; /* NULL: nobody is watched */
    char epoch_path[RILL_LEADER_PATH_BYTES], leader_path[RILL_LEADER_PATH_BYTES];
    uint64_t epoch; /* whose process is watched */
    int fd;         /* pidfd; -1: none */
    bool is_gone;   /* it had ended before it could be watched */
    bool asked;
};

/* This process, for rill_election_config.info: "NAME BOOT NAMESPACE PID START". Returns info. */
const char *rill_leader_info(const char *name, char info[RILL_LEADER_INFO_BYTES]);

/* `folder`: of the election. */
void rill_leader_death_begin(struct rill_leader_death *death, struct rill_registry *registry,
                             const char *folder);
void rill_leader_death_end(struct rill_leader_death *death);
/* That one leads now, and says this of itself; epoch 0: nobody. */
void rill_leader_death_watch(struct rill_leader_death *death, uint64_t epoch, const void *info,
                             uint32_t info_bytes);
/* Now and then. True once: its process is gone, and the registry was asked to take note. */
bool rill_leader_death_look(struct rill_leader_death *death);

#endif
