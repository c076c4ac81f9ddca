#include "rm/deaths.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/mutant.h"
#include "lib/frame/frame.h"

void rill_rm_deaths_fini(struct rill_rm_deaths *deaths)
{
    for (uint32_t i = 0; i < deaths->count; i++)
        free(deaths->list[i].told);
    deaths->count = 0;
}

static void say(struct rill_rm_deaths *deaths, enum rill_frame_type type, uint32_t controller,
                uint32_t unit, uint32_t output_logger, struct rill_outbox *outbox)
{
    struct rte_mbuf *m = rill_frame_new(deaths->pool, type, deaths->rm, controller);

    if (m == NULL)
        return; /* as if it was lost: it is said again */
    rill_frame(m)->next_unit = unit;
    rill_frame(m)->count = output_logger;
    rill_outbox_put(outbox, m);
}

static void send(struct rill_rm_deaths *deaths, struct rill_rm_death *death, uint64_t now_ns,
                 struct rill_outbox *outbox)
{
    death->tries++;
    death->resend_at_ns = now_ns + rill_resend_pause_ns(&deaths->resend, deaths->resend_ns,
                                                        death->tries, &deaths->slowed);
    for (uint32_t i = 0; i < death->count; i++)
        if (!death->told[i].heard)
            say(deaths, RILL_FRAME_DEATH, death->told[i].controller, death->unit,
                death->output_logger, outbox);
}

int rill_rm_deaths_add(struct rill_rm_deaths *deaths, uint32_t unit, uint32_t output_logger,
                       const uint32_t *controllers, uint32_t n, uint64_t now_ns,
                       struct rill_outbox *outbox)
{
    struct rill_rm_death *death = &deaths->list[deaths->count];

    if (deaths->count == RILL_RM_DEATHS_MAX)
        return -ENOSPC;
    *death = (struct rill_rm_death){.unit = unit, .output_logger = output_logger, .count = n};
    death->told = calloc(n + 1, sizeof(death->told[0]));
    if (death->told == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        death->told[i].controller = controllers[i];
    deaths->count++;
    send(deaths, death, now_ns, outbox);
    return 0;
}

void rill_rm_deaths_logger_lost(struct rill_rm_deaths *deaths, uint32_t unit, uint64_t now_ns,
                                struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < deaths->count; i++) {
        struct rill_rm_death *death = &deaths->list[i];

        if (death->unit != unit)
            continue;
        death->output_logger = 0;
        death->tries = 0;
        for (uint32_t j = 0; j < death->count; j++)
            death->told[j].heard = false;
        send(deaths, death, now_ns, outbox);
    }
}

static struct rill_rm_told *find(struct rill_rm_deaths *deaths, uint32_t unit, uint32_t controller)
{
    for (uint32_t i = 0; i < deaths->count; i++)
        for (uint32_t j = 0; deaths->list[i].unit == unit && j < deaths->list[i].count; j++)
            if (deaths->list[i].told[j].controller == controller)
                return &deaths->list[i].told[j];
    return NULL;
}

static uint32_t logger_of(const struct rill_rm_deaths *deaths, uint32_t unit)
{
    for (uint32_t i = 0; i < deaths->count; i++)
        if (deaths->list[i].unit == unit)
            return deaths->list[i].output_logger;
    return 0;
}

void rill_rm_deaths_recv(struct rill_rm_deaths *deaths, struct rte_mbuf *m,
                         struct rill_outbox *outbox)
{
    const struct rill_frame *f = rill_frame(m);
    struct rill_rm_told *told = find(deaths, f->next_unit, f->src);

    if (told != NULL && f->type == RILL_FRAME_RECOVERED)
        told->heard = told->recovered = true;
    else if (told != NULL)
        told->heard |= f->count == logger_of(deaths, f->next_unit);
    if (f->type == RILL_FRAME_RECOVERED)
        say(deaths, RILL_FRAME_RECOVERED_ACK, f->src, f->next_unit, 0, outbox);
}

void rill_rm_deaths_controller_replaced(struct rill_rm_deaths *deaths, uint32_t controller,
                                        uint32_t by, uint64_t now_ns, struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < deaths->count; i++) {
        struct rill_rm_death *death = &deaths->list[i];

        for (uint32_t j = 0; j < death->count; j++) {
            if (death->told[j].controller != controller)
                continue;
            death->told[j].controller = by;
            death->told[j].heard = death->told[j].recovered;
            send(deaths, death, now_ns, outbox);
        }
    }
}

static bool concerns(const struct rill_rm_death *death, uint32_t controller)
{
    for (uint32_t i = 0; i < death->count; i++)
        if (death->told[i].controller == controller && !death->told[i].recovered)
            return true;
    return false;
}

uint32_t rill_rm_deaths_count(const struct rill_rm_deaths *deaths, uint32_t controller)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < deaths->count; i++)
        n += concerns(&deaths->list[i], controller);
    return n;
}

void rill_rm_deaths_at(const struct rill_rm_deaths *deaths, uint32_t controller, uint32_t i,
                       uint32_t *unit, uint32_t *output_logger)
{
    for (uint32_t at = 0; at < deaths->count; at++) {
        if (!concerns(&deaths->list[at], controller) || i-- > 0)
            continue;
        *unit = deaths->list[at].unit;
        *output_logger = deaths->list[at].output_logger;
        return;
    }
}

static bool all_heard(const struct rill_rm_death *death)
{
    for (uint32_t i = 0; i < death->count; i++)
        if (!death->told[i].heard)
            return false;
    return true;
}

void rill_rm_deaths_tick(struct rill_rm_deaths *deaths, uint64_t now_ns, struct rill_outbox *outbox)
{
    for (uint32_t i = 0; i < deaths->count; i++) {
        struct rill_rm_death *death = &deaths->list[i];

        if (all_heard(death) || now_ns < death->resend_at_ns)
            continue;
        if (RILL_MUTANT(death_unheard))
            death->resend_at_ns = UINT64_MAX;
        else
            send(deaths, death, now_ns, outbox);
    }
}

uint64_t rill_rm_deaths_next_ns(const struct rill_rm_deaths *deaths)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < deaths->count; i++)
        if (!all_heard(&deaths->list[i]))
            next_ns = RTE_MIN(next_ns, deaths->list[i].resend_at_ns);
    return next_ns;
}

static bool is_over(const struct rill_rm_death *death)
{
    for (uint32_t i = 0; i < death->count; i++)
        if (!death->told[i].recovered)
            return false;
    return true;
}

bool rill_rm_deaths_take_over(struct rill_rm_deaths *deaths, uint32_t *unit,
                              uint32_t *output_logger)
{
    for (uint32_t i = 0; i < deaths->count; i++) {
        if (!is_over(&deaths->list[i]))
            continue;
        *unit = deaths->list[i].unit;
        *output_logger = deaths->list[i].output_logger;
        free(deaths->list[i].told);
        deaths->count--;
        memmove(&deaths->list[i], &deaths->list[i + 1],
                (deaths->count - i) * sizeof(deaths->list[0]));
        return true;
    }
    return false;
}
