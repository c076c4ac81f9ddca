#!/usr/bin/env python3
"""The cores call no clock, socket, file, thread or random source: their undefined symbols are checked
against a list. Arguments: libNAME=PATH.a for each core's library; nm from PATH.

What a core may call: memory, strings, formatting into a buffer, DPDK's pure parts (mbufs, mempools,
hashes, CRC), Rill's own cores and libraries. Whatever else turns up must be argued for here.
"""
import re
import subprocess
import sys

ALLOWED = re.compile(r"""^(
    mem(cpy|set|move|cmp|chr)|__mem(cpy|set|move)_chk|str(len|cmp|ncmp|chr|cspn|spn|nlen)|
    calloc|malloc|realloc|free|aligned_alloc|mmap|munmap|madvise|abort|  # mapped: memory alone
    qsort(_r)?|__u?divti3|
    v?snprintf|__v?snprintf_chk|            # into a buffer: error texts
    inet_pton|sigabbrev_np|                 # text to address, signal to text: pure
    protobuf_c_.*|rill_config_.*|rill_setting_.*|rill_settings_schema|  # memory only
    fprintf|fwrite|stderr|vfprintf|__v?fprintf_chk|fputs|fputc|  # only on the way to abort()
    rte_mempool_.*|rte_pktmbuf_.*|rte_mbuf_.*|rte_hash_.*|rte_errno|per_lcore__.*|rte_strerror|
    rte_crc32_alg|crc32_alg|rte_log.*|__rte_.*|rte_mem_.*|rte_cpu_.*|__emutls.*|__tls_get_addr|
    __stack_chk_fail|__assert_fail|__errno_location|_GLOBAL_OFFSET_TABLE_|
    __asan_.*|__ubsan_.*|__tsan_.*|__lsan_.*|__sanitizer_.*|  # the sanitizers' own
    llround|sqrt|floor|ceil
)$""", re.X)

# Starts the process, before there is any core.
EXEMPT = ("eal.c.o",)
FORBIDDEN_TOLD = "a core may not call it: see tests/sans_io.py"


def symbols(path, kind):
    out = subprocess.run(["nm", "-A", kind, path], capture_output=True, text=True, check=True).stdout
    return [(line.split()[0], line.split()[-1]) for line in out.splitlines() if line.strip()]


def main():
    libraries = dict(arg.split("=", 1) for arg in sys.argv[1:])
    own = {name for path in libraries.values() for _, name in symbols(path, "--defined-only")}
    bad = [(where, name) for path in libraries.values() for where, name in symbols(path, "-u")
           if name not in own and not ALLOWED.match(name) and not where.rstrip(":").endswith(EXEMPT)]
    for where, name in bad:
        print("%s %s: %s" % (where, name, FORBIDDEN_TOLD))
    print("%d libraries, %d symbols of their own, %d forbidden calls" % (len(libraries), len(own), len(bad)))
    return 1 if bad or not own else 0


if __name__ == "__main__":
    sys.exit(main())
