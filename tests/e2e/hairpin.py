#!/usr/bin/env python3
"""Hairpins through the NAT (RFC 4787, REQ-9; RFC 5382, REQ-8; RFC 5508, REQ-7): inside hosts talk to each other by way
of their public endpoints, over UDP, TCP and echo, in fragments, and with ICMP errors about it. What must come out is
written here by hand, to the byte; what nobody has a mapping for must be dropped, and nothing of it seen outside. The
same with 8 units and every flowlet placed anew, and with several controllers, where the other end is another's.
"""
import collections
import json
import os
import struct
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
from captures import read_capture  # noqa: E402
from packets import ICMP, TCP, UDP, parse  # noqa: E402
from test_check_output import echo, ethernet, icmp, ip, patched, pcap, tcp, udp  # noqa: E402

PUBLIC, OTHER_PUBLIC, SERVER = "198.51.100.1", "198.51.100.2", "192.0.2.9"
FOUR = tuple("198.51.100.%d" % i for i in range(1, 5))
PACE_NS, ROUNDS = 200_000, 12
SYN, SYN_ACK, ACK = 2, 18, 16
UNREACHABLE, TIME_EXCEEDED = 3, 11
MORE = 0x2000  # of a fragment: others follow

# Of four controllers with four addresses each has one: so ports are preserved, and a pair's ends often have two.
EVERY_FLOWLET = ("--units", 8, "--set", "placement=spread", "--set", "flowlet_timeout_us=100")
WAYS = {
    "1 unit": (("--units", 1), (PUBLIC,)),
    "8 units": ((*EVERY_FLOWLET, "--set", "units_min=8"), (PUBLIC,)),
    "4 controllers": ((*EVERY_FLOWLET, "--controllers", 4), FOUR),
}


def reply(source, destination, ident):
    return icmp(source, destination, 0, struct.pack(">HH", ident, 1) + b"pong")


def segment(source, sport, destination, dport, flags):
    """A TCP segment with these flags instead of ACK."""
    data = bytearray(tcp(source, sport, destination, dport))
    data[33] = flags
    checksum = int.from_bytes(data[36:38], "big") ^ 0xFFFF
    checksum += (0x10 ^ 0xFFFF) + flags
    while checksum > 0xFFFF:
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
    return patched(bytes(data), 36, (checksum ^ 0xFFFF).to_bytes(2, "big"))


def fragments(source, sport, destination, dport, ident):
    """A UDP datagram in two."""
    whole = udp(source, sport, destination, dport, bytes(range(40)))[20:]
    return (ip(source, destination, UDP, whole[:24], MORE, ident),
            ip(source, destination, UDP, whole[24:], 3, ident))


