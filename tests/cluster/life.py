#!/usr/bin/env python3
"""A cluster's life: up, status, deploy, replay, undeploy, down; and what is refused, in one line."""
import json
import os
import signal
import subprocess

import world  # first: it knows where the other tests' modules are
import common
from world import Cluster, kill, refused, rill, until


def up_and_down():
    with Cluster() as c:
        status = c.status()
        assert len(status["machines"]) == 1 and status["machines"][0]["connected"], status
        assert status["settled"]
        warm = {r["role"].rsplit("-", 1)[0] for r in status["roles"] if r["state"] == "warm"}
        assert warm == {"unit", "output-logger", "controller"}, status["roles"]
        c.refused("up", says="up already")
        c.refused("deploy", "no-such-nf", says="no-such-nf")
        c.refused("undeploy", "web", says="web")
        c.refused("replay", common.BUNDLED, says="deploy")
        text, _ = c.rill("status")
        assert c.name in text and "warm" in text, text
    c.refused("status", says="not up")
    c.refused("down", says="not up")
    c.refused("deploy", "nat", says="not up")


def replays_after_each_other():
    """Counts of a run are of that run, though the roles go on."""
    with Cluster(poll="yield") as c:
        c.rill("deploy", "nat", "--units", 4, "--set", "flowlet_bytes=1500", "--set", "placement=spread",
               "--set", "units_min=4")  # so that flows move, whatever the load
        status = c.status()
        assert status["deployments"][0]["state"] == "running", status
        assert status["deployments"][0]["weaker_promise"] is True, status
        assert len(c.roles("unit")) == 4 and len(c.roles("output-logger")) == 4
        outputs = []
        for capture, speed, least in ((common.BUNDLED, "0.2x", 500), (c.small, "0.1x", 50)):
            out = os.path.join(c.folder, "out%d.pcapng" % len(outputs))
            report = c.replay(capture, "--speed", speed, "--out", out)
            outputs.append((capture, out, report["packets_reordered"]))
            common.check_books(report)
            assert report["flowlets_moved"] > least, report["flowlets_moved"]
            if capture == common.BUNDLED:
                assert report["packets_in"] == 65241, report["packets_in"]
            print("  %s: %d released, %d moves, %d seamless, %d reordered" % (
                speed, report["packets_released"], report["flowlets_moved"], report["flowlets_seamless"],
                report["packets_reordered"]))
        c.refused("deploy", "nat", says="there already")
        c.rill("undeploy", "nat")
        assert c.status()["deployments"] == []
        assert not c.roles("unit")
        for capture, out, reordered in outputs:
            common.script("check_output.py", capture, out, "--nf", "nat", "--allow-reordered", reordered)


def shared_captures():
    """Fragments, jumbo packets, VLANs, IPv6, one way only: through each NF."""
    names = ["dns_queries.pcap", "tls_ipv6_mixed.pcap", "ipfrag_bulk.pcap", "jumbo_reassembled.pcap",
             "quic_vlan_ipv6.pcap"]
    captures = [p for p in (os.path.join(common.TRACES, n) for n in names) if os.path.exists(p)]
    if not captures:
        print("  none of them is here: nothing tested")
        return
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 2, "--set", "flowlet_bytes=1500")
        c.rill("deploy", "lb", "--units", 2, "--set", "flowlet_bytes=1500")
        for nf in ("nat", "lb"):
            for capture in captures:
                out = os.path.join(c.folder, "out.pcapng")
                report = c.replay(capture, "--rate", "20Mbps", "--out", out, "--deployment", nf)
                common.check_books(report)
                common.script("check_output.py", capture, out, "--nf", nf, "--allow-reordered",
                              report["packets_reordered"])


