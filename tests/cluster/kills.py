#!/usr/bin/env python3
"""kill -9 of each kind of role while packets go through: what is promised holds, what is lost is counted.

    kills.py [KILLS] [TEST...]      KILLS: of each kind of role (default: units and loggers 3, the others 1)

RILL_SEED chooses the moments and the victims (default 1). At the end a table says what the deaths cost."""
import os
import random
import statistics
import subprocess
import sys
import time

import world  # first: it knows where the other tests' modules are
import common
from world import Cluster, kill, until

KILLS = None  # 3 of units and of output loggers, 1 of each other
RANDOM = random.Random(int(os.environ.get("RILL_SEED", "1")))
UNITS = 4
# Small flowlets, each placed anew: flows are on the move when somebody dies.
DEPLOY = ("deploy", "nat", "--units", UNITS, "--set", "flowlet_bytes=1500", "--set", "placement=spread",
          "--set", "units_min=%d" % UNITS)
REPLAY_S = 6  # the bundled capture at 0.1x
LOST = ("died_with_role", "fenced", "fabric_no_route")
table = []  # (role, packets lost, detected ns, recovered ns)


class Replay:
    """In the background: its moments are of the test."""

    def __init__(self, cluster, *args):
        self.cluster = cluster
        self.report_path = os.path.join(cluster.folder, "report.json")
        self.out = os.path.join(cluster.folder, "out.pcapng")
        for path in (self.report_path, self.out):
            if os.path.exists(path):
                os.remove(path)
        self.process = subprocess.Popen(
            [common.rill(), "replay", common.BUNDLED, "--cluster", cluster.name, "--speed", "0.1x", "--quiet",
             "--json", self.report_path, "--out", self.out, *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until("packets come out", lambda: self.process.poll() is not None or
              (os.path.exists(self.out) and os.path.getsize(self.out) > 100000))

    def end(self):
        """(exit code, stderr)"""
        _, err = self.process.communicate(timeout=120)
        return self.process.returncode, err.decode(errors="replace")

    def report(self, code=0):
        got, err = self.end()
        assert got == code, (got, err)
        with open(self.report_path) as f:
            return world.json.load(f)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def a_while():
    time.sleep(RANDOM.uniform(0, REPLAY_S - 2))


def failure_of(cluster, role):
    found = [f for f in cluster.status()["failure_list"] if f["role"] == role]
    return found[0] if found else None


def check(cluster, replay, report):
    """All that is promised of a run in which a unit or an output logger died."""
    common.check_books(report)
    check_packets(cluster, replay, report)


def check_packets(cluster, replay, report):
    assert report["packets_in"] == 65241, report["packets_in"]
    common.script("check_output.py", common.BUNDLED, replay.out, "--nf", "nat", "--allow-reordered",
                  report["packets_reordered"])
    until("the cluster is settled", lambda: cluster.status()["settled"])
    assert cluster.status()["deployments"][0]["state"] == "running"


def kill_one(cluster, kind):
    cluster.rill(*DEPLOY)
    replay = Replay(cluster)
    try:
        a_while()
        role = RANDOM.choice(sorted(r["role"] for r in cluster.roles(kind) if r["deployment"]))
        pid = cluster.program_pid(role)
        killed_ns = time.monotonic_ns()
        kill(pid)
        report = replay.report()
    finally:
        replay.kill()
    check(cluster, replay, report)
    failure = until("it has recovered", lambda: (lambda f: f if f and f["recovered_at_ns"] else None)(
        failure_of(cluster, role)))
    lost = sum(report["packets_dropped"].get(name, 0) for name in LOST)
    table.append((kind, lost, failure["detected_at_ns"] - killed_ns, failure["recovered_at_ns"] - killed_ns))
    assert table[-1][2] > 0 and table[-1][3] >= table[-1][2], (failure, killed_ns)
    print("  %s: %d packets lost (%s), %d flows recovered, noticed after %.1f ms, recovered after %.1f ms" % (
        role, lost, ", ".join("%s %d" % (name, n) for name, n in sorted(report["packets_dropped"].items())),
        report["recoveries"], table[-1][2] / 1e6, table[-1][3] / 1e6), flush=True)
    cluster.rill("undeploy", "nat")


def units():
    with Cluster(poll="yield", warm=2) as c:
        for _ in range(KILLS or 3):
            kill_one(c, "unit")


def output_loggers():
    with Cluster(poll="yield", warm=2) as c:
        for _ in range(KILLS or 3):
            kill_one(c, "output-logger")


def fails_of_a_replay():
    """--fail says the same, from within; and what it does not know."""
    with Cluster(poll="yield", warm=2) as c:
        c.rill(*DEPLOY)
        c.refused("replay", common.BUNDLED, "--fail", "unit:5@1s", says="has not so many")
        c.refused("replay", common.BUNDLED, "--fail", "unit:1@1s", says="the last packet goes in 0.598 s after")
        replay = Replay(c, "--fail", "unit:2@1.5s")
        report = replay.report()
        check(c, replay, report)
        (failure,) = report["failures"]
        assert failure["role"] == "unit:2" and failure["id"] == 2, failure
        assert failure["at_s"] >= 1.5 and failure["detected_after_ns"] > 0, failure
        assert failure["recovered_after_ns"] >= failure["detected_after_ns"], failure
        assert failure["packets_lost"] == report["packets_dropped"].get("died_with_role", 0), failure
        assert failure["flows_recovered"] == report["recoveries"], failure
        print("  %s" % failure)
        replay = Replay(c, "--fail", "output-logger:1@1s", "--fail", "unit:1@3s")
        report = replay.report()
        check(c, replay, report)
        assert [f["packets_lost"] for f in report["failures"]] == [-1, -1], report["failures"]
        for failure in report["failures"]:
            assert failure["recovered_after_ns"] >= failure["detected_after_ns"] > 0, report["failures"]


def who_hangs_is_found():
    """`rill fail`, also without a replay; a program that is stopped stands still, and is taken for dead."""
    with Cluster(poll="yield", warm=2, stall_ms=500) as c:
        c.rill(*DEPLOY)
        c.refused("fail", "unit:99", says="unit 99 is not there")
        replay = Replay(c)
        try:
            out, _ = c.rill("fail", "unit:1", "--hang")
            assert out == "unit:1: stopped\n", out
            report = replay.report()
        finally:
            replay.kill()
        check(c, replay, report)
        failure = failure_of(c, "unit-1")
        assert failure["hang"] and failure["told_at_ns"] > 0, failure
        after_ms = (failure["detected_at_ns"] - failure["told_at_ns"]) / 1e6
        print("  noticed after %.0f ms" % after_ms)
        assert after_ms > 400, after_ms
        assert any("stood still" in line for line in c.status()["failures"])
        out, _ = c.rill("fail", "output-logger:2")
        assert out == "output-logger:2: killed\n", out
        until("it is filled again", lambda: (failure_of(c, "output-logger-2") or {}).get("recovered_at_ns"))


def serving(cluster):
    return sorted(r["role"] for r in cluster.status()["roles"] if r["deployment"])


def kill_agent(cluster, words, present):
    """`present`: its process, None: the one that `rill up` started. Gives that of the next one."""
    replay = Replay(cluster)
    try:
        a_while()
        if present is None:
            cluster.rill("fail", "agent")
        else:
            present.kill()
            present.wait()
        killed_ns = time.monotonic_ns()
        cluster.refused("fail", "agent", says="does not run here")
        agent = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                 stdout=open(os.path.join(cluster.base, "logs", "agent2.log"), "a"))
        until("the agent is back", lambda: cluster.status()["settled"])
        back_ns = time.monotonic_ns()
        report = replay.report()
    finally:
        replay.kill()
    check(cluster, replay, report)
    lost = sum(report["packets_dropped"].get(name, 0) for name in LOST)
    assert lost == 0, report["packets_dropped"]
    table.append(("agent", lost, None, back_ns - killed_ns))
    return agent


def agents():
    """Containers and their packets do not notice; the next agent adopts them."""
    with Cluster(poll="yield") as c:
        c.rill(*DEPLOY)
        before = sorted(r["role"] for r in c.status()["roles"])
        words = [w for w in [w for p, w in world.processes(c.name) if p == c.pid("agent")][0] if w]
        agent = None
        try:
            for _ in range(KILLS or 1):
                agent = kill_agent(c, words, agent)
                assert sorted(r["role"] for r in c.status()["roles"]) == before
            c.rill("down")
            agent.wait(timeout=30)
        finally:
            if agent is not None and agent.poll() is None:
                agent.kill()
                agent.wait()


def the_resource_manager():
    """Without a standby: leases run out, the replay says what happened, `rill down` cleans up. With one, which goes on:
    standby.py."""
    c = Cluster(poll="yield")
    with c:
        c.rill(*DEPLOY)
        replay = Replay(c)
        try:
            a_while()
            c.rill("fail", "rm")
            code, err = replay.end()
        finally:
            replay.kill()
        assert code == 2 and err.count("\n") == 1 and "the resource manager" in err, (code, err)
        print("  " + err.strip())
        c.refused("status", says="")
        c.rill("down")
        assert not c.left_behind(), c.left_behind()


def kill_controller(cluster):
    """Another one takes its flows over: no unit and no output logger goes, and the replay goes on to the end."""
    cluster.rill(*DEPLOY)
    before = serving(cluster)
    (controller,) = [role for role in before if role.startswith("controller")]
    at_ms = RANDOM.uniform(500, 1000 * (REPLAY_S - 1))
    replay = Replay(cluster, "--fail", "controller:1@%dms" % at_ms)
    try:
        report = replay.report()
    finally:
        replay.kill()
    # How many flowlets there were, and moved, went with the first one's counters.
    dropped = sum(report["packets_dropped"].values())
    assert report["packets_in_flight"] == 0, report["packets_in_flight"]
    assert report["packets_in"] == report["packets_released"] + dropped, report
    assert report["inverse_mismatches"] == 0 and report["outward_mismatches"] == 0, report
    check_packets(cluster, replay, report)
    (failure,) = report["failures"]
    assert failure["role"] == "controller:1", failure
    assert failure["recovered_after_ns"] >= failure["detected_after_ns"] > 0, failure
    assert failure["flows_recovered"] > 0, failure
    after = serving(cluster)
    assert [r for r in before if r not in after] == [controller], (before, after)
    assert len(after) == len(before), (before, after)
    table.append(("controller", dropped - report["packets_dropped"].get("unsolicited", 0),
                  failure["detected_after_ns"], failure["recovered_after_ns"]))
    print("  %s; %s" % (report["packets_dropped"], failure), flush=True)
    cluster.rill("undeploy", "nat")


def controllers():
    with Cluster(poll="yield", warm=2) as c:
        for _ in range(KILLS or 1):
            kill_controller(c)
        c.rill(*DEPLOY)
        common.check_books(c.replay(common.BUNDLED, "--speed", "0.1x"))


def milliseconds(ns):
    return "%.1f ms" % (statistics.median(ns) / 1e6) if None not in ns else "-"


def print_table():
    print("| role | kills | packets lost: median | most | noticed: median | recovered: median |")
    print("|---|---|---|---|---|---|")
    for kind in ("unit", "output-logger", "controller", "agent"):
        rows = [row for row in table if row[0] == kind]
        if rows:
            lost = [row[1] for row in rows]
            print("| %s | %d | %g | %d | %s | %s |" % (
                kind, len(rows), statistics.median(lost), max(lost), milliseconds([row[2] for row in rows]),
                milliseconds([row[3] for row in rows])))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        KILLS = int(sys.argv.pop(1))
    world.main([units, output_loggers, fails_of_a_replay, who_hangs_is_found, agents, the_resource_manager,
                controllers])
    print_table()
