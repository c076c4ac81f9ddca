#!/usr/bin/env python3
"""The load balancer's Maglev table against the paper's pseudocode in Python, entry by entry.

    maglev_table.py PROGRAM     PROGRAM: maglev_table of this build
"""
import random
import subprocess
import sys

import maglev


def of_program(program, servers, m, weights):
    lines = "".join("%s %d\n" % pair for pair in zip(servers, weights))
    done = subprocess.run([program, str(m)], input=lines, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return [int(line) for line in done.stdout.split()]


def draw_servers(rng, n):
    kinds = (lambda: "192.0.%d.%d" % (rng.randrange(256), rng.randrange(256)),
             lambda: "198.51.%d.%d:%d" % (rng.randrange(256), rng.randrange(256), rng.randrange(1, 65536)))
    six = (lambda: "2001:db8::%x" % rng.randrange(1, 65536),
           lambda: "[2001:db8::%x]:%d" % (rng.randrange(1, 65536), rng.randrange(1, 65536)))
    family = rng.choice((kinds, six))  # a table is of one family
    servers = set()
    while len(servers) < n:
        servers.add(rng.choice(family)())
    servers = sorted(servers)
    rng.shuffle(servers)
    return servers


def main():
    rng = random.Random(1)
    cases = [(n, m) for m in (7, 251, 4099) for n in (1, 2, 3, 5, 7, 50, 251) if n <= m]
    cases += [(3, 65537), (30, 65537), (100, 65537)]
    for n, m in cases:
        servers = draw_servers(rng, n)
        for weights in ([1] * n, [rng.randrange(1, 101) for _ in range(n)]):
            given, wanted = of_program(sys.argv[1], servers, m, weights), maglev.table(servers, m, weights)
            assert given == wanted, "%d servers, %d entries: differs" % (n, m)
            if set(weights) == {1}:
                shares = [given.count(i) for i in range(n)]
                assert max(shares) - min(shares) <= 1, shares
        print("%d servers, %d entries: the same" % (n, m))
    return 0


if __name__ == "__main__":
    sys.exit(main())
