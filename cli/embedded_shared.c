/* Sums that flows share, in a replay: what all units have added since the last time is taken
 * together at an instance that sees no packets, and merged there. */
#include <errno.h>

#include "cli/embedded_run.h"
#include "lib/config/settings.h"

int embedded_shared_open(struct run *r, struct rill_error *err)
{
    struct sharing *s = &r->sharing;

    s->next_ns = UINT64_MAX;
    if (rill_nf_shared_count(rill_cluster_nf(r->cluster, 0)) == 0)
        return 0;
    s->merger = rill_nf_create(r->input.image.descriptor, r->input.nf_config, err);
    return s->merger == NULL ? -EINVAL : embedded_equip(r, s->merger, err);
}

void embedded_shared_start(struct run *r)
{
    if (r->sharing.merger == NULL)
        return;
    r->sharing.begin_ns = r->player.start_ns;
    r->sharing.next_ns = r->player.start_ns + rill_setting_ms(r->input.settings, "merge_ms");
}

/* What a unit that died had not handed over is lost. */
static void merge(struct run *r, uint64_t end_ns)
{
    struct sharing *s = &r->sharing;

    for (uint32_t i = 0; i < rill_cluster_unit_count(r->cluster); i++)
        if (rill_cluster_unit(r->cluster, i) != NULL)
            rill_nf_shared_move(rill_cluster_nf(r->cluster, i), s->merger);
    rill_nf_shared_merge(s->merger, s->begin_ns, end_ns);
    s->begin_ns = end_ns;
}

void embedded_shared_turn(struct run *r)
{
    struct sharing *s = &r->sharing;

    if (s->next_ns > r->player.now_ns)
        return;
    merge(r, r->player.now_ns);
    s->next_ns = r->player.now_ns + rill_setting_ms(r->input.settings, "merge_ms");
}

void embedded_shared_end(struct run *r)
{
    if (r->sharing.merger != NULL)
        merge(r, r->player.now_ns);
}

int embedded_shared_counters(const struct run *r, struct rill_tally *counters)
{
    const struct rill_nf *nf = r->sharing.merger;
    const char *name;
    uint64_t value;

    for (unsigned i = 0; nf != NULL && rill_nf_counter(nf, i, &name, &value); i++)
        if (rill_tally_add(counters, name, value) != 0)
            return -ENOMEM;
    return 0;
}

void embedded_shared_close(struct run *r)
{
    rill_nf_destroy(r->sharing.merger);
}
