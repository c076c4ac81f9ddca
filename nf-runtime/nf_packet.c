/* The packet as an NF sees and changes it. In flow_end there is none (m is NULL). */
#include <rte_mbuf.h>

#include "lib/packet/bytes.h"
#include "lib/packet/payload.h"
#include "lib/packet/rewrite_plain.h"
#include "nf-runtime/nf_impl.h"

uint32_t rill_pkt_ip_bytes(const struct rill_pkt *pkt)
{
    return pkt->m == NULL ? 0 : rill_ip_bytes(pkt->m, &pkt->view);
}

const struct rill_endpoint *rill_pkt_source_in(const struct rill_pkt *pkt)
{
    return pkt->source_set ? &pkt->source_in : &pkt->view.source;
}

const struct rill_endpoint *rill_pkt_destination_in(const struct rill_pkt *pkt)
{
    return pkt->destination_set ? &pkt->destination_in : &pkt->view.destination;
}

int rill_pkt_set_source(struct rill_pkt *pkt, const struct rill_endpoint *source)
{
    if (pkt->m == NULL)
        return -1;
    if (!pkt->source_set)
        pkt->source_in = pkt->view.source;
    if (rill_rewrite_inline(pkt->m, &pkt->view, true, source) != 0)
        return -1;
    pkt->source_set = true;
    return 0;
}

int rill_pkt_set_destination(struct rill_pkt *pkt, const struct rill_endpoint *destination)
{
    if (pkt->m == NULL)
        return -1;
    if (!pkt->destination_set)
        pkt->destination_in = pkt->view.destination;
    if (rill_rewrite_inline(pkt->m, &pkt->view, false, destination) != 0)
        return -1;
    pkt->destination_set = true;
    return 0;
}

bool rill_pkt_tcp_numbers(const struct rill_pkt *pkt, uint32_t *sequence, uint32_t *acknowledgement)
{
    const uint8_t *tcp;

    if (pkt->m == NULL || pkt->view.l4_off == 0 || pkt->view.source.proto != RILL_TCP)
        return false;
    tcp = rte_pktmbuf_mtod_offset(pkt->m, const uint8_t *, pkt->view.l4_off);
    *sequence = load_be32(tcp + 4);
    *acknowledgement = load_be32(tcp + 8);
    return true;
}

const uint8_t *rill_pkt_ip(const struct rill_pkt *pkt, uint32_t *bytes)
{
    *bytes = 0;
    return pkt->m == NULL ? NULL : rill_ip_piece(pkt->m, &pkt->view, pkt->view.l2_len, bytes);
}

const uint8_t *rill_pkt_transport(const struct rill_pkt *pkt, uint32_t *bytes)
{
    *bytes = 0;
    if (pkt->m == NULL || pkt->view.l4_off == 0)
        return NULL;
    return rill_ip_piece(pkt->m, &pkt->view, pkt->view.l4_off, bytes);
}

const uint8_t *rill_pkt_payload(const struct rill_pkt *pkt, uint32_t offset, uint32_t *bytes)
{
    if (pkt->m == NULL)
        return NULL;
    return rill_payload_piece(pkt->m, &pkt->view, offset, bytes);
}

uint32_t rill_pkt_payload_bytes(const struct rill_pkt *pkt)
{
    return pkt->m == NULL ? 0 : rill_payload_bytes(pkt->m, &pkt->view);
}

uint8_t rill_pkt_dscp(const struct rill_pkt *pkt)
{
    return pkt->m == NULL ? 0 : rill_dscp(pkt->m, &pkt->view);
}

int rill_pkt_set_dscp(struct rill_pkt *pkt, uint8_t dscp)
{
    if (pkt->m == NULL || dscp > 63)
        return -1;
    rill_rewrite_dscp(pkt->m, &pkt->view, dscp);
    return 0;
}

/* Of one that is an error. */
bool rill_pkt_quoted_ends(const struct rill_pkt *pkt, struct rill_endpoint *source,
                          struct rill_endpoint *destination)
{
    *source = pkt->view.quoted_source;
    *destination = pkt->view.quoted_destination;
    return true;
}

int rill_pkt_set_quoted_source(struct rill_pkt *pkt, const struct rill_endpoint *source)
{
    return pkt->m == NULL ? -1 : rill_rewrite_quoted_source(pkt->m, &pkt->view, source);
}

int rill_pkt_set_quoted_destination(struct rill_pkt *pkt, const struct rill_endpoint *destination)
{
    return pkt->m == NULL ? -1 : rill_rewrite_quoted_destination(pkt->m, &pkt->view, destination);
}
