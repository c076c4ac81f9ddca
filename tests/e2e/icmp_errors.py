#!/usr/bin/env python3
"""ICMP errors through the NAT, both ways, of TCP, UDP and echo: the shortest quotes and whole ones, from
the peer, from a router on the way, and from one before the inside host; of flows that are known, and
not. What comes out is judged by tests/check, which shares no code with Rill: towards the inside it is
what the capture has, towards the outside neither the sender nor the quote shows an inside address.
With 1 unit and with 8 and every flowlet placed anew the same must come out.
"""
import os
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
from test_check_output import echo, ethernet, icmp, pcap, tcp, udp  # noqa: E402

SERVER, ROUTER, INSIDE_ROUTER = "192.0.2.9", "192.0.2.254", "10.0.0.254"
HOSTS, ROUNDS, PACE_NS = 12, 6, 200_000
UNREACHABLE, TIME_EXCEEDED, PARAMETER = 3, 11, 12


def echo_reply(source, destination, ident):
    return icmp(source, destination, 0, ident.to_bytes(2, "big") + b"\0\1ping")


def exchange(n):
    """Packets out and back of one inside endpoint, by protocol."""
    host = "10.0.%d.%d" % (n // 200, n % 200 + 1)
    kind = n % 3
    if kind == 0:
        return host, tcp(host, 1000 + n, SERVER, 80), tcp(SERVER, 80, host, 1000 + n)
    if kind == 1:
        return host, udp(host, 1000 + n, SERVER, 53), udp(SERVER, 53, host, 1000 + n)
    return host, echo(host, SERVER, 1000 + n), echo_reply(SERVER, host, 1000 + n)


def errors(host, out, back):
    """(packet, comes from the inside)"""
    for kind, shown in ((UNREACHABLE, 28), (TIME_EXCEEDED, 1000), (PARAMETER, 32)):
        rest = b"\0" * 4
        yield icmp(SERVER, host, kind, rest + out[:shown]), False
        yield icmp(ROUTER, host, kind, rest + out[:shown]), False
        yield icmp(host, SERVER, kind, rest + back[:shown]), True
        yield icmp(INSIDE_ROUTER, SERVER, kind, rest + back[:shown]), True


def build():
    """The capture, how many errors are of flows, and how many are of none."""
    packets, known, unknown = [], 0, 0
    for error, _ in errors(*exchange(600)):  # nobody sent any such packet
        packets.append(error)
        unknown += 1
    for _ in range(ROUNDS):
        for n in range(HOSTS):
            host, out, back = exchange(n)
            packets += [out, back]
            for error, _ in errors(host, out, back):
                packets.append(error)
                known += 1
    return packets, known, unknown


def spread(packets):
    """As a capture with time for an answer between any two packets."""
    raw = bytearray(pcap([ethernet(p) for p in packets]))
    at = 24
    for n, packet in enumerate(packets):
        total_ns = n * PACE_NS
        raw[at:at + 8] = (total_ns // 10**9).to_bytes(4, "little") + (total_ns % 10**9).to_bytes(4, "little")
        at += 16 + len(ethernet(packet))
    return raw


def main():
    packets, known, unknown = build()
    first = None
    with tempfile.TemporaryDirectory() as folder:
        capture, json_path = os.path.join(folder, "in.pcap"), os.path.join(folder, "report.json")
        with open(capture, "wb") as f:
            f.write(spread(packets))
        for units in (1, 8):
            out = os.path.join(folder, "out%d.pcapng" % units)
            report = common.replay(capture, "--nf", "nat", "--inside", "10.0.0.0/8", "--out", out,
                                   "--units", str(units), "--set", "units_min=%d" % units,
                                   "--set", "placement=spread", "--set", "flowlet_timeout_us=100",
                                   "--set", "link_delay_us=1", json_path=json_path)
            common.check_books(report)
            dropped = {k: n for k, n in report["packets_dropped"].items() if n > 0}
            assert dropped == {"error_of_no_flow": unknown}, dropped
            assert report["nf_counters"]["errors"] == known, report["nf_counters"]
            assert units == 1 or report["flowlets_moved"] > ROUNDS * HOSTS, report["flowlets_moved"]
            common.script("check_output.py", capture, out, "--nf", "nat", "--expect-json", json_path)
            if first:
                common.script("compare_runs.py", first, out, "--nf", "nat")
            first = first or out
    print("%d errors translated, %d of no flow dropped" % (known, unknown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
