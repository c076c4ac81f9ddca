/* What the files of the keeper share; nobody else includes it.
 *
 * keeper.c is the agent's side. keeper_loop.c is the keeper process, keeper_role.c what it knows of
 * a role's container. keeper_remove.c works without either.
 */
#ifndef RILL_RM_AGENT_KEEPER_INTERNAL_H
#define RILL_RM_AGENT_KEEPER_INTERNAL_H

#include "rm/agent/container.h"
#include "rm/agent/keeper.h"
#include "rm/agent/keeper_stall.h"

/* Over the socket pair, one struct a datagram: first a greeting from the keeper, then requests to
 * it and events (keeper.h) from it. Both ends are one program. */
struct rill_keeper_greeting {
    int32_t code; /* 0, or why there is no keeper */
    struct rill_error err;
};

enum rill_keeper_request_type {
    RILL_KEEPER_RUN,
    RILL_KEEPER_STOP,
    RILL_KEEPER_KILL,
    RILL_KEEPER_HANG,
    RILL_KEEPER_STOP_ALL
};

struct rill_keeper_request {
    enum rill_keeper_request_type type;
    uint32_t role;
    bool host_network; /* of RUN */
    bool at_once;      /* of STOP */
};

/* keeper_loop.c: the process, until the agent's end of the socket is closed. */
void rill_keeper_main(const struct rill_keeper_config *config, int fd) __attribute__((noreturn));

/* keeper_role.c: a role's container, and what belongs to it. */
struct rill_keeper_program {
    uint32_t role;
    uint64_t token;
    struct rill_container *container; /* NULL: removed */
    int turns_fd;
    struct rill_stall stall;
    bool stalled;     /* and so killed */
    uint64_t kill_ns; /* it was told to end, and is killed then; 0: nobody told it */
    bool over;        /* its end was noticed */
    uint64_t how_ns;  /* over: how it ended is not waited for any longer than until then */
    bool told;        /* over: and how; what is left of it can go */
};

/* Makes what it needs below base, and removes it again if it fails. Blocks as
 * rill_container_start() does. */
int rill_keeper_program_start(const struct rill_keeper_config *config,
                              struct rill_containers *containers, uint32_t role, bool host_network,
                              struct rill_keeper_program *program, struct rill_error *err);
/* For one that was found running. Not 0: it is none of the keeper's, or nobody knows its token. */
int rill_keeper_program_adopt(const struct rill_keeper_config *config,
                              struct rill_container *container,
                              struct rill_keeper_program *program);
/* Kills it if it runs; removes all but the log. What can't be removed is named in *err. */
int rill_keeper_program_remove(const struct rill_keeper_config *config,
                               struct rill_keeper_program *program, struct rill_error *err);
/* What a look at a program sees; of what can't be read it sees what it saw before. */
void rill_keeper_program_see(const struct rill_keeper_program *program,
                             struct rill_stall_seen *seen);
/* Its log has no more than config->log_bytes. */
void rill_keeper_bound_log(const struct rill_keeper_config *config, uint32_t role);
/* The last line that it wrote, if any; in printable ASCII. */
void rill_keeper_last_line(const struct rill_keeper_config *config, uint32_t role, char *line,
                           size_t size);
/* The folders of roles, but for those that have a program: what a crash left. */
void rill_keeper_remove_role_folders(const struct rill_keeper_config *config,
                                     const struct rill_keeper_program *programs, uint32_t count);
/* <base>/<name> into path. */
enum { RILL_KEEPER_PATH_BYTES = 512 };
int rill_keeper_path(const char *base, const char *name, char path[RILL_KEEPER_PATH_BYTES],
                     struct rill_error *err);

#endif
