"""Draws rules that overlap much as real ones do, and packets that hit them at their edges. Seeded."""

import random
import struct

from model_firewall import ALL_PORTS, ICMP_NAMES, Rule
from packets import ICMP, ICMP6, TCP, UDP, sum16

WIDTH = {4: 32, 6: 128}
_NUMBERS = {4: ("13", "3 1", "8", "0", "15 0"), 6: ("135", "1 4", "128", "129", "139 0")}
# (type, code). Those of errors quote nothing here, and are messages like others.
_MESSAGES = {4: [(t, c) for t in (0, 8, 3, 11, 12, 5, 9, 10, 13, 14, 15, 16) for c in (0, 1, 4)],
             6: [(t, c) for t in (128, 129, 1, 2, 3, 4, 133, 134, 135, 136, 137, 139) for c in (0, 4)]}
_ERRORS = {4: [(3, 1), (3, 3), (3, 4), (11, 0), (12, 0), (5, 1)], 6: [(1, 4), (2, 0), (3, 0), (4, 1)]}
_FLAGS = (0x02, 0x12, 0x10, 0x11, 0x18, 0x04, 0x00)
_PORTS = (ALL_PORTS, ALL_PORTS, (80, 80), (443, 443), (53, 53), (1024, 65535), (0, 1023), (5000, 5100))


def _nets(r, family, n):
    """Nested prefixes below a few roots."""
    width, nets = WIDTH[family], []
    for _ in range(n):
        if nets and r.random() < 0.7:
            _, address, bits = r.choice(nets)
            more = r.randint(0, width - bits)
            address |= r.getrandbits(width - bits) if bits < width else 0
            bits += more
        else:
            address, bits = r.getrandbits(width), r.choice((4, 8, 12, 16, 20, 24))
        nets.append((family, address >> (width - bits) << (width - bits), bits))
    return nets


def draw_rules(seed, n):
    r = random.Random(seed)
    nets = {family: _nets(r, family, max(4, n // 8)) for family in (4, 6)}
    rules = []
    for _ in range(n):
        family = r.choice((4, 4, 6))
        proto = r.choice((TCP, TCP, UDP, "icmp", None, 47))
        ports = [r.choice(_PORTS) if proto in (TCP, UDP) else ALL_PORTS for _ in range(2)]
        icmp = r.choice((None, *ICMP_NAMES, *_NUMBERS[family])) if proto == "icmp" else None
        ends = [r.choice(nets[family]), r.choice(nets[family]) if r.random() < 0.85 else None]
        r.shuffle(ends)
        rules.append(Rule(r.random() < 0.5, r.choice((None, None, True, False)), proto, *ends, *ports, icmp=icmp))
    # Narrow ones tend to come first; else few of the others would ever be reached.
    return sorted(rules, key=lambda rule: r.gauss(0, 15) - sum(n[2] for n in rule[3:5] if n))


def _address(r, net, family):
    width = WIDTH[family]
    if net is None:
        return r.getrandbits(width)
    _, address, bits = net
    low, high = address, address | ((1 << (width - bits)) - 1)
    return r.choice((low, high, r.randint(low, high), r.randint(low, high), max(low - 1, 0),
                     min(high + 1, (1 << width) - 1)))


def _port(r, ports):
    low, high = ports
    return r.choice((low, high, r.randint(low, high), max(low - 1, 0), min(high + 1, 65535)))


def _transport(proto, sport, dport, flags, icmp):
    if proto == TCP:
        return struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, flags, 1024, 0, 0)
    if proto == UDP:
        return struct.pack("!HHHH", sport, dport, 12, 0) + b"data"
    if proto in (ICMP, ICMP6):
        return struct.pack("!BBHHH", *(icmp or (8 if proto == ICMP else 128, 0)), 0, sport, 1)
    return struct.pack("!I", 0)


def frame(family, source, destination, proto, sport, dport, flags, icmp=None, more=b""):
    body = _transport(proto, sport, dport, flags, icmp) + more
    if family == 4:
        head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(body), 0, 0, 64, proto, 0, source, destination)
        checksum = 0xFFFF - sum16(head)
        head = head[:10] + struct.pack("!H", checksum) + head[12:]
    else:
        head = struct.pack("!IHBB", 6 << 28, len(body), proto, 64)
        head += source.to_bytes(16, "big") + destination.to_bytes(16, "big")
    return b"\2\0\0\0\0\2\2\0\0\0\0\1" + (b"\x08\0" if family == 4 else b"\x86\xdd") + head + body


def draw_message(r, family):
    """An echo half of the time."""
    echoes = {4: [(8, 0), (0, 0)], 6: [(128, 0), (129, 0)]}
    return r.choice(echoes[family] if r.random() < 0.5 else _MESSAGES[family])


def draw_error(r, frames):
    """About a packet before it, from its destination or from anybody."""
    quoted = r.choice(frames)[14:]
    family = quoted[0] >> 4
    at, size = (12, 4) if family == 4 else (8, 16)
    ends = [int.from_bytes(quoted[at + i * size : at + (i + 1) * size], "big") for i in (0, 1)]
    source = ends[1] if r.random() < 0.7 else r.getrandbits(WIDTH[family])
    return frame(family, source, ends[0], ICMP if family == 4 else ICMP6, 0, 0, 0, r.choice(_ERRORS[family]), quoted)


def draw_packets(seed, rules, n):
    """Frames: openers at the edges of rules, packets either way of connections drawn before, errors about these."""
    r, drawn, frames = random.Random(seed), [], []
    for _ in range(n):
        if frames and r.random() < 0.06:
            frames.append(draw_error(r, frames))
            continue
        if drawn and r.random() < 0.45:
            family, a, b, proto, sport, dport = r.choice(drawn)
            if r.random() < 0.6:
                a, b, sport, dport = b, a, dport, sport
        else:
            rule = r.choice(rules)
            family = (rule.source or rule.destination or (r.choice((4, 6)),))[0]
            a, b = (_address(r, net, family) for net in (rule.source, rule.destination))
            proto = rule.proto if rule.proto is not None else r.choice((TCP, UDP, "icmp", 50))
            if r.random() < 0.05:
                proto = r.choice((TCP, UDP))
            if proto == "icmp" or proto in (ICMP, ICMP6):
                proto = ICMP if family == 4 else ICMP6
            sport, dport = _port(r, rule.source_ports), _port(r, rule.destination_ports)
            if proto in (ICMP, ICMP6):
                dport = sport
            if r.random() < 0.1:
                a = r.getrandbits(WIDTH[family])
            drawn.append((family, a, b, proto, sport, dport))
        icmp = draw_message(r, family) if proto in (ICMP, ICMP6) else None
        frames.append(frame(family, a, b, proto, sport, dport, r.choice(_FLAGS), icmp))
    return frames


def write_pcap(path, frames, step_ns, pause_before, pause_ns):
    """Frames step_ns apart, and a pause before the one of that number (from 0). When the pause ends."""
    now_ns, end_ns = 10**9, None
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for i, data in enumerate(frames):
            now_ns += step_ns
            if i == pause_before:
                now_ns += pause_ns
                end_ns = now_ns
            file.write(struct.pack("<IIII", now_ns // 10**9, now_ns % 10**9, len(data), len(data)) + data)
    return end_ns
