#include "lib/registry/membership.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One that is in the folder. */
struct member {
    struct member *next;
    struct rill_membership *membership;
    bool watched, told, listed;
    struct rill_registry_stat stat; /* as told */
    char name[RILL_REGISTRY_NAME_MAX + 1];
};

struct rill_membership {
    struct rill_registry *registry;
    struct rill_membership_events events;
    struct member *members;
    uint32_t count; /* told as joined */
    bool folder_made, enters, entering, entered;
    bool stale; /* the own node has other data than it should */
    uint32_t data_bytes;
    char folder[RILL_REGISTRY_PATH_MAX + 1], own_path[RILL_REGISTRY_PATH_MAX + 1];
    char own_name[RILL_REGISTRY_NAME_MAX + 1];
    char data[RILL_MEMBER_DATA_MAX];
};

/* --- the own node ----------------------------------------------------------------------------- */

static bool is_own(const struct member *member)
{
    return member->membership->enters && strcmp(member->name, member->membership->own_name) == 0;
}

static void on_updated(void *arg, const struct rill_registry_result *result)
{
    struct rill_membership *m = arg;

    if (result->status != 0)
        m->stale = true; /* sent again with the next connection; gone, it is made anew */
}

static void send_data(struct rill_membership *m)
{
    const struct rill_registry_op set = {.type = RILL_REGISTRY_SET,
                                         .path = m->own_path,
                                         .version = RILL_REGISTRY_ANY_VERSION,
                                         .data = m->data,
                                         .data_bytes = m->data_bytes};

    m->stale = rill_registry_ask(m->registry, &set, 1, on_updated, m, NULL) != 0;
}

/* There is a node of the own name. If this session made it, that answer was lost, or is late. */
static void own_seen(struct rill_membership *m, const struct rill_registry_stat *stat)
{
    if (m->entered || m->entering || stat->owner != rill_registry_session(m->registry))
        return;
    m->entered = true;
    send_data(m);
}

static void on_entered(void *arg, const struct rill_registry_result *result)
{
    struct rill_membership *m = arg;

    m->entering = false;
    if (result->status == 0)
        m->entered = true;
    if (m->entered && m->stale)
        send_data(m);
    if (result->status == -EEXIST) /* whose it is, the watch told or will tell */
        for (const struct member *member = m->members; member != NULL; member = member->next)
            if (is_own(member) && member->told)
                own_seen(m, &member->stat);
}

static void enter(struct rill_membership *m)
{
    const struct rill_registry_op make = {.type = RILL_REGISTRY_CREATE,
                                          .path = m->own_path,
                                          .flags = RILL_REGISTRY_EPHEMERAL,
                                          .data = m->data,
                                          .data_bytes = m->data_bytes};

    if (!m->enters || m->entering || m->entered ||
        rill_registry_make_folder(m->registry, m->folder, NULL, NULL, NULL) != 0)
        return;
    m->stale = false;
    m->entering = rill_registry_ask(m->registry, &make, 1, on_entered, m, NULL) == 0;
}

static void own_gone(struct rill_membership *m)
{
    m->entered = false;
    enter(m);
}

/* --- the others ------------------------------------------------------------------------------- */

static void watch_member(struct member *member);

static void tell_left(struct member *member)
{
    struct rill_membership *m = member->membership;

    if (!member->told)
        return;
    member->told = false;
    m->count--;
    if (m->events.left != NULL)
        m->events.left(m->events.arg, member->name);
}

static void tell_there(struct member *member, const struct rill_registry_result *result)
{
    struct rill_membership *m = member->membership;
    bool joins;

    if (member->told && member->stat.created != result->stat.created)
        tell_left(member);
    joins = !member->told;
    member->told = true;
    member->stat = result->stat;
    m->count += joins;
    if (joins && m->events.joined != NULL)
        m->events.joined(m->events.arg, member->name, result->data, result->data_bytes);
    else if (!joins && m->events.changed != NULL)
        m->events.changed(m->events.arg, member->name, result->data, result->data_bytes);
}

static void on_member(void *arg, const struct rill_registry_result *result)
{
    struct member *member = arg;
    struct rill_membership *m = member->membership;
    bool was_told = member->told;

    if (result->status == 0) {
        tell_there(member, result);
        if (is_own(member))
            own_seen(m, &result->stat);
        return;
    }
    member->watched = false;
    tell_left(member);
    if (was_told) /* the list may have been read when it was there anew */
        watch_member(member);
    if (is_own(member))
        own_gone(m);
}

static void watch_member(struct member *member)
{
    struct rill_membership *m = member->membership;
    char path[2 * RILL_REGISTRY_PATH_MAX];

    if (member->watched)
        return;
    snprintf(path, sizeof(path), "%s/%s", m->folder, member->name);
    /* Without memory, when the list changes next. */
    member->watched = rill_registry_watch(m->registry, path, RILL_REGISTRY_WATCH_TO_END, on_member,
                                          member, NULL) == 0;
}

static struct member *find_or_add(struct rill_membership *m, const char *name)
{
    struct member *member = m->members;

    while (member != NULL && strcmp(member->name, name) != 0)
        member = member->next;
    if (member != NULL)
        return member;
    member = calloc(1, sizeof(*member));
    if (member == NULL)
        return NULL;
    member->membership = m;
    snprintf(member->name, sizeof(member->name), "%s", name);
    member->next = m->members;
    m->members = member;
    return member;
}

