# Sourced, not run: installs what is missing from Debian's packages.
#
#   rill_packages LIST...     the lists are the .txt files of this folder, by name without .txt
#
# A package counts as there if what it is needed for is (a command, a header, a pkg-config module),
# wherever that came from. As root the missing ones are installed by apt-get, quietly; without root
# they are named, and the caller gets exit code 2. Whether that stops it is the caller's to say: it
# can do without the list `cluster`.

rill_packages_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# True if what `probe` names is there.
rill_package_found() {
    local probe=$1
    case $probe in
    cmd:*) command -v "${probe#cmd:}" >/dev/null 2>&1 ;;
    pc:*) pkg-config --exists "${probe#pc:}" >/dev/null 2>&1 ;;
    header:*) echo "#include <${probe#header:}>" | cc -E - >/dev/null 2>&1 ;;
    *) false ;;
    esac
}

# The packages of the lists that are missing, one per line.
rill_packages_missing() {
    local list package probe rest
    for list in "$@"; do
        while read -r package probe rest; do
            case $package in
            '' | '#'*) continue ;;
            esac
            rill_package_found "$probe" || echo "$package"
        done <"$rill_packages_folder/$list.txt"
    done
}

rill_packages_apt() {
    local log=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 update >"$log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 \
            install --no-install-recommends "$@" >>"$log" 2>&1
}

rill_packages() {
    local missing log
    mapfile -t missing < <(rill_packages_missing "$@")
    [ "${#missing[@]}" -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "missing Debian packages: ${missing[*]}" >&2
        echo "install them as root: apt-get install ${missing[*]}" >&2
        return 2
    fi
    echo "installing from Debian: ${missing[*]}"
    log=$(mktemp)
    if ! rill_packages_apt "$log" "${missing[@]}"; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        echo "installing failed; install these by hand, then try again: ${missing[*]}" >&2
        return 2
    fi
    rm -f "$log"
    mapfile -t missing < <(rill_packages_missing "$@")
    [ "${#missing[@]}" -eq 0 ] && return 0
    echo "installed, but still not found: ${missing[*]}" >&2
    return 2
}
