#!/usr/bin/env python3
"""The firewall against a scan of all its rules, on packets drawn to hit them at their edges (tests/check).

  exact_firewall.py drawn [SEED]          rules drawn here, in Rill's format; all options; rules that change
  exact_firewall.py classbench FILE       a filter set of ClassBench's, in the shared traces
  exact_firewall.py ios FILE              access lists of IOS, in the shared traces; "made": those that lie beside this
  exact_firewall.py capture NAME INSIDE   drawn rules, and the packets of a capture (of exact.py)
"""
import os
import random
import sys
import tempfile

import common
import exact

import draw_rules  # exact.py has put their folder into the path
import expected as reference
import model_firewall as model
import model_ios

MADE_LISTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "access_lists.txt")
HALF = "0.0.0.0/1,::/1"  # who is inside, of drawn addresses
RULES, PACKETS, STEP_NS, PAUSE_NS = 2000, 4000, 100000, 2 * 10**9
IOS_PACKETS = 1200


def rules_text(rules):
    return "# drawn\n\n" + "".join(model.as_text(rule) + "\n" for rule in rules)


def list_text(nets):
    return "".join(model.text_of(net) + "  # drawn\n" for net in nets)


def simple_cases(rules, lists):
    deny, allow = lists
    files = {"rules.txt": rules_text(rules), "deny.txt": list_text(deny), "allow.txt": list_text(allow)}
    for unmatched in ("outbound", "deny", "allow"):
        yield exact.Case("unmatched=" + unmatched,
                         lambda u=unmatched: model.Model([(0, model.Policy(rules, u))]),
                         {"rules": "rules.txt", "unmatched": unmatched}, files)
    yield exact.Case("lists, require_syn",
                     lambda: model.Model([(0, model.Policy(rules, "outbound", deny, allow))], require_syn=True),
                     {"rules": "rules.txt", "deny_list": "deny.txt", "allow_list": "allow.txt",
                      "require_syn": True}, files)
    yield exact.Case("lists alone", lambda: model.Model([(0, model.Policy([], "deny", deny, allow))]),
                     {"deny_list": "deny.txt", "allow_list": "allow.txt", "unmatched": "deny"}, files)


def changing_cases(folder, rules, then, end_ns):
    """Other rules come in the middle of the pause."""
    at_ns = end_ns - PAUSE_NS // 2
    first_ns = 10**9 + STEP_NS
    files = {"rules.txt": rules_text(rules), "then.txt": rules_text(then)}
    update = "rules.txt=%s@%.6fs" % (os.path.join(folder, "then.txt"), (at_ns - first_ns) / 1e9)
    changes = [(0, model.Policy(rules)), (at_ns, model.Policy(then))]
    for keep in (False, True):
        yield exact.Case("change, " + ("keep" if keep else "rejudge"),
                         lambda k=keep: model.Model(changes, keep=k),
                         {"rules": "rules.txt", "on_change": "keep" if keep else "rejudge"}, files,
                         ["--update", update])


def draw_lists(r, rules):
    nets = [net for rule in rules for net in (rule.source, rule.destination) if net and net[2] > 2]
    return r.sample(nets, 12), r.sample(nets, 12)


