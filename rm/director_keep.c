/* What waits until the state is kept.
 *
 * After each event the director's state is compared with what was written last. If it is another
 * one it is written, and what is said because of it waits until it is there: so whatever a role was
 * told, the next director knows (output commit, as packets have it). What changes nothing waits for
 * nothing: leases are renewed, and roles' counters passed on, while the store is away. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "rm/director_internal.h"

/* --- what waits ------------------------------------------------------------------------------- */

struct dir_waiting {
    uint32_t peer;
    bool judged;      /* `version` is known */
    uint64_t version; /* goes when that is there */
    uint32_t leases;  /* vni: it waits for that deployment's leases alone */
    Control__Message *message;
};

static Control__Message *copy_of(const Control__Message *message)
{
    size_t bytes = control__message__get_packed_size(message);
    uint8_t *packed = malloc(bytes + 1);
    Control__Message *copy = NULL;

    if (packed != NULL) {
        control__message__pack(message, packed);
        copy = control__message__unpack(NULL, bytes, packed);
    }
    free(packed);
    if (copy == NULL)
        abort(); /* it may be all that tells a role what it is */
    return copy;
}

/* Of the deployment whose lease core speaks; 0: it is something else. */
static uint32_t lease_of(const struct rill_director *d, const Control__Message *message)
{
    const struct dir_role *role;

    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_LEASE_GRANT:
    case CONTROL__MESSAGE__BODY_SHARE:
    case CONTROL__MESSAGE__BODY_MEMBERS:
    case CONTROL__MESSAGE__BODY_DEATH:
    case CONTROL__MESSAGE__BODY_RECOVERED_ACK:
    case CONTROL__MESSAGE__BODY_NEW_LOGGER:
        role = dir_role(d, message->to);
        return role == NULL ? 0 : role->vni;
    default:
        return 0;
    }
}

/* Says only how things are. */
static bool waits_for_nothing(const Control__Message *message)
{
    switch (message->body_case) {
    case CONTROL__MESSAGE__BODY_METRICS_REQUEST:
    case CONTROL__MESSAGE__BODY_METRICS:
    case CONTROL__MESSAGE__BODY_STATUS:
    case CONTROL__MESSAGE__BODY_ERROR:
        return true;
    case CONTROL__MESSAGE__BODY_WELCOME: /* it is remembered only once it is attached */
        return rill_role_kind(message->to) == RILL_ROLE_CLIENT;
    default:
        return false;
    }
}

void dir_out(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    Control__Message m = *message;

    m.rm_number = d->config.number;
    if (d->config.save == NULL || d->going_down || waits_for_nothing(message) ||
        RILL_MUTANT(said_first)) {
        d->config.send(d->config.arg, peer, &m);
        return;
    }
    if (d->waiting_count == d->waiting_room) {
        uint32_t room = d->waiting_room == 0 ? 64 : 2 * d->waiting_room;

        d->waiting = realloc(d->waiting, room * sizeof(d->waiting[0]));
        if (d->waiting == NULL)
            abort();
        d->waiting_room = room;
    }
    d->waiting[d->waiting_count++] =
        (struct dir_waiting){.peer = peer, .leases = lease_of(d, message), .message = copy_of(&m)};
}

static void free_waiting(struct dir_waiting *waiting)
{
    control__message__free_unpacked(waiting->message, NULL);
}

void dir_forget_waiting(struct rill_director *d, uint32_t peer)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < d->waiting_count; i++) {
        if (peer == 0 || d->waiting[i].peer == peer)
            free_waiting(&d->waiting[i]);
        else
            d->waiting[kept++] = d->waiting[i];
    }
    d->waiting_count = kept;
}

static void judge(struct rill_director *d)
{
    for (uint32_t i = 0; i < d->waiting_count; i++) {
        struct dir_waiting *waiting = &d->waiting[i];
        const struct dir_deployment *dep = dir_deployment(d, waiting->leases);

        if (!waiting->judged)
            waiting->version = dep != NULL ? dep->lease_version : d->version;
        waiting->judged = true;
    }
}

