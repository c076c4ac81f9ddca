#!/usr/bin/env bash
# --shorten: a seed that fails is shown with fewer packets and the trace of one flow; one that does not, says so.
set -euo pipefail
fail() { echo "$1" >&2; exit 1; }

"$1" --seed 1 --shorten | grep -qx 'seed 1 does not fail' || fail "seed 1 was expected to be clean"
for seed in $(seq 1 50); do
    rc=0
    out=$("$1" --seed "$seed" --mutant tag_check --shorten) || rc=$?
    [ "$rc" -eq 0 ] || break
done
[ "$rc" -eq 1 ] || fail "no seed up to 50 fails with tag_check (exit code $rc)"
last=$(tail -n 1 <<<"$out")
read -r packets most < <(sed -n 's/.* the first \([0-9]*\) of \([0-9]*\) packets.*/\1 \2/p' <<<"$last")
[ "$packets" -gt 0 ] && [ "$packets" -lt "$most" ] || fail "not shorter: $last"
flow=${last##* }
grep -q "step: .* flow $flow " <<<"$out" || fail "flow $flow has no step in the trace"
if grep -E '^ +step: |released packet' <<<"$out" | grep -v "flow $flow "; then
    fail "these are not about flow $flow"
fi
echo "$last"
