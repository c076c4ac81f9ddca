"""The qos-policer as a model: RFC 2697's and 2698's buckets in exact fractions of a byte."""

import ipaddress
from collections import namedtuple
from fractions import Fraction

from packets import ICMP, ICMP6, TCP, UDP, connection

# Rates in kbps, sizes in bytes. proto, ports (low, high), net, inbound: None for any. actions: green,
# yellow, red: None (keep), "drop" or a code point.
Class = namedtuple("Class", "proto ports net inbound cir cbs ebs pir pbs actions",
                   defaults=(None, None, (None, None, "drop")))
_NUMBERS = {"tcp": (TCP,), "udp": (UDP,), "icmp": (ICMP, ICMP6)}


def as_text(c):
    """As it is written in the NF's configuration."""
    words = [c.proto or "any"]
    words += ["port %d-%d" % c.ports] if c.ports else []
    words += ["net " + c.net] if c.net else []
    words += [] if c.inbound is None else ["inbound" if c.inbound else "outbound"]
    words += ["cir=%dkbps" % c.cir, "cbs=%dB" % c.cbs]
    words += ["ebs=%dB" % c.ebs] if c.ebs else []
    words += ["pir=%dkbps" % c.pir, "pbs=%dB" % c.pbs] if c.pir else []
    for colour, action in zip(("green", "yellow", "red"), c.actions):
        words.append("%s=%s" % (colour, "keep" if action is None else action))
    return " ".join(words)


def matches(c, given):
    view = given.view
    if c.proto and view.proto not in _NUMBERS[c.proto]:
        return False
    if c.inbound is not None and c.inbound == given.inside:
        return False
    ends = (view.source, view.destination)
    if c.ports and not any(c.ports[0] <= end.port <= c.ports[1] for end in ends):
        return False
    if not c.net:
        return True
    net = ipaddress.ip_network(c.net)
    addresses = [ipaddress.ip_address(end.address) for end in ends]
    return any(a.version == net.version and a in net for a in addresses)


class Buckets:
    """One direction's. Tokens come once a microsecond, counted from the connection's first packet."""

    def __init__(self, c, start_ns):
        self.c, self.start_ns, self.ticks = c, start_ns, 0
        self.committed = Fraction(c.cbs)
        self.other = Fraction(c.pbs if c.pir else c.ebs)

    def fill(self, now_ns):
        ticks = (now_ns - self.start_ns) // 1000
        came = (ticks - self.ticks) * Fraction(self.c.cir, 8000)
        self.committed += came
        over = max(self.committed - self.c.cbs, Fraction(0))
        self.committed -= over
        if self.c.pir:
            peak = self.other + (ticks - self.ticks) * Fraction(self.c.pir, 8000)
            self.other = min(peak, Fraction(self.c.pbs))
        else:
            self.other = min(self.other + over, Fraction(self.c.ebs))
        self.ticks = ticks

    def colour(self, now_ns, size):
        """0 green, 1 yellow, 2 red."""
        self.fill(now_ns)
        if self.c.pir:
            if self.other < size:
                return 2
            self.other -= size
            if self.committed < size:
                return 1
            self.committed -= size
            return 0
        if self.committed >= size:
            self.committed -= size
            return 0
        if self.other >= size:
            self.other -= size
            return 1
        return 2


def marked(data, view, code_point):
    """The packet with that code point, and IPv4's checksum after RFC 1624."""
    out, at = bytearray(data), view.ip_at
    before = int.from_bytes(out[at : at + 2], "big")
    if view.family == 6:
        after = (before & 0xF03F) | code_point << 6
    else:
        after = (before & 0xFF03) | code_point << 2
    out[at : at + 2] = after.to_bytes(2, "big")
    if view.family == 4 and after != before:
        checksum = int.from_bytes(out[at + 10 : at + 12], "big")
        total = (checksum ^ 0xFFFF) + (before ^ 0xFFFF) + after
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        out[at + 10 : at + 12] = (total ^ 0xFFFF).to_bytes(2, "big")
    return bytes(out)


class Model:
    def __init__(self, classes):
        self.classes = classes
        self.first_ns, self.buckets = {}, {}

    def packet(self, given):
        view = given.view
        if view is None or view.proto not in (TCP, UDP, ICMP, ICMP6):
            return given.data
        if view.source.port is None:  # a fragment whose first did not come; else no echo
            return None if view.later_fragment else given.data
        key = connection(view)[0]
        first_ns = self.first_ns.setdefault(key, given.time_ns)
        c = next((c for c in self.classes if matches(c, given)), None)
        if c is None:
            return given.data
        if (key, given.inside) not in self.buckets:
            self.buckets[key, given.inside] = Buckets(c, first_ns)
        colour = self.buckets[key, given.inside].colour(given.time_ns, given.wire_bytes)
        action = c.actions[colour]
        if action == "drop":
            return None
        return given.data if action is None else marked(given.data, view, action)
