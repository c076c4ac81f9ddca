/* What the next resource manager has to know, as bytes; and the next one, that reads it. It is the
 * director of before then, as if all its connections had broken at once. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mutant.h"
#include "rm/director_internal.h"

enum { FORMAT = 1 };

const char dir_state_name[] = "state";

const char *dir_record_name(uint32_t vni, char name[DIR_RECORD_NAME_BYTES])
{
    snprintf(name, DIR_RECORD_NAME_BYTES, RILL_DIRECTOR_DEPLOYMENT "%" PRIu32, vni);
    return name;
}

void dir_save(struct rill_director *d, uint64_t version, const char *name, const void *data,
              size_t bytes)
{
    d->config.save(d->config.arg, version, name, data, bytes);
}

/* --- the state, to write and to read ---------------------------------------------------------- */

static void record_ids(struct rill_memo *r, struct dir_ids *set)
{
    rill_memo_count(r, &set->count, DIR_LINKS_MAX);
    for (uint32_t i = 0; i < set->count; i++)
        rill_memo_u32(r, &set->ids[i]);
}

static void record_links(struct rill_memo *r, struct dir_links *links)
{
    record_ids(r, &links->told);
    record_ids(r, &links->up);
    rill_memo_u32(r, &links->egress);
}

static void record_machine(struct rill_memo *r, struct dir_machine *machine)
{
    rill_memo_u32(r, &machine->agent);
    rill_memo_u32(r, &machine->cpus);
    rill_memo_u64(r, &machine->memory_bytes);
    rill_memo_bool(r, &machine->hugepages);
    rill_memo_text(r, machine->name, sizeof(machine->name));
    machine->inherited |= r->reading;
}

static void record_role(struct rill_memo *r, struct dir_role *role)
{
    uint32_t state = (uint32_t)role->state;

    rill_memo_u32(r, &role->id);
    rill_memo_u32(r, &role->agent);
    rill_memo_count(r, &state, DIR_ENDED);
    rill_memo_bool(r, &role->host_network);
    rill_memo_u32(r, &role->vni);
    rill_memo_u32(r, &role->partner);
    rill_memo_u64(r, &role->born_ns);
    rill_memo_u64(r, &role->start_ns);
    rill_memo_u64(r, &role->ready_ns);
    rill_memo_u64(r, &role->activation_ns);
    rill_memo_u64(r, &role->active_ns);
    record_links(r, &role->links);
    role->state = (enum dir_role_state)state;
}

static void record_client(struct rill_memo *r, struct dir_client *client)
{
    rill_memo_u32(r, &client->id);
    rill_memo_u32(r, &client->vni);
    rill_memo_text(r, client->machine, sizeof(client->machine));
    record_links(r, &client->links);
}

static void record_request(struct rill_memo *r, struct dir_request *request)
{
    uint32_t kind = (uint32_t)request->kind;
    bool superseded = request->due_ns == UINT64_MAX;

    rill_memo_u64(r, &request->number);
    rill_memo_count(r, &kind, DIR_PEERS);
    rill_memo_u32(r, &request->who);
    rill_memo_u32(r, &request->about);
    rill_memo_bool(r, &superseded);
    record_ids(r, &request->peers);
    request->kind = (enum dir_request_kind)kind;
    if (r->reading)
        request->due_ns = superseded ? UINT64_MAX : 0;
}

static void record_failure(struct rill_memo *r, struct dir_failure *failure)
{
    rill_memo_u32(r, &failure->role);
    rill_memo_u32(r, &failure->vni);
    rill_memo_u32(r, &failure->unit);
    rill_memo_bool(r, &failure->hang);
    rill_memo_u64(r, &failure->told_ns);
    rill_memo_u64(r, &failure->detected_ns);
    rill_memo_u64(r, &failure->recovered_ns);
}

static void record_pair(struct rill_memo *r, struct dir_pair *pair)
{
    rill_memo_u32(r, &pair->unit);
    rill_memo_u32(r, &pair->output_logger);
    rill_memo_bool(r, &pair->leasable);
    rill_memo_bool(r, &pair->logger_is_new);
}

