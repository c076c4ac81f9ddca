#!/usr/bin/env python3
"""How evenly the load balancer's hashes spread, and how many connections a change of backends moves: the
two figures of the Maglev paper (Eisenbud et al., NSDI 2016, section 5.3), by its definitions.

  imbalance    entries of the backend that has most / mean number of entries
  disruption   k of the backends fail: entries that lead elsewhere afterwards, of all; and of these, those that led
               to none that failed

Both of Maglev's tables, and of the hash by modulo (as many equal parts of the hash's range).

    eval/lb_maglev.py [--program build/release/tests/maglev_table] [--trials 5] [--json FILE]

Same table on every machine.
"""
import argparse
import json
import os
import random
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TABLES = ("modulo", 65537, 655373)
BACKENDS = (10, 100, 1000)
FAILED = (1, 2, 5, 10, 20)  # per cent of 1000
PARTS = 655373  # points of the hash's range at which modulo is looked at


def servers(n):
    return ["10.%d.%d.1:80" % (i // 250, i % 250) for i in range(n)]


def entries(args, table, names):
    """The server of each entry, by name."""
    if table == "modulo":
        return [names[j * len(names) // PARTS] for j in range(PARTS)]
    done = subprocess.run([args.program, str(table)], input="\n".join(names) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s %s: exit %d\n%s" % (args.program, table, done.returncode, done.stderr))
    return [names[int(line)] for line in done.stdout.split()]


def imbalance(found, n):
    count = {}
    for name in found:
        count[name] = count.get(name, 0) + 1
    return max(count.values()) * n / len(found)


def disruption(args, table, names, before, percent):
    """Mean shares of entries that changed, and that changed though their backend is there."""
    changed = needless = 0
    for trial in range(args.trials):
        rng = random.Random(1000 * percent + trial)
        gone = set(rng.sample(names, len(names) * percent // 100))
        after = entries(args, table, [name for name in names if name not in gone])
        for old, new in zip(before, after):
            if old != new:
                changed += 1
                needless += old not in gone
    total = args.trials * len(before)
    return changed / total, needless / total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "tests", "maglev_table"))
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--json")
    args = parser.parse_args()
    rows = []
    print("| hash | " + " | ".join("imbalance, %d backends" % n for n in BACKENDS) + " | "
          + " | ".join("%d %% fail" % k for k in FAILED) + " |")
    print("|---" * (1 + len(BACKENDS) + len(FAILED)) + "|")
    for table in TABLES:
        spread = {n: imbalance(entries(args, table, servers(n)), n) for n in BACKENDS}
        names = servers(1000)
        before = entries(args, table, names)
        moved = {k: disruption(args, table, names, before, k) for k in FAILED}
        rows.append({"table": table, "imbalance": spread,
                     "changed": {k: v[0] for k, v in moved.items()}, "needless": {k: v[1] for k, v in moved.items()}})
        label = "modulo" if table == "modulo" else "maglev, %d entries" % table
        print("| %s | %s | %s |" % (label, " | ".join("%.4f" % spread[n] for n in BACKENDS), " | ".join(
            "%.2f %% (%.2f %%)" % (100 * changed, 100 * needless) for changed, needless in moved.values())))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