def two_deployments():
    """At the same time, each with its own NF, links and numbers."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 1)
        c.rill("deploy", "lb", "--units", 2, "--name", "balancer")
        c.refused("replay", common.BUNDLED, says="--deployment")
        players = []
        for name in ("nat", "balancer"):
            path = os.path.join(c.folder, name + ".json")
            players.append((path, subprocess.Popen(
                [common.rill(), "replay", c.small, "--cluster", c.name, "--deployment", name, "--speed",
                 "0.05x", "--quiet", "--json", path])))
        for path, player in players:
            assert player.wait(timeout=120) == 0
            with open(path) as f:
                common.check_books(json.load(f))
        c.refused("deploy", "lb", "--units", 99, says="units")
        c.rill("undeploy", "balancer")
        common.check_books(c.replay(c.small, "--speed", "0.1x"))


def a_replay_that_is_killed():
    """The next one finds everything as it should be."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 2)
        player = subprocess.Popen([common.rill(), "replay", common.BUNDLED, "--cluster", c.name, "--speed", "0.01x",
                                   "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("a replay is attached", lambda: c.status()["deployments"][0]["client"] != 0)
        c.refused("replay", common.BUNDLED, says="client")
        player.send_signal(signal.SIGKILL)
        player.wait()
        until("it is gone", lambda: c.status()["deployments"][0]["client"] == 0)
        report = c.replay(c.small, "--speed", "0.1x")
        common.check_books(report)


def an_interrupted_replay():
    """Ctrl-C: a report of what was done, nothing in flight."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 2)
        path = os.path.join(c.folder, "report.json")
        player = subprocess.Popen([common.rill(), "replay", common.BUNDLED, "--cluster", c.name, "--speed", "0.01x",
                                   "--quiet", "--json", path], stdout=subprocess.DEVNULL)
        until("a replay is attached", lambda: c.status()["deployments"][0]["client"] != 0)
        player.send_signal(signal.SIGINT)
        assert player.wait(timeout=60) == 0
        with open(path) as f:
            report = json.load(f)
        assert report["packets_in"] < 65241
        common.check_books(report)


def a_replay_whose_deployment_is_ended():
    """Nobody is left who could count: it says so at once, and does not play to its end."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 2)
        player = subprocess.Popen([common.rill(), "replay", common.BUNDLED, "--cluster", c.name, "--speed", "0.01x",
                                   "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until("packets are under way", lambda: sum(
            v for k, v in json.loads(c.rill("status", "--json", "--counters")[0])["counters"].items()
            if k == "unit.packets_processed") > 0)
        c.rill("undeploy", "nat")
        _, err = player.communicate(timeout=20)  # the capture takes a minute
        assert player.returncode == 2 and err.count(b"\n") == 1 and b"was ended (rill undeploy)" in err, (
            player.returncode, err)
        c.rill("deploy", "nat", "--units", 2)
        common.check_books(c.replay(c.small, "--speed", "0.1x"))


def an_agent_that_dies():
    """Containers outlive it, and the next one adopts them."""
    with Cluster() as c:
        c.rill("deploy", "nat", "--units", 2)
        before = sorted(r["role"] for r in c.status()["roles"])
        pid = c.pid("agent")
        words = [w for p, w in world.processes(c.name) if p == pid][0]
        kill(pid)
        until("the RM notices", lambda: not c.status()["machines"][0]["connected"])
        agent = subprocess.Popen([w for w in words if w], stdin=subprocess.DEVNULL,
                                 stdout=open(os.path.join(c.base, "logs", "agent2.log"), "w"),
                                 stderr=subprocess.STDOUT)
        try:
            until("the agent is back", lambda: c.status()["machines"][0]["connected"])
            until("the cluster is settled", lambda: c.status()["settled"])
            assert sorted(r["role"] for r in c.status()["roles"]) == before
            common.check_books(c.replay(c.small, "--speed", "0.1x"))
            c.rill("down")
            agent.wait(timeout=30)
        finally:
            if agent.poll() is None:
                agent.kill()
                agent.wait()


def everything_dies():
    """kill -9 of RM and agent: `down` cleans up all the same."""
    c = Cluster()
    with c:
        c.rill("deploy", "nat", "--units", 2)
        kill(c.pid("rm"))
        kill(c.pid("agent"))
        assert c.left_behind()
        c.rill("down")
        assert not c.left_behind(), c.left_behind()
        c.refused("down", says="not up")


def bad_cluster_files():
    with Cluster() as c:
        path = os.path.join(c.folder, "cluster.yaml")
        for text, says in (("cluster:\n  warm: 99\n", "warm"), ("cluster:\n  wram: 1\n", "wram"),
                           ("cluster:\n  name: A-B\n", "name"), ("nonsense", "cluster.yaml")):
            with open(path, "w") as f:
                f.write(text)
            refused("up", path, says=says)


if __name__ == "__main__":
    world.main([up_and_down, replays_after_each_other, shared_captures, two_deployments, a_replay_that_is_killed,
                an_interrupted_replay, a_replay_whose_deployment_is_ended, an_agent_that_dies, everything_dies,
                bad_cluster_files])
