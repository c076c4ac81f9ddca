/* Deliberate faults: a simulator that can't fail proves nothing.
 *
 * A rule of the protocol stands as `if (!RILL_MUTANT(dedup) && ...)`. In everything that ships
 * RILL_MUTANT() is the constant 0. Only the simulator's own copy of the cores is compiled with
 * RILL_MUTANTS; there the chosen fault takes its rule away, and the simulator must notice.
 */
#ifndef RILL_LIB_BASE_MUTANT_H
#define RILL_LIB_BASE_MUTANT_H

/* name, what the rule prevents */
#define RILL_MUTANT_LIST(X)                                                                        \
    X(birth, "a reused tuple gets the clocks and terms of the flow before it")                     \
    X(dedup, "a doubled or late packet is processed twice")                                        \
    X(dense, "seamless although the window has a hole: the old copy can still change")             \
    X(tag_check, "seamless without looking at the replica's clock")                                \
    X(forterm, "FINAL taken for a term that it does not grant")                                    \
    X(move_first, "former owner goes on processing after MOVE")                                    \
    X(first_full, "first packet after a handoff without the full state")                           \
    X(gap_check, "output logger applies a change to the wrong base")                               \
    X(release_first, "released before the change is applied")                                      \
    X(relset, "a covered step is released although it was released before")                        \
    X(aliasall, "only the declaring packet waits for the alias's confirmation")                    \
    X(final_replica, "FINAL without state goes on from whatever replica there is")                 \
    X(sync, "the output logger is never told where the unit is")                                   \
    X(unestablished, "a second handoff before the first is established")                           \
    X(late_apply, "former owner processes late packets instead of forwarding them")                \
    X(port_twice, "the controller grants a pool's endpoint twice")                                 \
    X(stash_forgets, "held packets are dropped uncounted")                                         \
    X(pool_once, "a unit takes a grant of endpoints again when it comes again")                    \
    X(elsewhere, "a change whose state went ahead is applied without that state")                  \
    X(lease, "a late word of an ended flow takes an endpoint from its next user")                  \
    X(share0, "a unit that was given back stands still with what is queued")                       \
    X(olfence, "a dead unit's state is given away while its changes are still taken")              \
    X(refill, "a new output logger is not given flows that were passed on")                        \
    X(walk, "an output logger answers for another term than the one asked about")                  \
    X(pin, "a former owner gives its copy up at once")                                             \
    X(portquar, "a dead unit's endpoints come back at once")                                       \
    X(grace, "forgotten while frames may still be under way")                                      \
    X(direct, "seamless by a forwarded packet's clock")                                            \
    X(skip, "a question is judged by the term that is awaited")                                    \
    X(inv, "a controller that takes over does not wait for all to answer")                         \
    X(inv_fence, "and is answered before the dead are fenced")                                     \
    X(invchain, "a controller that takes over is not told who had a flow before")                  \
    X(old_epoch, "frames of a controller that was replaced are taken")                             \
    X(aliasepoch, "a controller that takes over does not know aliases whose packets are out")      \
    X(old_logger, "an output logger that was replaced is told, and believed")                      \
    X(ended, "a controller that takes over begins flows again that had ended")                     \
    X(epochterm, "terms of a controller that takes over go on where they were")                    \
    X(lost, "who waits for a state that is lost waits for good")

#ifdef RILL_MUTANTS
enum rill_mutant {
    RILL_MUTANT_none,
#define X(name, what) RILL_MUTANT_##name,
    RILL_MUTANT_LIST(X)
#undef X
        RILL_MUTANT_COUNT
};
extern enum rill_mutant rill_mutant;
#define RILL_MUTANT(name) (rill_mutant == RILL_MUTANT_##name)
#else
#define RILL_MUTANT(name) 0
#endif

#endif
