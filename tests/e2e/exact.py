#!/usr/bin/env python3
"""One capture through one NF, held against a model of that NF that shares no code with it: the very
packets that the model releases must come out, with the very bytes, from

  - one unit,
  - eight units, every flowlet placed anew.

  exact.py NF CAPTURE [INSIDE]     CAPTURE in the shared traces, or "bundled"; INSIDE as of --inside

Of a capture of malformed packets no model says what Rill may make of them: there both must be the same.
"""
import collections
import importlib
import json
import os
import sys
import tempfile

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests", "check"))
import expected as reference  # noqa: E402  (it lies in another folder)

# Flows live on, so that a model needs to know nothing of when Rill forgets them.
WAYS = {
    "one unit": ["--units", "1", "--set", "units_min=1"],
    "eight units": ["--units", "8", "--set", "units_min=8", "--set", "placement=spread"],
}
BOTH = ["--set", "flow_idle_s=86400", "--set", "flow_closed_s=86400", "--set", "unit_capacity_mbps=10000",
        "--set", "link_delay_us=1", "--set", "flowlet_bytes=1500"]
SHOWN = 20

# files: objects of the configuration store, by name. options: of `rill replay`.
Case = collections.namedtuple("Case", "name model config files options", defaults=({}, ()))


def udp_whitelister(model):
    return [Case("idle_s=%d" % s, lambda s=s: model.Model(s), {"idle_s": s}) for s in (1, 60)]


def qos_policer(model):
    c = model.Class
    colours = (46, 34, 8)
    one = [c("udp", (5000, 65535), None, None, 149, 4000, 3000, actions=colours),
           c("tcp", (80, 80), None, True, 1501, 7777, 0),
           c("tcp", None, "10.0.0.0/9", None, 333, 20000, 20000, actions=(None, 10, "drop")),
           c(None, None, None, False, 64, 3000, 9000)]
    two = [c("udp", None, None, None, 64, 3000, 0, 210, 4501, actions=colours),
           c(None, None, "0.0.0.0/0", None, 997, 15000, 0, 4003, 30000, actions=(None, 2, "drop")),
           c(None, None, "::/0", None, 997, 15000, 0, 4003, 30000, actions=(63, 2, "drop"))]
    return [Case(name, lambda classes=classes: model.Model(classes),
                 {"classes": [model.as_text(k) for k in classes]})
            for name, classes in (("one rate", one), ("two rates", two))]


CASES = {"udp-whitelister": udp_whitelister, "qos-policer": qos_policer}


def run(folder, nf, capture, inside, case, given):
    malformed = os.path.basename(capture).startswith("malformed")
    expected = None if malformed else reference.expectations(case.model(), given)
    config = os.path.join(folder, "config.yaml")
    files = {config: json.dumps({"nf": nf, "config": case.config})}  # JSON is YAML
    files.update({os.path.join(folder, name): text for name, text in case.files.items()})
    for path, text in files.items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    for way, options in WAYS.items():
        out = os.path.join(folder, "out.pcapng")
        report = common.replay(capture, "--config", config, "--inside", inside, "--out", out, *BOTH, *options,
                               *case.options, json_path=os.path.join(folder, "report.json"))
        common.check_books(report)
        if expected is None:
            given, expected = reference.as_released(given, out)
        wrong = reference.differences(given, expected, out)
        dropped = sum(want is None for want in expected.values())
        print("%s, %s: %d packets, %d to be dropped, %d moves, %d differences" % (
            case.name, way, len(given), dropped, report["flowlets_moved"], len(wrong)))
        for line in wrong[:SHOWN]:
            print("  " + line)
        assert not wrong, "%s, %s: %d differences" % (case.name, way, len(wrong))


def main():
    nf, name = sys.argv[1], sys.argv[2]
    inside = sys.argv[3] if len(sys.argv) > 3 else "10.0.0.0/8"
    capture = common.BUNDLED if name == "bundled" else os.path.join(common.TRACES, name)
    if not os.path.exists(capture):
        print("SKIPPED: %s is not there; set RILL_TRACES to the folder that has it" % capture)
        return common.SKIPPED
    model = importlib.import_module("model_" + nf.replace("-", "_"))
    given = reference.read_given(capture, inside)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES[nf](model):
            run(folder, nf, capture, inside, case, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
