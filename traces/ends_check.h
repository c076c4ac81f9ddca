/* Compares what an NF released with what the capture holds. Works on packets of any number of
 * segments. Private to traces/ends.c.
 */
#ifndef RILL_TRACES_ENDS_CHECK_H
#define RILL_TRACES_ENDS_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "lib/packet/parse.h"
#include "traces/capture.h"

/* The original, and its view; NULL where the parser does not take it: then every byte counts. */
struct ends_original {
    const struct rill_capture_packet *packet;
    const struct rill_view *view;
};

/* Released to the inside: every byte is as it was; in a checksum's place 0 and 0xffff are the same,
 * since arithmetic in ones' complement does not tell them apart. */
bool rill_ends_check_inverse(const struct ends_original *original, const struct rte_mbuf *m);

/* Released to the outside: only what `writes` (enum rill_writes) allows has changed, and no
 * checksum has become right that was wrong, or wrong that was right. Of an ICMP error that the NF
 * may have rewritten only length and type are looked at. */
bool rill_ends_check_outward(const struct ends_original *original, const struct rte_mbuf *m,
                             uint32_t writes);

/* From the inside, turned round, and released to the inside: as towards the outside, but both ends
 * are rewritten, and the Ethernet addresses changed places. */
bool rill_ends_check_turned(const struct ends_original *original, const struct rte_mbuf *m,
                            uint32_t writes);

#endif
