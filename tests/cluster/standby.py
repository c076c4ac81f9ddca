#!/usr/bin/env python3
"""The resource manager dies, hangs, or loses its registry while packets go through: another one, or the next
one, takes its place, no container is stopped, and the counts balance. With a ZooKeeper server of the test's own.

    standby.py [KILLS]      KILLS: nothing but so many leaders killed, and what it takes"""
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import world  # first: it knows where the other tests' modules are
import common
from kills import LOST, Replay, a_while
from world import Cluster, kill, until

CLASSES = "/usr/share/java/zookeeper.jar"
DEPLOY = ("deploy", "nat", "--units", 2)
RMS = 3


class ZooKeeper:
    """A server on loopback, with a folder of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rill-zookeeper-test-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.file = os.path.join(self.folder, "zoo.cfg")
        with open(self.file, "w") as f:
            f.write("tickTime=200\ndataDir=%s/data\nclientPort=%d\nclientPortAddress=127.0.0.1\n"
                    "admin.enableServer=false\nmaxClientCnxns=0\nforceSync=no\n" % (self.folder, self.port))
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def takes_connections(self):
        assert self.process.poll() is None, open(os.path.join(self.folder, "log"), errors="replace").read()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self):
        with open(os.path.join(self.folder, "log"), "w") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", CLASSES,
                 "org.apache.zookeeper.server.quorum.QuorumPeerMain", self.file], stdout=log, stderr=log)
        until("ZooKeeper is there", self.takes_connections)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self, frozen):
        os.kill(self.process.pid, signal.SIGSTOP if frozen else signal.SIGCONT)


def leader(c):
    """The number of the one that leads."""
    return int(os.readlink(os.path.join(c.base, "rm.sock")).split("/")[1].split(".")[0])


def containers(c):
    return sorted(r["role"] for r in c.status()["roles"])


def serving(c):
    return sorted(r["role"] for r in c.status()["roles"] if r["deployment"])


def status(c, *options):
    """{}: nobody leads just now."""
    done = subprocess.run([common.rill(), "status", "--cluster", c.name, "--json", *options], capture_output=True)
    return world.json.loads(done.stdout) if done.returncode == 0 else {}


def counter(c, name):
    """None: right after a takeover not all programs have found the new leader."""
    return status(c, "--counters").get("counters", {}).get(name)


def registry(c):
    return status(c).get("registry", "nobody leads")


def grants(c):
    """How many leases the controller was granted so far."""
    return counter(c, "controller.lease_grants") or 0


def billed(c):
    (deployment,) = world.json.loads(c.rill("bill", "nat", "--json")[0])["deployments"]
    return deployment["packets"]


def check(c, replay, report, before):
    common.check_books(report)
    assert report["packets_in"] == 65241, report["packets_in"]
    common.script("check_output.py", common.BUNDLED, replay.out, "--nf", "nat", "--allow-reordered",
                  report["packets_reordered"])
    assert serving(c) == before, (before, serving(c))
    assert c.status()["deployments"][0]["deaths"] == 0
    until("what was processed is on the bill, once", lambda: billed(c) == counter(c, "unit.packets_processed"))


def measure(c, how):
    """Lets the leader fail; ms until another one leads, and until the controller has a lease from it."""
    number, had = leader(c), grants(c)
    began = time.monotonic()
    c.rill("fail", "rm", *how)
    until("another one leads", lambda: leader(c) > number)
    leads = time.monotonic()
    until("leases are renewed", lambda: grants(c) > had + 1)
    return (leads - began) * 1e3, (time.monotonic() - began) * 1e3


def another_one_takes_over():
    """Killed, then hanging: the replay goes on over both, through two controllers."""
    with ZooKeeper() as z, Cluster(registry="zookeeper:127.0.0.1:%d" % z.port, rms=RMS) as c:
        c.rill(*DEPLOY, "--controllers", 2)
        until("all is there", lambda: c.status()["settled"])
        before = serving(c)
        assert c.status()["standbys"] == RMS - 1, c.status()
        replay = Replay(c)
        try:
            print("  killed: another one leads after %.0f ms, leases are renewed after %.0f ms" % measure(c, ()))
            until("it is let in again", lambda: status(c).get("deployments", [{}])[0].get("client"))
            print("  hangs: another one leads after %.0f ms, leases are renewed after %.0f ms" %
                  measure(c, ("--hang",)))
            report = replay.report()
        finally:
            replay.kill()
        print("  %s" % report["packets_dropped"])
        check(c, replay, report, before)
        assert c.status()["rm_number"] == leader(c)
        c.rill("deploy", "nat", "--name", "next", "--units", 1)  # it can do all that the first could


def the_registry_is_away():
    """Frozen, then killed and started again: packets are not touched, and leases are renewed all the time."""
    with ZooKeeper() as z, Cluster(registry="zookeeper:127.0.0.1:%d" % z.port, rms=2) as c:
        c.rill(*DEPLOY)
        until("all is there", lambda: c.status()["settled"])
        before = serving(c)
        replay = Replay(c)
        try:
            z.freeze(True)
            until("it is noticed", lambda: "connected" not in registry(c))
            had = grants(c)
            until("leases are renewed all the same", lambda: grants(c) > had + 5)
            z.freeze(False)
            until("it is back", lambda: "connected" in registry(c))
            z.kill()
            until("it is noticed", lambda: "connected" not in registry(c))
            z.start()
            until("it is back", lambda: "connected" in registry(c))
            report = replay.report()
        finally:
            replay.kill()
        print("  %s" % report["packets_dropped"])
        assert "no_unit" not in report["packets_dropped"], report["packets_dropped"]
        check(c, replay, report, before)
        until("it takes orders again", lambda: status(c).get("standbys") == 1)
        c.rill("undeploy", "nat")


def started_again():
    """Without a registry: the next one goes on with what the one before it had."""
    with Cluster() as c:
        c.rill(*DEPLOY)
        until("all is there", lambda: c.status()["settled"])
        before, number = serving(c), leader(c)
        had = containers(c)
        with open("/proc/%d/cmdline" % c.pid("rm")) as f:
            command = f.read().split("\0")[:-1]
        replay = Replay(c)
        manager = None
        try:
            kill(c.pid("rm"))
            with open(os.path.join(c.base, "logs", "rm.log"), "a") as log:
                manager = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            until("it leads", lambda: leader(c) > number)
            report = replay.report()
            print("  %s" % report["packets_dropped"])
            check(c, replay, report, before)
            assert containers(c) == had, (had, containers(c))
            refused = subprocess.run(command, capture_output=True, timeout=60)
            assert refused.returncode == 2 and b"another resource manager" in refused.stderr, refused
            c.rill("down")
            manager.wait(30)
        finally:
            replay.kill()
            if manager is not None and manager.poll() is None:
                manager.kill()
                manager.wait()


def kills(count):
    """So many leaders killed, each at a random moment of a replay: what it takes, as a line of kills.py's table."""
    rows = []
    with ZooKeeper() as z:
        for _ in range(count):
            with Cluster(registry="zookeeper:127.0.0.1:%d" % z.port, rms=2) as c:
                c.rill(*DEPLOY)
                until("all is there", lambda: c.status()["settled"])
                before = serving(c)
                replay = Replay(c)
                try:
                    a_while()
                    leads_ms, renewed_ms = measure(c, ())
                    report = replay.report()
                finally:
                    replay.kill()
                check(c, replay, report, before)
                lost = sum(report["packets_dropped"].get(name, 0) for name in LOST + ("no_unit",))
                rows.append((lost, leads_ms, renewed_ms))
                print("  %d packets lost, another one leads after %.0f ms, leases are renewed after %.0f ms" % rows[-1],
                      flush=True)
    lost, leads, renewed = zip(*rows)
    print("| rm | %d | %g | %d | %.1f ms | %.1f ms |" % (
        count, statistics.median(lost), max(lost), statistics.median(leads), statistics.median(renewed)))


def bad_configuration():
    for registry in ("etcd:127.0.0.1:1", "zookeeper:", "zookeeper:nowhere", "zookeeper:a:0", "zookeeper:a:1,"):
        world.refused("up", "--cluster", "never", "--set", "registry=" + registry, says="neither local nor zookeeper")
    world.refused("up", "--cluster", "never", "--set", "rms=2", says="set registry to")


if __name__ == "__main__":
    tests = [bad_configuration, started_again]
    if os.path.exists(CLASSES) and shutil.which("java"):
        tests += [another_one_takes_over, the_registry_is_away]
    else:
        print("no ZooKeeper server here, so half of this is left out (apt-get install zookeeper)")
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        kills(int(sys.argv[1]))
    else:
        world.main(tests)
