#!/usr/bin/env python3
"""Writes a capture of 64-byte UDP packets (with the frame check sequence that a wire adds: 60 in the file) of N flows in
random order, each flow as often as any other.

    trace_file.py FLOWS FILE.pcap

10.x.y.z port 5000 to 203.0.113.5 port 80, as eval/bench/source.c has it.
"""
import random
import struct
import sys

PACKETS_MIN = 65536
PACKET_BYTES = 60
ETHERNET = bytes.fromhex("020000000002" "020000000001" "0800")
DESTINATION = bytes((203, 0, 113, 5))


def checksum(header):
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(flow):
    source = struct.pack("!I", 10 << 24 | flow)
    length = PACKET_BYTES - len(ETHERNET)
    start = struct.pack("!BBHHHBB", 0x45, 0, length, 0, 0x4000, 64, 17)
    ip = start + struct.pack("!H", checksum(start + b"\0\0" + source + DESTINATION)) + source + DESTINATION
    udp = struct.pack("!HHHH", 5000, 80, length - 20, 0)
    return (ETHERNET + ip + udp).ljust(PACKET_BYTES, b"\0")


def write(flows, path):
    """How many packets it has."""
    order = list(range(flows)) * max(1, -(-PACKETS_MIN // flows))
    random.Random(1).shuffle(order)
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for at, flow in enumerate(order):
            f.write(struct.pack("<IIII", at // 1000000, at % 1000000, PACKET_BYTES, PACKET_BYTES) + packet(flow))
    return len(order)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdigit() or not 1 <= int(sys.argv[1]) < 1 << 24:
        sys.exit("usage: trace_file.py FLOWS FILE.pcap; FLOWS from 1 to 16,777,215")
    write(int(sys.argv[1]), sys.argv[2])