static void remove_unlisted(struct rill_membership *m)
{
    struct member **at = &m->members;

    while (*at != NULL) {
        struct member *member = *at;

        if (member->listed) {
            at = &member->next;
            continue;
        }
        *at = member->next;
        rill_registry_forget(m->registry, member);
        tell_left(member);
        if (is_own(member))
            own_gone(m);
        free(member);
    }
}

static void on_list(void *arg, const struct rill_registry_result *result)
{
    struct rill_membership *m = arg;

    for (struct member *member = m->members; member != NULL; member = member->next)
        member->listed = false;
    for (uint32_t i = 0; i < result->children_count; i++) {
        struct member *member = find_or_add(m, result->children[i]);

        if (member == NULL)
            continue;
        member->listed = true;
        watch_member(member);
    }
    remove_unlisted(m);
    if (result->status == -ENOENT)
        rill_registry_make_folder(m->registry, m->folder, NULL, NULL, NULL);
}

static void on_state(void *arg, enum rill_registry_state state)
{
    struct rill_membership *m = arg;

    if (state != RILL_REGISTRY_CONNECTED)
        return;
    rill_registry_make_folder(m->registry, m->folder, NULL, NULL, NULL);
    enter(m);
    if (m->entered && m->stale)
        send_data(m);
}

/* --- making, entering, ending ----------------------------------------------------------------- */

int rill_membership_create(struct rill_registry *registry, const char *folder,
                           const struct rill_membership_events *events,
                           struct rill_membership **membership, struct rill_error *err)
{
    struct rill_membership *m = calloc(1, sizeof(*m));
    int rc;

    if (m == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for a membership");
    m->registry = registry;
    m->events = *events;
    rc = rill_registry_watch(registry, folder, RILL_REGISTRY_WATCH_CHILDREN, on_list, m, err);
    if (rc == 0 && rill_registry_listen(registry, on_state, m) != 0)
        rc = rill_error_set(err, -ENOMEM, "no memory for a membership");
    if (rc != 0) {
        rill_registry_forget(registry, m);
        free(m);
        return rc;
    }
    snprintf(m->folder, sizeof(m->folder), "%s", folder);
    if (rill_registry_state(registry) == RILL_REGISTRY_CONNECTED)
        on_state(m, RILL_REGISTRY_CONNECTED);
    *membership = m;
    return 0;
}

void rill_membership_destroy(struct rill_membership *membership)
{
    struct rill_membership *m = membership;
    struct rill_registry_op leave = {.type = RILL_REGISTRY_DELETE,
                                     .version = RILL_REGISTRY_ANY_VERSION};

    if (m == NULL)
        return;
    rill_registry_forget(m->registry, m);
    for (struct member *member = m->members, *next; member != NULL; member = next) {
        next = member->next;
        rill_registry_forget(m->registry, member);
        free(member);
    }
    leave.path = m->own_path;
    if (m->entered)
        rill_registry_ask(m->registry, &leave, 1, NULL, NULL, NULL);
    free(m);
}

static int keep_data(struct rill_membership *m, const void *data, uint32_t data_bytes,
                     struct rill_error *err)
{
    if (data_bytes > RILL_MEMBER_DATA_MAX)
        return rill_error_set(err, -EMSGSIZE, "member of %s: %u bytes of data, at most %d",
                              m->folder, data_bytes, RILL_MEMBER_DATA_MAX);
    if (data_bytes > 0)
        memcpy(m->data, data, data_bytes);
    m->data_bytes = data_bytes;
    return 0;
}

int rill_membership_enter(struct rill_membership *membership, const char *name, const void *data,
                          uint32_t data_bytes, struct rill_error *err)
{
    struct rill_membership *m = membership;
    char path[2 * RILL_REGISTRY_PATH_MAX];
    int rc;

    if (m->enters)
        return rill_error_set(err, -EEXIST, "member of %s: entered as '%s' already", m->folder,
                              m->own_name);
    snprintf(path, sizeof(path), "%s/%s", m->folder, name);
    if (strchr(name, '/') != NULL)
        return rill_error_set(err, -EINVAL, "member of %s: '%s' has a '/'", m->folder, name);
    rc = rill_registry_check_path(path, err);
    if (rc == 0)
        rc = keep_data(m, data, data_bytes, err);
    if (rc != 0)
        return rc;
    memcpy(m->own_path, path, strlen(path) + 1);
    memcpy(m->own_name, name, strlen(name) + 1);
    m->enters = true;
    enter(m);
    return 0;
}

bool rill_membership_entered(const struct rill_membership *membership)
{
    return membership->entered &&
           rill_registry_state(membership->registry) != RILL_REGISTRY_EXPIRED;
}

int rill_membership_update(struct rill_membership *membership, const void *data,
                           uint32_t data_bytes, struct rill_error *err)
{
    struct rill_membership *m = membership;
    int rc;

    if (!m->enters)
        return rill_error_set(err, -ENOENT, "member of %s: not entered", m->folder);
    rc = keep_data(m, data, data_bytes, err);
    if (rc != 0)
        return rc;
    m->stale = true;
    if (m->entered)
        send_data(m);
    return 0;
}

uint32_t rill_membership_count(const struct rill_membership *membership)
{
    return membership->count;
}
