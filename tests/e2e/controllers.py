#!/usr/bin/env python3
"""Several controllers in one process: the same flows get through as with one, each packet has come to one controller,
whose books balance; a controller that dies is replaced in its slot while the others go on; fragments and public
endpoints find their controller."""
import os
import sys
import tempfile

import common

CONTROLLERS = 4
# Each has room enough that no reply of the capture is early.
SHORT = ["--set", "lease_backlog_us=100"]
ROOMY = ["--controllers", str(CONTROLLERS), "--units", "8", "--set", "lease_step=1000", *SHORT]
FORCED = ["--controllers", str(CONTROLLERS), "--units", "6", "--set", "unit_capacity_mbps=60",
          "--set", "flowlet_bytes=1500", "--set", "units_min=6", "--set", "placement=spread", "--speed", "0.1x"]
FAILS = ["controller:2@1s", "unit:1@1.5s", "controller:5@2s", "output-logger:3@2500ms", "controller:4@3s"]


def check_controllers(report, count):
    controllers = report["controllers"]
    assert len(controllers) == count, controllers
    assert sum(c["packets_in"] for c in controllers) == report["packets_in"], controllers
    assert sum(c["flows"] for c in controllers) == report["flows"], controllers
    for c in controllers:
        assert c["packets_in_flight"] == 0, c
        assert c["packets_in"] == c["packets_to_units"] + c["packets_passed"] + c["packets_dropped"], c
        assert c["packets_in"] > 0 and c["flows"] > 0, c


def replay(folder, capture, nf, *args):
    out = os.path.join(folder, "out.pcapng")
    json_path = os.path.join(folder, "report.json")
    report = common.replay(capture, "--nf", nf, *args, "--out", out, json_path=json_path)
    common.check_books(report)
    common.script("check_output.py", capture, out, "--nf", nf, "--expect-json", json_path,
                  "--allow-reordered", 100)
    return report


def same_as_one(folder, nf):
    one = replay(folder, common.BUNDLED, nf, *SHORT)
    several = replay(folder, common.BUNDLED, nf, *ROOMY)
    check_controllers(one, 1)
    check_controllers(several, CONTROLLERS)
    assert several["packets_released"] == one["packets_released"], several["packets_dropped"]
    assert several["packets_dropped"] == one["packets_dropped"], several["packets_dropped"]
    assert several["flows"] == one["flows"], (several["flows"], one["flows"])
    print(nf, [c["packets_in"] for c in several["controllers"]])


def independent(folder):
    report = replay(folder, common.BUNDLED, "nat", *ROOMY, "--set", "controllers=independent")
    check_controllers(report, CONTROLLERS)


def fails(folder, nf):
    words = [word for fail in FAILS for word in ("--fail", fail)]
    report = replay(folder, common.BUNDLED, nf, *FORCED, *words)
    check_controllers(report, CONTROLLERS + 3)
    assert report["flowlets_moved"] > 1000, report["flowlets_moved"]
    died = {c["id"]: c["slot"] for c in report["controllers"] if c["died"]}
    assert died == {2: 1, 5: 1, 4: 3}, died
    assert [c["slot"] for c in report["controllers"]] == [0, 1, 2, 3, 1, 1, 3], report["controllers"]
    for f in report["failures"]:
        assert f["recovered_after_ns"] >= 0, f
        print(nf, f)


def fragments(folder):
    capture = os.path.join(common.TRACES, "ipfrag_bulk.pcap")
    if not os.path.exists(capture):
        return
    one = replay(folder, capture, "nat")
    several = replay(folder, capture, "nat", *ROOMY)
    assert several["packets_released"] == one["packets_released"], several["packets_dropped"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for nf in ("nat", "lb"):
            same_as_one(folder, nf)
            fails(folder, nf)
        independent(folder)
        fragments(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
