"""What a packet is: a parser for Ethernet, VLAN, IPv4, IPv6, TCP, UDP, ICMP, and its checksums.

Standard library only, and no code in common with Rill: it checks what Rill writes.
"""

import ipaddress
from collections import namedtuple

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
_PROTO_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMP6: "icmp6"}
_VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
_IP6_EXTENSIONS = (0, 43, 60)  # hop by hop, routing, destination: length in units of 8
_ECHO_TYPES = {ICMP: (0, 8), ICMP6: (128, 129)}
_ERROR_TYPES = {ICMP: (3, 4, 5, 11, 12), ICMP6: (1, 2, 3, 4)}
# Offset of the checksum in the L4 header, and the bytes of that header that must be there.
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}
_HEADER_BYTES = {TCP: 20, UDP: 8, ICMP: 8, ICMP6: 8}


class Endpoint(namedtuple("Endpoint", "address port proto")):
    """Address (bytes), port (or ICMP identifier, or None) and protocol number."""

    def __str__(self):
        name = _PROTO_NAMES.get(self.proto, str(self.proto))
        return f"{name} {ipaddress.ip_address(self.address)}:{self.port}"


class View:
    """Where things are in a packet's bytes. Offsets are None where there is nothing."""

    def __init__(self):
        self.family = self.proto = None
        self.ip_at = self.l4_at = None
        self.ip_bytes = 0  # as the IP header says, header included
        self.end = 0  # of the packet's bytes that are there, without what only fills the frame
        self.source_at = self.destination_at = None
        self.source = self.destination = None
        self.summed_at = []  # the addresses over which the L4 checksum is taken
        self.first_fragment = self.later_fragment = False
        self.fragment_id = None
        self.echo = self.error = False
        self.quoted = None  # View of the packet that an ICMP error quotes

    @property
    def fragment(self):
        return self.first_fragment or self.later_fragment

    @property
    def address_bytes(self):
        return 4 if self.family == 4 else 16

    @property
    def checksum_at(self):
        """Of the L4 header; None where it is not there."""
        if self.l4_at is None:
            return None
        at = self.l4_at + _CHECKSUM_AT[self.proto]
        return at if at + 2 <= self.end else None


def _u16(data, at):
    return int.from_bytes(data[at : at + 2], "big")


def parse(data):
    """A View, or None for what is not IP, or malformed in its headers."""
    at, ethertype = 14, _u16(data, 12)
    for _ in range(4):
        if ethertype not in _VLAN_TYPES:
            break
        ethertype = _u16(data, at + 2)
        at += 4
    if len(data) < at:
        return None
    if ethertype == 0x0800:
        return _parse_ip(data, at, 4, len(data), quoted=False)
    if ethertype == 0x86DD:
        return _parse_ip(data, at, 6, len(data), quoted=False)
    return None


def _parse_ip(data, at, family, end, quoted):
    if end <= at or data[at] >> 4 != family:
        return None
    view = View()
    view.family, view.ip_at, view.end = family, at, end
    l4_at = _parse_ip4(data, view) if family == 4 else _parse_ip6(data, view)
    if l4_at is None:
        return None
    view.end = min(end, at + view.ip_bytes)
    size = view.address_bytes
    view.source = Endpoint(data[view.source_at : view.source_at + size], None, view.proto)
    view.destination = Endpoint(
        data[view.destination_at : view.destination_at + size], None, view.proto
    )
    if not view.later_fragment:
        _parse_l4(data, l4_at, view, quoted)
    return view


def _parse_ip4(data, view):
    at = view.ip_at
    header = (data[at] & 15) * 4
    if header < 20 or view.end < at + header:
        return None
    view.ip_bytes = _u16(data, at + 2)
    if view.ip_bytes < header:
        return None
    view.proto = data[at + 9]
    view.source_at, view.destination_at = at + 12, at + 16
    view.summed_at = [view.source_at, view.destination_at]
    flags = _u16(data, at + 6)
    view.later_fragment = flags & 0x1FFF != 0
    view.first_fragment = flags & 0x3FFF == 0x2000
    view.fragment_id = _u16(data, at + 4)
    return at + header


