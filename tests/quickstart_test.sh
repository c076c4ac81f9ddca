#!/usr/bin/env bash
# deploy/quickstart knows the options of `rill replay`, and refuses others before it does anything.
#   quickstart_test.sh RILL
set -uo pipefail
rill=$1
quickstart=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/deploy/quickstart
failures=0

# refused TEXT ARGUMENT...: exit code 2, and one line with the text.
refused() {
    local text=$1 out code=0
    shift
    out=$("$quickstart" "$@" 2>&1) || code=$?
    if [ "$code" -ne 2 ] || [[ $out != *"$text"* ]] || [[ $out == *$'\n'* ]]; then
        echo "quickstart $*: exit code $code, not 2, or not '$text' in one line:"
        echo "$out"
        failures=$((failures + 1))
    fi
}

# All options there are, as --name or --name VALUE; the last is the only one that is unknown.
mapfile -t options < <("$rill" replay --help | sed -nE 's/^  (--[a-z-]+)( .*)?$/\1\2/p' | grep -vx -e --help)
words=()
for option in "${options[@]}"; do
    words+=("${option%% *}")
    [[ $option != *' '* ]] || words+=(value)
done
[ "${#options[@]}" -gt 15 ] || { echo "rill replay --help: no options found"; exit 1; }
refused "unknown option --xyzzy;" --embedded "${words[@]}" --xyzzy

refused "unknown option --sped;" --sped=2
refused "unexpected argument 'stray'" --embedded stray
refused "unexpected argument 'stray'" --embedded --quiet stray
refused "--nf needs a value" --embedded --nf
refused "--cluster: the quickstart has a cluster of its own" --embedded --cluster mine
exit $((failures > 0))
