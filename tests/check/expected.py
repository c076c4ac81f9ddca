"""What a model of an NF needs to say, packet by packet, what must come out; and the comparison.

A model is a class with `packet(given)`: the bytes that must be released, or None for a drop. It shares
no code with Rill.
"""

import ipaddress
from collections import namedtuple

from captures import read_capture
from check_output import Ports, read_output
from packets import parse
from rewrites import first_difference, one_zero

# time_ns: never less than the packet's before. inside: the side it comes from. view: None if not IP.
Given = namedtuple("Given", "number time_ns data wire_bytes inside view malformed")


class Sides:
    """Who is inside, by a packet's source: prefixes as `--inside` takes them."""

    def __init__(self, prefixes):
        self.networks = [ipaddress.ip_network(p) for p in prefixes.split(",")]

    def inside(self, view):
        if view is None:
            return True
        if view.quoted is not None:  # it goes to where the packet that it quotes came from
            return not self._holds(view.quoted.source)
        return self._holds(view.source)

    def _holds(self, endpoint):
        address = ipaddress.ip_address(endpoint.address)
        return any(address.version == n.version and address in n for n in self.networks)


def malformed(packet, view):
    """Its IP header says more than was on the wire: Rill drops it before any NF."""
    return view is not None and view.ip_at + view.ip_bytes > packet.wire_bytes


def read_given(path, prefixes):
    """The capture's packets in the order in which they are processed: a later fragment that came before
    its first waits for it."""
    sides, ports, now_ns, given, early = Sides(prefixes), Ports(), 0, [], {}
    for packet in read_capture(path):
        view = parse(packet.data)
        ports.resolve(view)
        now_ns = max(now_ns, packet.time_ns)
        one = Given(packet.number, now_ns, packet.data, packet.wire_bytes, sides.inside(view), view,
                    malformed(packet, view))
        if view is not None and view.later_fragment and view.source.port is None:
            early.setdefault(datagram(view), []).append(one)
            continue
        given.append(one)
        if view is not None and view.first_fragment and not one.malformed:
            for waited in early.pop(datagram(view), []):
                ports.resolve(waited.view)
                given.append(waited._replace(time_ns=now_ns))
    return given + [one for waited in early.values() for one in waited]


def datagram(view):
    return view.source.address, view.destination.address, view.proto, view.fragment_id


def expectations(model, given):
    """By packet number, the bytes that must come out, or None."""
    return {p.number: None if p.malformed else model.packet(p) for p in given}


def as_released(given, output):
    """Both, as one run has released the packets."""
    released = {packet.packet_id: packet for packet in read_output(output)}
    given = [p._replace(inside=released[p.number].interface == "outside") if p.number in released else p
             for p in given]
    return given, {p.number: released[p.number].data if p.number in released else None for p in given}


def differences(given, expected, output):
    """What came out against what must: a list of lines, empty if they are the same."""
    released, wrong = {}, []
    for packet in read_output(output):
        if packet.packet_id in released:
            wrong.append(f"packet {packet.packet_id}: was released twice")
        released[packet.packet_id] = packet
    for packet in given:
        out = released.pop(packet.number, None)
        want = expected[packet.number]
        if (out is None) != (want is None):
            verb = "was dropped and should pass" if out is None else "passed and should be dropped"
            wrong.append(f"packet {packet.number}: {verb}")
        elif out is not None:
            wrong += compare(packet, want, out)
    return wrong + [f"packet {number}: is none of the input's" for number in released]


def compare(packet, want, out):
    side = "outside" if packet.inside else "inside"
    if out.interface != side:
        return [f"packet {packet.number}: left to the {out.interface}, not to the {side}"]
    a, b = one_zero(want, packet.view), one_zero(out.data, packet.view)
    if a != b:
        return [f"packet {packet.number}: differs at byte {first_difference(a, b)}"]
    return []
