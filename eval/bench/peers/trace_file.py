#!/usr/bin/env python3
"""Writes a capture of UDP packets of N flows, 64 bytes each on the wire (60 in the file: no frame check sequence) or 1,434.

    trace_file.py FLOWS ORDER FILE.pcap [BYTES]

random: each flow as often as any other, in random order. bursts: flowlets of 10 packets, of 64 flows that take turns;
each flow has one at least. 10.x.y.z port 5000 to 203.0.113.5 port 80, as eval/bench/source.c has it; the payload
is lower-case letters.
"""
import random
import struct
import sys

PACKETS_MIN = 65536
WIRE_BYTES = 64
FRAME_CHECK = 4
ACTIVE, FLOWLET = 64, 10
ORDERS = ("random", "bursts")
ETHERNET = bytes.fromhex("020000000002" "020000000001" "0800")
DESTINATION = bytes((203, 0, 113, 5))
TEXT = bytes(random.Random(2).choices(b"abcdefghijklmnopqrstuvwxyz", k=4096))


def checksum(header):
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(flow, size):
    source = struct.pack("!I", 10 << 24 | flow)
    length = size - len(ETHERNET)
    start = struct.pack("!BBHHHBB", 0x45, 0, length, 0, 0x4000, 64, 17)
    ip = start + struct.pack("!H", checksum(start + b"\0\0" + source + DESTINATION)) + source + DESTINATION
    udp = struct.pack("!HHHH", 5000, 80, length - 20, 0)
    headers = ETHERNET + ip + udp
    begin = flow * 7 % len(TEXT)
    return headers + (TEXT * 2)[begin:begin + size - len(headers)]


def shuffled(flows, count):
    """So many flows at least: all of them, as often as it takes."""
    order = list(range(flows)) * max(1, -(-count // flows))
    random.Random(1).shuffle(order)
    return order


def in_bursts(flows):
    """One packet of each of the active flows by turns; who has sent a flowlet gives way to another."""
    waiting = iter(shuffled(flows, PACKETS_MIN // FLOWLET))
    active = [[flow, FLOWLET] for _, flow in zip(range(ACTIVE), waiting)]
    order = []
    while active:
        for entry in active:
            order.append(entry[0])
            entry[1] -= 1
            if entry[1] == 0:
                entry[:] = next(waiting, None), FLOWLET
        active = [entry for entry in active if entry[0] is not None]
    return order


def write(flows, order, path, wire_bytes=WIRE_BYTES):
    """How many packets it has."""
    size = wire_bytes - FRAME_CHECK
    flows_of_packets = in_bursts(flows) if order == "bursts" else shuffled(flows, PACKETS_MIN)
    header = struct.pack("<IIII", 0, 0, size, size)
    records = [header + packet(flow, size) for flow in range(flows)]
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        f.writelines(map(records.__getitem__, flows_of_packets))
    return len(flows_of_packets)


def main(words):
    if len(words) not in (3, 4) or not words[0].isdigit() or not 1 <= int(words[0]) < 1 << 24 or words[1] not in ORDERS or \
            (len(words) == 4 and words[3] not in ("64", "1434")):
        sys.exit("usage: trace_file.py FLOWS random|bursts FILE.pcap [64|1434]; FLOWS from 1 to 16,777,215")
    write(int(words[0]), words[1], words[2], *(int(word) for word in words[3:]))


if __name__ == "__main__":
    main(sys.argv[1:])
