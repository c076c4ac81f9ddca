/* Keeps an NF's objects as the configuration store has them: looks for new versions, reads and
 * loads them beside the packets, and hands them over to whoever owns the instances.
 *
 * Looking, reading, loading and freeing are done by a thread of its own (or, at the start, by the
 * caller's). The owner's packet thread looks at one flag per turn; when it is up, it takes what is
 * new, sets it at its instances and says how that went. I/O: not part of the cores.
 *
 * A version that can't be loaded, or that an instance refuses, is told once and not tried again;
 * the one before stays. A store that can't be reached is told once, too, and what is there is kept.
 */
#ifndef RILL_NF_RUNTIME_OBJECT_WATCH_H
#define RILL_NF_RUNTIME_OBJECT_WATCH_H

#include "lib/objects/objects.h"
#include "nf-runtime/nf_host.h"

struct rill_object_watch;

struct rill_object_watch_config {
    const char *store;    /* address, lib/objects/objects.h; copied */
    uint64_t interval_ns; /* between two looks; up to 8 times that while the store is away */
    /* One line, for whoever runs the NF; from any thread. */
    void (*say)(void *arg, const char *line);
    void *arg;
};

/* Of the objects that `nf` names; it may go before the watch, its image and configuration not.
 * NULL with *err. */
struct rill_object_watch *rill_object_watch_create(const struct rill_object_watch_config *config,
                                                   const struct rill_nf *nf,
                                                   struct rill_error *err);
void rill_object_watch_destroy(struct rill_object_watch *watch); /* ends the thread; NULL is fine */

/* Loads the first version of all, on this thread. Negative with *err at the first that can't be
 * had. */
int rill_object_watch_load(struct rill_object_watch *watch, struct rill_error *err);
/* From now on a thread looks for new ones. -EAGAIN with *err. */
int rill_object_watch_start(struct rill_object_watch *watch, struct rill_error *err);
/* The same from the first version on: `loaded` says how that went, 1: not known yet. */
int rill_object_watch_loaded(struct rill_object_watch *watch, struct rill_error *err);

/* --- the owner's thread --- */

/* Something can be taken. */
bool rill_object_watch_pending(const struct rill_object_watch *watch);
/* A new version of the i-th object, to be set at all instances; NULL: there is none. It stays the
 * watch's. done() must follow: rc as of rill_nf_object_set(), with its line. */
struct rill_object_version *rill_object_watch_take(struct rill_object_watch *watch, unsigned i);
void rill_object_watch_done(struct rill_object_watch *watch, unsigned i, int rc,
                            const struct rill_error *err);
/* Before all that is pending is taken: what comes meanwhile is pending again. */
void rill_object_watch_clear(struct rill_object_watch *watch);
/* Takes what is pending and sets it at one instance. */
void rill_object_watch_apply(struct rill_object_watch *watch, struct rill_nf *nf);
/* Sets the present versions at an instance that is new: 0, or as rill_nf_object_set(). */
int rill_object_watch_equip(struct rill_object_watch *watch, struct rill_nf *nf,
                            struct rill_error *err);

/* A version that does not come from the store: the watch takes the caller's reference. It is
 * pending, whatever was before. With `version` NULL: it could not be loaded, `why` says so. */
void rill_object_watch_offer(struct rill_object_watch *watch, unsigned i,
                             struct rill_object_version *version, const char *why);

struct rill_object_status {
    char version[RILL_OBJECT_VERSION_BYTES]; /* "": none */
    uint64_t taken, refused;                 /* versions, the first included */
    uint64_t looks;                          /* for a new one */
    uint32_t skipped;                        /* lines, of the present one */
    char error[512];                         /* of the last that was refused; "": it was taken */
};
void rill_object_watch_status(struct rill_object_watch *watch, unsigned i,
                              struct rill_object_status *status);
/* Why the store can't be read at the moment; "": it can. */
void rill_object_watch_trouble(struct rill_object_watch *watch, char *text, size_t bytes);

#endif
