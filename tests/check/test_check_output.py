#!/usr/bin/env python3
"""Tests of the checker itself: small captures, right ones and ones with one thing wrong each."""

import contextlib
import gzip
import io
import json
import os
import struct
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check_output
import compare_runs
from captures import CaptureError, read_capture
from packets import ICMP, TCP, UDP, ip_checksum_error, l4_checksum_error, parse

HOST_A, HOST_B = "10.0.0.1", "10.0.0.2"
SERVER, PUBLIC, BACKEND = "192.0.2.9", "198.51.100.1", "203.0.113.5"


def address(text):
    return bytes(map(int, text.split(".")))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip(source, destination, proto, payload, fragment=0, ident=1):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, proto, 0)
    head += address(source) + address(destination)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ethernet(packet, vlan=False):
    tag = b"\x81\x00\x00\x07" if vlan else b""
    return b"\2\0\0\0\0\1\2\0\0\0\0\2" + tag + b"\x08\x00" + packet


def transport(source, destination, proto, segment, at):
    pseudo = address(source) + address(destination) + struct.pack(">HH", proto, len(segment))
    value = checksum(pseudo + segment) or (0xFFFF if proto == UDP else 0)
    return segment[:at] + struct.pack(">H", value) + segment[at + 2 :]


def tcp(source, sport, destination, dport, payload=b"data"):
    segment = struct.pack(">HHIIBBHHH", sport, dport, 1, 2, 0x50, 0x10, 9, 0, 0) + payload
    return ip(source, destination, TCP, transport(source, destination, TCP, segment, 16))


def udp(source, sport, destination, dport, payload=b"data", no_checksum=False):
    segment = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    if not no_checksum:
        segment = transport(source, destination, UDP, segment, 6)
    return ip(source, destination, UDP, segment)


def icmp(source, destination, kind, rest):
    message = struct.pack(">BBH", kind, 0, 0) + rest
    value = struct.pack(">H", checksum(message))
    return ip(source, destination, ICMP, message[:2] + value + message[4:])


def echo(source, destination, ident):
    return icmp(source, destination, 8, struct.pack(">HH", ident, 1) + b"ping")


def patched(data, at, value):
    return data[:at] + value + data[at + len(value) :]


def pcap(packets):
    raw = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    for number, data in enumerate(packets):
        raw += struct.pack("<IIII", number, 0, len(data), len(data)) + data
    return raw