class Capture:
    """What goes in, and what must come of each: (side, packet), or None where it is to be dropped."""

    def __init__(self):
        self.given, self.expected, self.turns = [], [], 0

    def add(self, given, side, packet):
        self.given.append(ethernet(given))
        self.expected.append(packet and (side, packet))

    def out(self, given, packet):
        """From the inside to the outside."""
        self.add(given, "outside", ethernet(packet))

    def back(self, given, packet):
        """From the outside; what it is there the replayer makes of `given`, as of any capture."""
        self.add(given, "inside", ethernet(packet))

    def turned(self, given, packet):
        """From the inside, and in again: as if a router outside had sent it back."""
        data = ethernet(packet)
        self.add(given, "inside", data[6:12] + data[:6] + data[12:])
        self.turns += 1

    def turned_and_dropped(self, given):
        self.add(given, None, None)
        self.turns += 1

    def write(self, path):
        raw = bytearray(pcap(self.given))
        at = 24
        for number, data in enumerate(self.given):
            raw[at:at + 8] = struct.pack("<II", number * PACE_NS // 10**9, number * PACE_NS % 10**9)
            at += 16 + len(data)
        with open(path, "wb") as f:
            f.write(raw)

    def check(self, path):
        released = collections.defaultdict(list)
        for packet in read_capture(path):
            released[packet.packet_id].append((packet.interface, bytes(packet.data)))
        for number, wanted in enumerate(self.expected, 1):
            got = released[number]
            assert got == ([wanted] if wanted else []), "packet %d %s: wanted %s, got %s" % (
                number, self.given[number - 1].hex(), wanted and (wanted[0], wanted[1].hex()),
                [(side, data.hex()) for side, data in got])


def pair(n):
    """Two hosts of their own and their ports; these are preserved."""
    return "10.0.%d.1" % n, 20000 + 10 * n, "10.0.%d.2" % n, 20005 + 10 * n


def talk(c, n, public):
    """Two hosts find each other. `public`: the address that (protocol, host) has outside."""
    a, pa, b, pb = pair(n)
    ua, ub, ta, tb, ia = (public[key] for key in ((UDP, a), (UDP, b), (TCP, a), (TCP, b), (ICMP, a)))

    c.out(udp(b, pb, SERVER, 53), udp(ub, pb, SERVER, 53))
    c.turned(udp(a, pa, ub, pb), udp(ua, pa, b, pb))
    c.turned(udp(b, pb, ua, pa), udp(ub, pb, a, pa))
    c.back(udp(SERVER, 53, b, pb), udp(SERVER, 53, b, pb))

    c.out(segment(b, pb, SERVER, 80, SYN), segment(tb, pb, SERVER, 80, SYN))
    c.turned(segment(a, pa, tb, pb, SYN), segment(ta, pa, b, pb, SYN))
    c.turned(segment(b, pb, ta, pa, SYN_ACK), segment(tb, pb, a, pa, SYN_ACK))
    c.turned(segment(a, pa, tb, pb, ACK), segment(ta, pa, b, pb, ACK))

    c.turned(echo(a, ia, pa), echo(ia, a, pa))  # the identifier is both ends': by one's own address that is oneself
    c.turned(reply(a, ia, pa), reply(ia, a, pa))

    for ident, order in ((2 * n + 1, (0, 1)), (2 * n + 2, (1, 0))):
        parts = [fragments(a, pa, ub, pb, ident), fragments(ua, pa, b, pb, ident)]
        for i in order:
            c.turned(parts[0][i], parts[1][i])

    rest = b"\0" * 4
    for make, kind, mine, theirs in ((udp, UNREACHABLE, ua, ub), (tcp, TIME_EXCEEDED, ta, tb)):
        came, went = make(mine, pa, b, pb), make(a, pa, theirs, pb)
        for shown in (28, 1000):
            for who in (b, "10.9.9.9"):  # a router before it is not seen either
                c.turned(icmp(who, mine, kind, rest + came[:shown]), icmp(theirs, a, kind, rest + went[:shown]))

    c.turned_and_dropped(udp(a, pa, ub, pb + 1))  # nobody has that
    c.turned_and_dropped(segment(a, pa, tb, pb + 1, SYN))
    c.turned_and_dropped(udp(a, pa, ub, 53))  # and nobody can have that
    c.turned_and_dropped(udp(a, pa, ua, pa))  # from an endpoint to itself is malformed (LAND)
    c.turned_and_dropped(icmp(b, ub, UNREACHABLE, rest + udp(ub, pb + 2, b, pb)[:28]))


def run(folder, capture, out, *args, config=(PUBLIC,)):
    path, json_path = os.path.join(folder, "nat.yaml"), os.path.join(folder, "report.json")
    with open(path, "w") as f:
        f.write("nf: nat\nconfig:\n  public_addresses: [%s]\n" % ", ".join(config))
    return common.replay(capture, "--config", path, "--inside", "10.0.0.0/8", "--out", out, "--set",
                         "link_delay_us=1", *args, json_path=json_path)


def check_books(report, turned, dropped):
    """Each packet is one, however often it came in; but a unit worked on it each time, and is paid for that."""
    common.check_books(report)
    n = report["counters"]
    assert sum(report["packets_dropped"].values()) == dropped, report["packets_dropped"]
    assert report["packets_turned"] == n["output_logger.packets_turned"] == turned, report["packets_turned"]
    assert n["controller.packets_turned"] == turned, n["controller.packets_turned"]
    assert report["nf_counters"]["hairpins"] == turned, report["nf_counters"]
    assert n["controller.packets_in"] == report["packets_in"] + turned, n["controller.packets_in"]
    assert n["output_logger.packets_released"] == report["packets_released"] + turned
    assert n["unit.packets_processed"] == n["output_logger.packets_released"]
    assert sum(one["packets_in"] for one in report["controllers"]) == n["controller.packets_in"]


def addresses(folder, args, config, pairs=ROUNDS):
    """The public address of each endpoint: which controller's it is, and so which address, goes by the endpoint."""
    capture, out, public = os.path.join(folder, "first.pcap"), os.path.join(folder, "first.pcapng"), {}
    c, keys = Capture(), []
    for n in range(pairs):
        a, pa, b, pb = pair(n)
        for proto, host, packet in ((UDP, a, udp(a, pa, SERVER, 53)), (UDP, b, udp(b, pb, SERVER, 53)),
                                    (TCP, a, tcp(a, pa, SERVER, 80)), (TCP, b, tcp(b, pb, SERVER, 80)),
                                    (ICMP, a, echo(a, SERVER, pa))):
            c.out(packet, packet)
            keys.append((proto, host))
    c.write(capture)
    run(folder, capture, out, *args, config=config)
    for packet in read_capture(out):
        public[keys[packet.packet_id - 1]] = ".".join(map(str, parse(packet.data).source.address))
    return public


def hosts(folder):
    capture, usage = os.path.join(folder, "in.pcap"), os.path.join(folder, "usage.jsonl")
    out = os.path.join(folder, "out.pcapng")
    for name, (args, config) in WAYS.items():
        public, c = addresses(folder, args, config), Capture()
        for n in range(ROUNDS):
            talk(c, n, public)
        c.write(capture)
        dropped = sum(1 for e in c.expected if e is None)
        report = run(folder, capture, out, "--usage", usage, *args, config=config)
        c.check(out)
        check_books(report, c.turns, dropped)
        with open(usage) as f:
            billed = sum(json.loads(line)["packets"] for line in f)
        assert billed == report["counters"]["unit.packets_processed"], billed
        os.remove(usage)
        print("%s: %d packets, %d turned round, %s" % (name, report["packets_in"], report["packets_turned"], {
            k: n for k, n in report["packets_dropped"].items() if n}))


def pings(folder):
    """Of two addresses: between a host of one and a host of the other, each by the other's address."""
    capture, out = os.path.join(folder, "in.pcap"), os.path.join(folder, "out.pcapng")
    names = ["10.0.0.%d" % i for i in range(1, 17)]
    c = Capture()
    for i, host in enumerate(names):
        c.out(echo(host, SERVER, 2000 + i), echo(host, SERVER, 2000 + i))
    c.write(capture)
    run(folder, capture, out, config=(PUBLIC, OTHER_PUBLIC))
    mine = {names[p.packet_id - 1]: ".".join(map(str, parse(p.data).source.address)) for p in read_capture(out)}
    first = next(h for h in names if mine[h] == PUBLIC)
    second = next(h for h in names if mine[h] == OTHER_PUBLIC)
    ident = 2000 + names.index(second)
    c = Capture()
    c.out(echo(second, SERVER, ident), echo(OTHER_PUBLIC, SERVER, ident))
    c.turned(echo(first, OTHER_PUBLIC, ident), echo(PUBLIC, second, ident))
    c.turned(reply(second, PUBLIC, ident), reply(OTHER_PUBLIC, first, ident))
    c.write(capture)
    check_books(run(folder, capture, out, config=(PUBLIC, OTHER_PUBLIC)), 2, 0)
    c.check(out)
    print("%s and %s ping each other by %s and %s" % (first, second, PUBLIC, OTHER_PUBLIC))


def failures(folder):
    """Roles die while packets are turned round: what comes out is as it has to be, and once; all are accounted for."""
    pairs, rounds = 100, 20
    args = ("--units", 6, "--controllers", 4, "--set", "placement=spread", "--set", "flowlet_timeout_us=100",
            "--set", "unit_capacity_mbps=20")
    public, c = addresses(folder, args, FOUR, pairs), Capture()
    for _ in range(rounds):
        for a, pa, b, pb in map(pair, range(pairs)):
            ua, ub = public[UDP, a], public[UDP, b]
            c.out(udp(b, pb, SERVER, 53), udp(ub, pb, SERVER, 53))
            c.turned(udp(a, pa, ub, pb), udp(ua, pa, b, pb))
            c.turned(udp(b, pb, ua, pa), udp(ub, pb, a, pa))
    capture, out = os.path.join(folder, "in.pcap"), os.path.join(folder, "out.pcapng")
    c.write(capture)
    report = run(folder, capture, out, *args, "--fail", "unit:2@200ms", "--fail", "output-logger:3@350ms", "--fail",
                 "controller:1@500ms", config=FOUR)
    common.check_books(report)
    packets = read_capture(out)
    assert len({p.packet_id for p in packets}) == len(packets) == report["packets_released"]
    assert report["packets_turned"] > 3000 and report["packets_released"] > 5000, report["packets_dropped"]
    wrong = [p for p in packets if (p.interface, bytes(p.data)) != c.expected[p.packet_id - 1]]
    assert not wrong, wrong[0]
    print("with failures: %d packets, %d turned round, %s" % (
        report["packets_in"], report["packets_turned"], {k: n for k, n in report["packets_dropped"].items() if n}))


def main():
    with tempfile.TemporaryDirectory() as folder:
        hosts(folder)
        pings(folder)
        failures(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
