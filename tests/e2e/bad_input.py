#!/usr/bin/env python3
"""Bad input to `rill`: each gets one clear line (what, where, what to do) and exit code 2, or a counted
drop and the run goes on. Nothing crashes, hangs, or is lost uncounted."""
import gzip
import json
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest

import common

MAGIC_US = 0xA1B2C3D4


def pcap(packets, link=1, magic=MAGIC_US):
    """packets: (seconds, microseconds, bytes, wire length)."""
    head = struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    return head + b"".join(struct.pack("<IIII", s, us, len(data), wire) + data for s, us, data, wire in packets)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(src, dst, sport, dport, payload=b"x" * 20):
    """A UDP packet from the inside, without a UDP checksum."""
    length = 8 + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0, bytes(src), bytes(dst))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return (b"\2" * 6 + b"\4" * 6 + b"\x08\x00" + ip +
            struct.pack("!HHHH", sport, dport, length, 0) + payload)


def flow(i, sport=4000):
    data = udp((10, 0, i >> 8, i & 255), (192, 0, 2, 1), sport, 80)
    return data


class BadInput(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, data=None):
        path = os.path.join(self.folder.name, name)
        if data is not None:
            with open(path, "wb") as f:
                f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def good(self):
        return self.path("good.pcap", pcap([(1, i, flow(i), len(flow(i))) for i in range(20)]))

    def refused(self, *args, says=(), env=None):
        code, out, err = common.run("replay", *args, "--clock", "virtual", env=env)
        self.assertEqual(code, 2, (args, out, err))
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        for word in says:
            self.assertIn(word, err)

    def goes_on(self, *args):
        report_path = self.path("report.json")
        code, _, err = common.run("replay", *args, "--clock", "virtual", "--quiet", "--json", report_path)
        self.assertEqual(code, 0, err)
        with open(report_path) as f:
            report = json.load(f)
        common.check_books(report)
        return report

    # --- captures
    def test_capture_missing(self):
        self.refused(self.path("none.pcap"), "--nf", "nat", says=["none.pcap"])

    def test_capture_is_a_folder(self):
        self.refused(self.folder.name, "--nf", "nat", says=[self.folder.name])

    def test_capture_empty(self):
        self.refused(self.path("empty.pcap", b""), "--nf", "nat", says=["empty.pcap", "empty"])

    def test_capture_without_packets(self):
        self.refused(self.path("none.pcap", pcap([])), "--nf", "nat", says=["none.pcap"])

    def test_capture_is_something_else(self):
        self.refused(self.path("text.pcap", "hello, world, this is no capture\n" * 9), "--nf", "nat",
                     says=["text.pcap"])

    def test_capture_truncated(self):
        data = pcap([(1, i, flow(i), len(flow(i))) for i in range(5)])
        for cut in (1, 10, len(flow(0)) + 5):
            self.refused(self.path("cut.pcap", data[:-cut]), "--nf", "nat", says=["cut.pcap", "truncated"])

    def test_capture_gzip_truncated(self):
        data = gzip.compress(pcap([(1, i, flow(i), len(flow(i))) for i in range(500)]))
        self.refused(self.path("cut.pcap.gz", data[:len(data) // 2]), "--nf", "nat", says=["cut.pcap.gz"])

    def test_capture_of_unknown_link_type(self):
        data = pcap([(1, 0, flow(1), len(flow(1)))], link=127)
        self.refused(self.path("radio.pcap", data), "--nf", "nat", says=["radio.pcap", "127"])

    def test_times_run_backwards(self):
        data = pcap([(9 - i % 3, i, flow(i), len(flow(i))) for i in range(30)])
        report = self.goes_on(self.path("back.pcap", data), "--nf", "nat")
        self.assertEqual(report["packets_released"], 30)
        self.assertGreater(report["counters"]["replayer.time_backwards"], 0)

    def test_frames_up_to_65_kb(self):
        sizes = [0, 100, 1472, 2000, 9000, 30000, 65000, 65507 - 28]
        packets = [udp((10, 0, 0, 1), (192, 0, 2, 1), 5, 80, b"y" * n) for n in sizes]
        data = pcap([(1, i, p, len(p)) for i, p in enumerate(packets)])
        report = self.goes_on(self.path("big.pcap", data), "--nf", "nat")
        self.assertEqual(report["packets_released"], len(sizes))

    def test_malformed_packets_are_counted(self):
        whole = flow(1)
        packets = [whole[:n] for n in range(0, len(whole))] + [b"\xff" * 60, whole[:14] + b"\x4f" + whole[15:]]
        data = pcap([(1, i, p, len(p)) for i, p in enumerate(packets)])
        report = self.goes_on(self.path("bad.pcap", data), "--nf", "nat")
        self.assertEqual(report["packets_released"], 0)
        self.assertGreater(len([k for k in report["packets_dropped"] if k.startswith("malformed_")]), 2)

    def test_468_odd_files(self):
        tar = os.path.join(common.TRACES, "malformed_files_A.tar.gz")
        if not os.path.exists(tar):
            self.skipTest("%s is not there" % tar)
        with tarfile.open(tar) as files:
            files.extractall(self.folder.name)
        seen = {0: 0, 2: 0}
        for base, _, names in sorted(os.walk(self.folder.name)):
            for name in sorted(names):
                code, _, err = common.run("replay", os.path.join(base, name), "--nf", "lb", "--clock",
                                          "virtual", "--units", "2", "--quiet")
                self.assertIn(code, seen, (name, err))
                self.assertLessEqual(len(err.strip().splitlines()), 1, (name, err))
                seen[code] += 1
        self.assertGreater(seen[0], 200)
        print("odd files: %d replayed, %d refused" % (seen[0], seen[2]))

    # --- configuration
    def deploy(self, text, *says):
        self.refused(self.good(), "--config", self.path("nat.yaml", text), says=says)

    def test_configuration(self):
        self.deploy("", "nat.yaml")
        self.deploy("nf: nat\nnf: lb\n", "nat.yaml:2", "nf")
        self.deploy("nf: nat\nsettigns: {}\n", "nat.yaml:2", "settigns")
        self.deploy("nf: nat\nsettings:\n  replicaz: 3\n", "nat.yaml:3", "replicaz", "replicas")
        self.deploy("nf: nat\nsettings:\n  replicas: many\n", "nat.yaml:3", "replicas")
        self.deploy("nf: nat\nsettings:\n  replicas: 8\n", "nat.yaml:3", "replicas", "7")
        self.deploy("nf: nat\nsettings:\n  replicas: 1\n  replicas: 2\n", "nat.yaml:4", "replicas")
        self.deploy("nf: nat\nsettings:\n  epoch_ms: 1000\n  lease_ms: 500\n", "lease_ms")
        self.deploy("nf: nat\nconfig:\n  public_addresses: [elephant]\n", "nat.yaml:3", "public_addresses")
        self.deploy("nf: nat\nconfig:\n  ports: 9-1\n", "nat.yaml:3", "ports")
        self.deploy("nf: nat\nconfig:\n  backends: [192.0.2.1]\n", "nat.yaml:3", "backends")
        self.deploy("settings: {}\n", "nat.yaml", "nf")
        self.deploy("nf: [\n", "nat.yaml")

    def test_set(self):
        self.refused(self.good(), "--nf", "nat", "--set", "no_such=1", says=["no_such"])
        self.refused(self.good(), "--nf", "nat", "--set", "alpha=2", says=["alpha"])
        self.refused(self.good(), "--nf", "nat", "--set", "alpha", says=["alpha"])
        self.refused(self.good(), "--nf", "nat", "--units", "4", "--set", "units_min=5", says=["units_min"])

    def test_controllers(self):
        for number in ("0", "17", "two"):
            self.refused(self.good(), "--nf", "nat", "--controllers", number, says=["--controllers", number])
        self.refused(self.good(), "--nf", "nat", "--controllers", "5", "--set", "controllers=independent",
                     says=["5 independent controllers", "5 units", "only 4"])
        self.refused(self.good(), "--nf", "nat", "--controllers", "5", "--set", "lease_step=1000",
                     says=["5 controllers", "lease_step 1000", "only 4.000"])
        self.refused(self.good(), "--config", self.path("nat.yaml", "nf: nat\nconfig:\n  ports: 1000-1002\n"),
                     "--controllers", "4", says=["a pool of 3 endpoints", "4 controllers"])
        self.refused(self.good(), "--nf", "nat", "--controllers", "2", "--fail", "controller:3@1ms",
                     says=["controller:3@1ms", "only 2"])

    def test_a_cluster_has_its_nf(self):
        self.refused(self.good(), "--nf", "nat", "--cluster", "x")

    def test_modes(self):
        for mode in ("smart-flow", "smart-flow:0ms", "smart-flow:50", "smart-flow:99999ms", "flows"):
            self.refused(self.good(), "--nf", "nat", "--mode", mode,
                         says=["mode", mode, "smart-flow:<N>ms", "1..60000"])

    def test_commands_that_do_not_exist_yet(self):
        for command in ("top", "bill"):
            code, _, err = common.run(command)
            self.assertEqual(code, 2, err)
            self.assertEqual(len(err.strip().splitlines()), 1, err)

    # --- the rest
    def test_nf(self):
        self.refused(self.good(), "--nf", "nut", says=["nut", "nat", "lb"])
        self.refused(self.good(), "--nf", self.path("x.so", "no object"), says=["x.so"])
        self.refused(self.good(), "--nf", self.path("none.so"), says=["none.so"])

    def test_output_path(self):
        self.refused(self.good(), "--nf", "nat", "--out", self.path("no/such/folder.pcap"), says=["folder.pcap"])
        self.refused(self.good(), "--nf", "nat", "--out", self.path("out.txt"), says=["out.txt"])
        self.refused(self.good(), "--nf", "nat", "--out", "dpdk:no_such_driver0", says=["no_such_driver0"])
        self.refused(self.good(), "--nf", "nat", "--json", self.path("no/such/report.json"), says=["report.json"])
        self.refused(self.good(), "--nf", "nat", "--epochs", self.path("no/such/epochs.csv"), says=["epochs.csv"])

    def test_disk_full(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        link = self.path("out.pcap")
        os.symlink("/dev/full", link)
        code, _, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--clock", "virtual", "--out", link)
        self.assertEqual(code, 2, err)
        self.assertIn("out.pcap", err)

    def test_no_memory(self):
        self.refused(self.good(), "--nf", "nat", "--memory-mb", "1", says=["memory"])

    def test_pool_runs_dry(self):
        config = self.path("dry.yaml", "nf: nat\nconfig:\n  ports: 2000-2009\n")
        packets = [(1, 1000 * i, flow(i), len(flow(i))) for i in range(100)]
        report = self.goes_on(self.path("many.pcap", pcap(packets)), "--config", config)
        self.assertEqual(report["packets_released"], 10)
        self.assertEqual(report["packets_dropped"], {"nf": 90})
        self.assertEqual(report["nf_counters"]["pool_exhausted"], 90)

    def test_flow_table_full(self):
        packets = [(1, 1000 * i, flow(i), len(flow(i))) for i in range(600)]
        full = [self.path("many.pcap", pcap(packets)), "--nf", "nat", "--set", "flows_max=500"]
        report = self.goes_on(*full, "--set", "frame_life_ms=1000")  # none has been idle for so long
        self.assertEqual(report["packets_dropped"], {"flow_table_full": 100})
        report = self.goes_on(*full, "--set", "pool_quarantine_ms=0")
        self.assertEqual(report["packets_dropped"], {})
        self.assertEqual(report["counters"]["controller.flows_evicted"], 100)
        # With their endpoints an eighth of the flows rests, and no more gives way before they have.
        report = self.goes_on(*full)
        self.assertEqual(report["packets_dropped"], {"flow_table_full": 100})
        self.assertEqual(report["counters"]["controller.flows_evicted"], 500 // 8)


if __name__ == "__main__":
    unittest.main(verbosity=1)