def block(kind, body):
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng(released, names=(b"inside", b"outside")):
    """released: (packet id or None, side, bytes[, time in s])."""
    raw = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for name in names:
        options = option(2, name) + option(9, b"\x09") + option(0, b"")
        raw += block(1, struct.pack("<HHI", 1, 0, 0) + options)
    for number, (packet_id, side, data, *time_s) in enumerate(released):
        time_ns = int((time_s[0] if time_s else number) * 10**9)
        head = struct.pack("<IIIII", side, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
        options = b""
        if packet_id is not None:
            options = option(5, struct.pack("<Q", packet_id)) + option(0, b"")
        raw += block(6, head + data + b"\0" * (-len(data) % 4) + options)
    return raw


IN, OUT = 0, 1


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, raw):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(raw)
        return path

    def call(self, module, *arguments):
        """Exit code, stdout and stderr of the module's main()."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.object(sys, "argv", ["program", *arguments]):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = module.main()
                except SystemExit as stop:
                    code = stop.code
        return code, out.getvalue(), err.getvalue()

    def check(self, given, released, *options, nf="nat"):
        given = self.write("in.pcap", pcap([ethernet(p) for p in given]))
        released = [(i, s, ethernet(p), *t) for i, s, p, *t in released]
        released = self.write("out.pcapng", pcapng(released))
        code, out, err = self.call(check_output, given, released, "--nf", nf, *options)
        self.assertEqual(err, "")
        return code, out

    def fine(self, *arguments, **names):
        code, out = self.check(*arguments, **names)
        self.assertEqual(code, 0, out)
        self.assertTrue(out.endswith(": ok\n"))

    def wrong(self, text, *arguments, **names):
        code, out = self.check(*arguments, **names)
        self.assertEqual(code, 1, out)
        self.assertIn(text, out)
        self.assertIn(": 1 violations\n", out)


class Nat(Case):
    given = [
        tcp(HOST_A, 1000, SERVER, 80),
        tcp(SERVER, 80, HOST_A, 1000),
        udp(HOST_B, 1000, SERVER, 53),
        udp(SERVER, 53, HOST_B, 1000),
        echo(HOST_A, SERVER, 77),
        tcp(HOST_A, 1000, SERVER, 80, b"more"),
    ]
    released = [
        (1, OUT, tcp(PUBLIC, 5001, SERVER, 80)),
        (2, IN, given[1]),
        (3, OUT, udp(PUBLIC, 5001, SERVER, 53)),
        (4, IN, given[3]),
        (5, OUT, echo(PUBLIC, SERVER, 5003)),
        (6, OUT, tcp(PUBLIC, 5001, SERVER, 80, b"more")),
    ]

    def with_release(self, at, *release):
        return self.released[:at] + [release] + self.released[at + 1 :]

    def test_right(self):
        self.fine(self.given, self.released)
        self.fine(self.given, [])

    def test_twice(self):
        self.wrong("packet 1: is released twice", self.given, self.released + self.released[:1])

    def test_no_number(self):
        for number in (None, 0, 7):
            self.wrong("has no number of the input", self.given,
                       self.with_release(5, number, OUT, self.given[5]))

    def test_inward_bytes(self):
        bad = patched(self.given[1], len(self.given[1]) - 1, b"!")
        self.wrong("packet 2: released to the inside, differs", self.given,
                   self.with_release(1, 2, IN, bad))

    def test_inward_ttl(self):
        self.wrong("differs from the capture at byte 22", self.given,
                   self.with_release(1, 2, IN, patched(self.given[1], 8, b"\x3f")))

    def test_length(self):
        self.wrong("packet 2: has 59 bytes of 59, came in with 58 of 58", self.given,
                   self.with_release(1, 2, IN, self.given[1] + b"x"))

    def test_two_zeros_are_one(self):
        for checksums in ((b"\0\0", b"\xff\xff"), (b"\xff\xff", b"\0\0")):
            given = list(self.given)
            given[1] = patched(given[1], 36, checksums[0])
            self.fine(given, self.with_release(1, 2, IN, patched(given[1], 36, checksums[1])))

    def test_no_public_endpoint(self):
        self.wrong("has no public endpoint", self.given, self.released[1:2])

    def test_payload_changed(self):
        self.wrong("packet 6: released to the outside, differs where the NF may not write",
                   self.given, self.with_release(5, 6, OUT, tcp(PUBLIC, 5001, SERVER, 80, b"mord")))

    def test_destination_changed(self):
        self.wrong("differs where the NF may not write, at byte 33", self.given,
                   self.with_release(5, 6, OUT, tcp(PUBLIC, 5001, "192.0.2.8", 80, b"more")))

    def test_tcp_checksum(self):
        bad = patched(self.released[0][2], 36, b"\x12\x34")
        self.wrong("packet 1: TCP, UDP or ICMP checksum is wrong", self.given,
                   self.with_release(0, 1, OUT, bad))

    def test_ip_checksum(self):
        bad = patched(self.released[0][2], 10, b"\x12\x34")
        self.wrong("packet 1: IP checksum is wrong", self.given, self.with_release(0, 1, OUT, bad))

    def test_icmp_checksum(self):
        bad = patched(self.released[4][2], 22, b"\x12\x34")
        self.wrong("packet 5: TCP, UDP or ICMP checksum", self.given,
                   self.with_release(4, 5, OUT, bad))

    def test_wrong_stays_wrong(self):
        def off_by_one(packet):
            value = int.from_bytes(packet[36:38], "big")
            return patched(packet, 36, ((value + 1) % 0xFFFF).to_bytes(2, "big"))

        given = [off_by_one(self.given[0])]
        self.fine(given, [(1, OUT, off_by_one(self.released[0][2]))])
        self.wrong("checksum is wrong", given, [(1, OUT, self.released[0][2])])

    def test_udp_without_checksum(self):
        given = [udp(HOST_A, 9, SERVER, 53, no_checksum=True)]
        self.fine(given, [(1, OUT, udp(PUBLIC, 5000, SERVER, 53, no_checksum=True))])
        self.wrong("checksum is wrong", given, [(1, OUT, udp(PUBLIC, 5000, SERVER, 53))])
        self.wrong("checksum is wrong", [udp(HOST_A, 9, SERVER, 53)],
                   [(1, OUT, udp(PUBLIC, 5000, SERVER, 53, no_checksum=True))])

    def test_second_public_endpoint(self):
        self.wrong("was tcp 198.51.100.1:5001 outside before and is tcp 198.51.100.1:5002 now",
                   self.given, self.with_release(5, 6, OUT, tcp(PUBLIC, 5002, SERVER, 80, b"more")))

    def test_shared_public_endpoint(self):
        given = self.given[:1] + [tcp(HOST_B, 1000, SERVER, 80)]
        released = self.released[:1] + [(2, OUT, tcp(PUBLIC, 5001, SERVER, 80))]
        self.wrong("tcp 198.51.100.1:5001 is given to", given, released)
        released = self.released[:1] + [(2, OUT, tcp(PUBLIC, 5001, SERVER, 80), 60)]
        self.wrong("tcp 198.51.100.1:5001 is given to", given, released, "--idle", "60")
        self.fine(given, released, "--idle", "59")

    def test_a_reply_keeps_the_endpoint(self):
        given = self.given[:2] + [tcp(HOST_B, 1000, SERVER, 80)]
        released = [(1, OUT, tcp(PUBLIC, 5001, SERVER, 80), 0), (2, IN, given[1], 50),
                    (3, OUT, tcp(PUBLIC, 5001, SERVER, 80), 70)]
        self.wrong("is given to", given, released, "--idle", "30")
        self.fine(given, released, "--idle", "10")

    def test_not_translated(self):
        self.wrong("packet 1: tcp 10.0.0.1:1000 went out as it is", self.given[:1],
                   [(1, OUT, self.given[0])])

    def test_order(self):
        turned = [self.released[5]] + self.released[:5]
        self.wrong("1 packets left after a later one", self.given, turned)
        self.fine(self.given, turned, "--allow-reordered", "1")
        other = [self.released[0], self.released[2], self.released[1]] + self.released[3:]
        self.fine(self.given, other)

    def test_unhandled_stays_as_it_is(self):
        given = [ip(HOST_A, SERVER, 47, b"gre payload"), b"\x60" + b"\0" * 50]
        self.fine(given, [(1, OUT, given[0]), (2, OUT, given[1])])
        self.wrong("differs where the NF may not write", given,
                   [(1, OUT, ip(PUBLIC, SERVER, 47, b"gre payload"))])

    def test_fragments(self):
        def pair(host, port):
            whole = udp(host, port, SERVER, 53, b"x" * 64)[20:]
            return (ip(host, SERVER, UDP, whole[:32], 0x2000, 5),
                    ip(host, SERVER, UDP, whole[32:], 4, 5))

        given, out = pair(HOST_A, 9), pair(PUBLIC, 5000)
        self.fine(given, [(1, OUT, out[0]), (2, OUT, out[1])])
        other = pair("198.51.100.2", 5000)
        self.wrong("a later fragment has", given, [(1, OUT, out[0]), (2, OUT, other[1])])
        bad = patched(out[0], 26, b"\x12\x34")
        self.wrong("packet 1: TCP, UDP or ICMP checksum", given, [(1, OUT, bad)])

    def test_icmp_error(self):
        given = self.given[:1] + [icmp(HOST_A, SERVER, 3, b"\0" * 4 + self.given[1][:28])]
        translated = tcp(SERVER, 80, PUBLIC, 5001)[:28]
        right = icmp(PUBLIC, SERVER, 3, b"\0" * 4 + translated)
        self.fine(given, self.released[:1] + [(2, OUT, right)])
        other = icmp(PUBLIC, SERVER, 3, b"\0" * 4 + tcp(SERVER, 80, PUBLIC, 5002)[:28])
        self.wrong("an ICMP error quotes tcp 198.51.100.1:5002", given,
                   self.released[:1] + [(2, OUT, other)])
        bad = icmp(PUBLIC, SERVER, 3, b"\0" * 4 + patched(translated, 10, b"\x12\x34"))
        self.wrong("packet 2: quoted IP checksum is wrong", given,
                   self.released[:1] + [(2, OUT, bad)])
        for text, error in ((f"comes from icmp {HOST_A}", icmp(HOST_A, SERVER, 3, b"\0" * 4 + translated)),
                            ("an ICMP error quotes tcp 10.0.0.1:1000", given[1])):
            self.wrong(text, given, self.released[:1] + [(2, OUT, error)])
        self.wrong("which has no public endpoint", given, [(2, OUT, right)])

    def test_only_twenty_are_shown(self):
        given = [tcp(HOST_A, 1000 + n, SERVER, 80) for n in range(30)]
        code, out = self.check(given, [(n + 1, OUT, given[n]) for n in range(30)])
        self.assertEqual(code, 1)
        self.assertEqual(out.count("went out as it is"), 20)
        self.assertIn("... and 10 more\n", out)
        self.assertIn("checked 30 packets: 30 violations\n", out)

    def report(self, **changes):
        total = sum(len(ethernet(p)) for p in self.given)
        gone = sum(len(ethernet(p)) for _, _, p in self.released)
        report = {"packets_in": 6, "bytes_in": total, "packets_released": 6, "bytes_released": gone,
                  "packets_dropped": {"unsolicited": 0}, "packets_in_flight": 0,
                  "packets_reordered": 0, **changes}
        return self.write("report.json", json.dumps(report).encode())

    def test_report(self):
        self.fine(self.given, self.released, "--expect-json", self.report())
        self.fine(self.given, self.released[:5], "--expect-json",
                  self.report(packets_released=5, packets_dropped={"a": 1},
                              bytes_released=sum(len(ethernet(p)) for _, _, p in
                                                 self.released[:5])))
        for changes, text in (
            ({"packets_dropped": {"a": 1}}, "the report's packets_in is 6, counted are 7"),
            ({"bytes_released": 1}, "the report's bytes_released is 1"),
            ({"bytes_in": 1}, "the report's bytes_in is 1"),
        ):
            self.wrong(text, self.given, self.released, "--expect-json", self.report(**changes))
        code, out = self.check(self.given, self.released, "--expect-json",
                               self.report(packets_in_flight=1, packets_released=5))
        self.assertEqual(code, 1)
        self.assertIn("the report's packets_in_flight is 1, counted are 0", out)

    def test_report_hides_reordering(self):
        turned = [self.released[5]] + self.released[:5]
        self.wrong("the report's packets_reordered is 0, counted are 1", self.given, turned,
                   "--allow-reordered", "1", "--expect-json", self.report())


class LoadBalancer(Case):
    given = [tcp(HOST_A, 1000, SERVER, 80), tcp(SERVER, 80, HOST_A, 1000),
             tcp(HOST_A, 1000, SERVER, 80, b"more"), tcp(HOST_B, 1000, SERVER, 80)]
    released = [(1, OUT, tcp(HOST_A, 1000, BACKEND, 8080)), (2, IN, given[1]),
                (3, OUT, tcp(HOST_A, 1000, BACKEND, 8080, b"more")),
                (4, OUT, tcp(HOST_B, 1000, BACKEND, 8080))]

    def test_right(self):
        self.fine(self.given, self.released, nf="lb")

    def test_two_backends(self):
        moved = (3, OUT, tcp(HOST_A, 1000, "203.0.113.6", 8080, b"more"))
        self.wrong("was tcp 203.0.113.5:8080 outside before and is tcp 203.0.113.6:8080 now",
                   self.given, self.released[:2] + [moved], nf="lb")

    def test_source_changed(self):
        bad = (1, OUT, tcp(PUBLIC, 1000, BACKEND, 8080))
        self.wrong("differs where the NF may not write", self.given, [bad], nf="lb")

    def test_checksum(self):
        bad = (1, OUT, patched(self.released[0][2], 36, b"\x12\x34"))
        self.wrong("checksum is wrong", self.given, [bad], nf="lb")


class Files(Case):
    def test_formats(self):
        packet = ethernet(tcp(HOST_A, 1, SERVER, 2))
        little = pcap([packet])
        big = struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        big += struct.pack(">IIII", 5, 7, len(packet), 99) + packet
        for raw in (little, gzip.compress(little), pcapng([(3, OUT, packet)])):
            self.assertEqual(read_capture(self.write("f", raw))[0].data, packet)
        read = read_capture(self.write("f", big))[0]
        self.assertEqual((read.time_ns, read.wire_bytes), (5 * 10**9 + 7000, 99))
        read = read_capture(self.write("f", pcapng([(3, OUT, packet, 1.5)])))[0]
        self.assertEqual((read.packet_id, read.interface, read.time_ns), (3, "outside", 15 * 10**8))

    def test_bad_files(self):
        good = pcapng([(1, OUT, ethernet(tcp(HOST_A, 1, SERVER, 2)))])
        for raw in (b"", b"junk", good[:-5], pcap([b"x" * 40])[:-3], b"\x1f\x8bjunk",
                    patched(pcap([]), 20, b"\x71")):
            with self.assertRaises(CaptureError):
                read_capture(self.write("f", raw))
        with self.assertRaises(CaptureError):
            read_capture(os.path.join(self.folder, "missing"))

    def test_exit_code_of_bad_use(self):
        good = self.write("a.pcap", pcap([ethernet(tcp(HOST_A, 1, SERVER, 2))]))
        code, _, err = self.call(check_output, good, good, "--nf", "nat")
        self.assertEqual(code, 2)
        self.assertIn("is on neither side", err)
        code, _, err = self.call(check_output, good, "missing", "--nf", "nat")
        self.assertEqual((code, err.count("\n")), (2, 1))
        self.assertEqual(self.call(check_output, good, good, "--nf", "what")[0], 2)


class Parser(Case):
    def test_vlan_and_checksums(self):
        for data in (ethernet(tcp(HOST_A, 1, SERVER, 2, b"odd"), vlan=True),
                     ethernet(udp(HOST_A, 1, SERVER, 2)), ethernet(echo(HOST_A, SERVER, 3))):
            view = parse(data)
            self.assertEqual((ip_checksum_error(data, view), l4_checksum_error(data, view)), (0, 0))
            bad = patched(data, len(data) - 1, b"\xaa")
            self.assertNotEqual(l4_checksum_error(bad, parse(bad)), 0)

    def test_routing_header(self):
        def packet(destination, last):
            segment = struct.pack(">HHHH", 5, 6, 8, 0)
            pseudo = b"\1" * 16 + last + struct.pack(">II", 8, UDP)
            segment = segment[:6] + struct.pack(">H", checksum(pseudo + segment))
            route = struct.pack(">BBBBI", UDP, 2, 0, 1, 0) + last
            head = struct.pack(">IHBB", 6 << 28, 32, 43, 9) + b"\1" * 16 + destination
            return b"\2" * 12 + b"\x86\xdd" + head + route + segment

        for destination in (b"\2" * 16, b"\4" * 16):
            data = packet(destination, b"\3" * 16)
            self.assertEqual(l4_checksum_error(data, parse(data)), 0)
            bad = patched(data, 14 + 40 + 8, b"\x77")
            self.assertNotEqual(l4_checksum_error(bad, parse(bad)), 0)

    def test_any_bytes(self):
        data = ethernet(icmp(HOST_A, SERVER, 3, b"\0" * 4 + tcp(SERVER, 80, HOST_A, 1000)), vlan=True)
        for cut in range(len(data)):
            parse(data[:cut])
        for at in range(len(data)):
            for value in (0, 0x60, 0xFF):
                parse(patched(data, at, bytes([value])))

    def test_padding_is_no_quote(self):
        error = icmp(HOST_A, SERVER, 3, b"\0" * 4 + tcp(SERVER, 80, HOST_A, 1000)[:28])
        view = parse(ethernet(error) + b"\0" * 40)
        self.assertTrue(view.error)
        self.assertIsNone(view.quoted.checksum_at)


class CompareRuns(Case):
    def compare(self, first, second, nf="nat"):
        first = self.write("a.pcapng", pcapng([(i, s, ethernet(p)) for i, s, p in first]))
        second = self.write("b.pcapng", pcapng([(i, s, ethernet(p)) for i, s, p in second]))
        code, out, err = self.call(compare_runs, first, second, "--nf", nf)
        return code, out + err

    def test_same_but_for_ports(self):
        other = [(i, s, p) for i, s, p in Nat.released]
        other[0] = (1, OUT, tcp("198.51.100.2", 6001, SERVER, 80))
        other[4] = (5, OUT, echo(PUBLIC, SERVER, 6003))
        code, out = self.compare(Nat.released, other[::-1])
        self.assertEqual((code, out), (0, "compared 6 packets: the same\n"))

    def test_differences(self):
        good = Nat.released
        for at, release, text in (
            (1, (2, OUT, good[1][2]), "packet 2: left to the inside in one run, to the outside"),
            (1, (2, IN, patched(good[1][2], 8, b"\1")), "packet 2: differs at byte 22"),
            (0, (1, OUT, tcp(PUBLIC, 5001, SERVER, 81)), "packet 1: differs at byte 37"),
            (0, (1, OUT, good[0][2] + b"x"), "packet 1: has 58 bytes in one run, 59"),
            (0, (9, OUT, good[0][2]), "packet 9: was not released in the first run"),
        ):
            code, out = self.compare(good, good[:at] + [release] + good[at + 1 :])
            self.assertEqual(code, 1, out)
            self.assertIn(text, out)

    def test_backends_may_not_differ(self):
        other = [(1, OUT, tcp(HOST_A, 1000, "203.0.113.6", 8080))] + LoadBalancer.released[1:]
        self.assertEqual(self.compare(LoadBalancer.released, other, "lb")[0], 1)

    def test_doubled(self):
        code, out = self.compare(Nat.released + Nat.released[:1], Nat.released)
        self.assertEqual(code, 2)
        self.assertIn("missing or doubled", out)


if __name__ == "__main__":
    unittest.main()