static void record_facts(struct rill_memo *r, struct dir_deployment *dep)
{
    size_t bytes = dep->facts == NULL ? 0 : control__facts__get_packed_size(dep->facts);
    uint8_t *packed = r->reading || dep->facts == NULL ? NULL : malloc(bytes + 1);
    const uint8_t *data = packed;
    bool known = dep->facts != NULL;

    rill_memo_bool(r, &known);
    if (!known)
        return;
    if (packed != NULL)
        control__facts__pack(dep->facts, packed);
    else
        r->failed |= !r->reading;
    rill_memo_blob(r, &data, &bytes);
    if (r->reading) {
        dep->facts = data == NULL ? NULL : control__facts__unpack(NULL, bytes, data);
        r->failed |= dep->facts == NULL;
    }
    free(packed);
}

/* Of its life. What was asked for, and its vni, are written once: by dir_keep_deployment(). */
static void record_deployment(struct rill_director *d, struct rill_memo *r,
                              struct dir_deployment *dep)
{
    uint32_t state = (uint32_t)dep->state;

    rill_memo_count(r, &state, DIR_UNDEPLOYING);
    dep->state = (enum dir_deployment_state)state;
    rill_memo_bool(r, &dep->deployed);
    rill_memo_bool(r, &dep->abandoned);
    rill_memo_u32(r, &dep->home);
    rill_memo_text(r, dep->folder, sizeof(dep->folder));
    rill_memo_bool(r, &dep->has_folder);
    rill_memo_u32(r, &dep->epoch);
    rill_memo_u32(r, &dep->controller);
    rill_memo_u32(r, &dep->lost_controller);
    for (uint32_t i = 0; i < dep->spec->units; i++)
        record_pair(r, &dep->pairs[i]);
    rill_memo_count(r, &dep->mourned_count, DIR_MOURNED_MAX);
    for (uint32_t i = 0; i < dep->mourned_count; i++) {
        rill_memo_u32(r, &dep->mourned[i].unit);
        rill_memo_u32(r, &dep->mourned[i].output_logger);
    }
    rill_memo_u32(r, &dep->client);
    rill_memo_u32(r, &dep->deaths);
    rill_memo_text(r, dep->failure, sizeof(dep->failure));
    record_facts(r, dep);
    if (!r->reading)
        dep->lease_start = r->count;
    rill_rm_record(dep->leases, r, d->now_ns);
    if (!r->reading)
        dep->lease_bytes = r->count - dep->lease_start;
}

/* Who is attached to nothing has nothing to lose. */
static bool is_kept(const struct dir_client *client)
{
    return client->id != 0 && client->vni != 0;
}

/* Of those that were ever attached. Who only looks changes nothing, and is answered while the store
 * is away; its id may be another's later. */
static uint32_t clients_taken(struct rill_director *d)
{
    for (uint32_t i = 0; i < DIR_CLIENTS_MAX; i++)
        if (is_kept(&d->clients[i]))
            d->clients_taken = RTE_MAX(d->clients_taken, rill_role_number(d->clients[i].id) + 1);
    return RTE_MAX(d->clients_taken, d->config.first_number);
}

static void record_numbers(struct rill_director *d, struct rill_memo *r)
{
    for (uint32_t i = 0; i < DIR_KINDS; i++) {
        uint32_t next = d->next_number[i];

        if (i == RILL_ROLE_CLIENT)
            next = clients_taken(d);
        rill_memo_u32(r, &next);
        if (r->reading && !RILL_MUTANT(number_again))
            d->next_number[i] = next;
        if (r->reading && i == RILL_ROLE_CLIENT)
            d->clients_taken = next;
    }
    rill_memo_u32(r, &d->next_vni);
    rill_memo_u64(r, &d->folders);
    rill_memo_u64(r, &d->next_request);
    rill_memo_u64(r, &d->created_ns);
}

/* What stands for the end of a list, whose places may be free. */
static bool record_next(struct rill_memo *r, uint32_t id)
{
    bool more = id != 0;

    rill_memo_bool(r, &more);
    return more && !rill_memo_failed(r);
}

