/* rill bill: what each deployment used, from the cluster's usage records. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "lib/usage/usage.h"

struct request {
    struct rill_place place; /* first: see place.h */
    const char *deployment;  /* NULL: all */
    bool json;
};

/* A role's sum; or a deployment's, where `role` is empty. */
struct sum {
    char deployment[RILL_USAGE_NAME_BYTES], role[RILL_USAGE_NAME_BYTES];
    struct rill_usage_counts counts;
    bool final;
};

struct bill {
    struct sum *roles;
    size_t count, room;
    uint64_t records, last;    /* sequence numbers seen */
    uint64_t missing, doubled; /* of these numbers */
};

static int take_deployment(void *target, const char *text, struct rill_error *err)
{
    struct request *r = target;

    if (r->deployment != NULL)
        return rill_error_set(err, -EINVAL, "one deployment at a time: '%s' is the second", text);
    r->deployment = text;
    return 0;
}

static int take_json(void *target, const char *value, struct rill_error *err)
{
    (void)value;
    (void)err;
    ((struct request *)target)->json = true;
    return 0;
}

static const struct rill_arg table[] = {
    RILL_PLACE_ARGS,
    {"json", NULL, "print it as JSON", false, NULL, take_json},
    {0},
};

static int help(void)
{
    puts("usage: rill bill [DEPLOYMENT] [OPTION...]\n"
         "\n"
         "Sums up what deployments used, and each of their units: from the usage records in the\n"
         "cluster's folder, logs/usage.jsonl. docs/usage.md says what they hold.\n");
    rill_args_help(table, stdout);
    return RILL_EXIT_DONE;
}

/* --- adding up -------------------------------------------------------------------------------- */

static struct sum *sum_of(struct bill *bill, const struct rill_usage_record *record)
{
    struct sum *sum;

    for (size_t i = 0; i < bill->count; i++)
        if (strcmp(bill->roles[i].role, record->role) == 0 &&
            strcmp(bill->roles[i].deployment, record->deployment) == 0)
            return &bill->roles[i];
    if (bill->count == bill->room) {
        size_t room = bill->room ? bill->room * 2 : 32;

        sum = realloc(bill->roles, room * sizeof(*sum));
        if (sum == NULL)
            return NULL;
        bill->roles = sum;
        bill->room = room;
    }
    sum = &bill->roles[bill->count++];
    *sum = (struct sum){.final = false};
    memcpy(sum->deployment, record->deployment, sizeof(sum->deployment));
    memcpy(sum->role, record->role, sizeof(sum->role));
    return sum;
}

static int add(struct bill *bill, const struct rill_usage_record *record, const char *deployment)
{
    struct sum *sum;

    bill->records++;
    if (record->sequence <= bill->last) {
        bill->doubled++;
        return 0;
    }
    bill->missing += record->sequence - bill->last - 1;
    bill->last = record->sequence;
    if (deployment != NULL && strcmp(deployment, record->deployment) != 0)
        return 0;
    sum = sum_of(bill, record);
    if (sum == NULL)
        return -ENOMEM;
    rill_usage_add(&sum->counts, &record->counts);
    sum->final |= record->final;
    return 0;
}

static int read_all(FILE *in, const char *path, struct bill *bill, const char *deployment,
                    struct rill_error *err)
{
    struct rill_usage_record record;
    char *line = NULL;
    size_t room = 0;
    uint64_t number = 0;
    ssize_t bytes;
    int rc = 0;

    while (rc == 0 && (bytes = getline(&line, &room, in)) > 0) {
        number++;
        if (line[bytes - 1] != '\n')
            break; /* the one that is being written */
        if (rill_usage_read(line, &record) != 0)
            rc = rill_error_set(err, -EINVAL, "%s:%" PRIu64 ": is no usage record", path, number);
        else if (add(bill, &record, deployment) != 0)
            rc = rill_error_set(err, -ENOMEM, "no memory for the bill");
    }
    free(line);
    return rc;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void json_counts(struct rill_json *json, const struct rill_usage_counts *counts)
{
#define X(name) rill_json_u64(json, #name, counts->name);
    RILL_USAGE_COUNTS(X)
#undef X
    rill_json_u64(json, "packets_billed", counts->packets - counts->packets_died);
    rill_json_u64(json, "bytes_billed", counts->bytes - counts->bytes_died);
}

static bool is_first(const struct bill *bill, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(bill->roles[j].deployment, bill->roles[i].deployment) == 0)
            return false;
    return true;
}

static struct rill_usage_counts total_of(const struct bill *bill, const char *deployment)
{
    struct rill_usage_counts total = {0};

    for (size_t i = 0; i < bill->count; i++)
        if (strcmp(bill->roles[i].deployment, deployment) == 0)
            rill_usage_add(&total, &bill->roles[i].counts);
    return total;
}

