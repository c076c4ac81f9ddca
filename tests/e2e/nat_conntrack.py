#!/usr/bin/env python3
"""The NAT against Linux's own: the same packets through `rill replay` and through conntrack and masquerade in a
network namespace. Which packets get through, and come back, must agree; the ports need not. Where the two rules of
mapping and filtering make them differ, the packet must be of a kind that is named here, and in nfs/nat/README.md:

  stranger   from the outside to a public endpoint, by one to whom the inside endpoint has not sent: Rill lets it in
             (endpoint-independent filtering), Linux does not (address- and port-dependent)
  answer     an echo reply from the inside to no request: Rill maps it, Linux takes it for invalid

Two inputs: traffic that is drawn here, of every kind, and the bundled capture, as far as it is IPv4 and whole.
As root, with ip and nft; skipped, saying so, without. Everything happens in namespaces of its own, gone afterwards.
"""
import ctypes
import json
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
from captures import read_capture  # noqa: E402
from packets import ICMP, TCP, UDP, parse  # noqa: E402
from test_check_output import echo, ethernet, icmp, pcap, tcp, udp  # noqa: E402

PUBLIC, ROUTER, INSIDE_ROUTER = "198.51.100.1", "192.0.2.254", "10.9.9.9"
FIRST_PORT = 1024  # of the NAT's range; what it gives out first, in order
CAPTURE_PACKETS = 20000
RULES = """
table ip nat {
  chain post {
    type nat hook postrouting priority 100; policy accept;
    oifname "out" snat to %s
  }
}
table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state invalid drop
    iifname "in" oifname "out" accept
    iifname "out" oifname "in" ct state established,related accept
  }
  chain input { type filter hook input priority 0; policy drop; }
  chain output { type filter hook output priority 0; policy drop; }
}
""" % PUBLIC


def sh(*words, text=None):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, input=text, timeout=60)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


# --- packets as bytes ---------------------------------------------------------------------------


