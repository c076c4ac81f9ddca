/* Later fragments that came before their first: they have no ports, so they wait a little for it.
 * Some senders send the last fragment first. First in, first out, bounded in number and time. Owns
 * what it holds. No clock, one thread.
 */
#ifndef RILL_LIB_PACKET_FRAGMENT_HOLD_H
#define RILL_LIB_PACKET_FRAGMENT_HOLD_H

#include <rte_mbuf.h>

enum { RILL_FRAGMENT_HOLD_MAX = 256 };
#define RILL_FRAGMENT_HOLD_NS UINT64_C(100000000)

struct rill_fragment_hold { /* zeroed: empty */
    struct {
        struct rte_mbuf *m;
        uint64_t since_ns;
    } held[RILL_FRAGMENT_HOLD_MAX];
    uint32_t count;
};

/* Takes a fragment in. NULL, or the oldest, which had to make room: the caller's again. */
struct rte_mbuf *rill_fragment_hold_put(struct rill_fragment_hold *hold, struct rte_mbuf *m,
                                        uint64_t now_ns);
/* Takes the i-th out (0 is the oldest); the later ones move up. */
struct rte_mbuf *rill_fragment_hold_take(struct rill_fragment_hold *hold, uint32_t i);
/* When the oldest has waited long enough; UINT64_MAX if there is none. */
uint64_t rill_fragment_hold_due_ns(const struct rill_fragment_hold *hold);
void rill_fragment_hold_fini(struct rill_fragment_hold *hold); /* frees what is held */

#endif
