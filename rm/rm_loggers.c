#include "lib/base/mutant.h"
#include "rm/rm_internal.h"

static void send_new_logger(struct rill_rm *rm, struct unit *unit, uint64_t now_ns,
                            struct rill_outbox *outbox)
{
    struct rte_mbuf *m =
        rill_frame_new(rm->config.pool, RILL_FRAME_NEW_LOGGER, rm->config.id, unit->id);

    unit->logger_resend_at_ns = rm_resend_at_ns(rm, &unit->logger_tries, now_ns);
    if (m == NULL) {
        rm->counters.alloc_failures++;
        return;
    }
    rill_frame(m)->clock = unit->logger_number;
    rill_frame(m)->next_unit = unit->output_logger;
    rill_outbox_put(outbox, m);
}

int rill_rm_replace_logger(struct rill_rm *rm, uint32_t unit, uint32_t output_logger,
                           uint64_t now_ns, struct rill_outbox *outbox)
{
    struct unit *found = rm_find_unit(rm, unit);

    if (found == NULL)
        return -ENOENT;
    found->output_logger = output_logger;
    found->logger_number++;
    found->logger_tries = 0;
    found->logger_filled = false;
    send_new_logger(rm, found, now_ns, outbox);
    rm_find_next(rm);
    return 0;
}

bool rill_rm_logger_filled(const struct rill_rm *rm, uint32_t unit)
{
    const struct unit *found = rm_find_unit(rm, unit);

    return found != NULL && found->logger_filled;
}

void rm_take_logger_ack(struct rill_rm *rm, const struct rill_frame *f)
{
    struct unit *unit = rm_find_unit(rm, f->src);

    if (unit == NULL)
        rm->counters.unknown_unit++;
    else if (f->clock == unit->logger_number && f->count == 1)
        unit->logger_filled = true;
}

void rm_repeat_new_logger(struct rill_rm *rm, struct unit *unit, uint64_t now_ns,
                          struct rill_outbox *outbox)
{
    if (RILL_MUTANT(logger_once))
        unit->logger_resend_at_ns = UINT64_MAX;
    else
        send_new_logger(rm, unit, now_ns, outbox);
}

bool rm_logger_word_due(const struct unit *unit, uint64_t now_ns)
{
    return !unit->logger_filled && now_ns >= unit->logger_resend_at_ns;
}
