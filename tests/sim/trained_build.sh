#!/bin/sh
# Builds rill-sim twice: the second time for what the first one did most. Runs seeds a fifth faster;
# which runs these are does not change.
#
#     trained_build.sh BUILD_FOLDER [MORE_CMAKE_ARGUMENTS]
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:?"usage: trained_build.sh BUILD_FOLDER"}
shift

build_with() {
    flags=$1
    shift
    cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS=$flags" \
          "$@" >/dev/null
    cmake --build "$build" --target rill-sim
}

build_with "-fprofile-generate -fprofile-update=single" "$@"
find "$build" -name '*.gcda' -delete
"$build/bin/rill-sim" --seeds 100001..100300
build_with "-fprofile-use -fprofile-partial-training -Wno-missing-profile" "$@"
