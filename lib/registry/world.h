/* For tests: a registry's server, sessions with it, faults, and its time, whichever registry it is.
 * Fails the running test (cmocka) where anything is not as it should be.
 */
#ifndef RILL_LIB_REGISTRY_WORLD_H
#define RILL_LIB_REGISTRY_WORLD_H

#include "lib/registry/registry.h"

enum { WORLD_SESSIONS_MAX = 16, WORLD_TEXT_MAX = 200, WORLD_CHILDREN_MAX = 80 };

/* What an implementation adds. */
struct world_ops {
    const char *name;
    uint64_t timeout_ns; /* of each session */
    bool virtual_time;   /* nothing is late but what is said to be, and restarts cost nothing */
    int (*group_setup)(void **state);
    int (*group_teardown)(void **state);
    void (*setup)(void); /* of each test */
    void (*teardown)(void);
    struct rill_registry *(*connect)(void);
    void (*closed)(struct rill_registry *registry);
    /* Waits until something may have happened, or a few ms; the sessions are turned after it. */
    void (*wait)(struct rill_registry *const *sessions, uint32_t count);
    uint64_t (*now_ns)(void);
    uint64_t (*clock_ns)(void); /* real time, for the end of the patience with a test */
    void (*cut)(struct rill_registry *registry, bool cut);
    void (*stop)(void); /* the server, at once */
    void (*start)(void);
    int (*own_battery)(void); /* NULL: none */
};

extern const struct world_ops *world;

/* cmocka's, for each test. */
int world_setup(void **state);
int world_teardown(void **state);

/* A session, connected; or not yet. */
struct rill_registry *world_connect(void);
struct rill_registry *world_connect_only(void);
void world_close(struct rill_registry *registry);
/* Something that needs turns too. */
void world_also_turn(void (*turn)(void *arg, uint64_t now_ns), void *arg);
void world_no_turn(const void *arg);
/* One wait, and one turn of all. */
void world_step(void);

/* Steps until `condition` holds. */
#define world_await(condition)                                                                     \
    do {                                                                                           \
        uint64_t world_began_ns = world->clock_ns();                                               \
        while (!(condition)) {                                                                     \
            if (world->clock_ns() - world_began_ns > UINT64_C(30000000000))                        \
                fail_msg("waited in vain for: %s", #condition);                                    \
            world_step();                                                                          \
        }                                                                                          \
    } while (0)

/* Steps until `ns` are over. */
void world_pass(uint64_t ns);

/* This test's own "/...": `name` below it; "" for the folder itself. Valid for eight more calls. */
const char *world_path(const char *name);

/* What a request or a watch was told, the last time. */
struct world_told {
    unsigned times;
    int status;
    uint32_t failed, data_bytes, children_count;
    struct rill_registry_stat stat;
    char path[RILL_REGISTRY_PATH_MAX + 1], text[WORLD_TEXT_MAX];
    char children[WORLD_CHILDREN_MAX][RILL_REGISTRY_NAME_MAX + 1];
};

void world_tell(void *told, const struct rill_registry_result *result);

/* Ask and wait; the status. `told` may be NULL. */
int world_ask(struct rill_registry *registry, const struct rill_registry_op *ops, unsigned count,
              struct world_told *told);
int world_create(struct rill_registry *registry, const char *path, unsigned flags,
                 const char *text);
int world_set(struct rill_registry *registry, const char *path, int32_t version, const char *text);
int world_delete(struct rill_registry *registry, const char *path, int32_t version);
int world_get(struct rill_registry *registry, const char *path, struct world_told *told);
int world_list(struct rill_registry *registry, const char *path, struct world_told *told);

/* The batteries: each returns how many of its tests failed. */
int world_registry_battery(void);
int world_session_battery(void);
int world_election_battery(void);
int world_epochs_battery(void);
int world_membership_battery(void);
int world_lease_table_battery(void);
/* All of them. */
int world_run(const struct world_ops *ops);

#endif