def add_checksum(data, at, old, new):
    """RFC 1624, equation 3: the checksum at `at` covered `old`, which is `new` now."""
    total = ~int.from_bytes(data[at:at + 2], "big") & 0xFFFF
    for before, after in zip(struct.unpack(">%dH" % (len(old) // 2), old), struct.unpack(">%dH" % (len(new) // 2), new)):
        total += (~before & 0xFFFF) + after
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    data[at:at + 2] = (~total & 0xFFFF).to_bytes(2, "big")


def patch(data, at, new, *checksums):
    old = bytes(data[at:at + len(new)])
    data[at:at + len(new)] = new
    for checksum in checksums:
        if checksum is not None:
            add_checksum(data, checksum, old, new)


def set_end(data, view, end, address, port, outer_checksum=None):
    """Rewrites one end of a packet, or of one that is quoted in `outer_checksum`'s ICMP message."""
    at = view.checksum_at
    if at is not None and view.proto == UDP and data[at:at + 2] == b"\0\0":
        at = None
    before = bytes(data[view.ip_at:view.end])
    patch(data, getattr(view, end + "_at"), address, view.ip_at + 10, None if view.proto == ICMP else at)
    if port is not None and view.l4_at is not None:
        port_at = view.l4_at + (4 if view.echo else 0 if end == "source" else 2)
        patch(data, port_at, port.to_bytes(2, "big"), at)
    if outer_checksum is not None:
        after = bytes(data[view.ip_at:view.end])
        if len(before) % 2:
            before, after = before + b"\0", after + b"\0"
        add_checksum(data, outer_checksum, before, after)


def number(data, view, n):
    """The packet's number, in IPv4's identification: both let it through as it is."""
    patch(data, view.ip_at + 4, (n & 0xFFFF).to_bytes(2, "big"), view.ip_at + 10)


# --- what is sent -------------------------------------------------------------------------------


class Given:
    """A packet: from which side; `peer`: the inside end whose public endpoint an outside packet is for, and the
    outside end by which that is known (None: the first one); `kind`: of those that may differ."""

    def __init__(self, data, inside, kind=None, mapped=None):
        self.data, self.inside, self.kind, self.mapped = data, inside, kind, mapped


def text(endpoint_address):
    return ".".join(map(str, endpoint_address))


class Drawn:
    """Traffic of every kind. Outside packets to a public endpoint are written to the one that Rill gives: where it does
    not preserve ports it counts from FIRST_PORT, and this counts with it."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.packets = []
        self.public = {TCP: {}, UDP: {}, ICMP: {}}  # inside end -> Rill's port
        self.talked = []  # (proto, inside host, its port, remote host, its port)
        self.tcp_state = {}

    def out(self, proto, host, port, remote, remote_port, flags=0x10):
        self.public[proto].setdefault((host, port), FIRST_PORT + len(self.public[proto]))
        if proto == ICMP:
            data = echo(host, remote, port)
        elif proto == UDP:
            data = udp(host, port, remote, remote_port, no_checksum=self.rng.random() < 0.2)
        else:
            data = self.segment(host, port, remote, remote_port, flags)
        if (proto, host, port, remote, remote_port) not in self.talked:
            self.talked.append((proto, host, port, remote, remote_port))
        self.packets.append(Given(data, True))

    def segment(self, source, port, destination, destination_port, flags):
        data = bytearray(tcp(source, port, destination, destination_port))
        patch(data, 32, bytes([0x50, flags]), 36)
        return bytes(data)

    def back(self, talked, remote=None, remote_port=None, flags=0x10, kind=None):
        proto, host, port, known, known_port = talked
        remote, remote_port = remote or known, remote_port or known_port
        mine = self.public[proto][(host, port)]
        if proto == ICMP:
            data = icmp(remote, PUBLIC, 0, struct.pack(">HH", mine, 1) + b"pong")
        elif proto == UDP:
            data = udp(remote, remote_port, PUBLIC, mine)
        else:
            data = self.segment(remote, remote_port, PUBLIC, mine, flags)
        self.packets.append(Given(data, False, kind, talked))

    def begin(self):
        proto = self.rng.choice((TCP, UDP, UDP, ICMP))
        host, port = "10.0.0.%d" % self.rng.randrange(1, 9), self.rng.randrange(2000, 2006)
        remote, remote_port = "192.0.2.%d" % self.rng.randrange(1, 6), self.rng.choice((53, 80, 443))
        talked = (proto, host, port, remote, port if proto == ICMP else remote_port)
        if talked in self.talked:
            return
        self.out(*talked, flags=2)
        if proto == TCP:
            self.back(talked, flags=0x12)
            self.out(*talked)

    def error(self):
        talked = self.rng.choice(self.talked)
        proto, host, port, remote, remote_port = talked
        rest = b"\0" * 4
        make = {TCP: tcp, UDP: udp}.get(proto)
        if self.rng.random() < 0.5:  # from the outside, about what the inside has sent; the replayer translates it
            quoted = make(host, port, remote, remote_port) if make else echo(host, remote, port)
            source = self.rng.choice((remote, ROUTER))
            self.packets.append(Given(icmp(source, host, self.rng.choice((3, 11)), rest + quoted[:28 + 8]), False,
                                      None, talked))
        else:
            quoted = (make(remote, remote_port, host, port) if make
                      else icmp(remote, host, 0, struct.pack(">HH", port, 1) + b"pong"))
            source = self.rng.choice((host, INSIDE_ROUTER))
            self.packets.append(Given(icmp(source, remote, self.rng.choice((3, 11)), rest + quoted[:28 + 8]), True))

    def stray(self):
        """What nobody has asked for."""
        remote, unused = "192.0.2.%d" % self.rng.randrange(1, 6), self.rng.randrange(50000, 60000)
        quoted = udp("10.0.0.77", unused, remote, 53)
        back = udp(remote, 53, "10.0.0.77", unused)
        data, inside = self.rng.choice((
            (udp(remote, 53, PUBLIC, unused), False), (tcp(remote, 80, PUBLIC, unused), False),
            (udp(remote, 53, "10.0.0.1", 1999), False),
            (icmp(remote, PUBLIC, 3, b"\0" * 4 + quoted[:28]), False),
            (icmp("10.0.0.77", remote, 3, b"\0" * 4 + back[:28]), True)))
        self.packets.append(Given(data, inside))

    def stranger(self):
        talked = self.rng.choice([t for t in self.talked if t[0] != ICMP])
        known = {t[3:] for t in self.talked if t[:3] == talked[:3]}
        remote = ("192.0.2.%d" % self.rng.randrange(100, 200), self.rng.randrange(1000, 2000))
        if remote not in known:
            self.back(talked, *remote, kind="stranger", flags=2)

    def answer(self):
        host = "10.0.0.%d" % self.rng.randrange(100, 150)
        if (host, 7) in self.public[ICMP]:
            return
        self.public[ICMP][(host, 7)] = FIRST_PORT + len(self.public[ICMP])
        data = icmp(host, "192.0.2.1", 0, struct.pack(">HH", 7, 1) + b"pong")
        self.packets.append(Given(data, True, "answer"))

    def draw(self, n):
        self.begin()
        while len(self.packets) < n:
            step = self.rng.random()
            if step < 0.15:
                self.begin()
            elif step < 0.40:
                self.out(*self.rng.choice(self.talked))
            elif step < 0.70:
                self.back(self.rng.choice(self.talked))
            elif step < 0.82:
                self.error()
            elif step < 0.90:
                self.stray()
            elif step < 0.98:
                self.stranger()
            else:
                self.answer()
        return [Given(bytearray(ethernet(p.data)), p.inside, p.kind, p.mapped) for p in self.packets]


# --- Linux --------------------------------------------------------------------------------------


class Linux:
    """A namespace that translates, and the far ends of its two interfaces in another one."""

    def __init__(self):
        self.names = ["rillct%d%s" % (os.getpid(), end) for end in "rx"]

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        r, x = self.names
        for name in self.names:
            sh("ip", "netns", "add", name)
        for end, gateway, net in (("in", "169.254.1.1", "10.0.0.0/8"), ("out", "169.254.2.1", "default")):
            sh("ip", "-n", r, "link", "add", end, "mtu", 65535, "type", "veth", "peer", "name", end, "mtu", 65535,
               "netns", x)
            for name in self.names:
                sh("ip", "-n", name, "link", "set", end, "up")
            mac = json.loads(sh("ip", "-n", x, "-j", "link", "show", end))[0]["address"]
            sh("ip", "-n", r, "neigh", "add", gateway, "lladdr", mac, "dev", end, "nud", "permanent")
            sh("ip", "-n", r, "addr", "add", gateway[:-1] + "2/24", "dev", end)
            sh("ip", "-n", r, "route", "add", net, "via", gateway, "dev", end)
        sh("ip", "-n", r, "addr", "add", PUBLIC + "/32", "dev", "out")
        in_r = ["nsenter", "--net=/run/netns/" + r]
        sh(*in_r, "nft", "-f", "-", text=RULES)
        for name, value in (("ipv4.ip_forward", 1), ("ipv4.conf.all.rp_filter", 0), ("ipv4.conf.in.rp_filter", 0),
                            ("ipv4.conf.out.rp_filter", 0), ("netfilter.nf_conntrack_checksum", 0),
                            ("netfilter.nf_conntrack_tcp_be_liberal", 1)):
            sh(*in_r, "sysctl", "-qw", "net.%s=%d" % (name, value))
        self.open()

    def open(self):
        """Sockets at the far ends: a socket stays in the namespace in which it was made."""
        libc = ctypes.CDLL(None, use_errno=True)
        r, x = self.names
        with open("/proc/self/ns/net") as home, open("/run/netns/" + x) as there:
            assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            try:
                self.sockets = {}
                for end in ("in", "out"):
                    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
                    s.bind((end, 0))
                    s.setblocking(False)
                    self.sockets[end] = s
            finally:
                assert libc.setns(home.fileno(), 0) == 0
        self.macs = {end: bytes.fromhex(json.loads(sh("ip", "-n", r, "-j", "link", "show", end))[0]["address"]
                                        .replace(":", "")) for end in ("in", "out")}

    def __exit__(self, *_):
        for s in getattr(self, "sockets", {}).values():
            s.close()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def send(self, data, inside):
        end = "in" if inside else "out"
        data[0:6], data[6:12] = self.macs[end], b"\2\0\0\0\0\1"
        self.sockets[end].send(data)

    def receive(self, wait_s):
        """(data, came out at the inside) of all that is there; waits for the first for so long."""
        found = []
        if wait_s > 0:
            select.select(list(self.sockets.values()), [], [], wait_s)
        for end, s in self.sockets.items():
            while True:
                try:
                    data, where = s.recvfrom(65600)
                except BlockingIOError:
                    break
                if where[2] != socket.PACKET_OUTGOING and data[12:14] == b"\x08\x00":
                    found.append((data, end == "in"))
        return found


class Through:
    """Sends packets through Linux one by one, as the two sides would: an outside one to where its connection is
    known there. Tells which came out, on the other side."""

    def __init__(self, linux, given):
        self.linux, self.given = linux, given
        self.views = [parse(bytes(p.data)) for p in given]
        self.passed = set()
        self.sent = set()  # (inside end, outside end) of what the inside has sent
        self.ports = {}  # (inside end, outside end) -> Linux's public port

    def collect(self, wait_s):
        for data, inside in self.linux.receive(wait_s):
            view = parse(data)
            if view is None:
                continue
            n = int.from_bytes(data[view.ip_at + 4:view.ip_at + 6], "big")
            before = self.views[n] if n < len(self.views) else None
            if before is None or self.given[n].inside == inside or view.proto != before.proto:
                continue
            self.passed.add(n)
            if not inside and not view.error:
                assert view.source.address == socket.inet_aton(PUBLIC), (n, str(view.source))
                self.ports[before.source, before.destination] = view.source.port

    def port_of(self, ends):
        """None: nothing of that connection has gone out."""
        for _ in range(25):
            if ends in self.ports or ends not in self.sent:
                return self.ports.get(ends)
            self.collect(0.002)
        self.sent.discard(ends)  # it never came out: do not wait again
        return None

    def address_to(self, data, view, ends):
        """An outside packet, to the public endpoint of the inside end of `ends`."""
        port = self.port_of(ends)
        if port is None:
            return
        public = socket.inet_aton(PUBLIC)
        if view.error:
            set_end(data, view.quoted, "source", public, port, outer_checksum=view.checksum_at)
            set_end(data, view, "destination", public, None)
            if view.quoted.proto == ICMP:
                return
        else:
            set_end(data, view, "destination", public, port)

    def run(self, ends_of):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that nothing is overtaken
        for n, given in enumerate(self.given):
            data, view = bytearray(given.data), self.views[n]
            number(data, view, n)
            if given.inside:
                self.sent.add((view.source, view.destination))
            else:
                ends = ends_of(given, view)
                if ends is not None:
                    self.address_to(data, view, ends)
            self.linux.send(data, given.inside)
            self.collect(0)
        for _ in range(20):
            self.collect(0.01)
        return self.passed


# --- both ---------------------------------------------------------------------------------------


def spread(given, pace_ns):
    """As a capture: one packet each pace_ns."""
    parts = [pcap([])]
    for n, packet in enumerate(given):
        size = len(packet.data)
        parts += [struct.pack("<IIII", n * pace_ns // 10**9, n * pace_ns % 10**9, size, size), bytes(packet.data)]
    return b"".join(parts)


def through_rill(folder, given, pace_ns, preserve_ports):
    """Which were released on the other side; the capture is slow enough for each answer to find its mapping."""
    capture, out = os.path.join(folder, "in.pcap"), os.path.join(folder, "out.pcapng")
    with open(capture, "wb") as f:
        f.write(spread(given, pace_ns))
    json_path, config = os.path.join(folder, "report.json"), os.path.join(folder, "nat.yaml")
    with open(config, "w") as f:
        f.write("nf: nat\nconfig:\n  preserve_ports: %s\n" % ("true" if preserve_ports else "false"))
    code, _, err = common.run("replay", capture, "--config", config, "--inside", "10.0.0.0/8", "--out", out, "--units", 1,
                              "--clock", "virtual", "--quiet", "--json", json_path, "--set",
                              "unit_capacity_mbps=10000", "--set", "link_delay_us=1")
    with open(json_path) as f:
        report = json.load(f)
    # What the drawn capture has for a public endpoint does not come out as it is: that is no promise broken.
    assert code == (1 if report["inverse_mismatches"] else 0) and report["outward_mismatches"] == 0, err
    dropped = sum(report["packets_dropped"].values())
    assert report["packets_in"] == report["packets_released"] + dropped == len(given), report["packets_dropped"]
    return {p.packet_id - 1 for p in read_capture(out)}


def compare(given, rill, linux):
    """How many packets of each outcome; all that differ must be of a kind that may."""
    outcomes, wrong = {}, []
    for n, packet in enumerate(given):
        differ = (n in rill) != (n in linux)
        if packet.kind is None:
            if differ:
                wrong.append("packet %d from the %s: Rill %s, Linux %s: %s" % (
                    n, "inside" if packet.inside else "outside", "passes" if n in rill else "drops",
                    "passes" if n in linux else "drops", bytes(packet.data[14:54]).hex()))
        elif not (n in rill and n not in linux):
            wrong.append("packet %d is a %s's, and was not treated as that" % (n, packet.kind))
        key = (packet.kind or "same", "passed" if n in rill else "dropped")
        outcomes[key] = outcomes.get(key, 0) + 1
    for line in wrong[:20]:
        print(line)
    assert not wrong, "%d packets differ" % len(wrong)
    return outcomes


def show(what, outcomes):
    print("%s: %s" % (what, ", ".join("%s %s %d" % (*key, n) for key, n in sorted(outcomes.items()))))


def drawn(folder, seed):
    given = Drawn(seed).draw(1500)

    def ends_of(packet, view):
        if packet.mapped is None:
            return None
        proto, host, port, remote, remote_port = packet.mapped
        make = type(view.source)
        return (make(socket.inet_aton(host), port, proto), make(socket.inet_aton(remote), remote_port, proto))

    with Linux() as linux:
        passed = Through(linux, given).run(ends_of)
    outcomes = compare(given, through_rill(folder, given, 1_000_000, preserve_ports=False), passed)
    show("drawn with seed %d" % seed, outcomes)
    for kind in ("same", "stranger", "answer"):
        assert outcomes.get((kind, "passed"), 0) > 0, outcomes
    assert outcomes[("same", "dropped")] > 50, outcomes


def bundled(folder):
    given = []
    for packet in read_capture(common.BUNDLED)[:CAPTURE_PACKETS]:
        view = parse(packet.data)
        if (view is None or view.family != 4 or view.proto not in (TCP, UDP, ICMP) or view.fragment or view.ip_at != 14
                or view.source.port is None or view.error or len(packet.data) != packet.wire_bytes):
            continue
        is_inside = view.source.address[0] == 10
        if is_inside == (view.destination.address[0] == 10):
            continue
        given.append(Given(bytearray(packet.data), is_inside))
    assert len(given) > CAPTURE_PACKETS // 10, len(given)
    with Linux() as linux:
        passed = Through(linux, given).run(lambda packet, view: (view.destination, view.source))
    show("bundled capture", compare(given, through_rill(folder, given, 100_000, preserve_ports=True), passed))


def main():
    if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("ip"):
        print("SKIPPED: needs root, ip and nft (Debian: iproute2, nftables)")
        return common.SKIPPED
    try:
        with Linux():
            pass
    except (AssertionError, OSError) as error:
        print("SKIPPED: no network namespace with NAT is to be had here: %s" % error)
        return common.SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        for seed in (1, 2, 3):
            drawn(folder, seed)
        bundled(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
