#!/usr/bin/env python3
"""--epochs: figures per unit and 100 ms that add up, and the modes that they tell apart."""
import csv
import json
import os
import tempfile
import unittest

import common

COLUMNS = ["start_s", "length_ms", "unit", "demand_mbps", "leased", "provisioned_mbps", "utilization",
           "overload"]


def lines(*options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "epochs.csv")
        json_path = os.path.join(folder, "report.json")
        code, out, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--units", "8", "--quiet",
                                    "--json", json_path, "--epochs", path, *options)
        assert code == 0, (code, out, err)
        with open(json_path) as f:
            report = json.load(f)
        with open(path) as f:
            table = csv.DictReader(f)
            rows = [{k: v if k == "unit" else float(v) for k, v in row.items()} for row in table]
            assert table.fieldnames == COLUMNS, table.fieldnames
    return report, rows


class Epochs(unittest.TestCase):
    def adds_up(self, report, rows):
        ends = {}
        for row in rows:
            if row["leased"] > 0:
                self.assertAlmostEqual(row["utilization"], row["demand_mbps"] / row["provisioned_mbps"], delta=2e-3)
            self.assertEqual(row["overload"], 1 if row["utilization"] > 1 else 0)
            ends.setdefault(row["start_s"], []).append(row)
        sent = 0
        for start, epoch in ends.items():
            *units, total = epoch
            self.assertEqual(total["unit"], "all")
            self.assertAlmostEqual(sum(u["leased"] for u in units), total["leased"], delta=0.001)
            self.assertTrue(all(0 <= u["leased"] <= 1.0001 for u in units))
            self.assertAlmostEqual(sum(u["demand_mbps"] for u in units), total["demand_mbps"],
                                   delta=1 + total["demand_mbps"] / 50)  # on its way; passed on
            sent += total["demand_mbps"] * total["length_ms"] * 125
        self.assertEqual(min(ends), 0)
        self.assertAlmostEqual(sent, report["counters"]["controller.bytes_to_units"], delta=sent / 1000)

    def test_virtual(self):
        report, rows = lines("--clock", "virtual")
        self.adds_up(report, rows)
        starts = sorted({row["start_s"] for row in rows})
        for i, start in enumerate(starts):
            self.assertAlmostEqual(start, i * 0.1, places=6)

    def test_real(self):
        self.adds_up(*lines("--clock", "real"))

    def test_modes_are_told(self):
        for mode in ("flow", "smart-flow:50ms"):
            report, rows = lines("--clock", "virtual", "--mode", mode)
            self.adds_up(report, rows)
            self.assertEqual(report["mode"], mode)
            self.assertEqual(report["moves_by_gap"] + report["moves_by_size"], 0)
            self.assertEqual(report["moves_by_period"] > 0, mode != "flow")


if __name__ == "__main__":
    unittest.main(verbosity=1)