static bool is_kept_of(struct rill_director *d, uint32_t who)
{
    const struct dir_client *client = dir_client(d, who);

    return rill_role_kind(who) != RILL_ROLE_CLIENT || (client != NULL && is_kept(client));
}

static void write_lists(struct rill_director *d, struct rill_memo *r)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].agent != 0 && record_next(r, d->machines[i].agent))
            record_machine(r, &d->machines[i]);
    record_next(r, 0);
    for (uint32_t i = 0; i < d->role_slots; i++)
        if (d->roles[i].id != 0 && record_next(r, d->roles[i].id))
            record_role(r, &d->roles[i]);
    record_next(r, 0);
    for (uint32_t i = 0; i < DIR_CLIENTS_MAX; i++)
        if (is_kept(&d->clients[i]) && record_next(r, d->clients[i].id))
            record_client(r, &d->clients[i]);
    record_next(r, 0);
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++) {
        struct dir_deployment *dep = &d->deployments[i];

        if (dep->vni == 0 || !record_next(r, dep->vni))
            continue;
        rill_memo_u32(r, &dep->vni);
        record_deployment(d, r, dep);
    }
    record_next(r, 0);
    for (uint32_t i = 0; i < d->request_count; i++)
        if (is_kept_of(d, d->requests[i].who) && record_next(r, d->requests[i].who))
            record_request(r, &d->requests[i]);
    record_next(r, 0);
}

/* The newest RILL_DIRECTOR_FAILURES_MAX of each. */
static void record_history(struct rill_director *d, struct rill_memo *r)
{
    rill_memo_u32(r, &d->failure_count);
    for (uint32_t i = 0; i < RTE_MIN(d->failure_count, (uint32_t)RILL_DIRECTOR_FAILURES_MAX); i++)
        rill_memo_text(r, d->failures[i], DIR_LINE_BYTES);
    rill_memo_u32(r, &d->failure_list_count);
    for (uint32_t i = 0; i < RTE_MIN(d->failure_list_count, (uint32_t)RILL_DIRECTOR_FAILURES_MAX);
         i++)
        record_failure(r, &d->failure_list[i]);
}

void dir_write_state(struct rill_director *d, struct rill_memo *r)
{
    uint32_t format = FORMAT;

    rill_memo_begin(r);
    rill_memo_u32(r, &format);
    record_numbers(d, r);
    write_lists(d, r);
    record_history(d, r);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void read_machines(struct rill_director *d, struct rill_memo *r)
{
    for (uint32_t i = 0; record_next(r, 0); i++) {
        r->failed |= i == RILL_DIRECTOR_MACHINES_MAX;
        if (r->failed)
            return;
        record_machine(r, &d->machines[i]);
    }
}

static void read_roles(struct rill_director *d, struct rill_memo *r)
{
    while (record_next(r, 0)) {
        struct dir_role *role = &d->roles[d->role_slots];

        r->failed |= d->role_slots == RILL_DIRECTOR_ROLES_MAX;
        if (r->failed)
            return;
        record_role(r, role);
        if (role->id == 0 || dir_role(d, role->id) != NULL ||
            rill_id_map_put(&d->role_at, role->id, d->role_slots) == NULL) {
            r->failed = true;
            *role = (struct dir_role){0};
            return;
        }
        role->born_ns = RTE_MIN(role->born_ns, d->now_ns);
        role->join_until_ns = d->now_ns + d->config.start_timeout_ns;
        d->role_slots++;
    }
}

/* They have some time to come back. */
static void read_clients(struct rill_director *d, struct rill_memo *r)
{
    for (uint32_t i = 0; record_next(r, 0); i++) {
        r->failed |= i == DIR_CLIENTS_MAX;
        if (r->failed)
            return;
        record_client(r, &d->clients[i]);
        d->clients[i].back_until_ns = d->now_ns + d->config.links_timeout_ns;
    }
}

static const struct rill_director_record *
find_deployment(const struct rill_director_record *records, uint32_t count, uint32_t vni)
{
    char name[DIR_RECORD_NAME_BYTES];

    dir_record_name(vni, name);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(records[i].name, name) == 0)
            return &records[i];
    return NULL;
}

