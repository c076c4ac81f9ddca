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
    X(hold, "a unit forgets an ended flow's newest copy before others can forget older ones")      \
    X(direct, "seamless by a forwarded packet's clock")                                            \
    X(skip, "a question is judged by the term that is awaited")                                    \
    X(inv, "a controller that takes over does not wait for all to answer")                         \
    X(inv_fence, "and is answered before the dead are fenced")                                     \
    X(old_epoch, "frames of a controller that was replaced are taken")                             \
    X(aliasepoch, "a controller that takes over does not know aliases whose packets are out")      \
    X(epochterm, "terms of a controller that takes over go on where they were")                    \
    X(lost, "who waits for a state that is lost waits for good")                                   \
    X(implied, "an owner takes a later term's packets for its own")                                \
    X(where, "nobody is asked where a state is that does not come")                                \
    X(inc, "a successor takes what was sent to its predecessor")                                   \
    X(aliasstate, "an alias is known from the change that declared it alone, not from the state")  \
    X(former_pull, "a question about a term that was gone past takes the flow away")               \
    X(lease_clock, "the controller counts its lease from the grant, not from the request")         \
    X(lease_asleep, "leases that ran out while the controller stood still are acted on")           \
    X(lease_margin, "the resource manager leaves no margin for clocks that differ")                \
    X(grant_any, "a late grant is taken for the newest")                                           \
    X(share_unacked, "leased before the unit knows")                                               \
    X(share_max, "more of a unit is leased than there is")                                         \
    X(shrink_first, "the unit gives less before the controller knows")                             \
    X(share_once, "a unit's share is said once")                                                   \
    X(share_order, "a late share undoes a newer one")                                              \
    X(logger_once, "a unit is told of its next output logger once")                                \
    X(death_unheard, "controllers are told of a death once")                                       \
    X(recovered_early, "a dead unit's output logger goes while it has the only copy")              \
    X(recovered_once, "the resource manager is told of a recovery once")                           \
    X(take_never, "a dead unit's flow moves with its next packet only")                            \
    X(refill_early, "filled before the new output logger has said so")                             \
    X(old_logger_ack, "an old output logger's acknowledgement counts for the new one")             \
    X(sync_term, "SYNC does not name the term that was granted")                                   \
    X(forget_pinned, "a former owner forgets before its successor is established")                 \
    X(chain_cut, "whatever term is established, the chain before the last is gone")                \
    X(answer_any, "an answer to an earlier question is taken for the last one's")                  \
    X(est_once, "ESTABLISHED is said once")                                                        \
    X(wake, "packets wait for a unit, and none is asked for")                                      \
    X(unseen, "what an output logger keeps back is billed as if it had left")                      \
    X(pull_never, "who waits for a state does not ask")                                            \
    X(store_old, "what a store outside has is taken, whatever version FINAL names")                \
    X(store_trust, "a former owner does not write again what a store has acknowledged")            \
    X(store_pin, "a former owner gives its copy up once a store has acknowledged it")              \
    X(full_order, "an older full state takes the place of a newer one")                            \
    X(one_queue, "a unit serves all controllers from one queue, at the sum of their shares")       \
    X(pool_slot, "a flow takes an endpoint of another controller's part")                          \
    X(pool_part, "each controller gives out all of a pool")                                        \
    X(rest_untold, "who takes over does not hear of endpoints that rest")

/* So rare that no few thousand seeds show them; named plans of tests/sim/regressions.txt do. */
#define RILL_MUTANT_PLAN_LIST(X)                                                                   \
    X(last_copy, "an ended flow's last copy goes before an output logger has it")                  \
    X(first_come, "who asked first keeps all units, and others get none")                          \
    X(alias_kept, "a unit forgets what its logger alone could tell the controller")                \
    X(vouch, "a controller that takes over takes any copy for a living flow's")                    \
    X(endpoint_order, "and gives an endpoint back to a flow whose lease is over")                  \
    X(giver, "a unit that died before a takeover gives a flow to one that nobody knows of")        \
    X(full_chain, "a flow whose owners died one after another waits for good")                     \
    X(hold_logger, "an output logger forgets it before its unit does")

/* The same of the control plane, which only a cluster has: rill-sim --world cluster. */
#define RILL_MUTANT_CLUSTER_LIST(X)                                                                \
    X(death_untold, "controllers are not told that a unit is dead")                                \
    X(exit_untold, "an agent does not tell that a container ended")                                \
    X(missing_stays, "what a machine lost while nobody looked is taken to be there")               \
    X(unknown_stays, "containers that nobody knows are left alone")                                \
    X(list_short, "an agent forgets a container that it adopted")                                  \
    X(number_again, "a new resource manager gives away ids that are in use")                       \
    X(folder_again, "two deployments have one folder of links")                                    \
    X(epoch_again, "a controller that takes over has the epoch of the one before")                 \
    X(slot_taken, "a controller that takes over has the slot of another")                          \
    X(slot_moved, "a client takes the next controller for that of another slot")                   \
    X(takeover_untold, "a controller that takes over is not told that it does")                    \
    X(taken_twice, "a warm role is taken for two")                                                 \
    X(lease_dead, "a dead unit is leased as before")                                               \
    X(unfilled, "a logger that is not filled is asked for a dead unit's state")                    \
    X(logger_early, "a dead unit's logger goes before its flows are elsewhere")                    \
    X(logger_stays, "a dead unit's logger is never stopped")                                       \
    X(logger_same, "a unit is not told of its new logger")                                         \
    X(join_once, "an agent that is refused stays away")                                            \
    X(activate_once, "an Activate that was lost with a connection is not told again")              \
    X(peers_once, "Peers that were lost with a connection are not told again")                     \
    X(undeploy_mute, "who undeploys is not answered")                                              \
    X(said_first, "roles are told before it is written down")                                      \
    X(old_rm, "an old resource manager's orders are obeyed")

#ifdef RILL_MUTANTS
enum rill_mutant {
    RILL_MUTANT_none,
#define X(name, what) RILL_MUTANT_##name,
    RILL_MUTANT_LIST(X)
#undef X
        RILL_MUTANT_COUNT,
#define X(name, what) RILL_MUTANT_##name,
    RILL_MUTANT_CLUSTER_LIST(X)
#undef X
        RILL_MUTANT_CLUSTER_END,
#define X(name, what) RILL_MUTANT_##name,
    RILL_MUTANT_PLAN_LIST(X)
#undef X
        RILL_MUTANT_END
};
extern enum rill_mutant rill_mutant;
#define RILL_MUTANT(name) (rill_mutant == RILL_MUTANT_##name)
#else
#define RILL_MUTANT(name) 0
#endif

#endif
