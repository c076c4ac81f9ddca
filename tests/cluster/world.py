"""What the cluster tests share: a cluster of the test's own, network namespaces, and the look around that
says whether anything was left behind. Needs root and liblxc; without them the test is skipped, saying so,
or fails where RILL_NEEDS_CONTAINERS=1."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import common  # noqa: E402

SKIPPED = 77
WAIT_S = 60  # for what takes a second; a machine under load takes longer


def rill(*args, code=0, timeout=180):
    """Runs rill; its exit code must be `code`. Returns (stdout, stderr)."""
    done = subprocess.run([common.rill(), *map(str, args)], capture_output=True, timeout=timeout)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert done.returncode == code, "rill %s: exit %d, not %d\n%s%s" % (
        " ".join(map(str, args)), done.returncode, code, out, err)
    return out, err


def refused(*args, says):
    """One line on stderr that holds `says`, exit code 2."""
    _, err = rill(*args, code=2)
    assert err.count("\n") == 1 and says in err, (args, err)
    return err.strip()


def until(what, condition, timeout_s=WAIT_S):
    """Waits for the condition to hold; returns its value."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "waited %d s for: %s" % (timeout_s, what)
        time.sleep(0.01)


def needs_containers():
    """Exits with 77 if there can be no containers here."""
    why = None
    if os.geteuid() != 0:
        why = "not root"
    elif not shutil.which("lxc-start") and not glob.glob("/usr/lib/*/liblxc.so.1"):
        why = "no liblxc"
    elif not os.path.exists(os.path.join(os.path.dirname(common.rill()), "rill-rm")):
        why = "this build has no cluster form"
    if why is None:
        return
    print("SKIPPED: %s" % why)
    sys.exit(1 if os.environ.get("RILL_NEEDS_CONTAINERS") == "1" else SKIPPED)


def small_capture(folder):
    """A tenth of the bundled capture's length, made by the same generator."""
    path = os.path.join(folder, "small.pcap")
    if not os.path.exists(path):
        rill("trace", "gen", "--out", path, "--seed", 7, "--set", "seconds=0.12")
    return path


class Cluster:
    """`with Cluster(...) as c:` is up, and is down after; nothing may be left. Its roles sleep between turns, so that
    a dozen of them leave the processors to what the test does; where it matters a test says poll="yield", as users
    have it."""

    count = 0

    def __init__(self, **config):
        Cluster.count += 1
        self.name = "t%d%s" % (os.getpid(), chr(ord("a") + Cluster.count))
        self.base = os.path.join("/run/rill", self.name)
        self.config = {"poll": "sleep", **config}
        self.folder = tempfile.mkdtemp(prefix="rill-cluster-test-")
        self.small = small_capture(self.folder)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def up(self):
        sets = [word for name, value in self.config.items() for word in ("--set", "%s=%s" % (name, value))]
        return rill("up", "--cluster", self.name, *sets)

    def __exit__(self, kind, value, trace):
        if kind is not None:  # what the daemons said, for whoever has to find out
            for path in sorted(glob.glob(os.path.join(self.base, "logs", "*"))):
                with open(path, errors="replace") as f:
                    text = f.read().strip()
                if text:
                    print("--- %s\n%s" % (os.path.basename(path), text[-3000:]))
        subprocess.run([common.rill(), "down", "--cluster", self.name], capture_output=True, timeout=120)
        left = self.left_behind()
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is None:
            assert not left, left

    def left_behind(self):
        """Everything on this machine that bears the cluster's name."""
        left = [p for p in (self.base,) if os.path.exists(p)]
        for line in open("/proc/mounts"):
            if self.name in line:
                left.append("mount " + line.split()[1])
        left += glob.glob("/sys/fs/cgroup/*/rill-%s-*" % self.name) + glob.glob("/sys/fs/cgroup/rill-%s-*" % self.name)
        left += ["process %d %s" % (pid, " ".join(words)) for pid, words in processes(self.name)]
        return left

    def rill(self, command, *args, **more):
        return rill(command, *args, "--cluster", self.name, **more)

    def refused(self, command, *args, says):
        return refused(command, *args, "--cluster", self.name, says=says)

    def status(self):
        return json.loads(self.rill("status", "--json")[0])

    def roles(self, kind, state="active"):
        return [r for r in self.status()["roles"] if r["role"].startswith(kind + "-") and r["state"] == state]

    def pid(self, daemon):
        """Of "rm" or "agent"."""
        with open(os.path.join(self.base, daemon + ".pid")) as f:
            return int(f.read().split()[0])

    def program_pid(self, role):
        """On the machine, of the program in a role's container ("unit-3")."""
        kinds = {"controller": 2, "unit": 3, "output-logger": 4}
        kind, number = role.rsplit("-", 1)
        wanted = "0x%08x" % (kinds[kind] << 24 | int(number))
        for pid, words in processes("/opt/rill/rill-"):
            if wanted in words and self.name in open("/proc/%d/cgroup" % pid).read():
                return pid
        raise AssertionError("no process of %s" % role)

    def replay(self, capture, *args, code=0):
        report_path = os.path.join(self.folder, "report.json")
        out, err = self.rill("replay", capture, "--json", report_path, "--quiet", *args, code=code)
        with open(report_path) as f:
            return json.load(f)


def processes(word):
    """(pid, command line) of those that have `word` in it."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        pid = int(path.split("/")[2])
        if pid != os.getpid() and any(word in w for w in words):
            found.append((pid, words))
    return found


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def test_nf(name):
    """A deliberately bad NF of tests/cluster/nfs."""
    return os.path.join(os.path.dirname(os.path.dirname(common.rill())), "nfs", name + ".so")


def main(tests):
    """Runs the functions in order; all must pass."""
    needs_containers()
    only = sys.argv[1:]
    for test in tests:
        if only and test.__name__ not in only:
            continue
        began = time.monotonic()
        print("%s ..." % test.__name__, flush=True)
        test()
        print("%s: ok, %.1f s" % (test.__name__, time.monotonic() - began), flush=True)
