#!/usr/bin/env python3
"""Checks what `rill replay --out` wrote against the capture that went in.

    check_output.py INPUT OUTPUT.pcapng --nf nat|lb [options]

Shares no code with Rill. What must hold:
  - every packet is one of the input (epb_packetid), and none comes out twice;
  - towards the inside it is, byte for byte, the input's (a TCP/UDP checksum of 0xffff counts as 0);
  - towards the outside it differs only where the NF may write, and every checksum is as right (or
    as wrong, by the same amount) as it was;
  - nat: every inside endpoint has one public endpoint, none of which is shared;
    lb: every connection has one backend;
  - per connection and direction, packets leave in the order in which they came.

Exit code: 0 all right, 1 something is wrong (the first 20 are listed), 2 it can't be checked.
"""

import argparse
import json
import sys

import packets
from captures import CaptureError, read_capture
from packets import connection, ip_checksum_error, l4_checksum_error, parse
from rewrites import NFS, blanked, first_difference, handled, one_zero, writable

SHOWN = 20


class Ports:
    """Ports of later fragments, from the first fragment of the same datagram."""

    def __init__(self):
        self.firsts = {}

    @staticmethod
    def _key(view):
        return view.source.address, view.destination.address, view.proto, view.fragment_id

    def resolve(self, view):
        if view is None or not view.fragment:
            return
        if view.first_fragment and view.source.port is not None:
            self.firsts[self._key(view)] = view.source.port, view.destination.port
        elif view.later_fragment and self._key(view) in self.firsts:
            source, destination = self.firsts[self._key(view)]
            view.source = view.source._replace(port=source)
            view.destination = view.destination._replace(port=destination)


class Mapping:
    """One `outer` per `inner`; exclusive: and one `inner` per `outer`. Either may change only after a
    pause of more than idle_ns (None: never)."""

    def __init__(self, idle_ns, exclusive):
        self.idle_ns, self.exclusive = idle_ns, exclusive
        self.outer_of, self.inner_of, self.last_ns = {}, {}, {}

    def _over(self, inner, now_ns):
        return self.idle_ns is not None and now_ns - self.last_ns[inner] > self.idle_ns

    def touch(self, inner, now_ns):
        if inner in self.last_ns:
            self.last_ns[inner] = max(now_ns, self.last_ns[inner])

    def see(self, inner, outer, now_ns):
        """What is wrong about it, or None."""
        wrong = None
        before = self.outer_of.get(inner)
        if before not in (None, outer) and not self._over(inner, now_ns):
            wrong = f"{_name(inner)} was {before} outside before and is {outer} now"
        holder = self.inner_of.get(outer)
        if self.exclusive and holder not in (None, inner) and not wrong:
            if self.outer_of[holder] == outer and not self._over(holder, now_ns):
                wrong = f"{outer} is given to {_name(holder)} and to {_name(inner)}"
        self.outer_of[inner], self.inner_of[outer] = outer, inner
        self.last_ns[inner] = max(now_ns, self.last_ns.get(inner, now_ns))
        return wrong


def _name(inner):
    return f"{inner[0]} - {inner[1]}" if isinstance(inner[0], packets.Endpoint) else str(inner)


