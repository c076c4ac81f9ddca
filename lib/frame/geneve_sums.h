/* Checksums over an mbuf's segments. For the codec. */
#ifndef RILL_LIB_FRAME_GENEVE_SUMS_H
#define RILL_LIB_FRAME_GENEVE_SUMS_H

#include <rte_ip.h>
#include <rte_mbuf.h>

/* The ones' complement sum of m's bytes from `from` to `to`. DPDK's rte_raw_cksum_mbuf() loses
 * carries where a segment begins at an odd offset (22.11). */
static inline uint32_t rill_sum_of(const struct rte_mbuf *m, uint32_t from, uint32_t to)
{
    uint32_t sum = 0;
    int odd = 0;

    for (; m != NULL && from >= m->data_len; m = m->next) {
        from -= m->data_len;
        to -= m->data_len;
    }
    for (; m != NULL && from < to; m = m->next) {
        uint32_t n = RTE_MIN(to, (uint32_t)m->data_len) - from;
        uint16_t part = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const uint8_t *, from), n);

        sum += odd ? rte_bswap16(part) : part;
        odd ^= n & 1;
        to -= RTE_MIN(to, (uint32_t)m->data_len);
        from = 0;
    }
    return sum;
}

/* Folds a sum of sums of 16 bits. */
static inline uint16_t rill_sum_folded(uint32_t sum)
{
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + sum);
}

#endif