def drawn(folder, seed):
    r = random.Random(seed)
    rules = draw_rules.draw_rules(seed, RULES)
    capture = os.path.join(folder, "drawn.pcap")
    frames = draw_rules.draw_packets(seed, rules, PACKETS)
    end_ns = draw_rules.write_pcap(capture, frames, STEP_NS, PACKETS // 2, PAUSE_NS)
    then = [rule._replace(allow=not rule.allow) if r.random() < 0.3 else rule for rule in rules]
    given = reference.read_given(capture, HALF)
    for case in [*simple_cases(rules, draw_lists(r, rules)), *changing_cases(folder, rules, then, end_ns)]:
        exact.run(folder, "firewall", capture, HALF, case, given)


def classbench(folder, path):
    """As it is; and with actions, without which most wrong matches would not show."""
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    r, capture = random.Random(1), os.path.join(folder, "drawn.pcap")
    with_actions = ["%s %s" % (line.strip(), r.choice(("allow", "deny"))) for line in lines]
    for name, text in (("as it is", lines), ("with actions", with_actions), ("a part", with_actions[::7])):
        text = "\n".join(text)
        rules, left_out = model.read_classbench(text, True)
        print("%s: %d rules, %d left out" % (name, len(rules), left_out))
        draw_rules.write_pcap(capture, draw_rules.draw_packets(1, rules, PACKETS // 2), STEP_NS, 0, 0)
        case = exact.Case(name, lambda k=rules: model.Model([(0, model.Policy(k, "deny"))]),
                          {"rules": "rules.txt", "format": "classbench", "unmatched": "deny"},
                          {"rules.txt": text})
        exact.run(folder, "firewall", capture, HALF, case, reference.read_given(capture, HALF))


def run_ios(folder, text, config, policy, seed):
    """Packets drawn from the very entries; gives the part of these that was hit."""
    entries = [*(policy.inbound or ()), *(policy.outbound or ())]
    capture = os.path.join(folder, "drawn.pcap")
    draw_rules.write_pcap(capture, model_ios.draw_packets(seed, entries, IOS_PACKETS), STEP_NS, 0, 0)
    name = ", ".join("%s=%s" % pair for pair in config.items())
    case = exact.Case(name, lambda: model.Model([(0, policy)]), {"rules": "acl.txt", "format": "ios", **config},
                      {"acl.txt": text})
    exact.run(folder, "firewall", capture, HALF, case, reference.read_given(capture, HALF))
    print("%s: %d of %d entries hit" % (name, len(policy.hit), len(set(entries))))
    return len(policy.hit) / len(set(entries))


def ios(folder, path):
    """Each list by itself, for both sides; and two of them, one for each side."""
    with open(path, encoding="ascii") as file:
        text = file.read()
    lists = model_ios.read_lists(text)
    names = list(lists)
    for seed, name in enumerate(names):
        part = run_ios(folder, text, {"access_list": name}, model_ios.Policy(lists[name], lists[name]), seed)
        assert part > 0.8, "the packets miss too many entries of %s" % name
    a, b = names[-3:-1]
    for one, other, unmatched in ((a, b, "deny"), (b, a, "allow"), (a, None, "outbound"), (None, b, "outbound")):
        config = {"access_list_inbound": one, "access_list_outbound": other}
        run_ios(folder, text, {**{k: v for k, v in config.items() if v}, "unmatched": unmatched},
                model_ios.Policy(lists.get(one), lists.get(other), unmatched), 1)


def of_capture(folder, name, inside):
    """Rules whose nets are the capture's own."""
    capture = common.BUNDLED if name == "bundled" else os.path.join(common.TRACES, name)
    given, r = reference.read_given(capture, inside), random.Random(name)
    views = [p.view for p in given if p.view is not None and p.view.source.port is not None]
    rules = []
    for view in r.sample(views, min(200, len(views))):
        width = draw_rules.WIDTH[view.family]
        nets = [model.net_of("%s/%d" % (model.ipaddress.ip_address(end.address), r.choice((width, width - 8))))
                for end in (view.source, view.destination)]
        rules.append(model.Rule(r.random() < 0.5, r.choice((None, True, False)),
                                r.choice((None, view.proto)), *r.choice((nets, (nets[0], None), nets[::-1]))))
    for unmatched in ("outbound", "allow"):
        case = exact.Case("unmatched=" + unmatched,
                          lambda u=unmatched: model.Model([(0, model.Policy(rules, u))]),
                          {"rules": "rules.txt", "unmatched": unmatched}, {"rules.txt": rules_text(rules)})
        exact.run(folder, "firewall", capture, inside, case, given)


def main():
    what, args = sys.argv[1], sys.argv[2:]
    path = os.path.join(common.TRACES, args[0]) if what != "drawn" and args[0] not in ("bundled", "made") else None
    if path and not os.path.exists(path):
        print("SKIPPED: %s is not there; set RILL_TRACES to the folder that has it" % path)
        return common.SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        if what == "drawn":
            drawn(folder, int(args[0]) if args else 1)
        elif what == "classbench":
            classbench(folder, path)
        elif what == "ios":
            ios(folder, path or MADE_LISTS)
        else:
            of_capture(folder, *args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
