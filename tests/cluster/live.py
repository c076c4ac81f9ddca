#!/usr/bin/env python3
"""Live packets: Rill between two network namespaces, a client in one and a server in the other.

    client 10.1.0.2                                             server 203.0.113.2
    [namespace a] va0 ---- va1 [namespace r: Rill, NAT] vb1 ---- vb0 [namespace b]
                                inside          outside  public address 198.51.100.1

Rill is transparent at Ethernet, so both ends know the other's address by a static neighbour. Downloads by
curl must have the hash of what the server has, and iperf3 must run, while flowlets are so small that flows
move all the time."""
import ctypes
import hashlib
import json
import os
import socket
import subprocess
import tempfile

import world  # first: it knows where the other tests' modules are
import common
from world import Cluster, kill, until

PUBLIC, SERVER, CLIENT, NEIGHBOUR = "198.51.100.1", "203.0.113.2", "10.1.0.2", "10.1.0.3"


def sh(*words, **more):
    done = subprocess.run(list(map(str, words)), capture_output=True, timeout=120, **more)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.decode()


class Net:
    """Three namespaces and two veth pairs, gone afterwards."""

    def __init__(self):
        self.prefix = "rill%d" % os.getpid()
        self.names = {k: self.prefix + k for k in "abr"}

    def __enter__(self):
        for name in self.names.values():
            sh("ip", "netns", "add", name)
        for end in "ab":
            sh("ip", "-n", self.names["r"], "link", "add", "v%s1" % end, "type", "veth", "peer", "name", "v%s0" % end,
               "netns", self.names[end])
        for end, interface in (("r", "va1"), ("r", "vb1"), ("a", "va0"), ("b", "vb0")):
            self.inside(end, "sysctl", "-qw", "net.ipv6.conf.%s.disable_ipv6=1" % interface)
            self.inside(end, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            sh("ip", "-n", self.names[end], "link", "set", interface, "up")
        self.address("a", "va0", CLIENT + "/24", "default", "10.1.0.1", "b", "vb0")
        self.address("b", "vb0", SERVER + "/24", PUBLIC + "/32", None, "a", "va0")
        return self

    def address(self, end, interface, address, route, gateway, other_end, other_interface):
        ip = ["ip", "-n", self.names[end]]
        mac = sh("ip", "-n", self.names[other_end], "-j", "link", "show", other_interface)
        mac = json.loads(mac)[0]["address"]
        sh(*ip, "addr", "add", address, "dev", interface)
        sh(*ip, "neigh", "add", gateway or PUBLIC, "lladdr", mac, "dev", interface, "nud", "permanent")
        sh(*ip, "route", "add", route, *(["via", gateway] if gateway else []), "dev", interface)

    def __exit__(self, *_):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def words(self, end, *words):
        """Only the network namespace is entered: `ip netns exec` would hide the cgroups."""
        return ["nsenter", "--net=/run/netns/" + self.names[end], *map(str, words)]

    def inside(self, end, *words, **more):
        return sh(*self.words(end, *words), **more)

    def start(self, end, *words, **more):
        return subprocess.Popen(self.words(end, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


class LiveCluster(Cluster):
    def __init__(self, net, **config):
        super().__init__(poll="yield", **config)
        self.net = net

    def up(self):
        """In Rill's namespace: there the interfaces are."""
        sets = [word for name, value in self.config.items() for word in ("--set", "%s=%s" % (name, value))]
        return self.net.inside("r", common.rill(), "up", "--cluster", self.name, *sets)

    def counters(self):
        return json.loads(self.rill("status", "--json", "--counters")[0])["counters"]


def stop(process):
    process.kill()
    process.wait()


def served_file(folder, megabytes):
    path = os.path.join(folder, "file")
    data = os.urandom(megabytes << 20)
    with open(path, "wb") as f:
        f.write(data)
    return hashlib.sha256(data).hexdigest()


def listens(net, port):
    return any(":%d " % port in line for line in net.inside("b", "ss", "-Htln").splitlines())


def download(net, folder, number):
    out = os.path.join(folder, "got%d" % number)
    net.inside("a", "curl", "-sS", "--max-time", "90", "-o", out, "http://%s:8080/file" % SERVER)
    with open(out, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def deploy(c, *more):
    config = os.path.join(c.folder, "nat.yaml")
    with open(config, "w") as f:
        f.write("nf: nat\nsettings:\n  flowlet_bytes: 6000\n  placement: spread\n  units_min: 4\n"
                "config:\n  public_addresses: [%s]\n" % PUBLIC)
    c.rill("deploy", "nat", "--config", config, "--units", 4, "--inside-interface", "va1",
           "--outside-interface", "vb1", *more)


def iperf(net, *more):
    """One run with a server of its own; the sums of its end."""
    server = net.start("b", "iperf3", "-s", "-1")
    try:
        until("iperf3 listens", lambda: listens(net, 5201))
        done = json.loads(net.inside("a", "iperf3", "-c", SERVER, "-t", 3, "-J", *more))
        assert "error" not in done, done["error"]
        server.wait(timeout=60)
        return done["end"]
    finally:
        stop(server)


def mbps(end):
    return end["sum_received"]["bits_per_second"] / 1e6


def between_two_namespaces():
    with Net() as net, LiveCluster(net) as c, tempfile.TemporaryDirectory() as folder:
        deploy(c)
        wanted = served_file(folder, 20)
        web = net.start("b", "python3", "-m", "http.server", "8080", "--directory", folder)
        try:
            until("the server listens", lambda: listens(net, 8080))
            for number in range(3):
                assert download(net, folder, number) == wanted
            print("  iperf3 up %.0f Mbps, down %.0f Mbps" % (mbps(iperf(net)), mbps(iperf(net, "-R"))))
            udp = iperf(net, "-u", "-b", "20M")["sum"]
            print("  iperf3 udp 20 Mbps: lost %.2f %%" % udp["lost_percent"])
            assert udp["lost_percent"] < 5, udp
        finally:
            stop(web)
        hairpins(net)
        n = c.counters()
        assert n["output_logger.packets_turned"] == n["controller.packets_turned"] >= 3, n
        moved = n["controller.flowlets_moved"]
        print("  %d packets, %d flowlets moved, %d of them seamless" % (
            n["controller.packets_in"], moved, n["unit.moved_in_seamless"]))
        assert moved > 1000, moved
        assert n["unit.packets_processed"] > 10000


def udp_socket(net, end, address, port):
    """A socket stays in the namespace in which it was made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open("/run/netns/" + net.names[end]) as there:
        assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, port))
            s.settimeout(0.2)
            return s
        finally:
            assert libc.setns(home.fileno(), 0) == 0


def asked(client, server, to):
    """What the server sees as the client's address. UDP may be lost, or come late."""
    question = ("%s:%d" % client.getsockname()).encode()

    def once():
        client.sendto(question, to)
        try:
            text, address = server.recvfrom(100)
        except TimeoutError:
            return None
        return address if text == question else None
    return until("a datagram gets through to %s:%d" % to, once)


def hairpins(net):
    """Two inside hosts talk by way of their public endpoints; one that has gone is told of, too (RFC 5508, REQ-7)."""
    sh("ip", "-n", net.names["a"], "addr", "add", NEIGHBOUR + "/24", "dev", "va0")
    with udp_socket(net, "b", SERVER, 5300) as server, udp_socket(net, "a", CLIENT, 0) as one:
        with udp_socket(net, "a", NEIGHBOUR, 0) as other:
            public = {s: asked(s, server, (SERVER, 5300)) for s in (one, other)}
            assert {address for address, _ in public.values()} == {PUBLIC}, public
            assert asked(one, other, public[other]) == public[one]
            assert asked(other, one, public[one]) == public[other]
        one.connect(public[other])

        def refused():
            try:
                one.send(b"are you there")
                one.recv(100)
            except ConnectionRefusedError:
                return True
            except TimeoutError:
                pass
            return False
        until("the sender hears that nobody is there any more", refused)


def several_controllers():
    """Each sees all that comes in, and takes its own; the connections of one that is killed go on at the next."""
    with Net() as net, LiveCluster(net, warm=1) as c, tempfile.TemporaryDirectory() as folder:
        deploy(c, "--controllers", 2)
        wanted = served_file(folder, 20)
        web = net.start("b", "python3", "-m", "http.server", "8080", "--directory", folder)
        try:
            until("the server listens", lambda: listens(net, 8080))
            for number in range(6):
                assert download(net, folder, number) == wanted
            n = until("all that came in was one's or the other's", lambda: whose(c.counters()))
            hairpins(net)
            assert n["controller.packets_in"] > 10000, n["controller.packets_in"]
            assert all(r["leased_milli"] > 0 for r in c.roles("controller") if r["deployment"])
            first, killed = c.status()["deployments"][0]["controllers"]
            under_way = [net.start("a", "curl", "-sS", "--max-time", "90", "--limit-rate", "5M", "-o",
                                   os.path.join(folder, "slow%d" % i), "http://%s:8080/file" % SERVER)
                         for i in range(4)]
            until("they are under way", lambda: all(
                os.path.exists(os.path.join(folder, "slow%d" % i)) for i in range(4)))
            kill(c.program_pid(killed))
            for i, one in enumerate(under_way):
                assert one.wait(timeout=120) == 0
                with open(os.path.join(folder, "slow%d" % i), "rb") as f:
                    assert hashlib.sha256(f.read()).hexdigest() == wanted, i
            until("all is there", lambda: c.status()["settled"])
            now = c.status()["deployments"][0]["controllers"]
            assert now[0] == first and now[1] not in (None, killed), now
        finally:
            stop(web)
        print("  %d packets, %d flowlets" % (n["controller.packets_in"], n["controller.flowlets"]))


def whose(n):
    """The counters, once nothing is between an interface and a controller."""
    others = n["ports.of_other_controllers"]
    return n if n["ports.received"] == n["controller.packets_in"] + others and others > 0 else None


def interfaces_that_are_not_there():
    with Net() as net, LiveCluster(net) as c:
        c.refused("deploy", "nat", "--inside-interface", "va1", "--outside-interface", "nowhere", says="nowhere")
        c.refused("deploy", "nat", "--inside-interface", "va1", says="outside-interface")
        deploy(c)
        c.refused("deploy", "nat", "--name", "two", "--inside-interface", "va1", "--outside-interface", "vb1",
                  says="belongs to deployment nat")
        c.refused("replay", common.BUNDLED, says="interface")


if __name__ == "__main__":
    world.main([between_two_namespaces, several_controllers, interfaces_that_are_not_there])
