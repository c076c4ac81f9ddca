#!/usr/bin/env bash
# same_runs.sh OLD NEW [A..B]: two builds of rill-sim give the same runs, seed by seed: hash of all that was
# released and when, packets, steps and moves. For changes that must not change what happens.
set -euo pipefail
seeds=${3:-1..2000}
runs() { "$1" --seeds "$seeds" --hashes | grep '^seed ' | sed 's/, [0-9]* frames.*//'; }
if ! diff <(runs "$1") <(runs "$2") >&2; then
    echo "seeds $seeds: the runs differ" >&2
    exit 1
fi
echo "seeds $seeds: the same runs"
