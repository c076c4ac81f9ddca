#!/usr/bin/env python3
"""Several controllers of one deployment: the traffic is split over them, one is killed and the others do not notice,
the resource manager is killed and the next one has them all. Packets are looked at by the independent checker."""
import os
import subprocess

import world  # first: it knows where the other tests' modules are
import common
import hairpin
from kills import LOST, Replay, check_packets, failure_of, serving
from standby import billed, counter, leader
from world import Cluster, kill, until

CONTROLLERS = 3
# Small flowlets, each placed anew: flows are on the move when somebody dies.
DEPLOY = ("deploy", "nat", "--units", 4, "--controllers", CONTROLLERS, "--set", "flowlet_bytes=1500", "--set",
          "placement=spread", "--set", "units_min=3")


def deployment(c):
    return c.status()["deployments"][0]


def check_controllers(report, slots):
    """Each has taken part, and its books balance; returns them by slot, those that died first."""
    by_slot = {slot: [] for slot in range(slots)}
    for one in report["controllers"]:
        assert one["packets_in"] == (one["packets_to_units"] + one["packets_passed"] + one["packets_dropped"]
                                     + one["packets_in_flight"]), one
        by_slot[one["slot"]].append(one)
    assert all(sum(one["packets_in"] for one in ones) > 0 for ones in by_slot.values()), by_slot
    return by_slot


def check_bill(c):
    """I7: what was processed is on the bill, once."""
    until("what was processed is on the bill", lambda: billed(c) == counter(c, "unit.packets_processed"))


def split():
    with Cluster() as c:
        c.rill(*DEPLOY)
        there = deployment(c)
        assert len(set(there["controllers"])) == CONTROLLERS, there
        assert [r["slot"] for r in c.roles("controller") if r["deployment"]] == list(range(CONTROLLERS))
        replay = Replay(c)
        try:
            until("all have leased a part", lambda: all(
                r["leased_milli"] > 0 for r in c.roles("controller") if r["deployment"]))
            report = replay.report()
        finally:
            replay.kill()
        common.check_books(report)
        check_packets(c, replay, report)
        slots = check_controllers(report, CONTROLLERS)
        took = sum(one["packets_in"] for ones in slots.values() for one in ones)
        lost = sum(report["packets_dropped"].get(name, 0) for name in ("fabric_full", "no_buffer"))
        assert 65241 - lost <= took <= 65241, (took, report["packets_dropped"])
        check_bill(c)
        print("  %s; %s" % ([ones[0]["packets_in"] for ones in slots.values()], report["packets_dropped"]))


def whole_units():
    """controllers=independent: no unit is two controllers'. And what can not be is refused in one line."""
    with Cluster() as c:
        c.refused("deploy", "lb", "--units", 2, "--controllers", 3, "--set", "controllers=independent",
                  says="3 independent controllers with 1 units each need 3 units")
        c.refused("deploy", "lb", "--controllers", 17, says="from 1 to 16")
        c.refused("deploy", "nat", "--units", 2, "--controllers", 3, "--config", small_pool(c), says="too small for 3")
        c.rill("deploy", "lb", "--units", 2, "--controllers", 2, "--set", "controllers=independent", "--set",
               "units_min=1")
        report = c.replay(c.small, "--speed", "0.1x")
        common.check_books(report)
        check_controllers(report, 2)
        assert sorted(r["leased_milli"] for r in c.roles("unit") if r["deployment"]) == [1000, 1000]
        assert report["units_active_max"] == 2, report["units_active_max"]


def small_pool(c):
    """Two endpoints, and no more."""
    path = os.path.join(c.folder, "small.yaml")
    with open(path, "w") as f:
        f.write("nf: nat\nconfig:\n  public_addresses: [198.51.100.1]\n  ports: 40000-40001\n")
    return path


def hairpins():
    """Pairs of inside hosts whose public endpoints are, as often as not, of different controllers; to the byte."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 4, "--controllers", 4, "--config",
               hairpin.write_config(c.folder, hairpin.FOUR), *DEPLOY[6:])
        until("all is there", lambda: c.status()["settled"])

        def play(capture, out):
            return c.replay(capture, "--inside", hairpin.INSIDE, "--speed", "0.01x", "--out", out)

        hairpin.show("  hairpins", hairpin.conversations(c.folder, play, 6))
        check_bill(c)


def one_is_killed():
    with Cluster(warm=1) as c:
        c.rill(*DEPLOY)
        until("all is there", lambda: c.status()["settled"])
        before, controllers = serving(c), deployment(c)["controllers"]
        replay = Replay(c)
        try:
            kill(c.program_pid(controllers[1]))
            report = replay.report()
        finally:
            replay.kill()
        assert report["packets_in_flight"] == 0, report["packets_in_flight"]
        assert report["packets_in"] == report["packets_released"] + sum(report["packets_dropped"].values()), report
        assert report["inverse_mismatches"] == 0 and report["outward_mismatches"] == 0, report
        check_packets(c, replay, report)
        slots = check_controllers(report, CONTROLLERS)
        assert [one["died"] for one in slots[1]] == [True, False], slots[1]
        assert not slots[0][0]["died"] and not slots[2][0]["died"], slots
        after = deployment(c)["controllers"]
        assert [after[0], after[2]] == [controllers[0], controllers[2]] and after[1] != controllers[1], after
        assert sorted(set(serving(c)) ^ set(before)) == sorted([controllers[1], after[1]]), (before, serving(c))
        assert failure_of(c, controllers[1])["recovered_at_ns"] > 0
        check_bill(c)
        print("  %d packets lost (%s)" % (sum(report["packets_dropped"].get(name, 0) for name in LOST),
                                          report["packets_dropped"]))
        again = c.replay(c.small, "--speed", "0.1x")
        common.check_books(again)
        check_controllers(again, CONTROLLERS)


def the_resource_manager_is_killed():
    """Another takes its place during the replay, and then puts a controller in the place of a dead one."""
    with Cluster(warm=1) as c:
        c.rill(*DEPLOY)
        until("all is there", lambda: c.status()["settled"])
        before, controllers, number = serving(c), deployment(c)["controllers"], leader(c)
        with open("/proc/%d/cmdline" % c.pid("rm")) as f:
            command = f.read().split("\0")[:-1]
        replay, manager = Replay(c), None
        try:
            kill(c.pid("rm"))
            with open(os.path.join(c.base, "logs", "rm.log"), "a") as log:
                manager = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            until("it leads", lambda: leader(c) > number)
            report = replay.report()
            common.check_books(report)
            check_packets(c, replay, report)
            check_controllers(report, CONTROLLERS)
            assert serving(c) == before, (before, serving(c))
            kill(c.program_pid(controllers[2]))
            until("another one has its place",
                  lambda: deployment(c)["controllers"][2] not in (None, controllers[2]) and c.status()["settled"])
            assert [r["incarnation"] for r in c.roles("controller") if r["deployment"]] == [1, 1, 2]
            common.check_books(c.replay(c.small, "--speed", "0.1x"))
            c.rill("down")
            manager.wait(30)
        finally:
            replay.kill()
            if manager is not None and manager.poll() is None:
                manager.kill()
                manager.wait()


if __name__ == "__main__":
    world.main([split, whole_units, hairpins, one_is_killed, the_resource_manager_is_killed])