static void json_deployment(struct rill_json *json, const struct bill *bill, const char *name)
{
    struct rill_usage_counts total = total_of(bill, name);

    rill_json_open(json, NULL, '{');
    rill_json_string(json, "deployment", name);
    json_counts(json, &total);
    rill_json_open(json, "roles", '[');
    for (size_t i = 0; i < bill->count; i++) {
        if (strcmp(bill->roles[i].deployment, name) != 0)
            continue;
        rill_json_open(json, NULL, '{');
        rill_json_string(json, "role", bill->roles[i].role);
        rill_json_bool(json, "final", bill->roles[i].final);
        json_counts(json, &bill->roles[i].counts);
        rill_json_close(json, '}');
    }
    rill_json_close(json, ']');
    rill_json_close(json, '}');
}

static void print_json(const struct bill *bill)
{
    struct rill_json json;

    rill_json_start(&json, stdout);
    rill_json_open(&json, NULL, '{');
    rill_json_u64(&json, "records", bill->records);
    rill_json_u64(&json, "last_sequence", bill->last);
    rill_json_u64(&json, "records_missing", bill->missing);
    rill_json_u64(&json, "records_doubled", bill->doubled);
    rill_json_open(&json, "deployments", '[');
    for (size_t i = 0; i < bill->count; i++)
        if (is_first(bill, i))
            json_deployment(&json, bill, bill->roles[i].deployment);
    rill_json_close(&json, ']');
    rill_json_close(&json, '}');
}

static void print_line(const char *name, const struct rill_usage_counts *c)
{
    char packets[RILL_FORMAT_BYTES], bytes[RILL_FORMAT_BYTES], died[RILL_FORMAT_BYTES];

    printf("%-24s %16s %20s %12s %12.3f %12.3f\n", name,
           rill_format_count(packets, c->packets - c->packets_died),
           rill_format_count(bytes, c->bytes - c->bytes_died),
           rill_format_count(died, c->packets_died), (double)c->cpu_ns / 1e9,
           (double)c->unit_ns / 1e9);
}

static void print_bill(const struct bill *bill)
{
    printf("%-24s %16s %20s %12s %12s %12s\n", "DEPLOYMENT, UNIT", "PACKETS", "BYTES", "NOT BILLED",
           "CPU s", "UNIT s");
    for (size_t i = 0; i < bill->count; i++) {
        struct rill_usage_counts total;

        if (!is_first(bill, i))
            continue;
        total = total_of(bill, bill->roles[i].deployment);
        print_line(bill->roles[i].deployment, &total);
        for (size_t j = i; j < bill->count; j++) {
            char name[RILL_USAGE_NAME_BYTES + 2];

            if (strcmp(bill->roles[j].deployment, bill->roles[i].deployment) != 0)
                continue;
            snprintf(name, sizeof(name), "  %s", bill->roles[j].role);
            print_line(name, &bill->roles[j].counts);
        }
    }
    if (bill->missing + bill->doubled > 0)
        printf("NOT WHOLE: %" PRIu64 " records are missing, %" PRIu64 " are there twice\n",
               bill->missing, bill->doubled);
}

static int bill(struct request *request, struct rill_error *err)
{
    char folder[RILL_PLACE_PATH_BYTES], path[RILL_PLACE_PATH_BYTES + 16];
    struct bill sums = {.count = 0};
    FILE *in;
    int rc = rill_place_resolve(&request->place, err);

    if (rc != 0)
        return rc;
    snprintf(path, sizeof(path), "%s/usage.jsonl",
             rill_place_path(&request->place, "logs", folder));
    in = fopen(path, "re");
    if (in == NULL)
        return rill_error_set(err, -errno, "%s: %s; is cluster '%s' up?", path, strerror(errno),
                              request->place.name);
    rc = read_all(in, path, &sums, request->deployment, err);
    fclose(in);
    if (rc == 0 && request->deployment != NULL && sums.count == 0)
        rc = rill_error_set(err, -ENOENT, "%s has no record of a deployment '%s'", path,
                            request->deployment);
    if (rc == 0 && request->json)
        print_json(&sums);
    else if (rc == 0)
        print_bill(&sums);
    free(sums.roles);
    return rc;
}

int rill_cmd_bill(int argc, char **argv)
{
    struct request request = {.deployment = NULL};
    const struct rill_args args = {
        .table = table, .target = &request, .positional = take_deployment};
    struct rill_error err = {""};
    int rc = rill_args_parse(&args, argc, argv, &err);

    if (rc > 0)
        return help();
    if (rc == 0)
        rc = bill(&request, &err);
    return rc == 0 ? RILL_EXIT_DONE : rill_cmd_refuse("bill", err.text);
}