class Checker:
    def __init__(self, nf, idle_s):
        self.nf = nf
        idle_ns = None if idle_s is None else int(idle_s * 1e9)
        self.mapping = Mapping(idle_ns, exclusive=nf == "nat")
        self.violations = []
        self.released = 0
        self.bytes = 0
        self.reordered = 0
        self.highest = {}  # packet id, by connection and direction

    def wrong(self, number, text):
        self.violations.append(f"packet {number}: {text}" if number else text)

    def run(self, given, released):
        views, ports, seen = {}, Ports(), set()
        for packet in given:
            views[packet.number] = parse(packet.data)
            ports.resolve(views[packet.number])
        for packet in released:
            self.released += 1
            self.bytes += packet.wire_bytes
            number = packet.packet_id
            if not number or number > len(given):
                self.wrong(0, f"output packet {packet.number} has no number of the input: {number}")
            elif number in seen:
                self.wrong(number, "is released twice")
            else:
                seen.add(number)
                self.check(given[number - 1], views[number], packet)

    def check(self, given, view, out):
        if len(out.data) != len(given.data) or out.wire_bytes != given.wire_bytes:
            self.wrong(given.number, f"has {len(out.data)} bytes of {out.wire_bytes}, came in with "
                                     f"{len(given.data)} of {given.wire_bytes}")
        elif out.interface == "inside":
            self.check_inward(given, view, out)
        else:
            self.check_outward(given, view, out)
        if view is not None:
            self.check_order(given.number, view, out.interface)

    def check_inward(self, given, view, out):
        if out.data != given.data:
            a, b = one_zero(given.data, view), one_zero(out.data, view)
            if a != b:
                self.wrong(given.number, "released to the inside, differs from the capture at byte "
                                         f"{first_difference(a, b)}")
        if view is None or view.destination.port is None or not handled(view, self.nf):
            return
        inner = view.destination if self.nf == "nat" else connection(view)[0]
        if self.nf == "nat" and inner not in self.mapping.outer_of and not view.error:
            self.wrong(given.number, f"released to the inside, but {inner} has no public endpoint")
        self.mapping.touch(inner, out.time_ns)

    def check_outward(self, given, view, out):
        fields = writable(view, self.nf)
        a, b = blanked(given.data, fields), blanked(out.data, fields)
        if a != b:
            self.wrong(given.number, "released to the outside, differs where the NF may not write, "
                                     f"at byte {first_difference(a, b)}")
            return
        if not fields:
            return
        now = parse(out.data)
        if now is None:
            self.wrong(given.number, "can't be parsed any more")
            return
        self.check_checksums(given, view, out, now)
        self.check_mapping(given.number, view, now, out.time_ns)

    def check_checksums(self, given, before, out, after):
        layers = [("", before, after)]
        if before.error:
            layers.append(("quoted ", before.quoted, after.quoted))
        for name, old, new in layers:
            if ip_checksum_error(given.data, old) != ip_checksum_error(out.data, new):
                self.wrong(given.number, f"{name}IP checksum is wrong")
            # A quote is cut off nearly always: what is not there can't be summed, but did not change.
            if l4_checksum_error(given.data, old) != l4_checksum_error(out.data, new):
                self.wrong(given.number, f"{name}TCP, UDP or ICMP checksum is wrong")

    def check_mapping(self, number, before, after, now_ns):
        if before.error:
            self.check_error(number, before, after)
            return
        if before.later_fragment:
            self.check_fragment(number, before, after)
            return
        if self.nf == "nat":
            if after.source == before.source:
                self.wrong(number, f"{before.source} went out as it is")
                return
            wrong = self.mapping.see(before.source, after.source, now_ns)
        else:
            wrong = self.mapping.see(connection(before)[0], after.destination, now_ns)
        if wrong:
            self.wrong(number, wrong)

    def expected(self, view):
        if view.source.port is None:
            return None
        inner = view.source if self.nf == "nat" else connection(view)[0]
        return self.mapping.outer_of.get(inner)

    def check_fragment(self, number, before, after):
        outer, end = self.expected(before), getattr(after, NFS[self.nf])
        if outer is not None and end.address != outer.address:
            self.wrong(number, f"a later fragment has {end}, its first had {outer}")

    def check_error(self, number, before, after):
        if self.nf == "nat":
            self.check_nat_error(number, before, after)
            return
        quoted = before.quoted
        if (after.source, after.destination) == (before.source, before.destination):
            if (after.quoted.source, after.quoted.destination) == (
                quoted.source, quoted.destination):
                return  # an NF that does not handle errors may let them pass as they are
        outer = self.mapping.outer_of.get(connection(quoted)[0])
        if outer is not None and after.quoted.source != outer:
            self.wrong(number, f"an ICMP error quotes {after.quoted.source}, which is {outer} outside")

    def check_nat_error(self, number, before, after):
        """Neither who sent it nor whom it quotes may be seen outside."""
        quoted = before.quoted.destination
        outer = self.mapping.outer_of.get(quoted)
        if outer is None:
            self.wrong(number, f"an ICMP error went out about {quoted}, which has no public endpoint")
        elif after.quoted.destination != outer:
            self.wrong(number, f"an ICMP error quotes {after.quoted.destination}, "
                               f"which is {outer} outside")
        elif after.source.address != outer.address:
            self.wrong(number, f"an ICMP error comes from {after.source}, not from {outer}")

    def check_order(self, number, view, side):
        key = (connection(view.quoted)[0], "error", side) if view.error else connection(view)
        if number < self.highest.get(key, 0):
            self.reordered += 1
        else:
            self.highest[key] = number


