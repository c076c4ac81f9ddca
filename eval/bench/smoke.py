#!/usr/bin/env python3
"""smoke.py RUN: every benchmark runs and its JSON has the documented fields; how fast anything is, is not looked at."""
import collections
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

RUN = sys.argv.pop(1)
BUILD = os.environ["RILL_BUILD"]


def run(*args):
    return subprocess.run([RUN, *args], capture_output=True, text=True, timeout=280)


class Suite(unittest.TestCase):
    """One run of all; the tests look at what it wrote."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "all.json")
            done = run("--quick", "--runs", "7", "--json", path)
            if done.returncode != 0:
                raise AssertionError(done.stderr)
            with open(path) as f:
                cls.benches = {bench["bench"]: bench for bench in json.load(f)["benches"]}

    def test_all_say_how_they_were_run(self):
        for name, bench in self.benches.items():
            self.assertEqual(bench["runs"], 7, name)
            self.assertIs(bench["quick"], True, name)
            self.assertIn(bench["noisy"], (False, True), name)
            self.assertGreater(bench["tsc_ghz"], 0, name)

    def test_results(self):
        for name, bench in self.benches.items():
            for result in bench["results"]:
                self.assertTrue(result["name"], name)
                self.assertGreaterEqual(result["spread_percent"], 0, result)
                for field in ("mpps", "cycles_per_packet", "ceiling_mpps", "ratio"):
                    self.assertGreater(result.get(field, 1), 0, result)

    def test_wam(self):
        report = self.benches["wam"]
        for units in (300, 10000):
            for what in ("decision", "decision_first_fit", "flowlet", "linear", "predict", "packet"):
                field = "%s_ns_%d_units" % (what, units)
                self.assertGreater(report[field], 0, field)
                self.assertGreaterEqual(report[field + "_spread_percent"], 0, field)
        self.assertGreaterEqual(report["spread_percent"], 0)


    def test_memory(self):
        report = self.benches["memory"]
        for nf in ("noop", "nat"):
            for role in ("controller", "unit", "replica", "logger"):
                field = "%s_%%s_bytes_per_flow_%s_10000_flows" % (role, nf)
                self.assertGreater(report[field % "table"], 0, field)
                self.assertIn(field % "rss", report)  # sanitizers have memory of their own
            self.assertGreater(report["all_rss_bytes_per_flow_%s_10000_flows" % nf], 0)

    def test_alone(self):
        names = {result["name"] for result in self.benches["alone"]["results"]}
        self.assertIn("alone/unit/nat/random", names)
        self.assertEqual(len(names), 3 * 4 * 2)

    def test_codec(self):
        results = {(r["name"], r["packet_bytes"]): r for r in self.benches["codec"]["results"]}
        for way in ("encode", "decode"):
            for what in ("ingress", "data", "change", "released"):
                self.assertGreater(results["codec/%s/%s" % (way, what), 64]["cycles_per_packet"], 0)

    def test_chain_memif(self):
        if "chain_memif" not in self.benches:
            self.skipTest("the cluster form is not in this build")
        report = self.benches["chain_memif"]
        for result in report["results"]:
            self.assertGreater(result["mpps"], 0, result)
        self.assertIn("packets_lost", report)
        for process in ("controller", "unit", "logger", "client"):
            self.assertGreater(report["%s_cycles_per_packet_bursts_1000_flows" % process], 0)

    def test_start(self):
        if "start" not in self.benches:
            self.skipTest("the cluster form is not in this build")
        report = self.benches["start"]
        for what in ("fabric_prepared", "fabric_asleep", "fabric_on_demand", "dlopen", "fork", "exec", "control",
                     "control_inside", "piece_image", "piece_unit", "piece_first_packet"):
            self.assertGreater(report[what + "_us"], 0, what)


class Compare(unittest.TestCase):
    """A build with itself: the same figures on both sides."""

    def compare(self, *args):
        return subprocess.run([os.path.join(os.path.dirname(RUN), "compare"), BUILD, BUILD, "wam", "--quick", *args],
                              capture_output=True, text=True, timeout=240)

    def test_every_figure_is_compared(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "compare.json")
            done = self.compare("--pairs", "2", "--json", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path) as f:
                found = {d["name"]: d for d in json.load(f)["differences"]}
        for name in ("decision_ns_300_units", "flowlet, 10000 units, cycles_per_packet"):
            row = found[name]
            self.assertLessEqual(row["least_percent"], row["difference_percent"])
            self.assertLessEqual(row["difference_percent"], row["most_percent"])
        self.assertFalse([name for name in found if "spread" in name])

    def test_bad_use(self):
        self.assertEqual(self.compare("--pairs", "1").returncode, 2)


class Peers(unittest.TestCase):
    FOLDER = os.path.join(os.path.dirname(RUN), "peers")

    def trace(self, order):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "trace.pcap")
            subprocess.run([sys.executable, "-B", os.path.join(self.FOLDER, "trace_file.py"), "1000", order, path], check=True)
            with open(path, "rb") as f:
                packets = f.read()[24:]
        return [packets[at + 16:at + 76] for at in range(0, len(packets), 76)]

    def test_the_trace_has_each_flow_equally_often(self):
        packets = self.trace("random")
        counts = collections.Counter(packet[26:30] for packet in packets)
        self.assertEqual(len(counts), 1000)
        self.assertEqual(set(counts.values()), {66})
        for packet in packets[:1000]:
            total = sum(struct.unpack("!10H", packet[14:34]))
            self.assertEqual((total & 0xffff) + (total >> 16), 0xffff)

    def test_the_trace_has_flowlets_of_ten(self):
        packets = self.trace("bursts")
        counts = collections.Counter(packet[26:30] for packet in packets)
        self.assertEqual(len(counts), 1000)
        self.assertEqual(set(counts.values()), {70})
        rounds = [[packet[26:30] for packet in packets[at:at + 64]] for at in range(0, 640, 64)]
        self.assertEqual(rounds, rounds[:1] * 10)

    def run_peers(self, *args, **more):
        return subprocess.run([sys.executable, "-B", os.path.join(self.FOLDER, "run"), *args], capture_output=True, text=True,
                              timeout=240, **more)

    def test_who_is_not_installed_is_left_out_in_a_line(self):
        names = ("testpmd", "plain", "flowipnat", "iprewriter", "nftables")
        done = self.run_peers("--only", ",".join(names), env={"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in names:
            self.assertIn("%s is left out: " % name, done.stderr)

    def test_rill_takes_packets_from_a_capture(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "peers.json")
            done = self.run_peers("--only", "rill,rill_unit", "--flows", "1000", "--runs", "1", "--quick", "--json", path)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            with open(path) as f:
                results = json.load(f)["results"]
        self.assertEqual([(r["name"], r["order"], r["flows"]) for r in results],
                         [(name, order, 1000) for order in ("random", "bursts") for name in ("rill", "rill_unit")])
        self.assertGreater(min(r["mpps"] for r in results), 0)


class BadUse(unittest.TestCase):
    def test_it_is_refused_in_one_line(self):
        for args in (("no_such",), ("--no-such",), ("--json",), ("wam", "--runs", "3"), ("wam", "--json", "/no/such/folder/x")):
            done = run(*args, *(("--quick",) if args[1:] else ()))
            self.assertEqual(done.returncode, 2, args)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
