#include "nf-runtime/unit_store.h"

#include <errno.h>
#include <string.h>

#include "lib/config/settings.h"

#ifdef RILL_HAS_REDIS
#include <unistd.h>

#include "lib/daemon/daemon.h"
#include "lib/frame/frame.h"
#include "lib/store/store_redis.h"

#define TIMEOUT_NS UINT64_C(500000000)
#define FOLDER "/run/store" /* where the agent mounts the cluster's store_folder */

enum { OUTSTANDING_MAX = 1024 };

static int refuse(const struct rill_config *settings, const char *why, struct rill_error *err)
{
    return rill_error_set(err, -EINVAL, "%s: external_store '%.200s': %s",
                          rill_config_source(settings, "external_store"),
                          rill_config_string(settings, "external_store"), why);
}

static int open_store(struct unit_store *s, const struct rill_config *settings,
                      const char *links_folder, struct rte_mempool *pool, struct rill_error *err)
{
    const char *slash = strrchr(links_folder, '/');
    char prefix[RILL_STORE_PREFIX_BYTES];
    struct rill_store_redis_config config = {.pool = pool,
                                             .address =
                                                 rill_config_string(settings, "external_store"),
                                             .prefix = prefix,
                                             .keep_ns = rill_setting_keep_ns(settings),
                                             .timeout_ns = TIMEOUT_NS,
                                             .outstanding_max = OUTSTANDING_MAX};

    if (strncmp(config.address, "unix:" FOLDER "/", strlen("unix:" FOLDER "/")) != 0)
        return refuse(settings, "a unit has no network, and finds a server at unix:" FOLDER "/NAME",
                      err);
    if (access(FOLDER, X_OK) != 0)
        return refuse(settings, "the cluster has no " FOLDER ": rill up --set store_folder=FOLDER",
                      err);
    snprintf(prefix, sizeof(prefix), "rill:%s", slash == NULL ? links_folder : slash + 1);
    s->store = rill_store_redis_create(&config, err);
    return s->store == NULL ? -ENOMEM : 0;
}

/* What the unit sent to the store leaves its outbox. */
static void hand_over(struct unit_store *s, uint64_t now_ns, struct rill_outbox *out)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < out->count; i++) {
        if (rill_frame(out->frames[i])->dst == UNIT_STORE_ID)
            rill_store_recv(s->store, &out->frames[i], 1, now_ns, &s->answers);
        else
            out->frames[kept++] = out->frames[i];
    }
    out->count = kept;
}

/* Once for each trouble. */
static void tell_trouble(struct unit_store *s)
{
    const char *trouble = rill_store_redis_trouble(s->store);

    if (strcmp(trouble, s->trouble) == 0)
        return;
    snprintf(s->trouble, sizeof(s->trouble), "%s", trouble);
    if (trouble[0] != '\0')
        rill_daemon_say("the store outside: %s; flows that move wait", trouble);
    else
        rill_daemon_say("the store outside is reached again");
}

void unit_store_pass(struct unit_store *s, struct rill_unit *unit, uint64_t now_ns,
                     struct rill_outbox *out)
{
    struct rill_outbox given;

    if (s->store == NULL)
        return;
    hand_over(s, now_ns, out);
    given = s->answers;
    if (given.count == 0)
        return;
    s->answers = s->given; /* what comes now waits for the next turn */
    s->given = given;
    rill_unit_recv(unit, given.frames, given.count, now_ns, out);
    s->given.count = 0;
    hand_over(s, now_ns, out);
}

void unit_store_tick(struct unit_store *s, struct rill_unit *unit, uint64_t now_ns,
                     struct rill_outbox *out)
{
    if (s->store == NULL)
        return;
    rill_store_tick(s->store, now_ns, &s->answers);
    tell_trouble(s);
    unit_store_pass(s, unit, now_ns, out);
}

uint64_t unit_store_next_ns(const struct unit_store *s)
{
    if (s->store == NULL)
        return UINT64_MAX;
    return s->answers.count > 0 ? 0 : rill_store_next_ns(s->store);
}
#else
static int open_store(struct unit_store *s, const struct rill_config *settings,
                      const char *links_folder, struct rte_mempool *pool, struct rill_error *err)
{
    (void)s, (void)links_folder, (void)pool;
    return rill_error_set(err, -EINVAL,
                          "%s: state=external needs a Redis server, and this was built without its "
                          "client: apt-get install libhiredis-dev, and build again",
                          rill_config_source(settings, "state"));
}

void unit_store_pass(struct unit_store *s, struct rill_unit *unit, uint64_t now_ns,
                     struct rill_outbox *out)
{
    (void)s, (void)unit, (void)now_ns, (void)out;
}

void unit_store_tick(struct unit_store *s, struct rill_unit *unit, uint64_t now_ns,
                     struct rill_outbox *out)
{
    (void)s, (void)unit, (void)now_ns, (void)out;
}

uint64_t unit_store_next_ns(const struct unit_store *s)
{
    (void)s;
    return UINT64_MAX;
}
#endif

int unit_store_open(struct unit_store *s, const struct rill_config *settings,
                    const char *links_folder, struct rte_mempool *pool, struct rill_error *err)
{
    if (rill_config_enum(settings, "state") != RILL_STATE_EXTERNAL)
        return 0;
    return open_store(s, settings, links_folder, pool, err);
}
