#include "nf-runtime/object_watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 600, SLOWER_MAX = 8 };

struct watched {
    struct rill_object_spec spec;
    char
        tried[RILL_OBJECT_VERSION_BYTES]; /* the store's version that was loaded last, or refused */
    /* Shared, under `lock`. */
    struct rill_object_version *pending; /* loaded, and nobody took it yet */
    struct rill_object_version *taken;   /* between take() and done() */
    struct rill_object_version *present;
    struct rill_object_version *retired; /* no instance has it any more: to be freed here */
    uint32_t pending_skipped;
    struct rill_object_status status;
};

struct rill_object_watch {
    struct rill_object_watch_config config;
    struct rill_objects *store;
    unsigned count;
    struct watched objects[RILL_NF_OBJECTS_MAX];
    atomic_bool any_pending;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool has_thread, ending;
    bool has_first; /* the first versions were loaded */
    pthread_t thread;
    int loaded; /* 1: not yet */
    struct rill_error load_error;
    char trouble[512]; /* "": the store can be read */
};

static bool is_named(const struct watched *o)
{
    return o->spec.name[0] != '\0';
}

__attribute__((format(printf, 2, 3))) static void say(struct rill_object_watch *w,
                                                      const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    w->config.say(w->config.arg, line);
}

/* --- the owner's thread ----------------------------------------------------------------------- */

bool rill_object_watch_pending(const struct rill_object_watch *w)
{
    return atomic_load_explicit(&w->any_pending, memory_order_relaxed);
}

struct rill_object_version *rill_object_watch_take(struct rill_object_watch *w, unsigned i)
{
    struct watched *o = &w->objects[i];

    pthread_mutex_lock(&w->lock);
    o->taken = o->pending;
    o->pending = NULL;
    pthread_mutex_unlock(&w->lock);
    return o->taken;
}

static void retire(struct rill_object_watch *w, struct watched *o,
                   struct rill_object_version *version)
{
    /* The thread frees it; without one, and in the rare case that it has not come by since the last
     * time, it is done here. */
    if (!w->has_thread || o->retired != NULL)
        rill_object_release(version);
    else
        o->retired = version;
}

static void set_refused(struct watched *o, const char *why)
{
    o->status.refused++;
    snprintf(o->status.error, sizeof(o->status.error), "%s", why);
}

void rill_object_watch_done(struct rill_object_watch *w, unsigned i, int rc,
                            const struct rill_error *err)
{
    struct watched *o = &w->objects[i];
    struct rill_object_version *old;

    pthread_mutex_lock(&w->lock);
    old = rc == 0 ? o->present : o->taken;
    if (rc == 0) {
        o->present = o->taken;
        o->status.taken++;
        o->status.skipped = o->pending_skipped;
        o->status.error[0] = '\0';
        snprintf(o->status.version, sizeof(o->status.version), "%s",
                 rill_object_version_text(o->present));
    } else {
        set_refused(o, err->text);
    }
    o->taken = NULL;
    retire(w, o, old);
    pthread_mutex_unlock(&w->lock);
    if (rc == 0 && o->status.taken > 1)
        say(w, "%s: version %s is in use now", o->spec.name, o->status.version);
    else if (rc != 0)
        say(w, "%s; the version before stays", err->text);
}

void rill_object_watch_clear(struct rill_object_watch *w)
{
    atomic_store(&w->any_pending, false);
}

void rill_object_watch_apply(struct rill_object_watch *w, struct rill_nf *nf)
{
    rill_object_watch_clear(w);
    for (unsigned i = 0; i < w->count; i++) {
        struct rill_object_version *version = rill_object_watch_take(w, i);
        struct rill_error err = {.text = ""};

        if (version != NULL)
            rill_object_watch_done(w, i, rill_nf_object_set(nf, i, version, &err), &err);
    }
}

int rill_object_watch_equip(struct rill_object_watch *w, struct rill_nf *nf, struct rill_error *err)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < w->count; i++)
        if (w->objects[i].present != NULL)
            rc = rill_nf_object_set(nf, i, w->objects[i].present, err);
    return rc;
}

