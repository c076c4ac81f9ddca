/* The store outside, of state=external. Under virtual time the cluster has a model of one; under
 * real time it is a Redis server that somebody else has started. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>

#include "cli/embedded_run.h"
#include "lib/config/settings.h"

#ifdef RILL_HAS_REDIS
#include "lib/store/store_redis.h"

#define TIMEOUT_NS UINT64_C(500000000)
#define READY_MAX_NS UINT64_C(2000000000) /* of the run's clock */

enum { OUTSTANDING_MAX = 16384 };

static int refuse(const struct run *r, const char *why, struct rill_error *err)
{
    return rill_error_set(err, -EINVAL, "%s: external_store: %.400s",
                          rill_config_source(r->input.settings, "external_store"), why);
}

static const char *address_of(const struct run *r)
{
    const char *address = rill_config_string(r->input.settings, "external_store");

    return address[0] != '\0' ? address : RILL_STORE_REDIS_USUAL;
}

/* Keys are this run's alone: flow numbers are not told apart from those of another. */
static int name_run(char prefix[RILL_STORE_PREFIX_BYTES], struct rill_error *err)
{
    uint64_t run;

    if (getrandom(&run, sizeof(run), 0) != sizeof(run))
        return rill_error_set(err, -EIO, "no random number for this run: %s", strerror(errno));
    snprintf(prefix, RILL_STORE_PREFIX_BYTES, "rill:%016" PRIx64, run);
    return 0;
}

static int open_store(struct run *r, struct rill_error *err)
{
    const struct rill_config *settings = r->input.settings;
    char prefix[RILL_STORE_PREFIX_BYTES];
    struct rill_store_redis_config config = {.pool = r->player.pool,
                                             .address = address_of(r),
                                             .prefix = prefix,
                                             .keep_ns = rill_setting_keep_ns(settings),
                                             .timeout_ns = TIMEOUT_NS,
                                             .outstanding_max = OUTSTANDING_MAX};
    struct rill_error why;

    if (name_run(prefix, err) != 0)
        return -EIO;
    signal(SIGPIPE, SIG_IGN); /* that a server has gone is what write() says */
    r->store = rill_store_redis_create(&config, &why);
    return r->store == NULL ? refuse(r, why.text, err) : 0;
}

int embedded_store_ready(const struct run *r, struct rill_error *err)
{
    const char *trouble;
    char why[512];

    if (r->store == NULL || rill_store_redis_is_connected(r->store))
        return 1;
    if (r->player.now_ns < READY_MAX_NS)
        return 0;
    trouble = rill_store_redis_trouble(r->store);
    snprintf(why, sizeof(why), "%s: %s", address_of(r), trouble[0] != '\0' ? trouble : "no answer");
    return refuse(r, why, err);
}
#else
static int open_store(struct run *r, struct rill_error *err)
{
    return rill_error_set(err, -EINVAL,
                          "%s: state=external under the real clock needs a Redis server, and this "
                          "was built without its client: apt-get install libhiredis-dev, and build "
                          "again; or take --clock virtual",
                          rill_config_source(r->input.settings, "state"));
}

int embedded_store_ready(const struct run *r, struct rill_error *err)
{
    (void)r, (void)err;
    return 1;
}
#endif

int embedded_store_open(struct run *r, struct rill_error *err)
{
    if (rill_config_enum(r->input.settings, "state") != RILL_STATE_EXTERNAL ||
        r->options->clock == RILL_CLOCK_VIRTUAL)
        return 0;
    return open_store(r, err);
}
