#!/usr/bin/env python3
"""The NF ids against a plain search (tests/check/ids_reference.py), and against itself: with both engines, on one unit
and on eight with every flowlet moved, the alerts are the same.

  ids.py made [SEEDS]            rules and connections made at random: segments cut, in any order, overlapping
  ids.py capture CAPTURE [RULES] streams of a capture in the shared traces, as tshark puts them together; the bundled
                                 rules and some of header fields, or those of a file in the shared traces
  ids.py same CAPTURE            no search beside it: only that all ways give the same
  ids.py sets                    how much of the real rule sets is taken, as README.md has it
  ids.py example                 the example, on a request that it knows
"""
import ipaddress
import json
import os
import random
import re
import struct
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
import expected  # noqa: E402
import ids_reference as reference  # noqa: E402

BUNDLED_RULES = os.path.join(common.ROOT, "nfs", "ids", "bundled.rules")
ONE = ["--units", 1, "--set", "unit_capacity_mbps=10000"]
EIGHT = ["--units", 8, "--set", "units_min=8", "--set", "placement=spread", "--set", "flowlet_bytes=1500",
         "--set", "link_delay_us=1", "--set", "unit_capacity_mbps=10000"]
ANY = {name: "any" for name in (
    "HOME_NET EXTERNAL_NET HTTP_SERVERS SMTP_SERVERS SQL_SERVERS DNS_SERVERS TELNET_SERVERS SSH_SERVERS FTP_SERVERS "
    "SIP_SERVERS HTTP_PORTS ORACLE_PORTS SSH_PORTS FTP_PORTS SIP_PORTS FILE_DATA_PORTS").split()}


def engines():
    """Of this build: a replay with an engine that it has not is refused."""
    return ["aho-corasick", "hyperscan"] if os.environ.get("RILL_HAS_HYPERSCAN") == "1" else ["aho-corasick"]


def run(folder, capture, rules, engine, units, variables, window=2048, more=()):
    with open(os.path.join(folder, "test.rules"), "w", encoding="latin-1") as f:
        f.write(rules)
    config = os.path.join(folder, "ids.yaml")
    with open(config, "w") as f:
        f.write("nf: ids\nconfig:\n  rules: test.rules\n  engine: %s\n  window_bytes: %d\n"
                "  hyperscan_state_bytes: 8192\n" % (engine, window))
        f.write("  variables: [%s]\n" % ", ".join('"%s=%s"' % v for v in variables.items()) if variables else "")
    records = os.path.join(folder, "records.jsonl")
    report = common.replay(capture, "--config", config, "--records", records, *units, *more,
                           json_path=os.path.join(folder, "report.json"))
    common.check_books(report)
    with open(records) as f:
        found = [json.loads(line) for line in f]
    return report, found


def key(record):
    return (record["timestamp"], record["proto"], record["src_ip"], record.get("src_port", 0), record["dest_ip"],
            record.get("dest_port", 0), record["alert"]["signature_id"], record["alert"]["action"])


def plain(address):
    return str(ipaddress.ip_address(address))


def all_ways(folder, capture, rules, variables, window=2048, all_of_them=True):
    """The alerts, which must be the same with every engine and number of units; or with the first engine on one unit and
    the last one on eight."""
    first = None
    ways = [(engine, units) for engine in engines() for units in (ONE, EIGHT)]
    for engine, units in ways if all_of_them else [ways[0], ways[-1]]:
        report, found = run(folder, capture, rules, engine, units, variables, window)
        keys = sorted(map(key, found))
        assert first is None or keys == first[1], "%s, %d units: %s" % (
            engine, units[1], sorted(set(keys) ^ set(first[1]))[:5])
        if first is None:
            first = (report, keys)
        moves = report["flowlets_moved"]
    counters = first[0]["nf_counters"]
    assert counters["search_state_lost"] == 0, counters
    found = {(reference.connection(k[1].lower(), plain(k[2]), k[3], plain(k[4]), k[5]), k[6]) for k in first[1]}
    return first[0], found, moves


