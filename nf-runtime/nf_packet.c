/* The packet as an NF sees and changes it. */
#include "lib/packet/rewrite.h"
#include "nf-runtime/nf_impl.h"

bool rill_pkt_from_inside(const struct rill_pkt *pkt)
{
    return pkt->side == RILL_INSIDE;
}

uint64_t rill_pkt_time_ns(const struct rill_pkt *pkt)
{
    return pkt->time_ns;
}

uint32_t rill_pkt_bytes(const struct rill_pkt *pkt)
{
    return pkt->wire_bytes;
}

void rill_pkt_source(const struct rill_pkt *pkt, struct rill_endpoint *source)
{
    *source = pkt->view.source;
}

void rill_pkt_destination(const struct rill_pkt *pkt, struct rill_endpoint *destination)
{
    *destination = pkt->view.destination;
}

const struct rill_endpoint *rill_pkt_source_in(const struct rill_pkt *pkt)
{
    return pkt->source_set ? &pkt->source_in : &pkt->view.source;
}

const struct rill_endpoint *rill_pkt_destination_in(const struct rill_pkt *pkt)
{
    return pkt->destination_set ? &pkt->destination_in : &pkt->view.destination;
}

static bool fits(const struct rill_endpoint *own, const struct rill_endpoint *to)
{
    return own->family == to->family && own->proto == to->proto;
}

int rill_pkt_set_source(struct rill_pkt *pkt, const struct rill_endpoint *source)
{
    if (!fits(&pkt->view.source, source))
        return -1;
    if (!pkt->source_set) {
        pkt->source_set = true;
        pkt->source_in = pkt->view.source;
    }
    return rill_rewrite_source(pkt->m, &pkt->view, source);
}

int rill_pkt_set_destination(struct rill_pkt *pkt, const struct rill_endpoint *destination)
{
    if (!fits(&pkt->view.destination, destination))
        return -1;
    if (!pkt->destination_set) {
        pkt->destination_set = true;
        pkt->destination_in = pkt->view.destination;
    }
    return rill_rewrite_destination(pkt->m, &pkt->view, destination);
}

uint8_t rill_pkt_tcp_flags(const struct rill_pkt *pkt)
{
    return pkt->view.tcp_flags;
}
