#!/usr/bin/env python3
"""Every kind of output holds every released packet: capture files in each format, and a DPDK port."""
import gzip
import json
import os
import struct
import sys
import tempfile

import common


def count_pcap(data):
    """Packets of a pcap, by its record headers alone."""
    (magic,) = struct.unpack_from("<I", data)
    assert magic in (0xA1B2C3D4, 0xA1B23C4D), hex(magic)
    at, n = 24, 0
    while at < len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        n += 1
    assert at == len(data)
    return n


def count_pcapng(data):
    """Enhanced packet blocks of a pcapng."""
    at, n = 0, 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        n += kind == 6
        at += length
    assert at == len(data)
    return n


def main():
    with tempfile.TemporaryDirectory() as folder:
        report_path = os.path.join(folder, "report.json")
        port = os.path.join(folder, "port.pcap")
        for out, path in [(None, name) for name in ("o.pcap", "o.pcap.gz", "o.pcapng", "o.pcapng.gz")] + \
                [("dpdk:net_pcap0,tx_pcap=" + port, port)]:
            path = os.path.join(folder, path)
            report = common.replay(common.BUNDLED, "--nf", "nat", "--out", out or path, json_path=report_path)
            common.check_books(report)
            with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
                data = f.read()
            n = count_pcapng(data) if ".pcapng" in path else count_pcap(data)
            print("%s: %d packets" % (out or os.path.basename(path), n))
            assert n == report["packets_released"] > 60000, (n, report["packets_released"])
        code, out, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--clock", "virtual", "--quiet",
                                    "--json", "-", "--out", "dpdk:net_null0")
        assert code == 0, err
        common.check_books(json.loads(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
