#!/usr/bin/env python3
"""Which units get copies of a flow's state, how many, and what that is worth.

Replays captures under virtual time for each choice of replicas, each K and each alpha, and writes a table: the share of
moves by gap, and by size, whose first packet did not wait for state; units used; copies sent.

    eval/replica_choice.py [--rill build/release/bin/rill] [--units 8] [--json FILE] [CAPTURE...]

Without a capture: the bundled one. Same input, same table, on every machine.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CHOICES = ("weighted", "deterministic", "predicted")
KS = range(1, 8)
ALPHAS = (0, 0.25, 0.5, 1)


def replay(args, capture, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        command = [args.rill, "replay", capture, "--nf", args.nf, "--clock", "virtual", "--units", args.units, "--quiet",
                   "--json", path]
        for name, value in {**dict(pair.split("=", 1) for pair in args.set), **options}.items():
            command += ["--set", "%s=%s" % (name, value)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stderr))
        with open(path) as f:
            return json.load(f)


def share(part, whole):
    return None if whole == 0 else part / whole


def row(capture, choice, k, alpha, report):
    by_gap, by_size = report["moves_by_gap"], report["moves_by_size"]
    seamless_by_size = report["flowlets_seamless"] - report["seamless_by_gap"]
    return {"capture": os.path.basename(capture), "replica_choice": choice, "replicas": k, "alpha": alpha,
            "moves_by_gap": by_gap, "moves_by_size": by_size,
            "seamless_by_gap": share(report["seamless_by_gap"], by_gap),
            "seamless_by_size": share(seamless_by_size, by_size),
            "units_active_max": report["units_active_max"], "state_pushes": report["state_pushes"],
            "p99_us": report["latency_ns"]["p99"] / 1000, "dropped": sum(report["packets_dropped"].values())}


def text(value):
    return "-" if value is None else "%.1f%%" % (100 * value)


def print_table(rows):
    columns = ["K", "alpha"] + ["%s %s" % (choice, what) for choice in CHOICES for what in ("gap", "size", "units",
                                                                                         "pushes")]
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    table = {(r["replicas"], r["alpha"], r["replica_choice"]): r for r in rows}
    for k in KS:
        for alpha in ALPHAS:
            cells = [str(k), str(alpha)]
            for choice in CHOICES:
                r = table[k, alpha, choice]
                cells += [text(r["seamless_by_gap"]), text(r["seamless_by_size"]), str(r["units_active_max"]),
                          "%d" % r["state_pushes"]]
            print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", metavar="CAPTURE")
    parser.add_argument("--rill", default=os.path.join(ROOT, "build", "release", "bin", "rill"))
    parser.add_argument("--nf", default="nat")
    parser.add_argument("--units", default="8")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for all replays")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON, too")
    args = parser.parse_args()
    rows = []
    for capture in args.captures or [os.path.join(ROOT, "traces", "bundled.pcap.gz")]:
        some = [row(capture, choice, k, alpha, replay(args, capture, {"replica_choice": choice, "replicas": k,
                                                                      "alpha": alpha}))
                for k in KS for alpha in ALPHAS for choice in CHOICES]
        print("%s: %d moves by gap, %d by size at K = 3, alpha = 0.25, weighted\n" % (
            os.path.basename(capture), *next((r["moves_by_gap"], r["moves_by_size"]) for r in some
                                             if (r["replicas"], r["alpha"], r["replica_choice"])
                                             == (3, 0.25, "weighted"))))
        print_table(some)
        print()
        rows += some
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=2)


if __name__ == "__main__":
    main()
