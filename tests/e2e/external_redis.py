#!/usr/bin/env python3
"""State through a real Redis server, under the real clock; and through one that is killed in the middle and
comes up again, empty. The server is this test's own, on a socket in a folder of its own."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import common

MOVES = ["--units", "8", "--set", "flowlet_bytes=3000", "--set", "placement=spread", "--set", "units_min=8"]


def start_server(folder):
    path = os.path.join(folder, "socket")
    if os.path.exists(path):
        os.remove(path)
    with open(os.path.join(folder, "log"), "a") as log:
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
                                   "--appendonly", "no"], stdout=log, stderr=log)
    deadline = time.monotonic() + common.TIMEOUT_S
    while not os.path.exists(path):
        assert server.poll() is None and time.monotonic() < deadline, open(log.name).read()
        time.sleep(0.01)  # it has no way to say that it is there
    return server


def stop_server(server):
    server.kill()
    server.wait()


def begin(folder, speed):
    out, report_path = os.path.join(folder, "out.pcapng"), os.path.join(folder, "report.json")
    command = [common.rill(), "replay", common.BUNDLED, "--nf", "nat", "--clock", "real", "--speed", speed, "--quiet",
               "--state", "external", "--set", "external_store=unix:" + os.path.join(folder, "socket"), *MOVES,
               "--out", out, "--json", report_path]
    return subprocess.Popen(command, stderr=subprocess.PIPE), out, report_path


def end(process, out, report_path):
    _, err = process.communicate(timeout=common.TIMEOUT_S)
    assert process.returncode == 0, (process.returncode, err)
    with open(report_path) as f:
        report = json.load(f)
    common.check_books(report)
    n = report["counters"]
    assert n["unit.finals_sent"] == n["unit.finals_without_state"] and n["unit.state_pushes"] == 0, n
    assert n["unit.store_values"] > 100, n
    # How packets of different flows interleave is the machine's business here.
    common.script("check_output.py", common.BUNDLED, out, "--nf", "nat", "--expect-json", report_path,
                  "--allow-reordered", report["packets_reordered"])
    print("%d released, %d moves, %d values read, %d times connected" % (
        report["packets_released"], report["flowlets_moved"], n["unit.store_values"], n["store.connects"]))
    return n


def whole(folder):
    server = start_server(folder)
    try:
        n = end(*begin(folder, "0.2x"))
        assert n["store.connects"] == 1 and n["store.errors"] == 0 and n["store.requests_lost"] == 0, n
    finally:
        stop_server(server)


def killed(folder):
    """Nothing waits for good, and nothing goes on from anything but the last version."""
    server = start_server(folder)
    try:
        process, out, report_path = begin(folder, "0.1x")
        deadline = time.monotonic() + common.TIMEOUT_S
        while process.poll() is None and (not os.path.exists(out) or os.path.getsize(out) < 5000000):
            assert time.monotonic() < deadline, "nothing is written"
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()
        stop_server(server)
        server = start_server(folder)
        n = end(process, out, report_path)
        assert n["store.connects"] >= 2 and n["unit.store_empty"] > 0, n
    finally:
        stop_server(server)


def refused(folder):
    for store, line in (("unix:" + os.path.join(folder, "nobody"), "No such file"), ("somewhere", "no address")):
        code, _, err = common.run("replay", common.BUNDLED, "--nf", "nat", "--clock", "real", "--state", "external",
                                  "--set", "external_store=" + store)
        assert code == 2 and line in err and err.count("\n") == 1, (code, err)


def main():
    if shutil.which("redis-server") is None:
        print("SKIPPED: no redis-server (apt-get install redis-server)")
        return common.SKIPPED
    for part in whole, killed, refused:
        with tempfile.TemporaryDirectory() as folder:
            part(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
