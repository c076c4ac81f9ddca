"""Reads captures: pcap (micro- and nanoseconds, both byte orders) and pcapng, each also gzipped.

Standard library only, and no code in common with Rill: it checks what Rill writes.
"""

import gzip
import struct
from collections import namedtuple

# number: from 1, in order of the file. packet_id: epb_packetid, None without. interface: its name.
Packet = namedtuple("Packet", "number time_ns data wire_bytes interface packet_id")

LINKTYPE_ETHERNET = 1


class CaptureError(Exception):
    """A file that can't be read, in one line."""


def read_capture(path):
    """All packets of the file, as a list."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError) as error:
        raise CaptureError(f"{path}: can't be read: {error}") from None
    try:
        if raw[:4] == b"\x0a\x0d\x0d\x0a":
            return list(_pcapng(raw))
        return list(_pcap(raw))
    except (CaptureError, struct.error, ValueError, IndexError) as error:
        raise CaptureError(f"{path}: {error}") from None


_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}


def _pcap(raw):
    if raw[:4] not in _PCAP_MAGIC or len(raw) < 24:
        raise CaptureError("neither pcap nor pcapng")
    order, unit_ns = _PCAP_MAGIC[raw[:4]]
    link_type = struct.unpack(order + "I", raw[20:24])[0] & 0xFFFF
    if link_type != LINKTYPE_ETHERNET:
        raise CaptureError(f"link type {link_type}, not Ethernet")
    at, number = 24, 0
    while at < len(raw):
        seconds, fraction, captured, wire = struct.unpack(order + "IIII", raw[at : at + 16])
        at += 16
        number += 1
        if at + captured > len(raw):
            raise CaptureError(f"ends within packet {number}")
        time_ns = seconds * 10**9 + fraction * unit_ns
        yield Packet(number, time_ns, raw[at : at + captured], wire, None, None)
        at += captured


class _Interface:
    def __init__(self, link_type, options, order):
        self.link_type = link_type
        self.name = options.get(2, b"").rstrip(b"\0").decode("utf-8", "replace")
        resolution = options.get(9, b"\x06")[0]
        self.per_second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        self.offset_s = struct.unpack(order + "q", options[14])[0] if 14 in options else 0

    def time_ns(self, ticks):
        return ticks * 10**9 // self.per_second + self.offset_s * 10**9


def _options(body, order):
    """The last value of each option's code."""
    found, at = {}, 0
    while at + 4 <= len(body):
        code, length = struct.unpack(order + "HH", body[at : at + 4])
        if code == 0:
            break
        found[code] = body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    return found


def _enhanced_packet(body, order, interfaces, number):
    interface, high, low, captured, wire = struct.unpack(order + "IIIII", body[:20])
    if interface >= len(interfaces):
        raise CaptureError(f"packet {number} names interface {interface}, which is not described")
    if 20 + captured > len(body):
        raise CaptureError(f"packet {number} is longer than its block")
    at = interfaces[interface]
    if at.link_type != LINKTYPE_ETHERNET:
        raise CaptureError(f"link type {at.link_type}, not Ethernet")
    options = _options(body[20 + (captured + 3) // 4 * 4 :], order)
    packet_id = struct.unpack(order + "Q", options[5])[0] if 5 in options else None
    data = body[20 : 20 + captured]
    return Packet(number, at.time_ns(high << 32 | low), data, wire, at.name, packet_id)


def _simple_packet(body, order, interfaces, number):
    wire = struct.unpack(order + "I", body[:4])[0]
    if not interfaces or interfaces[0].link_type != LINKTYPE_ETHERNET:
        raise CaptureError("a simple packet without an Ethernet interface")
    return Packet(number, 0, body[4 : 4 + wire], wire, interfaces[0].name, None)


def _block(raw, at, order):
    """Type, body and the offset behind the block at `at`."""
    if at + 12 > len(raw):
        raise CaptureError("ends within a block")
    kind, length = struct.unpack(order + "II", raw[at : at + 8])
    if length < 12 or length % 4 or at + length > len(raw):
        raise CaptureError(f"block of {length} bytes at offset {at} does not fit")
    if raw[at + length - 4 : at + length] != raw[at + 4 : at + 8]:
        raise CaptureError(f"block at offset {at} has two lengths")
    return kind, raw[at + 8 : at + length - 4], at + length


def _pcapng(raw):
    at, number, order, interfaces = 0, 0, "<", []
    while at < len(raw):
        if raw[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, body, at = _block(raw, at, order)
        if kind == 1:
            link_type = struct.unpack(order + "H", body[:2])[0]
            interfaces.append(_Interface(link_type, _options(body[8:], order), order))
        elif kind == 6:
            number += 1
            yield _enhanced_packet(body, order, interfaces, number)
        elif kind == 3:
            number += 1
            yield _simple_packet(body, order, interfaces, number)
