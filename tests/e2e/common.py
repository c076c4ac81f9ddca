"""What the end-to-end tests share: where things are, running `rill`, reading its report."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRACES = os.environ.get("RILL_TRACES", os.path.join(ROOT, "..", "shared", "traces"))
BUNDLED = os.path.join(ROOT, "traces", "bundled.pcap.gz")
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
TIMEOUT_S = 120


def rill():
    """The program under test, given by ctest."""
    return os.environ["RILL"]


def run(*args, env=None):
    """Runs rill; returns (exit code, stdout, stderr). A hang is a failure, not a wait."""
    done = subprocess.run([rill(), *map(str, args)], capture_output=True, timeout=TIMEOUT_S,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def replay(capture, *args, json_path):
    """A virtual-time replay that must be sound; returns its report."""
    code, out, err = run("replay", capture, "--clock", "virtual", "--quiet", "--json", json_path, *args)
    if code != 0:
        raise AssertionError("rill replay %s %s: exit %d\n%s%s" % (capture, " ".join(args), code, out, err))
    with open(json_path) as f:
        return json.load(f)


def check_books(report):
    dropped = sum(report["packets_dropped"].values())
    assert report["packets_in_flight"] == 0, report["packets_in_flight"]
    assert report["packets_in"] == report["packets_released"] + dropped, report
    assert report["inverse_mismatches"] == 0 and report["outward_mismatches"] == 0, report
    assert report["flowlets_moved"] == report["flowlets_seamless"] + report["flowlets_stalled"], report
    assert report["flowlets_moved"] == (report["moves_by_gap"] + report["moves_by_size"]
                                        + report["moves_by_period"]), report


def script(name, *args):
    """Runs one of the independent checkers; its output is the test's."""
    path = os.path.join(ROOT, "tests", "check", name)
    done = subprocess.run([sys.executable, "-B", path, *map(str, args)], timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise AssertionError("%s %s: exit %d" % (name, " ".join(map(str, args)), done.returncode))
