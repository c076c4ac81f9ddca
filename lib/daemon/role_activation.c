/* From a process that waits to a unit, an output logger or a controller of one deployment. */
#include <errno.h>
#include <stdio.h>

#include "lib/config/settings.h"
#include "lib/daemon/role_internal.h"

void rill_role_alive(const struct rill_role_host *host)
{
    rill_turns_count(
        &((struct role_process *)RTE_PTR_SUB(host, offsetof(struct role_process, host)))->turns);
}

static int make_settings(struct role_process *p, const Control__Activate *how,
                         struct rill_error *err)
{
    char source[128];
    int rc = 0;

    snprintf(source, sizeof(source), "deployment %.100s", how->deployment);
    p->settings = rill_config_create(rill_settings_schema, err);
    if (p->settings == NULL)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < how->n_settings; i++)
        rc = rill_config_set(p->settings, how->settings[i]->name, how->settings[i]->text, source,
                             err);
    p->host.settings = p->settings;
    if (rc == 0)
        rill_daemon_log_limit(rill_config_u64(p->settings, "log_lines_per_s"));
    return rc;
}

static int make_fabric(struct role_process *p, const Control__Activate *how, struct rill_error *err)
{
    struct rill_fabric_memif_config config = {.folder = how->links_folder,
                                              .ring_frames = RILL_FABRIC_MEMIF_RING_FRAMES,
                                              .pool = p->host.pool};

    p->fabric = rill_fabric_memif_create(&config, err);
    return p->fabric == NULL ? -EIO : p->fabric->ops->attach(p->fabric, p->host.role, err);
}

static void answer(struct role_process *p, const struct role_asker *asker)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Activated activated = CONTROL__ACTIVATED__INIT;

    if (p->ops->kind == RILL_ROLE_UNIT)
        activated.facts = &p->facts;
    activated.activation_ns = p->activation_ns;
    RILL_CONTROL_SET(&m, ACTIVATED, activated, &activated);
    role_answer(p, asker, &m);
}

/* The answer may have been lost with a connection. */
static void asked_again(struct role_process *p, const struct role_asker *asker)
{
    if (asker->number != 0 && asker->number == p->activated_by.number &&
        asker->from == p->activated_by.from)
        answer(p, asker);
    else
        role_answer_error(p, asker, "activated already: a role is activated once in its life");
}

void role_activate(struct role_process *p, const struct role_asker *asker,
                   const Control__Activate *how)
{
    uint64_t start_ns = rill_daemon_now_ns();
    struct rill_error err = {""};
    int rc;

    if (p->active) {
        asked_again(p, asker);
        return;
    }
    control__facts__init(&p->facts);
    rc = make_settings(p, how, &err);
    if (rc == 0)
        rc = make_fabric(p, how, &err);
    if (rc == 0)
        rc = p->ops->activate(p->ops->arg, &p->host, how, &p->facts, &err);
    if (rc == 0) {
        p->active = true;
        p->activated_by = *asker;
        p->activation_ns = rill_daemon_now_ns() - start_ns;
        answer(p, asker);
        return;
    }
    role_answer_error(p, asker, err.text);
    p->exit_code = ROLE_EXIT_REFUSED;
    p->ended = true;
}
