#!/usr/bin/env python3
"""What it costs a packet how its flow's state gets to the next unit: ahead to replicas (proactive), from the former
unit once the flow has moved (reactive), or through a store outside (external).

Replays captures under virtual time, all units at a stated share of their capacity, flowlets spread over them, for
each state mode, link delay and round trip to the store. Writes a table of the time from when a packet was due in to its
release, and how many times proactive's 99th percentile the others have: the median over the captures, and for the 99th
percentile and its ratio the least and the most.

    eval/state_modes.py [--rill build/release/bin/rill] [--load 0.5] [--units 8] [--links 1,5] [--rtts 50,100,...]
                        [--seeds 3] [--cases few,many,small] [--json FILE] [--plot FILE] [CAPTURE...]

Without a capture: `seeds` generated ones for each case; with some, each is a case of its own. The cases: `few`, flows that have
a large part of a unit each while they send; `many`, four times as many flows on larger units; `small`, the same with packets
of at most 512 bytes. Same input, same table, on every machine. --plot needs matplotlib.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TRACE = ("busy_factor=1", "hosts=4000", "servers=4000")
CASES = {
    "few": ("seconds=0.06", "mean_mbps=60000", "flows_per_s=48000"),
    "many": ("seconds=0.03", "mean_mbps=100000", "flows_per_s=200000"),
    "small": ("seconds=0.03", "mean_mbps=100000", "flows_per_s=200000", "packet_bytes=512", "line_mbps=100-200"),
}
PERCENTILES = ("p50", "p90", "p99", "p999")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stderr))


def generate(args, folder, case, seed):
    path = os.path.join(folder, "%s-%d.pcap" % (case, seed))
    run(args.rill, "trace", "gen", "--out", path, "--seed", str(seed),
        *(word for setting in TRACE + CASES[case] for word in ("--set", setting)))
    return path


def cases(args, folder):
    """Name of each case, and its captures."""
    if args.captures:
        return [(os.path.basename(path), [path]) for path in args.captures]
    return [(case, [generate(args, folder, case, seed) for seed in range(1, args.seeds + 1)]) for case in args.cases]


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


def figures(report, base):
    """Of one replay; `base`: the proactive one of the same capture and link."""
    latency_us = {p: report["latency_ns"][p] / 1000 for p in PERCENTILES}
    return {"moves": report["flowlets_moved"], "seamless": report["flowlets_seamless"] / max(report["flowlets_moved"], 1),
            "dropped": sum(report["packets_dropped"].values()), **{p + "_us": us for p, us in latency_us.items()},
            "p99_ratio": report["latency_ns"]["p99"] / (base or report)["latency_ns"]["p99"]}


def variants(args, link_us):
    yield "proactive", None
    yield "reactive", None
    for rtt_us in args.rtts:
        if rtt_us >= 2 * link_us:
            yield "external", rtt_us


def measure_capture(args, capture, folder, rows):
    """Adds the capture's figures to the rows, by link, state and round trip."""
    settings = {"placement": "spread", "units_min": args.units, "unit_capacity_mbps": capacity_mbps(args, capture, folder)}
    for link_us in args.links:
        base = None
        for state, rtt_us in variants(args, link_us):
            more = {"state": state, "link_delay_us": link_us}
            if rtt_us is not None:
                more["external_rtt_us"] = rtt_us
            report = replay(args, capture, folder, {**settings, **more})
            rows.setdefault((link_us, state, rtt_us), []).append(figures(report, base))
            base = base or report
    return settings["unit_capacity_mbps"]


def summary(case, key, found):
    link_us, state, rtt_us = key
    row = {"case": case, "link_delay_us": link_us, "state": state, "external_rtt_us": rtt_us, "captures": len(found)}
    for field in found[0]:
        row[field] = statistics.median(f[field] for f in found)
    for field in ("p99_us", "p99_ratio"):
        row[field + "_least"] = min(f[field] for f in found)
        row[field + "_most"] = max(f[field] for f in found)
    return row


def measure(args, folder):
    rows = []
    for case, captures in cases(args, folder):
        found = {}
        capacities = [measure_capture(args, capture, folder, found) for capture in captures]
        print("%s: %d captures, %d units of %s Mbps, %g%% loaded" % (
            case, len(captures), args.units, " to ".join(sorted({"%d" % f(capacities) for f in (min, max)}, key=int)),
            100 * args.load))
        rows += [summary(case, key, f) for key, f in found.items()]
    return rows


def span(row, field, form):
    return form % row[field] + (" (%s to %s)" % (form % row[field + "_least"], form % row[field + "_most"])
                                if row["captures"] > 1 else "")


def print_table(rows):
    print("\n| case | link us | state | store's round trip us | moves | seamless | p50 us | p90 us | p99 us | p99.9 us | "
          "p99 of proactive's |")
    print("|---" * 11 + "|")
    for r in rows:
        print("| %s | %g | %s | %s | %s | %.0f%% | %.1f | %.1f | %s | %.1f | %s |" % (
            r["case"], r["link_delay_us"], r["state"], r["external_rtt_us"] or "-", format(round(r["moves"]), ","),
            100 * r["seamless"], r["p50_us"], r["p90_us"], span(r, "p99_us", "%.1f"), r["p999_us"],
            span(r, "p99_ratio", "%.1f")))


def plot(rows, path):
    """The ratio over the store's round trip, a line for each case and link."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for case, link_us in sorted({(r["case"], r["link_delay_us"]) for r in rows}):
        line = [r for r in rows if (r["case"], r["link_delay_us"], r["state"]) == (case, link_us, "external")]
        axes.plot([r["external_rtt_us"] for r in line], [r["p99_ratio"] for r in line], marker="o",
                  label="%s, links %g us" % (case, link_us))
    axes.axhline(15, color="gray", linestyle=":")
    axes.set(xlabel="round trip to the store (us)", ylabel="p99, external / proactive", ylim=(0, None))
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)


def numbers(text):
    return [int(word) for word in text.split(",")]


def names(text):
    unknown = [word for word in text.split(",") if word not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError("no case '%s'; there are %s" % (unknown[0], ", ".join(CASES)))
    return text.split(",")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", metavar="CAPTURE")
    parser.add_argument("--rill", default=os.path.join(ROOT, "build", "release", "bin", "rill"))
    parser.add_argument("--nf", default="nat")
    parser.add_argument("--units", default=8, type=int)
    parser.add_argument("--load", default=0.5, type=float, help="of all units together, on average (default 0.5)")
    parser.add_argument("--links", default="1,5", type=numbers, help="one way, in us (default 1,5)")
    parser.add_argument("--rtts", default="50,100,150,200,300", type=numbers, help="to the store, in us (default 50 to 300)")
    parser.add_argument("--seeds", default=3, type=int, help="generated captures of a case (default 3)")
    parser.add_argument("--cases", default="few,many,small", type=names, help="what is generated (default few,many,small)")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON, too")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratio, too (.png, .svg, .pdf)")
    return parser.parse_args()


def main():
    args = arguments()
    if args.plot:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            sys.exit("--plot needs matplotlib: apt-get install python3-matplotlib")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(args, folder)
    print_table(rows)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=2)
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
