#!/usr/bin/env python3
"""Backends of the load balancer that are added, drained and down while packets flow, with both hashes, 1 unit, and
8 with forced moves. Judged by the released packets alone, read with tests/check, which shares no code with
Rill: connections of healthy and of draining backends stay, those of one that is down go elsewhere, nothing new
goes to either, the one that is added gets its share, and a bad version changes nothing.
"""
import os
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
from captures import read_capture  # noqa: E402
from packets import connection, parse  # noqa: E402
from test_check_output import ethernet, pcap, tcp, udp  # noqa: E402

CONNECTIONS, PACKETS, EVERY_NS, APART_NS = 300, 8, 50_000_000, 150_000
BEFORE = "192.0.2.10\n192.0.2.11\n192.0.2.12\n192.0.2.13\n2001:db8::10\n"
AFTER = "192.0.2.10\n192.0.2.11 drain\n192.0.2.12 down\n192.0.2.13\n192.0.2.14\n2001:db8::10\n"
BAD = "192.0.2.10 drain\nnonsense\n"
CHANGE_S, BAD_S, SLACK_S = 0.2, 0.3, 0.005  # the slack: what was under way when the backends changed
HEALTHY, DRAINING, DOWN, ADDED = {10, 13}, 11, 12, 14
UNITS = (["--units", 1, "--set", "unit_capacity_mbps=10000"],
         ["--units", 8, "--set", "units_min=8", "--set", "placement=spread", "--set", "flowlet_bytes=1500"])


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def build(folder):
    """Connections whose packets are 50 ms apart: half of them begin at once, half after the change. A burst of
    three each time, and an answer to each burst."""
    events = []
    for n in range(2 * CONNECTIONS):
        client, port = "10.0.%d.%d" % (n // 200, n % 200 + 1), 1000 + n
        make = tcp if n % 2 else udp
        start_ns = n * APART_NS + (int((CHANGE_S + 2 * SLACK_S) * 1e9) - CONNECTIONS * APART_NS if n >= CONNECTIONS
                                   else 0)
        for k in range(PACKETS):
            at_ns = start_ns + k * EVERY_NS
            events += [(at_ns + i * 1000, make(client, port, "203.0.113.5", 80)) for i in range(3)]
            events.append((at_ns + 1_000_000, make("203.0.113.5", 80, client, port)))
    events.sort(key=lambda e: e[0])
    raw = bytearray(pcap([ethernet(packet) for _, packet in events]))
    at = 24
    for at_ns, packet in events:
        raw[at:at + 8] = (at_ns // 10**9).to_bytes(4, "little") + (at_ns % 10**9).to_bytes(4, "little")
        at += 16 + len(ethernet(packet))
    path = os.path.join(folder, "in.pcap")
    with open(path, "wb") as f:
        f.write(raw)
    return path


def requests(given, released):
    """(seconds since the first packet, connection, last byte of the backend's address) of IPv4 packets."""
    views = {}
    start_ns = given[0].time_ns
    for packet in released:
        view = views.get(packet.packet_id) or parse(given[packet.packet_id - 1].data)
        views[packet.packet_id] = view
        if packet.interface == "outside":
            backend = parse(packet.data).destination.address
            assert backend[:3] == bytes((192, 0, 2)), backend
            yield (packet.time_ns - start_ns) / 1e9, connection(view)[0], backend[3]


def judge(found):
    """What came of the connections that were there, and of new ones."""
    first, last, moved, new = {}, {}, 0, {}
    for time_s, key, backend in found:
        if time_s < CHANGE_S:
            assert backend <= 13, backend
            assert first.setdefault(key, backend) == backend, (key, first[key], backend)
        elif time_s >= CHANGE_S + SLACK_S:
            assert backend != DOWN, (time_s, key)
            if key not in first:
                new[backend] = new.get(backend, 0) + (key not in last)
                assert backend != DRAINING, (time_s, key)
            elif first[key] != DOWN:
                assert backend == first[key], (key, first[key], backend)
            moved += key not in last and first.get(key) == DOWN
            last[key] = backend
    stayed = {b: sum(1 for key in last if first.get(key) == b) for b in HEALTHY | {DRAINING}}
    assert min(stayed.values()) > CONNECTIONS // 8 and moved > CONNECTIONS // 8, (stayed, moved)
    assert set(new) == HEALTHY | {ADDED} and min(new.values()) > CONNECTIONS // 5, new
    assert sum(stayed.values()) + moved == sum(new.values()) == CONNECTIONS, (stayed, moved, new)
    return stayed, moved, new


def run(folder, capture, name, units):
    out, json_path = os.path.join(folder, "out.pcapng"), os.path.join(folder, "report.json")
    write(folder, "web", BEFORE)
    config = write(folder, "deployment.yaml", "nf: lb\nconfig:\n  backends_object: web\n  hash: %s\n" % name)
    report = common.replay(capture, "--config", config, "--out", out, *units,
                           "--update", "web=%s@%dms" % (write(folder, "after", AFTER), CHANGE_S * 1000),
                           "--update", "web=%s@%dms" % (write(folder, "bad", BAD), BAD_S * 1000),
                           json_path=json_path)
    common.check_books(report)
    [o] = report["objects"]
    assert o["updates_taken"] == 1 and o["updates_refused"] == 1 and "web:2: 'nonsense'" in o["error"], o
    stayed, moved, new = judge(requests(read_capture(capture), read_capture(out)))
    ended, dropped = report["counters"]["controller.flows_ended_by_nf"], report["nf_counters"]["backend_down"]
    assert dropped >= ended >= moved, (dropped, ended, moved)
    print("%s, %s units: stayed %s, moved %d (%d packets dropped), new %s" % (name, units[1], stayed, moved,
                                                                           dropped, new))
    return stayed, moved, new


def main():
    with tempfile.TemporaryDirectory() as folder:
        capture = build(folder)
        for name in ("modulo", "maglev"):
            one, eight = (run(folder, capture, name, units) for units in UNITS)
            assert one == eight, (one, eight)
    return 0


if __name__ == "__main__":
    sys.exit(main())
