"""Maglev's table as its paper has it (Eisenbud et al., NSDI 2016, section 3.4, pseudocode 1), in plain
Python: permutations written out, one list for each backend. Shares no code with nfs/lb; what it has in
common with it is said in nfs/lb/README.md: the two hashes of a backend, and weights as turns."""
import ipaddress

MASK = (1 << 64) - 1


def fnv1a(value, data):
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def finalize(value):
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & MASK
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def name(server):
    """A backend's 18 bytes: its address, IPv4 in the first 4 of 16, and its port, 0 for any."""
    if server.startswith("["):
        address, _, port = server[1:].partition("]")
        port = port.lstrip(":")
    elif server.count(":") == 1:
        address, port = server.split(":")
    else:
        address, port = server, ""
    return ipaddress.ip_address(address).packed.ljust(16, b"\0") + int(port or 0).to_bytes(2, "big")


def permutation(server, m):
    h1 = finalize(fnv1a(0xCBF29CE484222325, name(server)))
    h2 = finalize(fnv1a(h1, name(server)))
    offset, skip = h1 % m, h2 % (m - 1) + 1
    return [(offset + j * skip) % m for j in range(m)]


def populate(permutations, m, weights):
    """entry[j]: the index of the backend that has it."""
    following = [0] * len(permutations)
    entry = [-1] * m
    n = 0
    while True:
        for i, preferred in enumerate(permutations):
            for _ in range(weights[i]):
                c = preferred[following[i]]
                while entry[c] >= 0:
                    following[i] += 1
                    c = preferred[following[i]]
                entry[c] = i
                following[i] += 1
                n += 1
                if n == m:
                    return entry


def table(servers, m, weights=None):
    """For each entry the index of its server in the list."""
    order = sorted(range(len(servers)), key=lambda i: name(servers[i]))
    weights = weights or [1] * len(servers)
    entry = populate([permutation(servers[i], m) for i in order], m, [weights[i] for i in order])
    return [order[i] for i in entry]
