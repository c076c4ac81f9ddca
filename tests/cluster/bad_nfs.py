#!/usr/bin/env python3
"""NFs that misbehave: one clear line each, and the cluster stays usable."""
import os

import world  # first: it knows where the other tests' modules are
import common
from world import Cluster, kill, test_nf, until


def usable(c):
    c.rill("deploy", "nat", "--units", 2)
    common.check_books(c.replay(c.small, "--speed", "0.1x"))
    c.rill("undeploy", "nat")


def crashes_at_start():
    with Cluster() as c:
        line = c.refused("deploy", test_nf("crash_at_start"), says="SIGILL")
        print("  " + line)
        usable(c)


def refuses_to_start():
    with Cluster() as c:
        line = c.refused("deploy", test_nf("refuse_at_start"), says="it is Sunday")
        print("  " + line)
        usable(c)


def loops_at_start():
    with Cluster(stall_ms=300) as c:
        line = c.refused("deploy", test_nf("loop_at_start"), says="stood still")
        print("  " + line)
        usable(c)


def loops_in_process_packet():
    """Units die of it one after the other; the deployment is given up, in words, and the rest goes on."""
    with Cluster(stall_ms=300) as c:
        c.rill("deploy", test_nf("loop_at_packet"), "--name", "loop", "--units", 2)
        report = c.replay(common.BUNDLED, "--speed", "0.1x")
        assert report["packets_in"] == 65241
        failures = c.status()["failures"]
        assert any("stood still" in line for line in failures), failures
        print("  " + failures[-1])
        c.rill("undeploy", "loop")
        usable(c)


def crashes_at_a_packet():
    with Cluster() as c:
        c.rill("deploy", test_nf("crash_at_packet"), "--name", "crash", "--units", 2)
        c.replay(c.small, "--speed", "0.1x")
        failures = c.status()["failures"]
        assert any("SIGILL" in line for line in failures), failures
        print("  " + failures[-1])
        c.rill("undeploy", "crash")
        usable(c)


def a_unit_is_killed():
    """A pair takes its place; new connections go on."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 2)
        unit = c.roles("unit")[0]["role"]
        kill(c.program_pid(unit))
        until("it is noticed", lambda: all(r["role"] != unit for r in c.status()["roles"]))
        until("another took its place", lambda: len(c.roles("unit")) == 2 and c.status()["settled"])
        assert any(unit.replace("-", " ") in line or unit in line for line in c.status()["failures"])
        common.check_books(c.replay(c.small, "--speed", "0.1x"))


if __name__ == "__main__":
    world.main([crashes_at_start, refuses_to_start, loops_at_start, loops_in_process_packet, crashes_at_a_packet,
                a_unit_is_killed])
