"""Access lists of Cisco's IOS as a model: every entry is asked in turn, by what its words say. And packets
drawn to hit their entries at the edges.

It takes well-formed text only; what Rill must refuse is the business of unit tests.
"""

import random
import re
from collections import namedtuple

import draw_rules
from packets import ICMP, TCP, UDP

_PROTOCOLS = {"ip": None, "tcp": TCP, "udp": UDP, "icmp": ICMP, "igmp": 2, "gre": 47, "esp": 50, "ahp": 51,
              "eigrp": 88, "ospf": 89, "pim": 103}
_PORTS = {"ftp-data": 20, "ftp": 21, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
          "www": 80, "pop3": 110, "sunrpc": 111, "ident": 113, "nntp": 119, "ntp": 123, "netbios-ns": 137,
          "netbios-dgm": 138, "netbios-ss": 139, "snmp": 161, "snmptrap": 162, "bgp": 179, "isakmp": 500,
          "syslog": 514, "lpd": 515, "non500-isakmp": 4500}
_BITS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}
_COMPARE = {"eq": lambda port, p: port in p, "neq": lambda port, p: port not in p,
            "gt": lambda port, p: port > p[0], "lt": lambda port, p: port < p[0],
            "range": lambda port, p: p[0] <= port <= p[1]}
# Type, and code where the name says it.
_MESSAGES = {"echo": (8,), "echo-reply": (0,), "unreachable": (3,), "host-unreachable": (3, 1), "port-unreachable": (3, 3),
             "packet-too-big": (3, 4), "administratively-prohibited": (3, 13), "source-quench": (4,), "redirect": (5,),
             "time-exceeded": (11,), "ttl-exceeded": (11, 0), "parameter-problem": (12,), "timestamp-request": (13,),
             "timestamp-reply": (14,), "traceroute": (30,)}
_UNSEEN = {"fragments", "time-range", "dscp", "precedence", "tos", "ttl"}

# ends: (address, wildcard) as numbers. ports: (word of _COMPARE, numbers), None for any.
# flags: ("any" or "all", ((bit, is set), ...)), None. icmp: (type,) or (type, code), None.
Entry = namedtuple("Entry", "permit proto source sports destination dports flags icmp", defaults=(None,))


def _dotted(word):
    return int.from_bytes(bytes(int(part) for part in word.split(".")), "big")


def _is_dotted(word):
    return re.fullmatch(r"\d+(\.\d+){3}", word) is not None


def _end(words):
    word = words.pop(0)
    if word == "any":
        return 0, 0xFFFFFFFF
    if word == "host":
        return _dotted(words.pop(0)), 0
    return _dotted(word), _dotted(words.pop(0)) if words and _is_dotted(words[0]) else 0


def _ports(words):
    if not words or words[0] not in _COMPARE:
        return None
    name, numbers = words.pop(0), []
    while words and (words[0].isdigit() or words[0] in _PORTS):
        word = words.pop(0)
        numbers.append(int(word) if word.isdigit() else _PORTS[word])
    return name, tuple(numbers)


def _message(words):
    if words and words[0] in _MESSAGES:
        return _MESSAGES[words.pop(0)]
    numbers = []
    while words and words[0].isdigit():
        numbers.append(int(words.pop(0)))
    return tuple(numbers) or None


def _flags(words):
    if not words:
        return None
    word = words.pop(0)
    if word == "established":
        return "any", ((_BITS["ack"], True), (_BITS["rst"], True))
    if word in _BITS:
        return "any", ((_BITS[word], True),)
    if word in ("match-any", "match-all"):
        return word[6:], tuple((_BITS[w[1:]], w[0] == "+") for w in words)
    raise ValueError(f"'{word}' is not known")


def _entry(words, standard):
    """None: it permits by what can't be seen."""
    permit = {"permit": True, "deny": False}[words.pop(0)]
    words = [w for w in words if w not in ("log", "log-input")]
    if standard:
        return Entry(permit, None, _end(words), None, (0, 0xFFFFFFFF), None, None)
    word = words.pop(0)
    proto = _PROTOCOLS[word] if word in _PROTOCOLS else int(word)
    source, sports, destination, dports = _end(words), _ports(words), _end(words), _ports(words)
    icmp = _message(words) if proto == ICMP else None
    if words and words[0] in _UNSEEN:
        if not permit:
            raise ValueError("denies by what can't be seen")
        return None
    return Entry(permit, proto, source, sports, destination, dports, _flags(words), icmp)


def _is_standard(name):
    return name.isdigit() and (int(name) < 100 or 1300 <= int(name) < 2000)


