#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/epoch.h"
#include "lib/base/mutant.h"
#include "lib/config/settings.h"
#include "rm/director_internal.h"
#include "rm/rm_settings.h"

enum { INTERFACE_NAME_MAX = 15 }; /* Linux' IFNAMSIZ, less the terminator */

/* --- what is asked for ------------------------------------------------------------------------ */

static bool made_of(const char *text, size_t max, const char *also)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(also, c) != NULL))
            return false;
    }
    return n >= 1 && n <= max;
}

static int check_name(const struct rill_director *d, const char *name, struct rill_error *err)
{
    if (!made_of(name, DIR_NAME_MAX, "-"))
        return rill_error_set(err, -EINVAL,
                              "a deployment's name has 1 to %d characters of a-z, 0-9 and -",
                              DIR_NAME_MAX);
    if (dir_deployment_named(d, name) != NULL)
        return rill_error_set(
            err, -EEXIST,
            "deployment %s is there already: choose another --name, or end that one "
            "with rill undeploy %s --cluster %s",
            name, name, d->config.cluster);
    return 0;
}

/* Its name becomes an argument of DPDK's, where commas and the like have a meaning. */
static int check_interface(const char *name, struct rill_error *err)
{
    if (name[0] == '\0' || made_of(name, INTERFACE_NAME_MAX, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.@:"))
        return 0;
    return rill_error_set(err, -EINVAL, "interface %.40s: not the name of one", name);
}

static int check_interfaces(const Control__Deploy *spec, struct rill_error *err)
{
    const char *inside = spec->inside_interface, *outside = spec->outside_interface;
    int rc = check_interface(inside, err);

    if (rc == 0)
        rc = check_interface(outside, err);
    if (rc == 0 && (inside[0] == '\0') != (outside[0] == '\0'))
        rc = rill_error_set(err, -EINVAL,
                            "a live deployment has two interfaces: --%s-interface is missing",
                            inside[0] == '\0' ? "inside" : "outside");
    if (rc == 0 && inside[0] != '\0' && strcmp(inside, outside) == 0)
        rc = rill_error_set(err, -EINVAL, "the inside and the outside interface are both %s",
                            inside);
    return rc;
}

static int check_spec(const struct rill_director *d, const Control__Deploy *spec,
                      struct rill_error *err)
{
    int rc = check_name(d, spec->name, err);

    if (rc != 0)
        return rc;
    if (spec->units < 1 || spec->units > RILL_DIRECTOR_UNITS_MAX)
        return rill_error_set(
            err, -EINVAL,
            "units: %" PRIu32 " is not in [1, %d]: a controller has a link to "
            "each unit and each output logger, and DPDK has 32 ports in a process",
            spec->units, RILL_DIRECTOR_UNITS_MAX);
    if (spec->controllers > RILL_DIRECTOR_CONTROLLERS_MAX)
        return rill_error_set(err, -EINVAL, "controllers: %" PRIu32 " is not in [1, %d]",
                              spec->controllers, RILL_DIRECTOR_CONTROLLERS_MAX);
    if (spec->image.len == 0)
        return rill_error_set(err, -EINVAL, "the NF's image is empty");
    return check_interfaces(spec, err);
}

/* Are there as many units as several controllers lease from the start and for good? */
static int check_shares(const Control__Deploy *spec, const struct rill_config *settings,
                        struct rill_error *err)
{
    uint64_t each = RTE_MAX(rill_config_u64(settings, "units_min"), 1u);
    uint64_t step = rill_config_u64(settings, "lease_step");
    uint64_t n = spec->controllers;

    if (n <= 1)
        return 0;
    if (rill_config_enum(settings, "controllers") == RILL_CONTROLLERS_INDEPENDENT) {
        if (each * n <= spec->units)
            return 0;
        return rill_error_set(err, -EINVAL,
                              "%" PRIu64 " independent controllers with %" PRIu64
                              " units each need %" PRIu64 " units, but there are only %" PRIu32,
                              n, each, each * n, spec->units);
    }
    if (n * step <= (uint64_t)spec->units * RILL_RM_SHARE_WHOLE)
        return 0;
    return rill_error_set(err, -EINVAL,
                          "%" PRIu64 " controllers with lease_step %" PRIu64
                          " need %.3f units, but there are only %" PRIu32,
                          n, step, (double)(n * step) / RILL_RM_SHARE_WHOLE, spec->units);
}

static int read_settings(const Control__Deploy *spec, struct rill_config **settings,
                         struct rill_error *err)
{
    struct rill_config *config = rill_config_create(rill_settings_schema, err);
    int rc = config == NULL ? -ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i < spec->n_settings; i++)
        rc = rill_config_set(config, spec->settings[i]->name, spec->settings[i]->text, "settings",
                             err);
    if (rc == 0 && rill_config_u64(config, "units_min") > spec->units)
        rc = rill_error_set(err, -EINVAL,
                            "units_min is %" PRIu64 ", but there are only %" PRIu32 " units",
                            rill_config_u64(config, "units_min"), spec->units);
    if (rc == 0)
        rc = check_shares(spec, config, err);
    if (rc != 0) {
        rill_config_destroy(config);
        config = NULL;
    }
    *settings = config;
    return rc;
}

/* --- a new one -------------------------------------------------------------------------------- */

static struct dir_deployment *free_deployment(struct rill_director *d)
{
    for (uint32_t i = 0; i < RILL_DIRECTOR_DEPLOYMENTS_MAX; i++)
        if (d->deployments[i].vni == 0)
            return &d->deployments[i];
    return NULL;
}

/* A copy to keep: the message is lent. */
static Control__Deploy *copy_spec(const Control__Deploy *spec)
{
    size_t bytes = control__deploy__get_packed_size(spec);
    uint8_t *packed = malloc(bytes);
    Control__Deploy *copy = NULL;

    if (packed != NULL) {
        control__deploy__pack(spec, packed);
        copy = control__deploy__unpack(NULL, bytes, packed);
    }
    free(packed);
    if (copy != NULL)
        copy->controllers = RTE_MAX(copy->controllers, 1u);
    return copy;
}

static int make_folder(struct rill_director *d, struct dir_deployment *dep, struct rill_error *err)
{
    int rc;

    rill_folder_name(d->config.seed, RILL_MUTANT(folder_again) ? 0 : d->folders++, dep->folder);
    rc = d->config.make_folder(d->config.arg, dep->folder, err);
    dep->has_folder = rc == 0;
    return rc;
}

static bool has_interface(const Control__Deploy *spec, const char *name)
{
    return strcmp(spec->inside_interface, name) == 0 || strcmp(spec->outside_interface, name) == 0;
}

/* Each of two deployments would have every packet that comes in there. One that is on its way out,
 * as it could not be started, say, does not count. */
static int check_interfaces_are_free(struct rill_director *d, uint32_t home,
                                     const Control__Deploy *spec, struct rill_error *err)
{
    for (uint32_t i = 0; spec->inside_interface[0] != '\0' && i < RILL_DIRECTOR_DEPLOYMENTS_MAX;
         i++) {
        const struct dir_deployment *dep = &d->deployments[i];
        const char *taken;

        if (dep->vni == 0 || dep->home != home || !dir_is_live(dep) || !dir_is_up(dep))
            continue;
        if (has_interface(dep->spec, spec->inside_interface))
            taken = spec->inside_interface;
        else if (has_interface(dep->spec, spec->outside_interface))
            taken = spec->outside_interface;
        else
            continue;
        return rill_error_set(err, -EBUSY,
                              "interface %s of machine %s belongs to deployment %s: take "
                              "another, or end that one with rill undeploy %s --cluster %s",
                              taken, dir_machine(d, home)->name, dep->spec->name, dep->spec->name,
                              d->config.cluster);
    }
    return 0;
}

/* Everything but its roles. 0, or a line in *err; what was made is in *dep in any case. */
static int fill_deployment(struct rill_director *d, struct dir_deployment *dep,
                           const Control__Deploy *spec, struct rill_error *err)
{
    int rc = read_settings(spec, &dep->settings, err);

    if (rc != 0)
        return rc;
    dep->home = dir_place(d, 0, false);
    if (dep->home == 0)
        return rill_error_set(err, -ENODEV, "no machine is connected: start rill-agent on one");
    rc = check_interfaces_are_free(d, dep->home, spec, err);
    if (rc != 0)
        return rc;
    dep->spec = copy_spec(spec);
    if (dep->spec == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for another deployment");
    rc = dir_create_leases(d, dep, err);
    return rc == 0 ? make_folder(d, dep, err) : rc;
}

int dir_read_deployment(struct rill_director *d, struct dir_deployment *dep, const void *data,
                        size_t bytes, struct rill_error *err)
{
    int rc;

    dep->spec = control__deploy__unpack(NULL, bytes, data);
    if (dep->spec == NULL || dep->spec->units < 1 || dep->spec->units > RILL_DIRECTOR_UNITS_MAX ||
        dep->spec->controllers < 1 || dep->spec->controllers > RILL_DIRECTOR_CONTROLLERS_MAX)
        return rill_error_set(err, -EINVAL, "what was kept of a deployment makes no sense");
    rc = read_settings(dep->spec, &dep->settings, err);
    return rc == 0 ? dir_create_leases(d, dep, err) : rc;
}

void dir_free_deployment(struct dir_deployment *dep)
{
    if (dep->spec != NULL)
        control__deploy__free_unpacked(dep->spec, NULL);
    if (dep->facts != NULL)
        control__facts__free_unpacked(dep->facts, NULL);
    rill_config_destroy(dep->settings);
    rill_rm_destroy(dep->leases);
    *dep = (struct dir_deployment){0};
}

void dir_on_deploy(struct rill_director *d, uint32_t peer, const Control__Message *message)
{
    struct dir_asker asker = dir_asker_of(peer, message);
    struct dir_deployment *dep = free_deployment(d);
    struct rill_error err;

    if (check_spec(d, message->deploy, &err) != 0) {
        dir_answer_error(d, &asker, "%s", err.text);
        return;
    }
    if (dep == NULL || d->next_vni > RILL_ROLE_NUMBER_MAX) {
        dir_answer_error(d, &asker, "there are %d deployments already: undeploy one first",
                         RILL_DIRECTOR_DEPLOYMENTS_MAX);
        return;
    }
    if (fill_deployment(d, dep, message->deploy, &err) != 0) {
        dir_free_deployment(dep);
        dir_answer_error(d, &asker, "%s", err.text);
        return;
    }
    dep->vni = d->next_vni++;
    dir_keep_deployment(d, dep);
    dep->state = DIR_DEPLOYING;
    for (uint32_t i = 0; i < dep->spec->controllers; i++)
        dep->slots[i].epoch = rill_epoch(i, 1);
    dep->asked_ns = d->now_ns;
    dep->deploy = asker;
}
