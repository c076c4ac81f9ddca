"""The firewall as a model: a scan of all rules, one after the other, and who has opened what."""

import ipaddress
import re
from collections import namedtuple

from packets import ICMP, ICMP6, TCP, UDP, connection

# allow: bool. inbound, proto, net: None for any; proto "icmp": of either family. net: (family, address,
# bits) as numbers. ports: (low, high). flags, mask: of TCP. icmp: what stands behind "type", None for any.
Rule = namedtuple("Rule", "allow inbound proto source destination source_ports destination_ports flags mask icmp",
                  defaults=(None, None, (0, 65535), (0, 65535), 0, 0, None))
ALL_PORTS = (0, 65535)
_NAMES = {TCP: "tcp", UDP: "udp", None: "any"}
# By family: type, and code where the name says it.
ICMP_NAMES = {"echo-request": {4: (8,), 6: (128,)}, "echo-reply": {4: (0,), 6: (129,)},
              "unreachable": {4: (3,), 6: (1,)}, "packet-too-big": {4: (3, 4), 6: (2,)},
              "time-exceeded": {4: (11,), 6: (3,)}, "parameter-problem": {4: (12,), 6: (4,)},
              "redirect": {4: (5,), 6: (137,)}, "router-solicitation": {4: (10,), 6: (133,)},
              "router-advertisement": {4: (9,), 6: (134,)}}
_ANSWERS = {4: {8: 0, 13: 14, 15: 16, 17: 18, 10: 9}, 6: {128: 129, 133: 134, 135: 136, 139: 140}}
_BENCH = re.compile(r"@(\S+)\s+(\S+)\s+(\d+) : (\d+)\s+(\d+) : (\d+)\s+0x(\w+)/0x(\w+)"
                    r"(?:\s+0x(\w+)/0x(\w+))?(?:\s+(allow|deny))?\s*$")


def net_of(text):
    address, bits = text.split("/")
    address = ipaddress.ip_address(address)
    width = address.max_prefixlen
    return address.version, int(address) >> (width - int(bits)) << (width - int(bits)), int(bits)


def text_of(net):
    if net is None:
        return "any"
    family, address, bits = net
    kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    return "%s/%d" % (kind(address), bits)


def as_text(rule):
    """One line in Rill's format; it has no words for flags."""
    words = ["allow" if rule.allow else "deny"]
    words += [] if rule.inbound is None else ["inbound" if rule.inbound else "outbound"]
    words.append(_NAMES.get(rule.proto, str(rule.proto)))
    for name, net, ports in (("from", rule.source, rule.source_ports),
                             ("to", rule.destination, rule.destination_ports)):
        words += [name, text_of(net)] + ([] if ports == ALL_PORTS else ["port %d-%d" % ports])
    return " ".join(words + ([] if rule.icmp is None else ["type", rule.icmp.replace(" ", " code ")]))


def read_classbench(text, allow):
    """The rules, and how many lines ask for more than the firewall can see."""
    rules, left_out = [], 0
    for line in text.splitlines():
        m = _BENCH.match(line)
        if not m:
            raise ValueError("no ClassBench rule: " + line)
        flags, mask = (int(g or "0", 16) for g in m.group(9, 10))
        proto = int(m[7], 16) if int(m[8], 16) else None
        if mask and (proto != TCP or mask & 0xFF):
            left_out += 1
            continue
        low_high = [int(g) for g in m.group(3, 4, 5, 6)]
        rules.append(Rule(m[11] == "allow" if m[11] else allow, None, proto, net_of(m[1]), net_of(m[2]), tuple(low_high[:2]),
                          tuple(low_high[2:]), flags >> 8, mask >> 8))
    return rules, left_out


# icmp: (type, code), of ICMP alone.
Opening = namedtuple("Opening", "family source destination proto sport dport inbound flags icmp")


def _in_net(net, family, address):
    if net is None:
        return True
    width = 32 if family == 4 else 128
    return net[0] == family and address >> (width - net[2]) == net[1] >> (width - net[2])


def _is_message(text, o):
    kind = ICMP_NAMES[text][o.family] if text in ICMP_NAMES else tuple(map(int, text.split()))
    return o.icmp is not None and o.icmp[: len(kind)] == kind


