#!/usr/bin/env python3
"""--usage: records that add up to what the report says, without a gap, also when units die."""
import csv
import json
import os
import tempfile
import unittest

import common

COUNTS = ["packets_in", "bytes_in", "packets", "bytes", "packets_out", "bytes_out", "packets_died", "bytes_died",
          "cpu_ns", "unit_ns"]


def replay(*options):
    with tempfile.TemporaryDirectory() as folder:
        usage, report, epochs = (os.path.join(folder, name) for name in ("usage.jsonl", "report.json", "epochs.csv"))
        code, out, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--units", "8", "--quiet", "--json", report,
                                    "--usage", usage, "--epochs", epochs, "--set", "usage_interval_ms=100", *options)
        assert code == 0, (code, out, err)
        with open(usage) as f:
            records = [json.loads(line) for line in f]
        with open(report) as f, open(epochs) as g:
            return json.load(f), records, list(csv.DictReader(g))


class Usage(unittest.TestCase):
    def adds_up(self, report, records, epochs):
        counted = report["counters"]
        self.assertEqual([r["sequence"] for r in records], list(range(1, len(records) + 1)))
        total = {name: sum(r[name] for r in records) for name in COUNTS}
        self.assertEqual(total["packets"], counted["unit.packets_processed"])
        self.assertEqual(total["bytes"], counted["unit.bytes_processed"])
        self.assertEqual(total["packets_in"], counted["unit.packets_in"])
        self.assertEqual(total["packets_out"], counted["output_logger.packets_released"] -
                         counted["output_logger.packets_passed"] + counted["output_logger.packets_ended_by_nf"])
        self.assertGreaterEqual(total["packets_out"] + counted["output_logger.packets_passed"],
                                report["packets_released"])
        leased_s = sum(float(row["leased"]) * float(row["length_ms"]) / 1000 for row in epochs if row["unit"] == "all")
        self.assertAlmostEqual(total["unit_ns"] / 1e9, leased_s, delta=0.02)
        for unit in report["units"]:
            mine = [r for r in records if r["role"] == "unit:%d" % unit["id"]]
            self.assertEqual(sum(r["packets"] for r in mine), unit["packets"])
            self.assertEqual(sum(r["final"] for r in mine), 1 if mine else 0)
            self.assertTrue(not mine or mine[-1]["final"])
            self.assertTrue(all(a["end_ns"] <= b["start_ns"] for a, b in zip(mine, mine[1:])))
            self.assertTrue(all(r["start_ns"] <= r["end_ns"] for r in mine))
        return total

    def test_virtual(self):
        report, records, epochs = replay("--clock", "virtual")
        total = self.adds_up(report, records, epochs)
        self.assertEqual(total["packets_died"], 0)
        self.assertGreater(len(records), 10)
        self.assertEqual(total["cpu_ns"], report["counters"]["unit.service_ns"])

    def test_real(self):
        report, records, epochs = replay("--clock", "real")
        total = self.adds_up(report, records, epochs)
        self.assertGreater(total["cpu_ns"], 0)
        self.assertLess(total["cpu_ns"], 60e9)

    def test_a_dead_unit_is_billed_for_what_was_seen_of_it(self):
        report, records, epochs = replay("--clock", "virtual", "--set", "link_delay_us=200", "--fail", "output-logger:1@0.2s",
                                          "--fail", "unit:1@0.2s", "--fail", "output-logger:2@0.3s")
        self.adds_up(report, records, epochs)
        dead = [r for r in records if r["role"] == "unit:1"]
        billed = sum(r["packets"] - r["packets_died"] for r in dead)
        self.assertEqual(billed, sum(r["packets_out"] for r in dead))
        self.assertEqual(sum(r["bytes"] - r["bytes_died"] for r in dead), sum(r["bytes_out"] for r in dead))
        self.assertGreater(sum(r["packets_died"] for r in dead), 0)
        self.assertEqual(sum(r["packets_died"] for r in records if r["role"] != "unit:1"), 0)
        self.assertTrue(any(r["role"] == "unit:9" for r in records) or report["units"][8]["packets"] == 0)

    def test_no_traffic_costs_nothing(self):
        _, records, _ = replay("--clock", "virtual", "--set", "idle_last_unit_ms=1", "--speed", "0.01x")
        leased_s = sum(r["unit_ns"] for r in records) / 1e9
        self.assertLess(leased_s, 60 * 0.9)  # 60 s, in pauses of which it is down to no unit


if __name__ == "__main__":
    unittest.main(verbosity=1)