def _parse_ip6(data, view):
    at = view.ip_at
    if view.end < at + 40:
        return None
    view.ip_bytes = 40 + _u16(data, at + 4)
    view.source_at, view.destination_at = at + 8, at + 24
    view.summed_at = [view.source_at, view.destination_at]
    proto, at = data[at + 6], at + 40
    for _ in range(9):
        if view.end < at + 8 and (proto in _IP6_EXTENSIONS or proto == 44):
            return None
        if proto == 43 and data[at + 3] > 0:
            view.summed_at[1:] = _last_stop(data, at)
        if proto in _IP6_EXTENSIONS:
            proto, at = data[at], at + 8 + data[at + 1] * 8
        elif proto == 44:
            offset = _u16(data, at + 2)
            view.later_fragment = offset & 0xFFF8 != 0
            view.first_fragment = offset & 0xFFF9 == 1
            view.fragment_id = int.from_bytes(data[at + 4 : at + 8], "big")
            proto, at = data[at], at + 8
            if view.later_fragment:
                break
        else:
            break
    view.proto = proto
    return at


def _last_stop(data, at):
    """Where a routing header that is not used up has the final destination (RFC 8200, section 8.1: the
    checksum is over that one). Nowhere, for a type that is not known: it is then part of no check."""
    kind, end = data[at + 2], at + 8 + data[at + 1] * 8
    if end > len(data) or end < at + 24:
        return []
    return {0: [end - 16], 4: [at + 8]}.get(kind, [])


def _parse_l4(data, at, view, quoted):
    proto = view.proto
    if proto not in _HEADER_BYTES:
        return
    # A quote may end after 8 bytes of the L4 header: its ports are there, its checksum may not be.
    if view.end < at + (8 if quoted else _HEADER_BYTES[proto]):
        return
    view.l4_at = at
    if proto in (TCP, UDP):
        _set_ports(view, _u16(data, at), _u16(data, at + 2))
        return
    kind = data[at]
    if kind in _ECHO_TYPES[proto]:
        view.echo = True
        _set_ports(view, _u16(data, at + 4), _u16(data, at + 4))
    elif kind in _ERROR_TYPES[proto] and not quoted:
        view.quoted = _parse_ip(data, at + 8, view.family, view.end, quoted=True)
        view.error = view.quoted is not None and view.quoted.source.port is not None


def _set_ports(view, source, destination):
    view.source = view.source._replace(port=source)
    view.destination = view.destination._replace(port=destination)


def sum16(data):
    """One's complement sum of 16-bit words, as a residue: 0 and 0xffff are the same."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    return int.from_bytes(data, "big") % 0xFFFF


def ip_checksum_error(data, view):
    """0 if the IPv4 header's checksum is right, else by how much it is off."""
    if view.family != 4:
        return 0
    return sum16(data[view.ip_at : view.ip_at + (data[view.ip_at] & 15) * 4])


def l4_checksum_error(data, view):
    """By how much the L4 checksum is off over the bytes that are there. For a whole packet 0 means
    right; for a fragment or a cut packet the number only has to stay the same. None if there is no
    checksum, or if UDP says that it has none."""
    at = view.checksum_at
    if at is None or (view.proto == UDP and data[at : at + 2] == b"\0\0"):
        return None
    total = sum16(data[view.l4_at : view.end])
    if view.proto != ICMP:
        size = view.address_bytes
        total += sum(sum16(data[at : at + size]) for at in view.summed_at)
        total += view.proto + view.ip_bytes - (view.l4_at - view.ip_at)
    return total % 0xFFFF


def connection(view):
    """(key, direction): the key is the same for both directions."""
    a, b = view.source, view.destination
    return ((a, b), 0) if (a.address, a.port or 0) <= (b.address, b.port or 0) else ((b, a), 1)
