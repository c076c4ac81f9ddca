#!/usr/bin/env python3
"""Compares what two runs of one capture released: with one unit and with eight, say.

    compare_runs.py A.pcapng B.pcapng --nf nat|lb

The same packets (by epb_packetid) must have left on the same side with the same bytes. Behind a NAT
the public endpoints that it chose, and the checksums over them, may differ. Order may too.

Exit code: 0 the same, 1 not (the first 20 differences are listed), 2 it can't be compared.
"""

import argparse
import sys

from captures import CaptureError
from check_output import SHOWN, read_output
from packets import parse
from rewrites import NFS, blanked, first_difference, one_zero, writable


def by_id(path):
    found = {}
    for packet in read_output(path):
        if not packet.packet_id or packet.packet_id in found:
            raise CaptureError(f"{path}: packet id {packet.packet_id} is missing or doubled")
        found[packet.packet_id] = packet
    return found


def difference(a, b, nf):
    """What differs between two releases of one packet, or None."""
    if a.interface != b.interface:
        return f"left to the {a.interface} in one run, to the {b.interface} in the other"
    if a.wire_bytes != b.wire_bytes or len(a.data) != len(b.data):
        return f"has {len(a.data)} bytes in one run, {len(b.data)} in the other"
    if a.data == b.data:
        return None
    view_a, view_b = parse(a.data), parse(b.data)
    x, y = one_zero(a.data, view_a), one_zero(b.data, view_b)
    if nf == "nat" and a.interface == "outside":
        x = blanked(x, writable(view_a, nf))
        y = blanked(y, writable(view_b, nf))
    return None if x == y else f"differs at byte {first_difference(x, y)}"


def compare(a, b, nf):
    differences = []
    for number in sorted(a.keys() | b.keys()):
        if number not in a or number not in b:
            run = "second" if number in a else "first"
            differences.append(f"packet {number}: was not released in the {run} run")
            continue
        text = difference(a[number], b[number], nf)
        if text:
            differences.append(f"packet {number}: {text}")
    return differences


def main():
    parser = argparse.ArgumentParser(description="Compares what two runs of a capture released.")
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--nf", choices=sorted(NFS), required=True)
    args = parser.parse_args()
    try:
        first, second = by_id(args.first), by_id(args.second)
    except CaptureError as error:
        print(f"compare_runs: {error}", file=sys.stderr)
        return 2
    differences = compare(first, second, args.nf)
    for line in differences[:SHOWN]:
        print(line)
    if len(differences) > SHOWN:
        print(f"... and {len(differences) - SHOWN} more")
    verdict = f"{len(differences)} differences" if differences else "the same"
    print(f"compared {len(first.keys() | second.keys())} packets: {verdict}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
