#!/usr/bin/env python3
"""What it costs a packet how its flow's state gets to the next unit, in containers on this machine and in real time: what
eval/state_modes.py works out under virtual time, as it comes out here.

A cluster of its own (`rill up`), in it `nat` on `units` units, all at a stated share of their capacity and flowlets spread
over them; each state mode in turn replays the capture, round after round. The time is that from when a packet was due in
to its release. Writes a table: medians over the rounds, and the least and the most of the 99th percentile.

    eval/state_live.py [--rill build/release/bin/rill] [--polls busy,sleep,yield] [--states proactive,reactive,external]
                       [--load 0.5] [--units 2] [--speed 1] [--rounds 3] [--json FILE] [CAPTURE]

Without a capture: one that is generated, 3 s of 55 Mbps in packets of at most 512 bytes, of flows that send at 15 to 30 Mbps.

Needs root and liblxc; `external` also redis-server, which this starts, and else is left out. With busy polling each role wants
a processor for itself (with 2 units: 6, the replay included); with fewer they wait for each other's time slices.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
STATES = ("proactive", "reactive", "external")
POLLS = ("busy", "yield", "sleep")
TRACE = ("seconds=3", "mean_mbps=60", "flows_per_s=200", "packet_bytes=512", "line_mbps=15-30", "busy_factor=1", "hosts=4000",
         "servers=4000")
PERCENTILES = ("p50", "p90", "p99", "p999")
WAIT_S = 60


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s: exit %d: %s" % (" ".join(map(str, command)), done.returncode, done.stderr.strip()))
    return done.stdout


class Store:
    """A Redis server in a folder that units see as /run/store; without redis-server only the folder."""

    def __enter__(self):
        self.folder, self.process = tempfile.mkdtemp(prefix="rill-state-live-"), None
        os.chmod(self.folder, 0o711)
        if shutil.which("redis-server"):
            self.start(os.path.join(self.folder, "redis.sock"))
        return self

    def start(self, socket):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--unixsocketperm", "777",
                                         "--dir", self.folder, "--save", "", "--appendonly", "no"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + WAIT_S
        while not os.path.exists(socket):
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                sys.exit("redis-server does not start")
            time.sleep(0.01)

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    def __init__(self, args, poll, store):
        self.args, self.poll, self.store = args, poll, store
        self.name = "statelive%d" % os.getpid()

    def __enter__(self):
        try:
            self.rill("up", "--set", "poll=" + self.poll, "--set", "store_folder=" + self.store.folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run([self.args.rill, "down", "--cluster", self.name], capture_output=True)

    def rill(self, command, *words):
        return run(self.args.rill, command, *words, "--cluster", self.name)

    def replay(self, state, capacity_mbps):
        settings = {"state": state, "placement": "spread", "units_min": self.args.units, "unit_capacity_mbps": capacity_mbps}
        if state == "external":
            settings["external_store"] = "unix:/run/store/redis.sock"
        self.rill("deploy", "nat", "--units", self.args.units,
                  *(word for name, value in settings.items() for word in ("--set", "%s=%s" % (name, value))))
        try:
            return json.loads(self.rill("replay", self.args.capture, "--speed", "%gx" % self.args.speed, "--quiet", "--json", "-"))
        finally:
            self.rill("undeploy", "nat")


def generate(args, folder):
    path = os.path.join(folder, "live.pcap")
    run(args.rill, "trace", "gen", "--out", path, *(word for setting in TRACE for word in ("--set", setting)))
    return path


def capacity_mbps(args):
    """Of a unit, so that all of them together are as loaded as asked for."""
    report = json.loads(run(args.rill, "replay", args.capture, "--nf", "nat", "--clock", "virtual", "--quiet", "--json", "-"))
    return max(1, round(8 * report["bytes_in"] / report["replay_s"] / 1e6 * args.speed / args.units / args.load))


def measure(args, poll, states, store):
    found = {state: [] for state in states}
    with Cluster(args, poll, store) as cluster:
        for turn in range(args.rounds):
            for state in states if turn % 2 == 0 else states[::-1]:
                found[state].append(cluster.replay(state, args.capacity_mbps))
    return found


def row(poll, state, reports, proactive):
    found = {"poll": poll, "state": state, "rounds": len(reports)}
    for name in ("packets_in", "packets_released", "flowlets_moved", "flowlets_seamless"):
        found[name] = statistics.median(report[name] for report in reports)
    for p in PERCENTILES:
        found[p + "_us"] = statistics.median(report["latency_ns"][p] for report in reports) / 1000
    p99 = [report["latency_ns"]["p99"] for report in reports]
    found.update(p99_us_least=min(p99) / 1000, p99_us_most=max(p99) / 1000)
    if proactive:
        found["p99_ratio"] = statistics.median(a / b["latency_ns"]["p99"] for a, b in zip(p99, proactive))
    return found


def print_table(rows):
    print("\n| poll | state | released | moves | seamless | p50 us | p90 us | p99 us | p99.9 us | p99 of proactive's |")
    print("|---" * 10 + "|")
    for r in rows:
        print("| %s | %s | %.1f%% | %s | %.0f%% | %.0f | %.0f | %.0f (%.0f to %.0f) | %.0f | %s |" % (
            r["poll"], r["state"], 100 * r["packets_released"] / r["packets_in"], format(round(r["flowlets_moved"]), ","),
            100 * r["flowlets_seamless"] / max(r["flowlets_moved"], 1), r["p50_us"], r["p90_us"], r["p99_us"],
            r["p99_us_least"], r["p99_us_most"], r["p999_us"], "%.2f" % r["p99_ratio"] if "p99_ratio" in r else "-"))


def some_of(known):
    def read(text):
        unknown = [word for word in text.split(",") if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError("no '%s'; there are %s" % (unknown[0], ", ".join(known)))
        return text.split(",")
    return read


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", metavar="CAPTURE")
    parser.add_argument("--rill", default=os.path.join(ROOT, "build", "release", "bin", "rill"))
    parser.add_argument("--polls", default=["busy"], type=some_of(POLLS), help="one or more, each in a cluster (default busy)")
    parser.add_argument("--states", default=list(STATES), type=some_of(STATES))
    parser.add_argument("--units", default=2, type=int)
    parser.add_argument("--load", default=0.5, type=float, help="of all units together, on average (default 0.5)")
    parser.add_argument("--speed", default=1, type=float, help="of the capture's own (default 1)")
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON, too")
    return parser.parse_args()


def main():
    args = arguments()
    rows = []
    with Store() as store:
        states = [state for state in args.states if state != "external" or store.process]
        if states != args.states:
            print("external is left out: no redis-server (apt-get install redis-server)", file=sys.stderr)
        try:
            args.capture = args.capture or generate(args, store.folder)
            args.capacity_mbps = capacity_mbps(args)
            for poll in args.polls:
                found = measure(args, poll, states, store)
                rows += [row(poll, state, found[state], found.get("proactive")) for state in states]
        except RuntimeError as failed:
            sys.exit("state_live: %s" % failed)
    print("%d units of %d Mbps, %g%% loaded, %d processors" % (
        args.units, args.capacity_mbps, 100 * args.load, os.cpu_count()))
    print_table(rows)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=2)


if __name__ == "__main__":
    main()