def agree(found, wanted, what):
    """`wanted`: as of reference.search()."""
    if found <= set(wanted):
        found = found | reference.explained(set(wanted) - found, found, wanted)
    wanted = set(wanted)
    if found != wanted:
        raise AssertionError("%s: %d alerts too many, as %s; %d too few, as %s" % (
            what, len(found - wanted), sorted(found - wanted)[:3], len(wanted - found), sorted(wanted - found)[:3]))


# --- made at random ------------------------------------------------------------------------------


def make_content(rng, size, first):
    text = "".join(rng.choice("abAB|00|c") for _ in range(size)).replace("|", "").replace("0", "c")
    out = 'content:%s"%s";' % ("!" if not first and rng.random() < 0.2 else "", text)
    negated = out.startswith("content:!")
    if rng.random() < 0.4:
        out += " nocase;"
    if not first and (negated or rng.random() < 0.6):
        out += " distance:%d;" % rng.choice([0, 0, 1, 3, -2])
        if negated or rng.random() < 0.6:
            out += " within:%d;" % (size + rng.randrange(12))
    elif rng.random() < 0.3:
        out += " offset:%d;" % rng.randrange(30)
        if rng.random() < 0.7:
            out += " depth:%d;" % (size + rng.randrange(60))
    return out


TESTS = {"icmp": ["itype:8;", "itype:<8;", "itype:!8; icode:0;", "icode:>0;", "icmp_id:7;", "icmp_seq:>2; itype:8;"],
         "tcp": ["flags:S;", "flags:S,12;", "flags:A+;", "flags:!FA;", "flags:*UE;", "flags:0,A;", "window:8192;", "window:!8192;",
                 "seq:1;", "ack:0;"],
         "udp": [],
         "ip": ["ip_proto:47;", "ip_proto:!udp;", "ip_proto:<7;", "itype:8;", "flags:S+;"]}
TESTS_OF_IP = ["ttl:64;", "ttl:<10;", "ttl:>=65;", "ttl:3-9;", "tos:0;", "tos:!0;", "id:1;", "id:!1;", "fragbits:D;", "fragbits:!D;",
               "fragbits:D+;", "fragbits:MD*;"]


def make_checks(rng, stream):
    """Of the payload, behind all contents: none of them is then relative to an expression. Places are about where packets
    and streams end, and values rare, as a connection is told of a rule but once."""
    negation = "" if stream else rng.choice(["", "!"])
    end = rng.choice([2, 3, 19, 20, 29, 30, 199, 200, 299, 300, 1499, 1500])
    pair = rng.choice(["0x6141", "0x4161", "0x6362", "0x4263"])
    out = [rng.choice(["isdataat:%s%d;" % (negation, end),
                       "isdataat:%s%d,relative;" % (negation, rng.choice([0, 1, 2, 5])),
                       "byte_test:1,%s,%d,%d,relative;" % (rng.choice(["<", ">", "=", "!", "&", "!&", "^", ">="]),
                                                           rng.choice([65, 66, 97, 99]), rng.choice([0, 0, 1, 4, -2, -5])),
                       "byte_test:2,=,%s,%d%s;" % (pair, rng.randrange(40), rng.choice(["", ",little", ",big"])),
                       "byte_test:2,=,%s,0,relative%s;" % (pair, rng.choice(["", ",little", ",big"])),
                       "byte_test:2,%s,0xab,0,relative,string,hex;" % rng.choice("=>"),
                       "byte_test:3,!,5,%d,string,dec;" % rng.randrange(9)])
           for _ in range(rng.choice([1, 1, 2]))]
    if len(engines()) == 2 and rng.random() < 0.4:
        out.append('pcre:%s"/%s/R%s";' % (negation, rng.choice(["^[ab]+A", "a[bB]+A", "^.{3,9}cc", "AA[Bc]{3}a", "^bBc", "^ccA"]),
                                         rng.choice(["", "", "i", "s"])))
    return " ".join(out)