static void release(struct rill_director *d)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < d->waiting_count; i++) {
        struct dir_waiting waiting = d->waiting[i];

        if (waiting.version > d->saved_version) {
            d->waiting[kept++] = waiting;
            continue;
        }
        d->config.send(d->config.arg, waiting.peer, waiting.message);
        free_waiting(&waiting);
    }
    d->waiting_count = kept;
}

/* --- keeping ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const uint8_t *bytes, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void note_leases(struct rill_director *d)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        struct dir_deployment *dep = &d->deployments[i];
        uint64_t hash;

        if (dep->vni == 0)
            continue;
        hash = hash_of(d->record.bytes + dep->lease_start, dep->lease_bytes);
        if (hash != dep->lease_hash)
            dep->lease_version = d->version;
        dep->lease_hash = hash;
    }
}

static bool is_as_before(const struct rill_director *d)
{
    return d->record.count == d->record_before.count &&
           memcmp(d->record.bytes, d->record_before.bytes, d->record.count) == 0;
}

static void date_gone(struct rill_director *d)
{
    for (uint32_t i = 0; i < d->gone_count; i++)
        if (d->gone[i].version == 0)
            d->gone[i].version = d->version;
}

/* Not before the state without them is kept. */
static void forget_gone(struct rill_director *d)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < d->gone_count; i++) {
        const struct dir_gone *gone = &d->gone[i];
        char name[DIR_RECORD_NAME_BYTES];

        if (gone->version == 0 || gone->version > d->saved_version) {
            d->gone[kept++] = *gone;
            continue;
        }
        if (gone->folder[0] != '\0')
            d->config.remove_folder(d->config.arg, gone->folder);
        dir_save(d, d->version, dir_record_name(gone->vni, name), NULL, 0);
    }
    d->gone_count = kept;
}

static void keep_state(struct rill_director *d)
{
    struct rill_memo swap;

    dir_write_state(d, &d->record);
    if (rill_memo_failed(&d->record))
        abort(); /* no memory; the next one goes on with what was kept */
    if (is_as_before(d))
        return;
    d->version++;
    note_leases(d);
    dir_save(d, d->version, dir_state_name, d->record.bytes, d->record.count);
    date_gone(d);
    swap = d->record;
    d->record = d->record_before;
    d->record_before = swap;
}

void dir_keep(struct rill_director *d)
{
    if (d->config.save == NULL)
        return;
    if (!d->going_down)
        keep_state(d);
    judge(d);
    release(d);
}

void dir_keep_deployment(struct rill_director *d, const struct dir_deployment *dep)
{
    size_t bytes = control__deploy__get_packed_size(dep->spec);
    char name[DIR_RECORD_NAME_BYTES];
    uint8_t *packed;

    if (d->config.save == NULL)
        return;
    packed = malloc(bytes + 1);
    if (packed == NULL)
        abort(); /* as in keep_state() */
    control__deploy__pack(dep->spec, packed);
    dir_save(d, d->version + 1, dir_record_name(dep->vni, name), packed, bytes);
    free(packed);
}

void dir_deployment_is_gone(struct rill_director *d, const struct dir_deployment *dep)
{
    struct dir_gone *gone = &d->gone[d->gone_count];

    if (d->config.save == NULL) {
        if (dep->has_folder)
            d->config.remove_folder(d->config.arg, dep->folder);
        return;
    }
    if (d->gone_count == RILL_DIRECTOR_DEPLOYMENTS_MAX)
        return; /* what is left of it goes with the cluster */
    *gone = (struct dir_gone){.vni = dep->vni};
    if (dep->has_folder)
        snprintf(gone->folder, sizeof(gone->folder), "%s", dep->folder);
    d->gone_count++;
}

void rill_director_saved(struct rill_director *d, uint64_t version)
{
    d->saved_version = RTE_MAX(d->saved_version, version);
    forget_gone(d);
    release(d);
}
