#!/usr/bin/env python3
"""Ctrl-C in the middle of a replay: it stops taking packets in, drains, reports, and the books balance.
The capture is also larger than any other in the tests: all default bounds must bear it."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import common


def interrupted(clock, capture, folder):
    out, report_path = os.path.join(folder, clock + ".pcap"), os.path.join(folder, clock + ".json")
    process = subprocess.Popen([common.rill(), "replay", capture, "--nf", "nat", "--clock", clock, "--quiet",
                                "--out", out, "--json", report_path], stderr=subprocess.PIPE)
    deadline = time.monotonic() + common.TIMEOUT_S
    while process.poll() is None and (not os.path.exists(out) or os.path.getsize(out) < 100000):
        assert time.monotonic() < deadline, "nothing is written"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=common.TIMEOUT_S)
    assert process.returncode == 0, (process.returncode, err)
    with open(report_path) as f:
        report = json.load(f)
    common.check_books(report)
    print("%s: %d packets in, interrupted: %s" % (clock, report["packets_in"], report["interrupted"]))
    return report


def main():
    with tempfile.TemporaryDirectory() as folder:
        capture = os.path.join(folder, "long.pcap")
        code, _, err = common.run("trace", "gen", "--out", capture, "--set", "seconds=12", "--set",
                                  "mean_mbps=100")
        assert code == 0, err
        whole = common.replay(capture, "--nf", "nat", json_path=os.path.join(folder, "whole.json"))
        common.check_books(whole)
        assert whole["packets_in"] > 150000, whole["packets_in"]
        assert interrupted("real", capture, folder)["packets_in"] < whole["packets_in"]
        interrupted("virtual", capture, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