static int read_deployments(struct rill_director *d, struct rill_memo *r,
                            const struct rill_director_record *records, uint32_t count,
                            struct rill_error *err)
{
    for (uint32_t i = 0; record_next(r, 0); i++) {
        const struct rill_director_record *found;
        uint32_t vni = 0;
        int rc;

        rill_memo_u32(r, &vni);
        found = find_deployment(records, count, vni);
        if (i == RILL_DIRECTOR_DEPLOYMENTS_MAX || vni == 0 || found == NULL)
            return rill_error_set(err, -EINVAL, "what deployment %" PRIu32 " is was not kept", vni);
        rc = dir_read_deployment(d, &d->deployments[i], found->data, found->bytes, err);
        if (rc != 0)
            return rc;
        d->deployments[i].vni = vni;
        record_deployment(d, r, &d->deployments[i]);
    }
    return 0;
}

/* Their times begin anew. */
static void read_requests(struct rill_director *d, struct rill_memo *r)
{
    while (record_next(r, 0)) {
        struct dir_request *request = dir_new_request(d);

        *request = (struct dir_request){0};
        record_request(r, request);
        if (request->due_ns == 0 && dir_timeout_of(d, request->kind) != UINT64_MAX)
            request->due_ns = d->now_ns + dir_timeout_of(d, request->kind);
        else
            request->due_ns = UINT64_MAX;
    }
}

static int read_state(struct rill_director *d, struct rill_memo *r,
                      const struct rill_director_record *records, uint32_t count,
                      struct rill_error *err)
{
    uint32_t format = 0;
    int rc;

    rill_memo_u32(r, &format);
    if (format != FORMAT)
        return rill_error_set(err, -EINVAL,
                              "what the last resource manager left is of format %" PRIu32
                              ", this one reads %d: start one of the same version",
                              format, FORMAT);
    record_numbers(d, r);
    read_machines(d, r);
    read_roles(d, r);
    read_clients(d, r);
    rc = read_deployments(d, r, records, count, err);
    if (rc != 0)
        return rc;
    read_requests(d, r);
    record_history(d, r);
    if (!rill_memo_is_over(r))
        return rill_error_set(err, -EINVAL, "what the last resource manager left makes no sense");
    return 0;
}

static bool is_of_a_deployment(const struct rill_director *d, const char *record)
{
    char name[DIR_RECORD_NAME_BYTES];

    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni != 0 &&
            strcmp(dir_record_name(d->deployments[i].vni, name), record) == 0)
            return true;
    return false;
}

/* What was kept of deployments that had gone. */
static void forget_others(struct rill_director *d, const struct rill_director_record *records,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *name = records[i].name;

        if (strncmp(name, RILL_DIRECTOR_DEPLOYMENT, strlen(RILL_DIRECTOR_DEPLOYMENT)) == 0 &&
            !is_of_a_deployment(d, name))
            dir_save(d, d->version, name, NULL, 0);
    }
}

int rill_director_adopt(struct rill_director *d, const struct rill_director_record *records,
                        uint32_t count, struct rill_error *err)
{
    const struct rill_director_record *state = NULL;
    struct rill_memo r;
    uint64_t created_ns = d->created_ns;
    uint32_t roles = 0;
    int rc;

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(records[i].name, dir_state_name) == 0)
            state = &records[i];
    if (state != NULL) {
        rill_memo_open(&r, state->data, state->bytes);
        rc = read_state(d, &r, records, count, err);
        if (rc != 0)
            return rc;
    }
    d->created_ns = RTE_MIN(d->created_ns, created_ns);
    for (uint32_t i = 0; i < RILL_DIRECTOR_MACHINES_MAX; i++)
        if (d->machines[i].agent != 0)
            dir_forget_orders_of(d, &d->machines[i]);
    if (d->config.save != NULL)
        forget_others(d, records, count);
    for (uint32_t i = 0; i < d->role_slots; i++)
        roles += d->roles[i].id != 0;
    if (state != NULL)
        dir_say(d, "adopts what the resource manager before it had: %" PRIu32 " containers", roles);
    dir_keep(d);
    return 0;
}
