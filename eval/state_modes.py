#!/usr/bin/env python3
"""What it costs a packet how its flow's state gets to the next unit: ahead to replicas (proactive), from the former
unit once the flow has moved (reactive), or through a store outside (external).

Replays a capture under virtual time, all units at a stated share of their capacity, flowlets spread over them, for
each state mode, link delay and round trip to the store; writes a table of the time from when a packet was due in to its
release, and how many times proactive's 99th percentile the others have.

    eval/state_modes.py [--rill build/release/bin/rill] [--load 0.5] [--units 8] [--json FILE] [CAPTURE]

Without a capture: one that it generates, 22 Gbps in 2,900 flows. Same input, same table, on every machine.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LINKS_US = (1, 5)
RTTS_US = (50, 100, 200, 300, 400)
TRACE = ("seconds=0.06", "mean_mbps=60000", "flows_per_s=48000", "busy_factor=1", "hosts=2000", "servers=2000")
PERCENTILES = ("p50", "p90", "p99", "p999")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stderr))


def generate(args, folder):
    path = os.path.join(folder, "trace.pcap")
    run(args.rill, "trace", "gen", "--out", path, "--seed", "1", *(word for pair in TRACE for word in ("--set", pair)))
    return path


def replay(args, capture, folder, settings):
    path = os.path.join(folder, "report.json")
    command = [args.rill, "replay", capture, "--nf", args.nf, "--clock", "virtual", "--units", str(args.units), "--quiet",
               "--json", path]
    for name, value in settings.items():
        command += ["--set", "%s=%s" % (name, value)]
    run(*command)
    with open(path) as f:
        return json.load(f)


def capacity_mbps(args, capture, folder):
    """Of a unit, so that all of them together are as loaded as asked for."""
    report = replay(args, capture, folder, {"unit_capacity_mbps": 100000})
    return round(8 * report["bytes_in"] / report["replay_s"] / 1e6 / args.units / args.load)


def row(link_us, rtt_us, report):
    return {"state": report["state_mode"], "link_delay_us": link_us, "external_rtt_us": rtt_us,
            "moves": report["flowlets_moved"], "seamless": report["flowlets_seamless"],
            "dropped": sum(report["packets_dropped"].values()),
            **{p + "_us": report["latency_ns"][p] / 1000 for p in PERCENTILES}}


def measure(args, capture, folder):
    settings = {"placement": "spread", "units_min": args.units,
                "unit_capacity_mbps": capacity_mbps(args, capture, folder)}
    print("%d units of %s Mbps, %g%% loaded\n" % (args.units, settings["unit_capacity_mbps"], 100 * args.load))
    rows = []
    for link_us in LINKS_US:
        settings["link_delay_us"] = link_us
        for state in ("proactive", "reactive"):
            rows.append(row(link_us, None, replay(args, capture, folder, {**settings, "state": state})))
        for rtt_us in RTTS_US:
            more = {"state": "external", "external_rtt_us": rtt_us}
            rows.append(row(link_us, rtt_us, replay(args, capture, folder, {**settings, **more})))
    return rows


def print_table(rows):
    print("| link us | state | store's round trip us | moves | seamless | p50 us | p90 us | p99 us | p99.9 us | "
          "p99 of proactive's |")
    print("|---" * 10 + "|")
    for r in rows:
        base = next(b for b in rows if b["link_delay_us"] == r["link_delay_us"])
        r["p99_ratio"] = r["p99_us"] / base["p99_us"]
        print("| %d | %s | %s | %s | %.0f%% | %s | %.1f |" % (
            r["link_delay_us"], r["state"], r["external_rtt_us"] or "-", format(r["moves"], ","),
            100 * r["seamless"] / r["moves"], " | ".join("%.1f" % r[p + "_us"] for p in PERCENTILES), r["p99_ratio"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", metavar="CAPTURE")
    parser.add_argument("--rill", default=os.path.join(ROOT, "build", "release", "bin", "rill"))
    parser.add_argument("--nf", default="nat")
    parser.add_argument("--units", default=8, type=int)
    parser.add_argument("--load", default=0.5, type=float, help="of all units together, on average (default 0.5)")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(args, args.capture or generate(args, folder), folder)
    print_table(rows)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=2)


if __name__ == "__main__":
    main()
