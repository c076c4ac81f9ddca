#!/bin/sh
# Takes the example out of docs/writing-an-nf.md and builds it with the very command given there.
# Usage: build-from-doc.sh DOC RILL_SOURCE FOLDER
set -eu

doc=$1
RILL=$2
mkdir -p "$3"

block() {
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p}" "$doc"
}

block 'c limit\.c' > "$3/limit.c"
command=$(block 'sh build')
test -s "$3/limit.c" && test -n "$command" || {
    echo "$doc: the blocks 'c limit.c' and 'sh build' are not there" >&2
    exit 1
}
cd "$3"
eval "$command"
