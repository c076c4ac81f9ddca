#!/usr/bin/env python3
"""How closely leased capacity follows demand, for each way to allocate.

Makes a trace (`rill trace gen`) and replays it under virtual time in each mode; `--epochs` says for every 100 ms what was
sent to units and what was leased of them. The oracle leases ceil(demand / capacity of a unit), knowing the epoch before
it comes. Writes a table:

  units       mean of demand, of the oracle, and of what was leased, in units
  within one  share of the epochs in which what was leased differs from the oracle by at most one unit
  none over   share of the epochs in which no unit was sent more than was leased of it
  dropped     share of the packets

    eval/allocation.py                          the modes
    eval/allocation.py --curve                  latency against units: settings of mode flowlet
    eval/allocation.py --capture FILE --set unit_capacity_mbps=100

    [--rill build/release/bin/rill] [--seconds 12] [--mbps 3500] [--seed 1] [--gen NAME=VALUE ...] [--json FILE] [--csv FILE]

Same input, same table, on every machine.
"""
import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
# Thousands of flows at a time, sizes over four orders of magnitude, lines of a tenth to all of a unit, and once in a
# while twice as many flows as else for some hundred milliseconds.
TRACE = {"flows_per_s": 8000, "pareto_alpha": 0.6, "flow_bytes_max": 20000000, "line_mbps": "20-500", "gap_us": 3000,
         "rtt_us": "1000-30000", "cycle_ms": 2000, "busy_share": 0.2, "busy_factor": 3, "hosts": 5000, "servers": 2000,
         "snap_bytes": 96}
MODES = ("flowlet", "flow", "smart-flow:50ms", "smart-flow:100ms")
USUAL = {"lease_backlog_us": 800, "unit_backlog_us": 100, "idle_unit_ms": 10}
CURVE = ([dict(USUAL, lease_backlog_us=us) for us in (100, 250, 500, 800, 1000, 2000, 5000, 10000)] +
         [dict(USUAL, unit_backlog_us=us) for us in (25, 500, 0)] +
         [dict(USUAL, idle_unit_ms=ms) for ms in (2, 50, 100, 1000)])
COLUMNS = ["demand_units", "oracle_units", "leased_units", "within_one", "none_over", "p50_us", "p99_us", "max_us",
           "dropped", "moves"]


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: exit %d\n%s" % (" ".join(map(str, command)), done.returncode, done.stderr))


def generate(args, path):
    options = dict(TRACE, seconds=args.seconds, mean_mbps=args.mbps)
    options.update(pair.split("=", 1) for pair in args.gen)
    command = [args.rill, "trace", "gen", "--out", path, "--seed", args.seed]
    for name, value in options.items():
        command += ["--set", "%s=%s" % (name, value)]
    run(command)


def replay(args, capture, settings):
    with tempfile.TemporaryDirectory() as folder:
        report, epochs = os.path.join(folder, "report.json"), os.path.join(folder, "epochs.csv")
        command = [args.rill, "replay", capture, "--nf", args.nf, "--clock", "virtual", "--units", args.units, "--quiet",
                   "--json", report, "--epochs", epochs]
        for name, value in {**settings, **dict(pair.split("=", 1) for pair in args.set)}.items():
            command += ["--set", "%s=%s" % (name, value)]
        run(command)
        with open(report) as f:
            said = json.load(f)
        with open(epochs) as f:
            return said, list(csv.DictReader(f))


def by_epoch(rows, unit_mbps):
    """Whole epochs, as (demand in units, oracle, leased, any unit over)."""
    epochs, over = [], False
    for row in rows:
        if row["unit"] != "all":
            over = over or row["overload"] == "1"
            continue
        demand = float(row["demand_mbps"]) / unit_mbps
        if float(row["length_ms"]) > 99:
            epochs.append((demand, math.ceil(demand), float(row["leased"]), over))
        over = False
    return epochs


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def measure(args, capture, settings):
    report, rows = replay(args, capture, settings)
    epochs = by_epoch(rows, report["settings"]["unit_capacity_mbps"])
    latency = report["latency_ns"]
    result = dict(settings)
    result.update(epochs=len(epochs), packets=report["packets_in"],
                  demand_units=mean(e[0] for e in epochs), oracle_units=mean(e[1] for e in epochs),
                  leased_units=mean(e[2] for e in epochs),
                  within_one=mean(abs(e[2] - e[1]) <= 1 for e in epochs), none_over=mean(not e[3] for e in epochs),
                  p50_us=latency["p50"] / 1000, p99_us=latency["p99"] / 1000, max_us=latency["max"] / 1000,
                  dropped=sum(report["packets_dropped"].values()) / report["packets_in"],
                  moves=report["flowlets_moved"], flowlets=report["flowlets"])
    return result


def text(column, value):
    if column in ("within_one", "none_over"):
        return "%.1f%%" % (100 * value)
    if column == "dropped":
        return "%.3f%%" % (100 * value)
    return "%.2f" % value if column.endswith("_units") else "%.0f" % value if isinstance(value, float) else str(value)


def print_table(rows, keys):
    columns = list(keys) + COLUMNS
    print("| " + " | ".join(column.replace("_", " ") for column in columns) + " |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(text(column, row[column]) for column in columns) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rill", default=os.path.join(ROOT, "build", "release", "bin", "rill"))
    parser.add_argument("--nf", default="nat")
    parser.add_argument("--units", default="24", help="that there are")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--mbps", type=float, default=3500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gen", action="append", default=[], metavar="NAME=VALUE", help="an option of `rill trace gen`")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for all replays")
    parser.add_argument("--capture", help="replay that, make no trace")
    parser.add_argument("--curve", action="store_true", help="settings of mode flowlet instead of the modes")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON, too")
    parser.add_argument("--csv", metavar="FILE", help="and as CSV")
    args = parser.parse_args()
    tries = CURVE if args.curve else [{"mode": mode} for mode in MODES]
    with tempfile.TemporaryDirectory() as folder:
        capture = args.capture or os.path.join(folder, "trace.pcap")
        if not args.capture:
            generate(args, capture)
        rows = [measure(args, capture, settings) for settings in tries]
    print("%d epochs, %d packets\n" % (rows[0]["epochs"], rows[0]["packets"]))
    print_table(rows, tries[0])
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=2)
    if args.csv:
        with open(args.csv, "w", newline="") as f:
            writer = csv.DictWriter(f, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
