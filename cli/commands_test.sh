#!/usr/bin/env bash
# What `rill` does with commands and options before it runs anything: exit codes, one line per error.
#   commands_test.sh RILL
set -uo pipefail
rill=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect CODE TEXT ARGUMENT...: exit code, and what the output (or the one line on stderr) holds.
expect() {
    local code=$1 text=$2 got lines
    shift 2
    "$rill" "$@" >"$folder/out" 2>"$folder/err"
    got=$?
    lines=$(wc -l <"$folder/err")
    if [ "$got" -ne "$code" ] || ! grep -qF -e "$text" "$folder/out" "$folder/err" ||
        { [ "$code" -eq 2 ] && [ $# -gt 0 ] && [ "$lines" -ne 1 ]; }; then
        echo "rill $*: exit code $got, not $code, or not '$text' in one line:"
        cat "$folder/out" "$folder/err"
        failures=$((failures + 1))
    fi
}

expect 2 "usage: rill COMMAND"
expect 0 "usage: rill COMMAND" help
expect 0 "usage: rill COMMAND" --help
expect 0 "usage: rill replay" help replay
expect 0 "usage: rill replay" replay --help
expect 0 "usage: rill settings" settings --help
expect 0 "usage: rill trace info" trace --help
expect 0 "usage: rill trace info" trace info --help
expect 0 "usage: rill trace gen" trace gen --help
expect 0 "rill " version
expect 2 "takes no arguments" version now
expect 2 "did you mean 'replay'?" repaly
expect 2 "unknown command 'xyzzy'" xyzzy
expect 2 "unknown command 'xyzzy'" help xyzzy
for later in top; do
    expect 2 "rill $later: not in this version" "$later"
done
expect 2 "which capture?" replay
expect 2 "did you mean --speed?" replay t --nf nat --sped 2
expect 2 "give --json another path" replay t --nf nat --json "$folder/no/such/folder.json"
expect 2 "Is a directory" replay t --nf nat --json "$folder"
expect 2 "info or gen?" trace
expect 2 "did you mean 'info'?" trace inf
expect 2 "no such file" trace info "$folder/none.pcap"
expect 2 "where to?" trace gen
expect 0 "flowlet_timeout_us" settings
expect 0 "0.75" settings --set alpha=0.75
expect 2 "alpha" settings --set alpha=7
expect 2 "did you mean --set?" settings --sat alpha=0.5

# --set outranks the file wherever it stands.
printf 'nf: nat\nsettings:\n  replicas: 5\n  alpha: 0.625\n' >"$folder/d.yaml"
expect 0 "d.yaml:3" settings --config "$folder/d.yaml"
expect 0 "0.375" settings --set alpha=0.375 --config "$folder/d.yaml"

# An output that would overwrite an input is refused, and nothing is harmed.
echo "not a capture" >"$folder/a.pcap"
ln "$folder/a.pcap" "$folder/b.pcap"
expect 2 "is the capture itself" replay "$folder/a.pcap" --nf nat --out "$folder/b.pcap"
expect 2 "is the capture itself" replay "$folder/a.pcap" --nf nat --json "$folder/a.pcap"
expect 2 "must differ" replay "$folder/a.pcap" --nf nat --json "$folder/c.pcap" --out "$folder/c.pcap"
[ "$(cat "$folder/a.pcap")" = "not a capture" ] || failures=$((failures + 1))

if [ -w /dev/full ]; then
    "$rill" help >/dev/full 2>"$folder/err"
    [ $? -eq 2 ] || { echo "rill help >/dev/full: not 2"; failures=$((failures + 1)); }
fi

# Same seed, same bytes; and what is made can be read.
expect 0 "packets" trace gen --out "$folder/g1.pcap" --seed 7 --set seconds=0.01
expect 0 "packets" trace gen --out "$folder/g2.pcap" --set seed=7 --set seconds=0.01
cmp "$folder/g1.pcap" "$folder/g2.pcap" || failures=$((failures + 1))
expect 0 "flowlets" trace info "$folder/g1.pcap"

# The commands of a cluster, without one.
# The configuration store, in a folder.
mkdir -p "$folder/store"
printf 'one\n' >"$folder/text"
expect 0 "usage: rill store put" store --help
expect 2 "it is: put NAME FILE" store
expect 2 "it is: put NAME FILE" store put a
expect 2 "nothing follows the file" store put a b c
expect 2 "no space and no '/'" store put ../a "$folder/text" --store "$folder/store"
expect 2 "No such file" store put a "$folder/none" --store "$folder/store"
expect 2 "a: No such file" store get a --store "$folder/store"
expect 0 "a: version " store put a "$folder/text" --store "$folder/store"
expect 0 "one" store get a --store "$folder/store"
expect 0 "  4 bytes" store list --store "$folder/store"
expect 2 "redis://HOST:PORT" store list --store redis://here

of_cluster="up down status deploy undeploy logs records bill fail"
if "$rill" up --help >/dev/null 2>&1; then
    nowhere="--cluster nowhere --base $folder/nowhere"
    for command in $of_cluster; do
        expect 0 "usage: rill $command" "$command" --help
        expect 0 "usage: rill $command" help "$command"
        expect 2 "did you mean --cluster?" "$command" --clustre x
        expect 2 "--cluster 'A': a cluster's name has 1 to 24" "$command" --cluster A
    done
    expect 2 "cluster 'nowhere' is not up: rill up --cluster nowhere --base" status $nowhere
    expect 2 "cluster 'nowhere' is not up: rill up" status --json $nowhere
    expect 2 "cluster 'nowhere' is not up: rill up" logs rm $nowhere
    expect 2 "cluster 'nowhere' is not up: rill up" undeploy nat $nowhere
    expect 2 "cluster 'nowhere' is not up: rill up" deploy nat $nowhere
    expect 2 "cluster 'nowhere' is not up: rill up" fail unit:3 $nowhere
    expect 2 "the rm of cluster 'nowhere' does not run here" fail rm $nowhere
    expect 2 "nobody would notice that the agent hangs" fail agent --hang $nowhere
    expect 2 "which role? \`rill status\` lists them" fail $nowhere
    expect 2 "which unit? Its number follows, like unit:1" fail unit $nowhere
    expect 2 "'unit-x': the role is unit:N" fail unit-x $nowhere
    expect 2 "one role at a time" fail unit:3 unit:4 $nowhere
    expect 2 "cluster 'nowhere' is not up" down $nowhere
    expect 2 "cluster 'nowhere' is not up: rill up" replay "$folder/g1.pcap" $nowhere
    expect 2 "for the rm there is \`rill fail rm\`" replay "$folder/g1.pcap" $nowhere --fail rm@1s
    [ ! -e "$folder/nowhere" ] || { echo "something was made at $folder/nowhere"; failures=$((failures + 1)); }

    # A cluster file is judged before anything is done.
    printf 'cluster:\n  warm: 2\n  warmth: 3\n' >"$folder/c.yaml"
    expect 2 "c.yaml:3: warmth: unknown; the nearest known one is warm" up "$folder/c.yaml" $nowhere
    expect 2 "c.yaml: cannot open it" up "$folder/no/c.yaml"
    expect 2 "d.yaml:1: nf: unknown; known: cluster" up "$folder/d.yaml"
    expect 2 "one cluster file at a time" up "$folder/c.yaml" "$folder/d.yaml"
    expect 2 "--set: warm: \"99\" is not an integer in 0..16" up --set warm=99 $nowhere
    expect 2 "--set 'warm': it is NAME=VALUE" up --set warm $nowhere
    expect 2 "it is an absolute path" up --base here

    # A folder that is somebody else's is left alone.
    mkdir -p "$folder/other/data"
    expect 2 "not the folder of a cluster" down --cluster nowhere --base "$folder/other"
    if [ "$(id -u)" -eq 0 ]; then
        expect 2 "something else is there" up --cluster nowhere --base "$folder/other"
    else
        expect 2 "needs root" up $nowhere
    fi
    [ -d "$folder/other/data" ] || { echo "$folder/other/data is gone"; failures=$((failures + 1)); }

    # What is deployed is judged here, as by replay.
    expect 2 "which network function?" deploy
    expect 2 "NF 'xyzzy' not found" deploy xyzzy $nowhere
    expect 2 "go together" deploy nat --inside-interface eth0
    expect 2 "--units '0'" deploy nat --units 0
    expect 2 "one network function at a time" deploy nat lb
    printf 'nf: nat\nconfig:\n  public_addresses: [none]\n' >"$folder/n.yaml"
    expect 2 "n.yaml:3" deploy --config "$folder/n.yaml" $nowhere
    expect 2 "n.yaml:3" replay "$folder/g1.pcap" --config "$folder/n.yaml"
    expect 2 "which deployment?" undeploy
    expect 2 "one deployment at a time" undeploy a b
    expect 2 "one role at a time" logs rm agent

    # Records, of the deployment that a file's first line names.
    mkdir -p "$folder/kept/records"
    printf '{"event_type": "unit", "deployment": "a", "nf": "x"}\n{"n": 1}\n{"half' >"$folder/kept/records/unit-1.jsonl"
    printf '{"event_type": "unit", "deployment": "ab", "nf": "x"}\n{"n": 2}\n' >"$folder/kept/records/unit-2.jsonl"
    : >"$folder/kept/records/unit-3.jsonl"
    expect 0 '{"n": 1}' records a --base "$folder/kept"
    [ "$("$rill" records --base "$folder/kept" | tr -d '\n')" = '{"n": 1}{"n": 2}' ] || {
        echo "records: not those two"
        failures=$((failures + 1))
    }
    expect 2 "no unit of a deployment 'b'" records b --base "$folder/kept"
    expect 2 "is not up" records --base "$folder/nowhere"

    # What comes later is printed later, whole lines alone, until the folder goes.
    "$rill" records a --follow --base "$folder/kept" >"$folder/followed" &
    follower=$!
    while [ ! -s "$folder/followed" ] && kill -0 "$follower"; do sleep 0.01; done
    printf '": 3}\n{"n": 4' >>"$folder/kept/records/unit-1.jsonl"
    printf '{"event_type": "unit", "deployment": "a", "nf": "x"}\n{"n": 5}\n' >"$folder/kept/records/unit-4.jsonl"
    while ! grep -q 5 "$folder/followed" && kill -0 "$follower"; do sleep 0.01; done
    rm -r "$folder/kept/records"
    wait "$follower" || { echo "records --follow: exit code $?"; failures=$((failures + 1)); }
    [ "$(tr -d '\n' <"$folder/followed")" = '{"n": 1}{"half": 3}{"n": 5}' ] || {
        echo "records --follow: not those three"
        cat "$folder/followed"
        failures=$((failures + 1))
    }

    # Logs that were kept can be read, and disturb no terminal.
    mkdir -p "$folder/kept/logs"
    printf 'one\n\033[2Jtwo' >"$folder/kept/logs/unit-3.log"
    echo three >"$folder/kept/logs/rm.log"
    expect 0 "?[2Jtwo" logs unit-3 --base "$folder/kept"
    expect 0 "?[2Jtwo" logs unit:3 --base "$folder/kept"
    expect 2 "no log of 'unit-4'; there are logs of rm, unit-3" logs unit-4 --base "$folder/kept"
    expect 2 "which role? there are logs of rm, unit-3" logs --base "$folder/kept"
    expect 2 "no log of '../logs/rm'" logs ../logs/rm --base "$folder/kept"
else
    for command in $of_cluster; do
        expect 2 "rill $command: this build has no cluster form: apt-get install" "$command"
    done
fi

[ "$failures" -eq 0 ] || echo "$failures failures"
exit $((failures > 0))