/* --- loading ---------------------------------------------------------------------------------- */

static void say_skips(struct rill_object_watch *w, const struct watched *o,
                      const struct rill_load_report *report)
{
    for (uint32_t i = 0; i < report->skipped && i < RILL_LOAD_SKIPS_SHOWN; i++)
        say(w, "%s; left out", report->lines[i]);
    if (report->skipped > RILL_LOAD_SKIPS_SHOWN)
        say(w, "%s: %u lines left out, in all", o->spec.name, report->skipped);
}

static void offer(struct rill_object_watch *w, struct watched *o,
                  struct rill_object_version *version, uint32_t skipped)
{
    struct rill_object_version *unseen;

    pthread_mutex_lock(&w->lock);
    unseen = o->pending;
    o->pending = version;
    o->pending_skipped = skipped;
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->any_pending, true);
    rill_object_release(unseen);
}

static void refuse(struct rill_object_watch *w, struct watched *o, const char *why)
{
    pthread_mutex_lock(&w->lock);
    set_refused(o, why);
    pthread_mutex_unlock(&w->lock);
}

void rill_object_watch_offer(struct rill_object_watch *w, unsigned i,
                             struct rill_object_version *version, const char *why)
{
    if (version != NULL) {
        offer(w, &w->objects[i], version, 0);
        return;
    }
    refuse(w, &w->objects[i], why);
    say(w, "%s; the version before stays", why);
}

/* Reads the store's version of it, and loads it. -EINVAL: it is bad. */
static int load_one(struct rill_object_watch *w, struct watched *o, struct rill_error *err)
{
    struct rill_object_version *version;
    struct rill_load_report report;
    struct rill_objects_text text;
    int rc = rill_objects_get(w->store, o->spec.name, &text, err);

    if (rc != 0)
        return rc;
    version = rill_object_load(&o->spec, text.version, text.bytes, text.count, &report, err);
    free(text.bytes);
    snprintf(o->tried, sizeof(o->tried), "%s", text.version);
    say_skips(w, o, &report);
    if (version == NULL) {
        refuse(w, o, err->text);
        return -EINVAL;
    }
    offer(w, o, version, report.skipped);
    return 0;
}

int rill_object_watch_load(struct rill_object_watch *w, struct rill_error *err)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct watched *o = &w->objects[i];
        struct rill_error why = {.text = ""};
        int rc = is_named(o) ? load_one(w, o, &why) : 0;

        if (rc == -EINVAL || rc == -ENOMEM)
            return rill_error_set(err, rc, "%s", why.text);
        if (rc != 0)
            return rill_error_set(err, rc, "%.100s: %s: %.350s",
                                  rill_config_source(o->spec.config, o->spec.option),
                                  o->spec.option, why.text);
    }
    w->has_first = true;
    return 0;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void begin_look(struct rill_object_watch *w, struct watched *o)
{
    struct rill_object_version *version;

    pthread_mutex_lock(&w->lock);
    o->status.looks++;
    version = o->retired;
    o->retired = NULL;
    pthread_mutex_unlock(&w->lock);
    rill_object_release(version);
}

/* Once for each trouble, and once when it is over. */
static void note_trouble(struct rill_object_watch *w, const char *text)
{
    bool is_new;

    pthread_mutex_lock(&w->lock);
    is_new = strcmp(w->trouble, text) != 0;
    snprintf(w->trouble, sizeof(w->trouble), "%s", text);
    pthread_mutex_unlock(&w->lock);
    if (is_new && text[0] != '\0')
        say(w, "%s; what is in use stays", text);
    else if (is_new)
        say(w, "the configuration store is read again");
}

