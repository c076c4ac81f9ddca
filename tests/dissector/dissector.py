#!/usr/bin/env python3
"""docs/rill.lua in tshark, on captures that the codec wrote.

    dissector.py DISSECTOR_FRAMES RILL_LUA

1. Every field of every type comes out with the value that was written, and no other field does.
2. Damaged frames: no Lua error; what the codec takes is not called refused, and what it refuses is,
   for the same reason.

Exit code 77, "skipped", where tshark is missing or has no Lua.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections import defaultdict

FRAMES, LUA = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
SEEDS = (1, 2, 3)
REASONS = ("short", "version", "option", "missing", "type", "value")
OTHERS = ["geneve.vni", "eth.src", "udp.dstport"]  # what Wireshark finds by itself must stay
SKIPPED = 77


def tshark(home, *arguments):
    """Output of tshark with the dissector; fails on any error of Lua."""
    # As root tshark warns, on stderr; settings of the user must not matter.
    env = dict(os.environ, HOME=home, XDG_CONFIG_HOME=home, LC_ALL="C.UTF-8", TZ="UTC")
    run = subprocess.run(["tshark", *arguments, "-X", "lua_script:" + LUA], env=env, text=True,
                         capture_output=True, errors="replace")
    # The list of fields has Lua's own, of that name.
    for text in (run.stderr,) if arguments[0] == "-G" else (run.stdout, run.stderr):
        at = text.lower().find("lua error")
        if at < 0:
            at = text.find("rill.lua:")
        if at >= 0:
            raise AssertionError(text[max(0, at - 200):at + 500])
    if run.returncode != 0:
        raise AssertionError("tshark %s: %s" % (" ".join(arguments), run.stderr))
    return run.stdout


def our_fields(home):
    rows = [line.split("\t") for line in tshark(home, "-G", "fields").splitlines()]
    return [row[2] for row in rows if row[0] == "F" and row[2].startswith("rill.")]


def read_fields(home, capture, fields):
    """Per frame {field: [values]}, without those that are not there."""
    arguments = ["-r", capture, "-n", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a",
                 "-E", "aggregator=|"]
    for field in fields:
        arguments += ["-e", field]
    frames = []
    for line in tshark(home, *arguments).splitlines():
        values = zip(fields, line.split("\t"))
        frames.append({field: value.split("|") for field, value in values if value != ""})
    return frames


def read_expected(path):
    frames = defaultdict(lambda: defaultdict(list))
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            number, field, value = line.rstrip("\n").split("\t")
            frames[int(number)][field].append(value)
    return frames


def same_spelling(field, values):
    """Newer versions write True and False."""
    if field.startswith("rill.flags."):
        return [{"True": "1", "False": "0"}.get(value, value) for value in values]
    return values


class Dissector(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="rill-dissector-")
        cls.home = os.path.join(cls.folder.name, "home")
        os.mkdir(cls.home)
        cls.fields = our_fields(cls.home)
        cls.capture, cls.expected = cls.write("frames")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def write(cls, kind, *more):
        capture = os.path.join(cls.folder.name, "%s%s.pcap" % (kind, "".join(more)))
        subprocess.run([FRAMES, kind, capture, capture + ".txt", *more], check=True)
        return capture, read_expected(capture + ".txt")

    def test_every_field_of_every_type(self):
        fields = self.fields + OTHERS
        frames = read_fields(self.home, self.capture, fields)
        self.assertEqual(len(frames), len(self.expected))
        for number, got in enumerate(frames, 1):
            got = {field: same_spelling(field, values) for field, values in got.items()}
            with self.subTest(frame=number, type=self.expected[number]["rill.type"]):
                self.assertEqual(got, dict(self.expected[number]))

    def test_no_field_goes_untested(self):
        """But expert infos, which are for the other tests."""
        tested = {field for frame in self.expected.values() for field in frame}
        left = {field for field in self.fields if field not in tested}
        experts = {"rill.refused." + reason for reason in REASONS}
        experts |= {"rill.body.malformed", "rill.cut", "rill.unknown_option"}
        self.assertEqual(left, experts)
        self.assertEqual(len({frame["rill.type"][0] for frame in self.expected.values()}), 50)

    def test_columns(self):
        rows = read_fields(self.home, self.capture, ["_ws.col.Protocol", "_ws.col.Info"])
        for number, row in enumerate(rows, 1):
            frame = self.expected[number]
            start = "%s %s > %s" % (frame["rill.type"][0], frame["rill.src"][0],
                                    frame["rill.dst"][0])
            packet = frame["rill.flags.packet"] == ["1"]
            self.assertEqual(row["_ws.col.Protocol"], ["UDP" if packet else "Rill"])
            info = "|".join(row["_ws.col.Info"])
            self.assertTrue(info.startswith("[" + start if packet else start), info)

    def test_filters(self):
        """The names that the document and the dissector's head give."""
        out = tshark(self.home, "-r", self.capture, "-Y", 'rill.type == "move"', "-T", "fields",
                     "-e", "rill.type")
        self.assertEqual(set(out.split()), {"move"})
        wanted = self.expected[1]["rill.flow"][0]
        out = tshark(self.home, "-r", self.capture, "-Y", 'rill.flow == "%s"' % wanted, "-T",
                     "fields", "-e", "frame.number")
        self.assertEqual(out.split(), ["1"])

    def test_the_whole_tree_of_everything(self):
        """As a person sees it: names of flags and roles are in the text."""
        text = tshark(self.home, "-r", self.capture, "-V")
        for part in ("Rill: data ", "Rill: share_ack ", "CHAIN", ", dead: ask output_logger:",
                     "Replica 0", "Lease 0", "Alias"):
            self.assertIn(part, text)

    def check_damaged(self, number, expected, got, seen):
        reasons = {field[len("rill.refused."):] for field in got if "refused." in field
                   and not field.startswith("rill.flags")}
        if not any(field.startswith("rill.") for field in got):
            seen["nothing of ours"] += 1
            self.assertNotEqual(expected, "ok")
            return
        seen[expected] += 1
        if expected == "cut":
            self.assertIn("rill.cut", got)
            self.assertEqual(reasons, set())
        elif expected == "ok":
            self.assertEqual(reasons, set())
        else:
            self.assertIn(expected, reasons)

    def test_damaged_frames(self):
        seen = defaultdict(int)
        malformed = unknown = total = 0
        for seed in SEEDS:
            capture, expected = self.write("corrupt", str(seed))
            frames = read_fields(self.home, capture, self.fields)
            self.assertEqual(len(frames), len(expected))
            total += len(frames)
            for number, got in enumerate(frames, 1):
                with self.subTest(seed=seed, frame=number, got=got):
                    self.check_damaged(number, expected[number]["refused"][0], got, seen)
                malformed += "rill.body.malformed" in got
                unknown += "rill.unknown_option" in got
            tshark(self.home, "-r", capture, "-V")
        print("damaged frames:", dict(seen), "bad bodies:", malformed, "skipped options:", unknown)
        for reason in REASONS + ("ok", "cut"):
            self.assertGreater(seen[reason], 5, reason)
        self.assertGreater(malformed, 10)
        self.assertGreater(unknown, 0)
        self.assertLess(seen["nothing of ours"], total / 8)


def main():
    if shutil.which("tshark") is None:
        print("SKIPPED: tshark is not installed: docs/rill.lua is not tested")
        return SKIPPED
    version = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True)
    if "with Lua" not in version.stdout:
        print("SKIPPED: this tshark has no Lua: docs/rill.lua is not tested")
        return SKIPPED
    return 0 if unittest.main(argv=sys.argv[:1], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