def make_rule(rng, sid):
    proto = rng.choice(["tcp", "tcp", "tcp", "udp", "udp", "icmp", "ip"])
    ported = proto in ("tcp", "udp")
    flow = rng.choice(["", "", "flow:to_server,established; ", "flow:to_client; "]) if ported else ""
    contents = [make_content(rng, rng.randrange(1, 7) + (3 if i == 0 else 0), i == 0)
                for i in range(rng.choice([1, 1, 2, 2, 3, 4]))]
    tests = [rng.choice(TESTS[proto] + TESTS_OF_IP) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
    if rng.random() < 0.2:
        tests.append("dsize:%s;" % rng.choice(["50", "7", ">300", "<51", "7<>400", "400", "0"]))
    stream = proto == "tcp" and not tests
    options = contents if stream or rng.random() < 0.6 else []
    if len(engines()) == 2 and options and rng.random() < 0.2:
        options.append('pcre:"/%s/%s";' % (rng.choice(["a[bB]+A", "c.{20,30}cc", "AA[Bc]{3}a", "b.b"]), rng.choice(["", "i", "s"])))
    elif options and rng.random() < 0.6:
        options.append(make_checks(rng, stream))
    elif not options and rng.random() < 0.3:  # what is asked of every packet
        options.append("isdataat:%s%d;" % (rng.choice(["", "!"]), rng.choice([0, 2, 3, 29, 30, 299, 300])))
    ports = rng.choice(["any", "80", "!81"]) if ported else "any"
    return "alert %s any any %s any %s (%s%s sid:%d;)" % (
        proto, rng.choice(["->", "->", "<>"]), ports, flow, " ".join([*options, *rng.sample(tests, len(tests))]), sid)


def make_rules(rng):
    return "\n".join(make_rule(rng, sid) for sid in range(1, 200)) + "\n"


def ip_packet(proto, source, destination, transport, checksum_at, rng=None):
    """With `rng`, a header that is not always the same; checksum_at None: there is none."""
    tos, number, bits, ttl = (0, 1, 0, 64) if rng is None else (
        rng.choice([0, 0, 8]), rng.choice([1, 1, 77]), rng.choice([0, 0x4000]), rng.choice([64, 64, 128, 5]))
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, tos, 20 + len(transport), number, bits, ttl, proto, 0,
                     bytes(map(int, source.split("."))), bytes(map(int, destination.split("."))))
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    if checksum_at is None:
        return b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + ip + transport
    total = checksum(ip[12:20] + struct.pack(">HH", proto, len(transport)) + transport)
    transport = transport[:checksum_at] + struct.pack(">H", total or 0xFFFF) + transport[checksum_at + 2 :]
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + ip + transport


def packet(source, sport, destination, dport, flags, seq, ack, payload, rng=None):
    window = 8192 if rng is None else rng.choice([8192, 0, 65535])
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 0x50, flags, window, 0, 0) + payload
    return ip_packet(6, source, destination, tcp, 16, rng)


def datagram(source, sport, destination, dport, payload, rng=None):
    return ip_packet(17, source, destination, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload, 6, rng)


def message(source, destination, kind, code, rest, rng=None):
    """Of ICMP; `rest`: what is behind its checksum."""
    icmp = struct.pack(">BBH", kind, code, 0) + rest
    return ip_packet(1, source, destination, icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:], None, rng)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def cut(rng, data):
    """Segments of it, some of them twice or later than those behind them, some with other bytes where they overlap.
    Gives them in their order, and the bytes as who takes what comes first sees them."""
    segments, at = [], 0
    while at < len(data):
        n = rng.choice([1, 2, 3, 7, 50, 400])
        segments.append((at, data[at : at + n]))
        at += n
    seen, order = {}, []
    while segments:
        ahead = rng.choice([0, 0, 0, 1, 2, 4])
        segment = segments.pop(min(ahead, len(segments) - 1))
        order.append(segment)
        if rng.random() < 0.15:  # again, with what is around it, and changed
            low = max(0, segment[0] - rng.randrange(20))
            again = bytearray(data[low : segment[0] + len(segment[1]) + rng.randrange(30)])
            for i in range(len(again)):
                if rng.random() < 0.3:
                    again[i] = 0x2A
            order.append((low, bytes(again)))
    for low, text in order:
        for i, byte in enumerate(text):
            seen.setdefault(low + i, byte)
    return order, bytes(seen[i] for i in range(len(data)))