def check_report(checker, given, path):
    """The report's counts against what is in the files."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    dropped = sum(report["packets_dropped"].values())
    expected = [
        ("packets_released", report["packets_released"], checker.released),
        ("bytes_released", report["bytes_released"], checker.bytes),
        ("packets_in", report["packets_in"],
         report["packets_released"] + dropped + report["packets_in_flight"]),
        ("packets_in_flight", report["packets_in_flight"], 0),
    ]
    if not report.get("interrupted", False):
        expected.append(("packets_in", report["packets_in"], len(given)))
        expected.append(("bytes_in", report["bytes_in"], sum(p.wire_bytes for p in given)))
    for name, says, counted in expected:
        if says != counted:
            checker.wrong(0, f"the report's {name} is {says}, counted are {counted}")
    # A flow may be more than a connection, so the report may count more, never fewer.
    if checker.reordered > report["packets_reordered"]:
        checker.wrong(0, f"the report's packets_reordered is {report['packets_reordered']}, "
                         f"counted are {checker.reordered}")


def read_output(path):
    released = read_capture(path)
    for packet in released:
        if packet.interface not in ("inside", "outside"):
            raise CaptureError(f"{path}: packet {packet.number} is on neither side; it must be a "
                               ".pcapng that `rill replay --out` wrote")
    return released


def arguments():
    parser = argparse.ArgumentParser(description="Checks the output of `rill replay`.")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--nf", choices=sorted(NFS), required=True)
    parser.add_argument("--idle", type=float, metavar="SECONDS",
                        help="a mapping may change after a pause longer than this (default: never)")
    parser.add_argument("--allow-reordered", type=int, default=0, metavar="N")
    parser.add_argument("--expect-json", metavar="FILE", help="the run's report, to be compared")
    return parser.parse_args()


def main():
    args = arguments()
    checker = Checker(args.nf, args.idle)
    try:
        given = read_capture(args.input)
        checker.run(given, read_output(args.output))
        if args.expect_json:
            check_report(checker, given, args.expect_json)
    except (CaptureError, OSError, ValueError, KeyError) as error:
        print(f"check_output: {error}", file=sys.stderr)
        return 2
    if checker.reordered > args.allow_reordered:
        checker.wrong(0, f"{checker.reordered} packets left after a later one of their connection "
                         f"and direction, allowed are {args.allow_reordered}")
    for line in checker.violations[:SHOWN]:
        print(line)
    if len(checker.violations) > SHOWN:
        print(f"... and {len(checker.violations) - SHOWN} more")
    print(f"{len(checker.mapping.outer_of)} mappings, {checker.reordered} reordered")
    verdict = f"{len(checker.violations)} violations" if checker.violations else "ok"
    print(f"checked {checker.released} packets: {verdict}")
    return 1 if checker.violations else 0


if __name__ == "__main__":
    sys.exit(main())