/* 0, or why the store can't be read. A version that is bad is no trouble of the store's. */
static int look_at(struct rill_object_watch *w, struct watched *o, struct rill_error *err)
{
    char version[RILL_OBJECT_VERSION_BYTES];
    int rc;

    begin_look(w, o);
    rc = rill_objects_version(w->store, o->spec.name, version, err);
    if (rc != 0 || strcmp(version, o->tried) == 0)
        return rc;
    rc = load_one(w, o, err);
    if (rc != -EINVAL)
        return rc;
    say(w, "%s; the version before stays", err->text);
    return 0;
}

static void look_at_all(struct rill_object_watch *w)
{
    struct rill_error err = {.text = ""};
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < w->count; i++)
        if (is_named(&w->objects[i]))
            rc = look_at(w, &w->objects[i], &err);
    note_trouble(w, rc != 0 ? err.text : "");
}

static void load_first(struct rill_object_watch *w)
{
    struct rill_error err = {.text = ""};
    int rc = rill_object_watch_load(w, &err);

    pthread_mutex_lock(&w->lock);
    w->loaded = rc;
    w->load_error = err;
    pthread_mutex_unlock(&w->lock);
}

/* False: it ends. */
static bool wait_for(struct rill_object_watch *w, uint64_t ns)
{
    struct timespec until;
    bool go_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&w->lock);
    while (!w->ending && pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT)
        ;
    go_on = !w->ending;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct rill_object_watch *w = arg;
    uint64_t slower = 1;

    /* Whoever handles packets goes first; that it is no more than a wish is fine. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    if (!w->has_first)
        load_first(w);
    while (wait_for(w, w->config.interval_ns * slower)) {
        look_at_all(w);
        slower = w->trouble[0] == '\0' ? 1 : slower < SLOWER_MAX ? slower * 2 : slower;
    }
    return NULL;
}

/* The caller is the one who handles signals. */
int rill_object_watch_start(struct rill_object_watch *w, struct rill_error *err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    w->has_thread = true;
    rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        return 0;
    w->has_thread = false;
    return rill_error_set(err, -EAGAIN, "no thread for the configuration store: %s", strerror(rc));
}

int rill_object_watch_loaded(struct rill_object_watch *w, struct rill_error *err)
{
    int rc;

    pthread_mutex_lock(&w->lock);
    rc = w->loaded;
    if (rc < 0)
        *err = w->load_error;
    pthread_mutex_unlock(&w->lock);
    return rc;
}

/* --- life ------------------------------------------------------------------------------------- */

static void init_sync(struct rill_object_watch *w)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
}

struct rill_object_watch *rill_object_watch_create(const struct rill_object_watch_config *config,
                                                   const struct rill_nf *nf, struct rill_error *err)
{
    struct rill_object_watch *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        rill_error_set(err, -ENOMEM, "no memory for the configuration store");
        return NULL;
    }
    init_sync(w);
    w->config = *config;
    w->config.store = NULL; /* it is the caller's */
    w->loaded = 1;
    w->count = rill_nf_object_count(nf);
    for (unsigned i = 0; i < w->count; i++)
        w->objects[i].spec = *rill_nf_object_spec(nf, i);
    w->store = rill_objects_open(config->store, err);
    if (w->store != NULL)
        return w;
    rill_object_watch_destroy(w);
    return NULL;
}

void rill_object_watch_destroy(struct rill_object_watch *w)
{
    if (w == NULL)
        return;
    if (w->has_thread) {
        pthread_mutex_lock(&w->lock);
        w->ending = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    for (unsigned i = 0; i < w->count; i++) {
        rill_object_release(w->objects[i].pending);
        rill_object_release(w->objects[i].present);
        rill_object_release(w->objects[i].retired);
    }
    rill_objects_close(w->store);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void rill_object_watch_status(struct rill_object_watch *w, unsigned i,
                              struct rill_object_status *status)
{
    pthread_mutex_lock(&w->lock);
    *status = w->objects[i].status;
    pthread_mutex_unlock(&w->lock);
}

void rill_object_watch_trouble(struct rill_object_watch *w, char *text, size_t bytes)
{
    pthread_mutex_lock(&w->lock);
    snprintf(text, bytes, "%s", w->trouble);
    pthread_mutex_unlock(&w->lock);
}