def segment(rng, ends, flags, seq, ack, payload, to_server, established):
    """A packet of TCP, and what it is by itself."""
    data = packet(*ends[0], *ends[1], flags, seq, ack, payload, rng)
    return data, reference.Stream("tcp", *ends[0], *ends[1], to_server, established, [(0, payload)], len(payload),
                                  reference.fields_of(data))


def make_connection(rng, n):
    client, server = ("10.0.%d.%d" % (n // 250, n % 250 + 1), 40000 + n), ("203.0.113.5", rng.choice([80, 81]))
    isn = [rng.choice([2**32 - 300, rng.randrange(2**32)]) for _ in range(2)]
    there, back = (client, server), (server, client)
    if rng.random() < 0.9:
        start = 0
        segments = [segment(rng, there, rng.choice([2, 0xC2]), isn[0] - 1, 0, b"", True, False),
                    segment(rng, back, 0x12, isn[1] - 1, isn[0], b"", False, True),
                    segment(rng, there, 0x10, isn[0], isn[1], b"", True, True)]
    else:  # its beginning is not seen
        start = None
        segments = [segment(rng, there, 0x10, isn[0], isn[1], b"", True, True),
                    segment(rng, back, 0x10, isn[1], isn[0], b"", False, True)]
    streams = []
    for direction, ends in enumerate((there, back)):
        data = bytes(rng.choice(b"aAbBc") for _ in range(rng.choice([20, 200, 1500])))
        cuts, seen = cut(rng, data)
        segments += [segment(rng, ends, rng.choice([0x10, 0x10, 0x18, 0x38]), isn[direction] + at, isn[1 - direction], text,
                             direction == 0, True) for at, text in cuts]
        streams.append(reference.Stream("tcp", *ends[0], *ends[1], direction == 0, True, [(start, seen)]))
    return [data for data, _ in segments], streams + [s for _, s in segments]


def make_datagrams(rng, n):
    """Datagrams both ways, and errors about them."""
    client, server = ("10.1.%d.%d" % (n // 250, n % 250 + 1), 40000 + n), ("203.0.113.5", rng.choice([80, 81]))
    packets, streams, answered = [], [], False
    for i in range(12):
        a, b = (client, server) if i == 0 or rng.random() < 0.6 else (server, client)
        answered = answered or a == server
        data = bytes(rng.choice(b"aAbBc") for _ in range(rng.choice([0, 3, 30, 300])))
        packets.append(datagram(*a, *b, data, rng))
        streams.append(reference.Stream("udp", *a, *b, a == client, answered, [(0, data)], len(data),
                                        reference.fields_of(packets[-1])))
        if rng.random() < 0.2:
            source = rng.choice([b[0], "198.51.100.%d" % rng.randrange(1, 4)])
            packets.append(message(source, a[0], *rng.choice([(3, 3), (3, 4), (11, 0)]), b"\0\0\0\0" + packets[-1][14:], rng))
            streams.append(reference.packet_of(packets[-1]))
    return packets, streams


def make_others(rng, n):
    """Echoes, other ICMP, another protocol."""
    ends, packets = ["10.2.%d.%d" % (n // 250, n % 250 + 1), "203.0.113.5"], []
    for i in range(8):
        a, b = rng.sample(ends, 2)
        data = bytes(rng.choice(b"aAbBc") for _ in range(rng.choice([0, 3, 30, 300])))
        kind = rng.random()
        if kind < 0.6:
            packets.append(message(a, b, *rng.choice([(8, 0), (8, 0), (0, 0)]), struct.pack(">HH", rng.choice([7, 9]), i) + data, rng))
        elif kind < 0.8:
            packets.append(message(a, b, *rng.choice([(13, 0), (10, 1), (5, 1), (40, 2)]), b"\0\0\0\0" + data, rng))
        else:
            packets.append(ip_packet(rng.choice([47, 50]), a, b, data, None, rng))
    return packets, [reference.packet_of(p) for p in packets]


def write_capture(rng, path, connections):
    """The connections' packets, each in its own order."""
    queues, now_us = [list(packets) for packets in connections], 0
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        while queues:
            queue = rng.choice(queues)
            data = queue.pop(0)
            now_us += rng.choice([1, 10, 900])
            f.write(struct.pack("<IIII", 1000 + now_us // 10**6, now_us % 10**6, len(data), len(data)) + data)
            queues = [q for q in queues if q]


def made(folder, seed):
    rng = random.Random(seed)
    rules = make_rules(rng)
    read = reference.read_rules(rules)
    connections = [make_connection(rng, n) for n in range(25)] + [make_datagrams(rng, n) for n in range(25)]
    connections += [make_others(rng, n) for n in range(25)]
    capture = os.path.join(folder, "made.pcap")
    write_capture(rng, capture, [packets for packets, _ in connections])
    streams = [s for _, pair in connections for s in pair]
    text = "\n".join(r.line for r in read) + "\n"
    # A connection remembers 16 rules that it has told of: then they may come again, but none is missed.
    report, found, moves = all_ways(folder, capture, text, {}, window=256)
    assert report["objects"][0]["lines_skipped"] == 0, report["objects"]
    assert report["nf_counters"]["stream_gaps"] == 0, report["nf_counters"]
    wanted = reference.search(read, streams, {}, half=128)
    if report["nf_counters"]["candidates_lost"] > 0:  # a few letters are everywhere: some may be missed, none made up
        found |= set(wanted) if found <= set(wanted) and len(found) > 0.9 * len(wanted) else set()
    agree(found, wanted, "seed %d" % seed)
    assert len(wanted) > 100 and moves > 50, (len(wanted), moves)
    print("seed %d: %d rules, %d alerts, %d moves" % (seed, len(read), len(wanted), moves), flush=True)


# --- captures ------------------------------------------------------------------------------------


def that_get_through(folder, capture, rules):
    """The numbers of the packets that get as far as the NF: with these rules it lets all of them pass."""
    out = os.path.join(folder, "out.pcapng")
    run(folder, capture, rules, "aho-corasick", ONE, ANY, more=["--out", out])
    return {p.packet_id for p in expected.read_output(out)}


def against_capture(folder, capture, name, rules):
    rules = reference.read_rules(rules)
    # Where every variable is "any", what is not in one matches nothing, and ids leaves it out.
    rules = [r for r in rules if "!" not in r.source + r.destination + r.source_port + r.destination_port]
    text = "\n".join(r.line for r in rules) + "\n"
    report, found, moves = all_ways(folder, capture, text, ANY, all_of_them=False)
    assert report["objects"][0]["lines_skipped"] == 0, report["objects"]
    assert report["nf_counters"]["candidates_lost"] == 0, report["nf_counters"]
    others = [p for p in reference.packets_of(capture, that_get_through(folder, capture, PASS)) if p.proto not in ("tcp", "udp")]
    wanted = reference.search(rules, reference.streams_of(capture) + others, ANY)
    print("%s: %d rules, %d alerts, %d by tshark's streams, %d moves" % (
        name, len(rules), len(found), len(wanted), moves), flush=True)
    agree(found, wanted, name)


PASS = "alert tcp any any -> any any (flags:0; sid:1;)\n"

# Each field of headers, by itself and with others; of connections nothing but what each packet says.
PACKET_RULES = """
alert icmp any any -> any any (itype:8; sid:1;)
alert icmp any any -> any any (itype:0; icode:0; sid:2;)
alert icmp any any -> any any (itype:3; icode:3; sid:3;)
alert icmp any any -> any any (itype:>130; sid:4;)
alert icmp any any -> any any (icmp_id:>1000; icmp_seq:<5; sid:5;)
alert icmp any any -> any any (dsize:>100; sid:6;)
alert icmp any any -> any any (content:"|00 00|"; sid:7;)
alert icmp any any -> any any (content:"abcdef"; itype:8; sid:8;)
alert icmp any any -> any any (isdataat:64; sid:9;)
alert ip any any -> any any (ttl:<5; sid:10;)
alert ip any any -> any any (ttl:60-63; sid:11;)
alert ip any any -> any any (ttl:255; sid:12;)
alert ip any any -> any any (tos:!0; sid:13;)
alert ip any any -> any any (id:0; sid:14;)
alert ip any any -> any any (id:>60000; fragbits:!D; sid:15;)
alert ip any any -> any any (fragbits:M; sid:16;)
alert ip any any -> any any (fragbits:DMR*; ttl:!64; sid:17;)
alert ip any any -> any any (ip_proto:2; sid:18;)
alert ip any any -> any any (ip_proto:!udp; ip_proto:!tcp; sid:19;)
alert ip any any -> any any (ip_proto:>58; sid:20;)
alert tcp any any -> any any (flags:S,12; window:<1025; sid:21;)
alert tcp any any -> any any (flags:FPU; sid:22;)
alert tcp any any -> any any (flags:R+; sid:23;)
alert tcp any any -> any any (flags:0; sid:24;)
alert tcp any any -> any any (flags:!SFRPAU; sid:25;)
alert tcp any any -> any any (ack:0; flags:!S; sid:26;)
alert tcp any any -> any any (seq:0; sid:27;)
alert tcp any any -> any any (window:0; sid:28;)
alert tcp any any -> any [80,443] (dsize:>1400; ttl:>64; sid:29;)
alert tcp any any -> any 80 (content:"GET "; depth:4; ttl:128; sid:30;)
alert udp any any -> any 53 (byte_test:1,&,128,2; sid:31;)
alert udp any 53 -> any any (byte_test:1,&,128,2; byte_test:1,&,15,3; sid:32;)
alert udp any any -> any any (dsize:0; sid:33;)
alert udp any any -> any any (isdataat:!20; content:!"|00|"; sid:34;)
alert udp any any -> any any (content:"|00 01 00 01|"; isdataat:!1,relative; sid:35;)
alert udp any any -> any any (ttl:1; content:"M-SEARCH"; sid:36;)
"""


def header_fields(folder, capture):
    """On all packets that get as far as the NF."""
    released = that_get_through(folder, capture, PACKET_RULES)
    report, found, moves = all_ways(folder, capture, PACKET_RULES, ANY, all_of_them=False)
    assert report["objects"][0]["lines_skipped"] == 0, report["objects"]
    rules = reference.read_rules(PACKET_RULES)
    wanted = reference.search(rules, reference.packets_of(capture, released), ANY)
    print("header fields: %d rules, %d of which hold, %d alerts, %d by each packet's, %d moves" % (
        len(rules), len({sid for _, sid in found}), len(found), len(wanted), moves), flush=True)
    assert len(rules) == PACKET_RULES.count("sid:")
    agree(found, wanted, "header fields")


SETS = {"ids_et2017_snort29_A.rules": (10805, 3470), "ids_et2021_suricata5_A.rules": (1389, 69),
        "ids_snort3_community_A.rules": (2548, 501)}


def missing(*paths):
    for path in paths:
        if not os.path.exists(path):
            print("SKIPPED: %s is not there; set RILL_TRACES to the folder that has it" % path)
            return True
    return False


def sets(folder):
    for name, (rules, taken) in SETS.items():
        with open(os.path.join(common.TRACES, name), encoding="latin-1") as f:
            text = f.read()
        assert len(re.findall(r"^[a-z]+ [^#\n]*\(", text, re.M)) == rules
        for engine in engines():
            report, _ = run(folder, common.BUNDLED, text, engine, ONE, {})
            [o] = report["objects"]
            without = 0 if len(engines()) == 2 else 1000  # Hyperscan: then rules with pcre are left out too
            assert taken - without <= rules - o["lines_skipped"] <= taken, (name, o)
        print("%s: %d of %d" % (name, rules - o["lines_skipped"], rules), flush=True)


def same(folder, capture):
    with open(BUNDLED_RULES) as f:
        report, found, moves = all_ways(folder, capture, f.read(), ANY)
    assert len(found) > 1000 and moves > 5000, (len(found), moves)
    print("%d alerts, %d moves" % (len(found), moves))
    new_rules(folder, capture, sorted(found))


def new_rules(folder, capture, before):
    """From some time on half of the rules only: the same at all units."""
    half = os.path.join(folder, "half.rules")
    with open(BUNDLED_RULES) as f:
        text = f.read()
    with open(half, "w") as f:
        f.write("".join(line for line in text.splitlines(True) if not re.search(r"sid:\d*[02468];", line)))
    runs = [run(folder, capture, text, engine, units, ANY, more=["--update", "test.rules=%s@60s" % half])
            for engine, units in ((engines()[0], ONE), (engines()[-1], EIGHT))]
    one, eight = [sorted(map(key, found)) for _, found in runs]
    assert one == eight and 0 < len(one) < len(before), (len(one), len(eight), len(before))
    for report, _ in runs:
        assert report["objects"][0]["updates_taken"] == 1, report["objects"]
        assert report["nf_counters"]["connections_with_new_rules"] > 100, report["nf_counters"]
    print("%d alerts with half of the rules from 60 s on" % len(one))


def example(folder):
    """The example on a request that it knows, cut in the midst of what gives it away."""
    client, server = ("10.0.0.1", 40000), ("203.0.113.5", 80)
    request = b"GET /a/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"
    packets = [packet(*client, *server, 2, 99, 0, b""), packet(*server, *client, 0x12, 499, 100, b""),
               packet(*client, *server, 0x10, 100, 500, request[:17]),
               packet(*client, *server, 0x10, 117, 500, request[17:])]
    capture, records = os.path.join(folder, "request.pcap"), os.path.join(folder, "records.jsonl")
    write_capture(random.Random(1), capture, [packets])
    report = common.replay(capture, "--config", os.path.join(common.ROOT, "nfs", "ids", "example.yaml"),
                           "--records", records, json_path=os.path.join(folder, "report.json"))
    common.check_books(report)
    [o] = report["objects"]
    assert o["lines_skipped"] == 0, o
    with open(records) as f:
        found = [json.loads(line) for line in f]
    assert [(r["src_ip"], r["dest_port"], r["alert"]["signature_id"]) for r in found] == [
        ("10.0.0.1", 80, 9000001), ("10.0.0.1", 80, 9000002)], found


def main():
    what = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        if what == "made":
            for seed in range(1, 1 + int(sys.argv[2])):
                made(folder, seed)
        elif what == "example":
            example(folder)
        elif what == "sets":
            if missing(*(os.path.join(common.TRACES, name) for name in SETS)):
                return common.SKIPPED
            sets(folder)
        else:
            capture = os.path.join(common.TRACES, sys.argv[2])
            if what == "same":
                return common.SKIPPED if missing(capture) else same(folder, capture)
            rules = os.path.join(common.TRACES, sys.argv[3]) if len(sys.argv) > 3 else BUNDLED_RULES
            if missing(capture, rules):
                return common.SKIPPED
            with open(rules, encoding="latin-1") as f:
                against_capture(folder, capture, os.path.basename(rules), f.read())
            if len(sys.argv) == 3:
                header_fields(folder, capture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
