#!/usr/bin/env python3
"""Objects of the configuration store and records, in a cluster of containers: first versions, new ones while it runs, bad
ones, from a folder and from a Redis server, both under /run/store. And the sums that flows share, which add up."""
import json
import os
import shutil
import sys
import tempfile

import world
from world import Cluster, common, refused, rill, until
from external import Server

PORTS = world.test_nf("ports")


def deployment(folder, config_store=""):
    path = os.path.join(folder, "ports.yaml")
    with open(path, "w") as f:
        f.write("nf: %s\nconfig: {ports: ports.txt}\nsettings: {config_poll_ms: 10, config_store: '%s'}\n" % (
            PORTS, config_store))
    return path


def logs(c):
    return [c.rill("logs", r["role"])[0] for r in c.roles("unit")]


def count(c, line):
    """In how many units' logs."""
    return sum(line in text for text in logs(c))


def has(c, version, error, **more):
    """All units say so, in a status."""
    units = [r for r in c.roles("unit") if r["deployment"] is not None]
    return len(units) > 0 and all(
        len(u["objects"]) == 1 and (o := u["objects"][0])["version"] == version and error in o["error"]
        and (error == "") == (o["error"] == "") and o["option"] == "ports" and o["name"] == "ports.txt"
        and all(o[key] == value for key, value in more.items()) for u in units)


def take_turns(c, store, config_store=""):
    """One version after the other; `store` is the same store as users see it."""
    def put(text):
        path = os.path.join(c.folder, "new")
        with open(path, "w") as f:
            f.write(text)
        rill("store", "put", "ports.txt", path, "--store", store)
        return rill("store", "list", "--store", store)[0].split()[1]

    c.refused("deploy", "--config", deployment(c.folder, config_store), says="ports.txt")  # there is none
    put("no\n")
    c.refused("deploy", "--config", deployment(c.folder, config_store), says="ports.txt:1: 'no' is no port")
    first = put("80\n")
    c.rill("deploy", "--config", deployment(c.folder, config_store), "--units", 2)
    assert count(c, "ports.txt: version " + first) == 2, logs(c)
    until("status has it", lambda: has(c, first, "", updates_taken=0, updates_refused=0, lines_skipped=0))
    report = c.replay(common.BUNDLED, "--speed", "0.2x")
    listed = report["nf_counters"]["listed"]
    assert listed > 100 and report["packets_in_flight"] == 0, report["nf_counters"]
    put("no\n")
    until("both have refused it", lambda: count(c, "'no' is no port; the version before stays") == 2)
    until("status has why", lambda: has(c, first, "ports.txt:1: 'no' is no port", updates_taken=0, updates_refused=1))
    text = c.rill("status")[0]
    assert "version %s at unit-" % first in text and "REFUSED the newest: ports.txt:1: 'no' is no port\n" in text, text
    second = put("80\n443\n# more\n")
    until("both have it", lambda: count(c, "version %s is in use now" % second) == 2)
    assert count(c, "ports.txt:3: a comment; left out") == 2
    until("status has it", lambda: has(c, second, "", updates_taken=1, updates_refused=1, lines_skipped=1))
    assert "; 1 line left out\n" in c.rill("status")[0]
    more = c.replay(common.BUNDLED, "--speed", "0.2x")["nf_counters"]["listed"]
    assert more > listed + 100, (listed, more)
    found = [json.loads(line) for line in c.rill("records")[0].splitlines()]
    assert {r["dest_port"] for r in found} == {80, 443} and all(r["event_type"] == "listed" for r in found)
    c.refused("records", "nobody", says="'nobody'")
    c.rill("undeploy", "ports")
    print("  %d packets listed, then %d; %d records" % (listed, more, len(found)), flush=True)


def a_folder():
    folder = tempfile.mkdtemp(prefix="rill-cluster-test-store-")
    os.chmod(folder, 0o755)
    try:
        with Cluster(store_folder=folder) as c:
            take_turns(c, folder)
            c.refused("deploy", "--config", deployment(c.folder, "/etc"), says="/run/store")
    finally:
        shutil.rmtree(folder)


def a_server():
    with Server() as server, Cluster(store_folder=server.folder) as c:
        take_turns(c, "redis+unix:" + server.socket, "redis+unix:/run/store/redis.sock")


def a_server_that_goes():
    with Server() as server, Cluster(store_folder=server.folder) as c:
        store = "redis+unix:" + server.socket
        path = os.path.join(c.folder, "text")
        with open(path, "w") as f:
            f.write("80\n")
        rill("store", "put", "ports.txt", path, "--store", store)
        c.rill("deploy", "--config", deployment(c.folder, "redis+unix:/run/store/redis.sock"), "--units", 1)
        server.kill()
        until("it says so", lambda: count(c, "; what is in use stays") == 1)
        until("status, too", lambda: "can't read the store: " in c.rill("status")[0])
        assert c.replay(c.small, "--speed", "0.2x")["nf_counters"]["listed"] > 0
        server.start()
        rill("store", "put", "ports.txt", path, "--store", store)
        until("it says so", lambda: count(c, "the configuration store is read again") == 1)
        until("status, too", lambda: "can't read the store: " not in c.rill("status")[0])


def sums_add_up():
    """Each unit reports on its own; together they have every packet. In whatever time a busy machine takes: who has not
    said all of its flows within grace_ms is killed."""
    with Cluster(grace_ms=5000) as c:
        c.rill("deploy", "monitor", "--units", 3, "--set", "placement=spread", "--set", "units_min=3", "--set",
               "flowlet_bytes=3000", "--set", "merge_ms=50")
        report = c.replay(common.BUNDLED, "--speed", "0.2x")
        common.check_books(report)
        processed = report["counters"]["unit.packets_processed"]
        assert report["flowlets_moved"] > 100, report["flowlets_moved"]
        c.rill("undeploy", "monitor")
        records = [json.loads(line) for line in c.rill("records", "monitor")[0].splitlines()]
        flows, hosts = ([r for r in records if r["event_type"] == kind] for kind in ("flow", "host"))
        # A flow's record comes when it has ended, at the latest with the deployment.
        assert sum(r["packetDeltaCount"] + r["reversePacketDeltaCount"] for r in flows) == processed
        assert len(flows) == len({json.dumps({k: r[k] for k in r if "Address" in k or "Port" in k or "proto" in k} |
                                             {"start": r["flowStartNanoseconds"]}, sort_keys=True) for r in flows})
        assert sum(r["packetDeltaCount"] for r in hosts) == processed
        assert sum(r["reversePacketDeltaCount"] for r in hosts) == processed
        print("  %d packets in %d records of flows and %d of hosts" % (processed, len(flows), len(hosts)), flush=True)


if __name__ == "__main__":
    tests = [a_folder, sums_add_up]
    if shutil.which("redis-server") is None:
        print("without redis-server (apt-get install redis-server) the folder alone")
    else:
        tests[1:1] = [a_server, a_server_that_goes]
    world.main(tests)
