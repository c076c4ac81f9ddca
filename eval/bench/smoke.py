#!/usr/bin/env python3
"""smoke.py RUN: every benchmark runs and its JSON has the documented fields."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

RUN = sys.argv.pop(1)


def run(*args):
    return subprocess.run([RUN, *args], capture_output=True, text=True, timeout=240)


class Smoke(unittest.TestCase):
    def test_wam(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wam.json")
            done = run("wam", "--quick", "--runs", "7", "--json", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path) as f:
                report = json.load(f)
        for units in (300, 10000):
            for what in ("decision", "decision_first_fit", "flowlet", "linear", "predict", "packet"):
                field = "%s_ns_%d_units" % (what, units)
                self.assertGreater(report[field], 0, field)
                self.assertGreaterEqual(report[field + "_spread_percent"], 0, field)
        self.assertEqual(report["runs"], 7)
        self.assertGreaterEqual(report["spread_percent"], 0)
        self.assertIn(report["noisy"], (False, True))

    def test_bad_use(self):
        for args in ((), ("no_such",), ("wam", "--runs", "3"), ("wam", "--json", "/no/such/folder/x")):
            done = run(*args, *(("--quick",) if args[1:] else ()))
            self.assertEqual(done.returncode, 2, args)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
