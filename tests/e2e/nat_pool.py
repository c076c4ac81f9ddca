#!/usr/bin/env python3
"""A NAT with fewer public endpoints than inside endpoints: those that get none are counted and refused, no endpoint
is given to two, and none again before its flow has ended and it has rested.

  dry    no flow ends: every endpoint is given once, the others' packets are dropped, for good
  own    with a whole address, each gets its own port if it is the first who wants it, else one as even or odd
  again  flows end after 20 ms: endpoints come back, none sooner than after that and the rest
"""
import json
import os
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
from captures import read_capture  # noqa: E402
from packets import parse  # noqa: E402

PORTS = 40  # for each protocol; pool_block: all units together want no more
IDLE_S, REST_MS = 0.02, 30


def replay(folder, name, *more):
    config = os.path.join(folder, "nat.yaml")
    with open(config, "w") as f:
        f.write("nf: nat\nconfig:\n  ports: 2000-%d\n" % (2000 + PORTS - 1))
    out, json_path = os.path.join(folder, name + ".pcapng"), os.path.join(folder, name + ".json")
    code, _, err = common.run("replay", common.BUNDLED, "--config", config, "--out", out, "--units", 4, "--clock",
                              "virtual", "--quiet", "--json", json_path, "--set", "units_min=4", "--set",
                              "placement=spread", "--set", "pool_block=4", *more)
    with open(json_path) as f:
        report = json.load(f)
    # The capture's hosts do not know when their mapping has ended: a reply may come for who has it next.
    late = report["inverse_mismatches"] if more else 0
    assert code == (1 if late else 0) and report["outward_mismatches"] == 0, err
    common.check_books({**report, "inverse_mismatches": report["inverse_mismatches"] - late})
    assert report["nf_counters"]["pool_exhausted"] > 0, report["nf_counters"]
    return report, out, json_path


def holders(out):
    """Of each public endpoint: (inside end, first and last time of a packet of it), in order."""
    given = {p.number: parse(p.data) for p in read_capture(common.BUNDLED)}
    found = {}
    for packet in read_capture(out):
        if packet.interface != "outside":
            continue
        before, public = given[packet.packet_id], parse(packet.data).source
        turns = found.setdefault(public, [])
        if not turns or turns[-1][0] != before.source:
            turns.append([before.source, packet.time_ns, packet.time_ns])
        turns[-1][2] = packet.time_ns
    return found


def preserved(folder):
    out, json_path = os.path.join(folder, "own.pcapng"), os.path.join(folder, "own.json")
    report = common.replay(common.BUNDLED, "--nf", "nat", "--out", out, "--units", 4, "--set", "units_min=4", "--set",
                           "placement=spread", json_path=json_path)
    common.check_books(report)
    given = {p.number: parse(p.data) for p in read_capture(common.BUNDLED)}
    inside = {}
    for packet in read_capture(out):
        if packet.interface == "outside":
            inside.setdefault(given[packet.packet_id].source, parse(packet.data).source)
    own = sum(before.port == public.port for before, public in inside.items())
    odd = sum((before.port ^ public.port) & 1 for before, public in inside.items())
    wanted = {(before.proto, before.port) for before in inside if before.port >= 1024}
    print("own: %d inside endpoints with %d ports, %d kept theirs, %d are not as even or odd" %
          (len(inside), len(wanted), own, odd))
    # A unit's block may have it, and so may a flow that got it for being as even or odd.
    assert 0.8 * len(wanted) <= own <= len(wanted) and odd == 0, (len(wanted), own, odd)
    assert report["nf_counters"]["ports_preserved"] == own, (report["nf_counters"], own)


def main():
    with tempfile.TemporaryDirectory() as folder:
        preserved(folder)
    with tempfile.TemporaryDirectory() as folder:
        report, out, json_path = replay(folder, "dry")
        common.script("check_output.py", common.BUNDLED, out, "--nf", "nat", "--expect-json", json_path)
        found = holders(out)
        assert all(len(turns) == 1 for turns in found.values())
        assert report["nf_counters"]["mapped"] == len(found) <= 3 * PORTS, (report["nf_counters"], len(found))
        print("dry: %d endpoints given, %d packets refused" % (len(found), report["nf_counters"]["pool_exhausted"]))
        report, out, _ = replay(folder, "again", "--set", "flow_idle_s=%g" % IDLE_S, "--set", "frame_life_ms=10",
                                "--set", "state_keep_ms=10", "--set", "pool_quarantine_ms=%d" % REST_MS)
        found = holders(out)
        pauses = [(b[1] - a[2]) / 1e9 for turns in found.values() for a, b in zip(turns, turns[1:])]
        assert len(pauses) > PORTS and min(pauses) > IDLE_S + REST_MS / 1e3, (len(pauses), min(pauses))
        assert len(found) <= 3 * PORTS
        print("again: %d times, none sooner than after %.1f ms" % (len(pauses), 1e3 * min(pauses)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