def read_lists(text):
    """{name: [Entry, ...] in their order}."""
    lists, name, standard = {}, None, False
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] == "!" or "remark" in words[:3]:
            continue
        if words[:2] == ["ip", "access-list"]:
            standard, name = words[2] == "standard", words[3]
            continue
        if words[0] == "access-list":
            of, kind, words = words[1], _is_standard(words[1]), words[2:]
        elif name is not None and words[0] in ("interface", "line"):
            name = None
            continue
        elif name is None:
            continue
        else:
            of, kind = name, standard
        entries = lists.setdefault(of, [])
        number = int(words.pop(0)) if words[0].isdigit() else max([n for n, _ in entries], default=0) + 10
        entries.append((number, _entry(words, kind)))
    return {of: [e for _, e in sorted(entries, key=lambda pair: pair[0]) if e is not None]
            for of, entries in lists.items()}


def _at(end, address):
    return all((address ^ end[0]) >> bit & 1 == 0 for bit in range(32) if not end[1] >> bit & 1)


def _has_flags(flags, value):
    way, wanted = flags
    return (any if way == "any" else all)((value & bit != 0) == is_set for bit, is_set in wanted)


def matches(entry, o):
    return ((entry.proto is None or entry.proto == o.proto) and _at(entry.source, o.source)
            and _at(entry.destination, o.destination)
            and (entry.sports is None or _COMPARE[entry.sports[0]](o.sport, entry.sports[1]))
            and (entry.dports is None or _COMPARE[entry.dports[0]](o.dport, entry.dports[1]))
            and (entry.flags is None or _has_flags(entry.flags, o.flags))
            and (entry.icmp is None or o.icmp is not None and o.icmp[: len(entry.icmp)] == entry.icmp))


class Policy:
    """`inbound`, `outbound`: lists of entries, None for a direction that has no list. `hit`: the entries by which
    a packet was judged."""

    def __init__(self, inbound, outbound, unmatched="outbound"):
        self.inbound, self.outbound, self.unmatched, self.hit = inbound, outbound, unmatched, set()

    def _entries(self, o):
        return (self.inbound if o.inbound else self.outbound) if o.family == 4 else None

    def _first(self, o):
        for entry in self._entries(o) or ():
            if matches(entry, o):
                self.hit.add(entry)
                return entry
        return None

    def error_passes(self, o, let_in):
        entry = self._first(o)
        return let_in if entry is None or entry.icmp is None else entry.permit

    def may_open(self, o):
        if self._entries(o) is None:
            return self.unmatched == "allow" or (self.unmatched == "outbound" and not o.inbound)
        entry = self._first(o)
        return entry is not None and entry.permit


# --- packets ---


def _address(r, end):
    """Anything under the wildcard; now and then one bit beside it."""
    drawn = r.choice((end[0], end[0] | end[1], r.getrandbits(32)))
    address = (end[0] & ~end[1] | drawn & end[1]) & 0xFFFFFFFF
    return address ^ 1 << r.randrange(32) if r.random() < 0.12 else address


def _port(r, ports):
    if ports is None:
        return r.choice((r.randrange(65536), r.choice(list(_PORTS.values()))))
    number = r.choice(ports[1])
    low, high = {"gt": (number + 1, 65535), "lt": (0, number - 1), "neq": (0, 65535),
                 "range": (ports[1][0], ports[1][-1])}.get(ports[0], (number, number))
    return min(max(r.choice((low, high, number, number - 1, number + 1, r.randint(low, high))), 0), 65535)


def draw_packets(seed, entries, n):
    """Frames: openers at the edges of the entries, others, and packets either way of connections drawn before."""
    r, drawn, frames = random.Random(seed), [], []
    for _ in range(n):
        entry = r.choice(entries)
        if frames and r.random() < 0.05:
            frames.append(draw_rules.draw_error(r, frames))
            continue
        if drawn and r.random() < 0.3:
            family, a, b, proto, sport, dport = r.choice(drawn)
            if r.random() < 0.6:
                a, b, sport, dport = b, a, dport, sport
        elif r.random() < 0.05:
            family, a, b, proto, sport, dport = 6, r.getrandbits(128), r.getrandbits(128), TCP, 4000, 80
        else:
            proto = entry.proto if entry.proto is not None else r.choice((TCP, UDP, ICMP, 50))
            family, a, b = 4, _address(r, entry.source), _address(r, entry.destination)
            sport, dport = _port(r, entry.sports), _port(r, entry.dports)
            if proto == ICMP:
                dport = sport
            elif (a, sport) == (b, dport):
                a ^= 1  # from an endpoint to itself: malformed, and dropped before any NF
            drawn.append((family, a, b, proto, sport, dport))
        icmp = None
        if proto == ICMP:
            icmp = (*entry.icmp, r.choice((0, 1, 4)))[:2] if entry.icmp and r.random() < 0.7 else draw_rules.draw_message(r, 4)
        frames.append(draw_rules.frame(family, a, b, proto, sport, dport, r.choice((2, 2, 2, 18, 16, 4, 20, 1, 0, 63)), icmp))
    return frames
