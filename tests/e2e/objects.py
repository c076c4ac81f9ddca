#!/usr/bin/env python3
"""Objects of the configuration store in a replay: the first version, updates at a time of the capture, bad ones, and
the records that the NF writes. One unit and eight with forced moves do the same."""
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time

import common

NF = os.path.join(os.path.dirname(os.path.dirname(os.environ["RILL"])), "nfs", "ports.so")
ONE = ["--units", 1, "--set", "unit_capacity_mbps=10000"]
MOVES = ["--units", 8, "--set", "units_min=8", "--set", "placement=spread", "--set", "flowlet_bytes=1500"]


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)
    return path


def deployment(folder):
    return write(folder, "deployment.yaml", "nf: %s\nconfig:\n  ports: ports.txt\n" % NF)


def records_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def key(record):
    return (record["timestamp"], record["src_ip"], record["src_port"], record["dest_ip"], record["dest_port"])


def run(folder, *args):
    records = os.path.join(folder, "records.jsonl")
    report = common.replay(common.BUNDLED, "--config", deployment(folder), "--records", records, *args,
                           json_path=os.path.join(folder, "report.json"))
    common.check_books(report)
    found = records_of(records)
    assert len(found) == report["nf_counters"].get("records_written", 0), (len(found), report["nf_counters"])
    return report, sorted(map(key, found)), found


def first_version(folder):
    write(folder, "ports.txt", "# the web\n443\n80\n")
    one, one_keys, found = run(folder, *ONE)
    eight, eight_keys, _ = run(folder, *MOVES)
    assert one["nf_counters"]["listed"] == eight["nf_counters"]["listed"] > 100, (
        one["nf_counters"], eight["nf_counters"])
    assert one_keys == eight_keys and len(one_keys) > 10
    assert eight["flowlets_moved"] > 200, eight["flowlets_moved"]
    assert all(r["dest_port"] in (80, 443) and r["event_type"] == "listed" and r["listed"]["port"] == r["dest_port"]
               and r["proto"] in ("TCP", "UDP") for r in found)
    [o] = one["objects"]
    assert o["option"] == "ports" and o["name"] == "ports.txt" and len(o["version"]) == 32, o
    assert o["updates_taken"] == o["updates_refused"] == 0 and o["lines_skipped"] == 1 and o["error"] == "", o


def updates(folder):
    write(folder, "ports.txt", "")
    new, bad = write(folder, "new", "443\n"), write(folder, "bad", "80\nno\n")
    reports = [run(folder, *units, "--update", "ports.txt=%s@200ms" % new, "--update", "ports.txt=%s@300ms" % bad,
                   "--update", "ports.txt=%s@400ms" % write(folder, "off", "#\n")) for units in (ONE, MOVES)]
    assert reports[0][1] == reports[1][1] and len(reports[0][1]) > 0
    for report, keys, _ in reports:
        [o] = report["objects"]
        assert o["updates_taken"] == 2 and o["updates_refused"] == 1, o
    start = first_packet_time()
    times = [(datetime.datetime.fromisoformat(k[0][:26]) - start).total_seconds() for k in reports[0][1]]
    assert 0.2 <= min(times) < 0.25 and 0.35 < max(times) < 0.4, (min(times), max(times))


def first_packet_time():
    """Of the capture, to the microsecond."""
    sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
    import captures
    ns = next(iter(captures.read_capture(common.BUNDLED))).time_ns
    return datetime.datetime.utcfromtimestamp(ns // 1000 / 1e6)


def refused(folder):
    def refuse(says, *args):
        code, out, err = common.run("replay", common.BUNDLED, "--config", deployment(folder), "--clock", "virtual", *args)
        assert code == 2 and says in err and err.count("\n") == 1, (code, out, err)

    write(folder, "ports.txt", "80\nno\n")
    refuse("ports.txt:2: 'no' is no port")
    os.remove(os.path.join(folder, "ports.txt"))
    refuse("ports.txt: No such file")
    refuse("deployment.yaml:3: ports")
    write(folder, "ports.txt", "")
    refuse("/nowhere", "--update", "ports.txt=/nowhere@1ms")
    refuse("'other'", "--update", "other=%s@1ms" % deployment(folder))
    refuse("the last packet goes in", "--update", "ports.txt=%s@99s" % deployment(folder))
    refuse("NAME=FILE@TIME", "--update", "ports.txt@99s")
    refuse("redis://", "--set", "config_store=redis://nowhere")
    refuse("--records", "--records", "/nowhere/at/all")


def live(folder):
    """Under real time a new version is noticed by itself; a bad one is told, and not taken."""
    write(folder, "ports.txt", "")
    records, report_path = os.path.join(folder, "live.jsonl"), os.path.join(folder, "live.json")
    args = ["replay", common.BUNDLED, "--config", deployment(folder), "--records", records, "--speed", "0.1x", "--quiet",
            "--json", report_path, "--set", "config_poll_ms=10"]
    process = subprocess.Popen([common.rill(), *args], stderr=subprocess.PIPE, text=True)
    try:
        while not os.path.exists(records):  # it takes six seconds from then on
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        write(folder, "ports.txt", "no\n")
        err = process.stderr.readline()
        assert "ports.txt:1: 'no' is no port; the version before stays" in err, err
        write(folder, "ports.txt", "443\n80\n")
        _, err = process.communicate(timeout=common.TIMEOUT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0 and err.count("\n") == 1 and "is in use now" in err, err
    with open(report_path) as f:
        report = json.load(f)
    common.check_books(report)
    [o] = report["objects"]
    assert o["updates_taken"] == 1 and o["updates_refused"] == 1 and o["error"] == "", o
    assert report["nf_counters"]["listed"] > 100, report["nf_counters"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for part in (first_version, updates, refused, live):
            part(folder)
            print("%s: as it should be" % part.__name__, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
