#!/usr/bin/env python3
"""Units, output loggers and controllers that fail during a replay, with many moves under way (--fail): what is lost is
counted, nothing comes out wrong, every inside endpoint keeps its public one, and the same seed is the same
run. What is given on the command line and can't be is refused before anything runs."""
import json
import os
import sys
import tempfile

import common

FORCED = ["--nf", "nat", "--units", "4", "--set", "unit_capacity_mbps=40", "--set", "flowlet_bytes=1500",
          "--set", "units_min=4", "--set", "placement=spread", "--speed", "0.1x",
          "--set", "link_delay_us=1000"]  # long, so that packets are on their way to who fails
# Who takes another's place fails, too.
FAILS = ["unit:2@1.5s", "controller:1@2s", "output-logger:3@2500ms", "unit:5@3s", "output-logger:1@4s",
         "controller:2@4200ms", "unit:3@4.5s"]


def with_fails(*fails):
    return [word for fail in fails for word in ("--fail", fail)]


def check_failures(report, fails):
    failures = report["failures"]
    assert [f["role"] for f in failures] == [f.split("@")[0] for f in fails], failures
    controllers = [f for f in failures if f["role"].startswith("controller")]
    failures = [f for f in failures if f not in controllers]
    for f in controllers:
        assert f["detected_after_ns"] == 0 and f["recovered_after_ns"] >= 0, f
        assert f["flows_recovered"] > 0 and f["state_from"] == {"replica": 0, "output_logger": 0}, f
    for f in failures:
        assert f["detected_after_ns"] == 0, f
        assert f["recovered_after_ns"] >= 0, f
        assert f["flows_recovered"] == f["state_from"]["replica"] + f["state_from"]["output_logger"], f
    # They do not overlap here, so nothing is counted with two of them.
    assert sum(f["flows_recovered"] for f in failures) == report["recoveries"] > 0, failures
    dropped = report["packets_dropped"]
    lost = sum(dropped.get(name, 0) for name in ("died_with_role", "fabric_no_route", "fenced"))
    lost += dropped.get("takeover", 0)
    assert sum(f["packets_lost"] for f in failures + controllers) == lost, (failures, controllers, dropped)


def virtual(folder):
    reports = []
    for i in range(2):
        out = os.path.join(folder, "out%d.pcapng" % i)
        json_path = os.path.join(folder, "report%d.json" % i)
        report = common.replay(common.BUNDLED, *FORCED, *with_fails(*FAILS), "--out", out, json_path=json_path)
        common.check_books(report)
        check_failures(report, FAILS)
        del report["capture"]
        reports.append(report)
    assert reports[0] == reports[1], "the same seed was not the same run"
    common.script("check_output.py", common.BUNDLED, out, "--nf", "nat", "--expect-json", json_path,
                  "--allow-reordered", 100)
    for f in reports[0]["failures"]:
        print("virtual:", f)


def both_at_once(folder):
    """A unit and its output logger: state is lost, but the books balance and the run ends."""
    json_path = os.path.join(folder, "both.json")
    code, out, err = common.run("replay", common.BUNDLED, *FORCED, "--clock", "virtual", "--quiet", "--json",
                                json_path, *with_fails("unit:1@4s", "output-logger:1@4s"))
    assert code in (0, 1), err
    with open(json_path) as f:
        report = json.load(f)
    dropped = sum(report["packets_dropped"].values())
    assert report["packets_in_flight"] == 0, report["packets_in_flight"]
    assert report["packets_in"] == report["packets_released"] + dropped, report
    assert report["counters"]["unit.states_lost"] > 0, report["counters"]
    assert all(f["recovered_after_ns"] >= 0 for f in report["failures"]), report["failures"]


def unit_and_controller(folder):
    """At the same moment, with hardly an endpoint at the unit that lives: who takes over knows at once which ones nobody
    has, so no flow is refused for longer than it takes to recover."""
    fails = ["unit:1@2s", "controller:1@2s"]
    report = common.replay(common.BUNDLED, *FORCED[:-2], "--set", "pool_block=8", *with_fails(*fails),
                           json_path=os.path.join(folder, "unit_and_controller.json"))
    common.check_books(report)
    refused = report["nf_counters"]["pool_exhausted"]
    print("unit and controller: %d flows mapped, %d packets refused" % (report["nf_counters"]["mapped"], refused))
    assert refused <= 5, report["nf_counters"]


def real(folder):
    fails = ["unit:1@100ms", "output-logger:2@300ms"]
    json_path = os.path.join(folder, "real.json")
    code, out, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--quiet", "--json", json_path,
                                *with_fails(*fails))
    assert code == 0, (out, err)
    with open(json_path) as f:
        report = json.load(f)
    common.check_books(report)
    check_failures(report, fails)
    for f in report["failures"]:
        print("real:", f)


def refused():
    for fail, why in (("unit:2@9s", "the last packet goes in 0.598 s after the first"),
                      ("rm@1s", "only a cluster's rm can fail")):
        code, out, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--clock", "virtual", "--fail", fail)
        assert code == 2 and why in err and err.count("\n") == 1, (code, out, err)


def main():
    with tempfile.TemporaryDirectory() as folder:
        virtual(folder)
        both_at_once(folder)
        unit_and_controller(folder)
        real(folder)
    refused()
    return 0


if __name__ == "__main__":
    sys.exit(main())
