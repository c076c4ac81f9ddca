#!/usr/bin/env python3
"""The monitor's records against what tshark counts, which shares no code with it: packets and octets of every flow, in
each direction, and of every host, exactly. Once with one unit, once with eight and forced moves, once with long flows
that are reported on again and again.

  reference.py CAPTURE...     each in the shared traces, or "bundled"

A capture that is not there is skipped, and so is all where there is no tshark.
"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tests", "e2e"))
import common  # noqa: E402

SAME = ["--set", "unit_capacity_mbps=100000", "--set", "flowlet_bytes=1500", "--set", "placement=spread",
        "--set", "merge_ms=50"]
RUNS = [("one unit", ["--units", 1]), ("eight units", ["--units", 8, "--set", "units_min=8"])]
FIELDS = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.len", "ipv6.plen", "ip.proto", "ipv6.nxt", "tcp.srcport",
          "tcp.dstport", "udp.srcport", "udp.dstport", "ip.frag_offset", "ip.flags.mf", "ipv6.fraghdr.offset",
          "tcp.flags", "frame.time_epoch")
TCP, UDP = 6, 17


def packets(capture):
    """Of the capture's outermost IP headers, as tshark reads them."""
    args = ["tshark", "-r", capture, "-n", "-T", "fields", "-E", "occurrence=f", "-E", "separator=|", "-o",
            "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    done = subprocess.run(args + [a for f in FIELDS for a in ("-e", f)], capture_output=True, text=True,
                          env={**os.environ, "HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        yield dict(zip(FIELDS, line.split("|")))


def count(capture):
    """(flows of TCP and UDP {(source, port, destination, port, proto): [packets, octets]}, hosts {address: [sent
    packets, sent octets, received ...]}, packets that belong to flows but do not tell which)."""
    flows, hosts = collections.defaultdict(lambda: [0, 0]), collections.defaultdict(lambda: [0, 0, 0, 0])
    portless = 0
    for p in packets(capture):
        v4 = p["ip.src"] != ""
        source, destination = (p["ip.src"], p["ip.dst"]) if v4 else (p["ipv6.src"], p["ipv6.dst"])
        if not source:
            continue
        octets = int(p["ip.len"]) if v4 else int(p["ipv6.plen"]) + 40
        for host, at in ((source, 0), (destination, 2)):
            hosts[host][at] += 1
            hosts[host][at + 1] += octets
        proto = TCP if p["tcp.srcport"] else UDP if p["udp.srcport"] else 0
        # What follows a first fragment, and what an ICMP error quotes, is not a packet of its own.
        if proto and int(p["ip.proto"] or p["ipv6.nxt"] or proto) in (proto, 44, 0, 60, 43):
            kind = "tcp" if proto == TCP else "udp"
            key = (source, int(p[kind + ".srcport"]), destination, int(p[kind + ".dstport"]), proto)
            flows[key][0] += 1
            flows[key][1] += octets
        elif int(p["ip.proto"] or 0) in (TCP, UDP) or p["ipv6.fraghdr.offset"]:
            portless += 1
    return dict(flows), dict(hosts), portless


def of_records(path):
    """The same two tables, from the records, and what else must be true of those."""
    flows, hosts = collections.defaultdict(lambda: [0, 0]), collections.defaultdict(lambda: [0, 0, 0, 0])
    with open(path) as f:
        records = [json.loads(line) for line in f]
    for r in records:
        v = "IPv4Address" if "sourceIPv4Address" in r else "IPv6Address"
        counts = [r["packetDeltaCount"], r["octetDeltaCount"], r["reversePacketDeltaCount"], r["reverseOctetDeltaCount"]]
        assert sum(counts) > 0 and r["flowStartNanoseconds"] <= r["flowEndNanoseconds"], r
        if r["event_type"] == "host":
            hosts[r["source" + v]] = [a + b for a, b in zip(hosts[r["source" + v]], counts)]
            continue
        assert r["event_type"] == "flow" and r["flowEndReason"] in (1, 2, 3), r
        if r["protocolIdentifier"] not in (TCP, UDP):
            continue
        ends = (r["source" + v], r["sourceTransportPort"]), (r["destination" + v], r["destinationTransportPort"])
        for (a, b), (n, octets) in ((ends, counts[:2]), (ends[::-1], counts[2:])):
            if n > 0:
                key = a + b + (r["protocolIdentifier"],)
                flows[key] = [flows[key][0] + n, flows[key][1] + octets]
    return dict(flows), dict(hosts), records


def difference(expected, found):
    keys = [k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k)]
    return ["%s: expected %s, found %s" % (k, expected.get(k), found.get(k)) for k in sorted(keys, key=str)[:5]]


def run(capture, folder, config, *args):
    records, deployment = os.path.join(folder, "records.jsonl"), os.path.join(folder, "deployment.yaml")
    with open(deployment, "w") as f:
        f.write("nf: monitor\n" + config)
    speed = ["--rate", "500Mbps"] if capture.endswith("wan_sanitized4k.pcap.gz") else ["--speed", "1x"]
    report = common.replay(capture, "--config", deployment, "--records", records, *SAME, *speed, *args,
                           json_path=os.path.join(folder, "report.json"))
    common.check_books(report)
    assert report["packets_dropped"] == {}, report["packets_dropped"]
    assert report["nf_counters"]["shared_overflow"] == 0, report["nf_counters"]
    flows, hosts, found = of_records(records)
    assert len(found) == report["nf_counters"]["records_written"], report["nf_counters"]
    return flows, hosts, found, report


def check(capture, folder):
    flows, hosts, portless = count(capture)
    for name, args in RUNS:
        found_flows, found_hosts, records, report = run(capture, folder, "", *args)
        assert found_hosts == hosts, "hosts: %s" % difference(hosts, found_hosts)
        if portless == 0:
            assert found_flows == flows, "flows: %s" % difference(flows, found_flows)
        else:  # the first fragment's ports are those of all
            assert sum(n for n, _ in found_flows.values()) == sum(n for n, _ in flows.values()) + portless
        print("%s, %s: %d flows and %d hosts in %d records, %d moves%s" % (
            os.path.basename(capture), name, len(found_flows), len(hosts), len(records), report["flowlets_moved"],
            ", %d fragments" % portless if portless else ""), flush=True)
    found_flows, found_hosts, records, _ = run(capture, folder, "config:\n  active_timeout_s: 0.01\n", *RUNS[1][1])
    assert found_hosts == hosts
    if portless == 0:
        assert found_flows == flows, "active timeout: %s" % difference(flows, found_flows)
    print("%s, reported on every 10 ms: %d records" % (os.path.basename(capture), len(records)), flush=True)


def main():
    if shutil.which("tshark") is None:
        print("SKIPPED: no tshark (apt-get install tshark)")
        return common.SKIPPED
    done = 0
    for name in sys.argv[1:]:
        capture = common.BUNDLED if name == "bundled" else os.path.join(common.TRACES, name)
        if not os.path.exists(capture):
            print("SKIPPED: %s is not there; set RILL_TRACES to the folder that has it" % capture)
            continue
        with tempfile.TemporaryDirectory() as folder:
            check(capture, folder)
        done += 1
    return 0 if done else common.SKIPPED


if __name__ == "__main__":
    sys.exit(main())
