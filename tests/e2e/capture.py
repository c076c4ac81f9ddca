#!/usr/bin/env python3
"""One capture through one NF, in two ways, both under virtual time:

  forced   8 slow units and small flowlets: thousands of moves, full queues. Counts must balance, nothing
           may be in flight, replies must come out as captured, and check_output.py, which shares no code
           with Rill, must agree.
  same     1 unit and 8 units, the latter with every flowlet placed anew: the released packets must be
           the same but for the chosen ports.

  capture.py NF CAPTURE [MOVES_AT_LEAST [external]]     CAPTURE in the shared traces, or "bundled"; NF may have an
                                                        option behind it: lb:hash=maglev

With "external" the same through a store outside: forced moves, and the released packets must be those of
one unit and of eight that hand state to each other.
"""
import os
import sys
import tempfile

import common

FORCED = ["--units", "8", "--set", "unit_capacity_mbps=20", "--set", "flowlet_bytes=1500"]
SAME = ["--set", "unit_capacity_mbps=10000", "--set", "link_delay_us=1", "--set", "flowlet_bytes=1500",
        "--set", "placement=spread"]
# Its senders send the last fragment first; it waits for the first, and so leaves after a later packet.
REORDERED = {"vlan_frag_mixed.pcap": 10}
NO_TIMES = "wan_sanitized4k.pcap.gz"  # all of its packets have one time


def through_store(report):
    """All state went through the store, and none from unit to unit."""
    n = report["counters"]
    assert n["unit.finals_sent"] == n["unit.finals_without_state"] and n["unit.state_pushes"] == 0, n
    assert n["unit.store_values"] > 0 or report["flowlets_moved"] == 0, n
    # The last ones are on their way when the last packet is out.
    assert n["unit.store_puts"] >= n["store.puts"] > 0 and n["unit.store_gets"] >= n["store.gets"], n


def named(folder, nf):
    """What says to `rill replay` which NF it is."""
    name, _, option = nf.partition(":")
    if not option:
        return ["--nf", name]
    path = os.path.join(folder, "nf.yaml")
    with open(path, "w") as f:
        f.write("nf: %s\nconfig:\n  %s: %s\n" % (name, *option.split("=")))
    return ["--config", path]


def forced(folder, nf, capture, moves, state):
    if capture.endswith(NO_TIMES):
        speed = ["--rate", "100Mbps"]
    else:  # the bundled one is fast as it is
        speed = ["--speed", "0.1x" if capture == common.BUNDLED else "100x"]
    out, report_path = os.path.join(folder, "out.pcapng"), os.path.join(folder, "report.json")
    report = common.replay(capture, *named(folder, nf), "--out", out, *FORCED, *speed, "--state", state,
                           json_path=report_path)
    common.check_books(report)
    if state == "external":
        through_store(report)
    assert report["flowlets_moved"] >= moves, "only %d moves" % report["flowlets_moved"]
    common.script("check_output.py", capture, out, "--nf", nf.partition(":")[0], "--expect-json", report_path,
                  "--allow-reordered", REORDERED.get(os.path.basename(capture), 0))
    print("forced: %d packets in, %d released, %d moves, %d seamless" % (
        report["packets_in"], report["packets_released"], report["flowlets_moved"],
        report["flowlets_seamless"]))


def same(folder, nf, capture, states):
    first = None
    for state, units in [(state, units) for state in states for units in (1, 8)]:
        out = os.path.join(folder, "%s%d.pcapng" % (state, units))
        report = common.replay(capture, *named(folder, nf), "--out", out, *SAME, "--units", str(units),
                               "--set", "units_min=%d" % units, "--state", state,
                               json_path=os.path.join(folder, "report.json"))
        common.check_books(report)
        if state == "external":
            through_store(report)
        print("same: %s, %d units, %d moves" % (state, units, report["flowlets_moved"]))
        if first:
            common.script("compare_runs.py", first, out, "--nf", nf.partition(":")[0])
        first = first or out


def main():
    nf, name = sys.argv[1], sys.argv[2]
    moves = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    state = sys.argv[4] if len(sys.argv) > 4 else "proactive"
    capture = common.BUNDLED if name == "bundled" else os.path.join(common.TRACES, name)
    if not os.path.exists(capture):
        print("SKIPPED: %s is not there; set RILL_TRACES to the folder that has it" % capture)
        return common.SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        forced(folder, nf, capture, moves, state)
        same(folder, nf, capture, ["proactive"] + ([state] if state != "proactive" else []))
    return 0


if __name__ == "__main__":
    sys.exit(main())