def matches(rule, o):
    if rule.icmp is not None and not _is_message(rule.icmp, o):
        return False
    if rule.proto is not None:
        if o.proto != (rule.proto if rule.proto != "icmp" else ICMP if o.family == 4 else ICMP6):
            return False
    if rule.inbound is not None and rule.inbound != o.inbound:
        return False
    if not rule.source_ports[0] <= o.sport <= rule.source_ports[1]:
        return False
    if not rule.destination_ports[0] <= o.dport <= rule.destination_ports[1]:
        return False
    return (_in_net(rule.source, o.family, o.source) and _in_net(rule.destination, o.family, o.destination)
            and o.flags & rule.mask == rule.flags & rule.mask)


class Policy:
    """Rules, lists of nets, and what holds where no rule matches."""

    def __init__(self, rules, unmatched="outbound", deny=(), allow=()):
        self.rules, self.unmatched, self.deny, self.allow = rules, unmatched, deny, allow

    def _first(self, o):
        return next((rule for rule in self.rules if matches(rule, o)), None)

    @staticmethod
    def _is_in(nets, o):
        return any(_in_net(n, o.family, a) for n in nets for a in (o.source, o.destination))

    def error_passes(self, o, let_in):
        rule = self._first(o)
        if rule is None or rule.icmp is None:
            return let_in
        return rule.allow and (let_in or not self._is_in(self.deny, o))

    def may_open(self, o):
        for nets, verdict in ((self.deny, False), (self.allow, True)):
            if self._is_in(nets, o):
                return verdict
        rule = self._first(o)
        if rule is not None:
            return rule.allow
        return self.unmatched == "allow" or (self.unmatched == "outbound" and not o.inbound)


def opening_of(given):
    view = given.view
    tcp = view.proto == TCP and view.l4_at is not None
    icmp = view.proto == (ICMP if view.family == 4 else ICMP6) and view.l4_at is not None
    return Opening(view.family, int.from_bytes(view.source.address, "big"),
                   int.from_bytes(view.destination.address, "big"), view.proto, view.source.port or 0,
                   view.destination.port or 0, not given.inside, given.data[view.l4_at + 13] if tcp else 0,
                   (given.data[view.l4_at], given.data[view.l4_at + 1]) if icmp else None)


def _flow(view):
    """What has no ports is one flow, with echoes whose identifier is 0."""
    return tuple(end._replace(port=end.port or 0) for end in connection(view)[0])


class Model:
    """`changes`: [(time_ns, Policy), ...]: which holds from when on, the first from the start."""

    def __init__(self, changes, keep=False, require_syn=False):
        self.changes, self.keep, self.require_syn = changes, keep, require_syn
        self.opened = {}  # connection: (Opening, number of the policy that let it in)

    def packet(self, given):
        view = given.view
        if view is None:
            return given.data
        if view.later_fragment and view.source.port is None and view.proto in (TCP, UDP, ICMP, ICMP6):
            return None  # its first did not come
        if view.quoted is not None:
            let_in = _flow(view.quoted) in self.opened
            return given.data if self._policy(given)[1].error_passes(opening_of(given), let_in) else None
        return given.data if self._passes(given, opening_of(given), _flow(view)) else None

    def _policy(self, given):
        number = max(i for i, (time_ns, _) in enumerate(self.changes) if i == 0 or given.time_ns >= time_ns)
        return number, self.changes[number][1]

    @staticmethod
    def _belongs(opener, o):
        """Of ICMP, what opened it and the answers to that."""
        if o.icmp is None:
            return True
        if (o.source, o.sport) == (opener.source, opener.sport):
            return o.icmp == opener.icmp
        return o.icmp[0] == _ANSWERS[o.family].get(opener.icmp[0])

    def _passes(self, given, o, key):
        number, policy = self._policy(given)
        if key in self.opened and self._belongs(self.opened[key][0], o):
            opener, by = self.opened[key]
            if by == number or self.keep:
                return True
            del self.opened[key]
            if policy.may_open(opener._replace(flags=o.flags)):
                self.opened[key] = opener, number
                return True
        if given.view.later_fragment and o.proto == (ICMP if o.family == 4 else ICMP6):
            return False  # nobody knows of which type it is
        if self.require_syn and o.proto == TCP and o.flags & 0x12 != 0x02:
            return False
        if not policy.may_open(o):
            return False
        self.opened[key] = o, number
        return True
