#!/usr/bin/env python3
"""State through a Redis server, in a cluster of containers: units reach its socket, mounted at /run/store. The
server is this test's own."""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import world
from world import Cluster, common, refused, until

DEPLOY = ("deploy", "nat", "--units", 4, "--set", "placement=spread", "--set", "units_min=4", "--set",
          "flowlet_bytes=3000", "--set", "state=external")
AT = ("--set", "external_store=unix:/run/store/redis.sock")


class Server:
    """In a folder that a container's user may enter, with a socket that it may use."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rill-cluster-test-store-")
        os.chmod(self.folder, 0o711)
        self.socket = os.path.join(self.folder, "redis.sock")

    def __enter__(self):
        self.start()
        return self

    def start(self):
        if os.path.exists(self.socket):
            os.remove(self.socket)
        with open(os.path.join(self.folder, "log"), "a") as log:
            self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm",
                                             "777", "--dir", self.folder, "--save", "", "--appendonly", "no"],
                                            stdout=log, stderr=log)
        until("the server is there", lambda: os.path.exists(self.socket) and
              stat.S_IMODE(os.stat(self.socket).st_mode) == 0o777)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def check(cluster, report, out):
    common.check_books(report)
    n = report["counters"]
    assert n["unit.finals_sent"] == n["unit.finals_without_state"] and n["unit.state_pushes"] == 0, n
    assert n["unit.store_values"] > 100, n
    common.script("check_output.py", common.BUNDLED, out, "--nf", "nat", "--allow-reordered",
                  report["packets_reordered"])
    until("the cluster is settled", lambda: cluster.status()["settled"])
    print("  %d released, %d moves, %d values read, %d times connected, dropped: %s" % (
        report["packets_released"], report["flowlets_moved"], n["unit.store_values"], n["store.connects"],
        report["packets_dropped"]), flush=True)


def state_goes_through_the_server():
    with Server() as server, Cluster(store_folder=server.folder) as c:
        c.rill(*DEPLOY, *AT)
        out = os.path.join(c.folder, "out.pcapng")
        report = c.replay(common.BUNDLED, "--speed", "0.1x", "--out", out)
        check(c, report, out)
        n = report["counters"]  # of the replay: each unit was connected before
        assert n["store.connects"] == n["store.errors"] == n["store.requests_lost"] == 0, n
        c.rill("undeploy", "nat")


def a_server_that_dies_costs_a_wait():
    with Server() as server, Cluster(store_folder=server.folder) as c:
        c.rill(*DEPLOY, *AT)
        out, report_path = os.path.join(c.folder, "out.pcapng"), os.path.join(c.folder, "report.json")
        process = subprocess.Popen([common.rill(), "replay", common.BUNDLED, "--cluster", c.name, "--quiet", "--speed",
                                    "0.1x", "--out", out, "--json", report_path], stderr=subprocess.PIPE)
        try:
            until("packets come out", lambda: os.path.exists(out) and os.path.getsize(out) > 5000000)
            server.kill()
            time.sleep(0.2)  # for which the server is away
            server.start()
            _, err = process.communicate(timeout=common.TIMEOUT_S)
            assert process.returncode == 0, err
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        with open(report_path) as f:
            report = world.json.load(f)
        check(c, report, out)
        assert report["counters"]["store.connects"] >= 4, report["counters"]
        assert any("the store outside" in c.rill("logs", r["role"].replace("-", ":"))[0] for r in c.roles("unit"))


def what_can_not_be_is_refused():
    refused("up", "--cluster", "t%dz" % os.getpid(), "--set", "store_folder=/nowhere/at/all", says="store_folder")
    refused("up", "--cluster", "t%dz" % os.getpid(), "--set", "store_folder=redis", says="store_folder")
    with Cluster() as c:
        c.refused(*DEPLOY, *AT, says="store_folder")  # there is none
        c.refused(*DEPLOY, says="unix:/run/store/")
        c.refused(*DEPLOY, "--set", "external_store=127.0.0.1:6379", says="unix:/run/store/")


if __name__ == "__main__":
    if shutil.which("redis-server") is None:
        print("SKIPPED: no redis-server (apt-get install redis-server)")
        sys.exit(world.SKIPPED)
    world.main([state_goes_through_the_server, a_server_that_dies_costs_a_wait, what_can_not_be_is_refused])
