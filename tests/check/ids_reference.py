"""What the NF ids should find, by a plain search: rules in Snort's syntax over streams that someone else put together.

No code in common with Rill. Only the part of the syntax that it can judge exactly: read_rules() leaves out the rest.
"""
import ipaddress
import re
import subprocess
from collections import defaultdict, namedtuple

Content = namedtuple("Content", "data nocase negated relative distance within offset depth fast")
Rule = namedtuple("Rule", "sid action proto source source_port both destination destination_port flow contents pcres dsize line")
# pieces: runs of bytes as (position or None if it is not known, bytes). dsize: of a datagram, or of a segment by itself.
Stream = namedtuple("Stream", "proto source source_port destination destination_port to_server established pieces dsize",
                    defaults=[None])

HALF_WINDOW = 1024
OPTION = re.compile(r'\s*([\w.]+)\s*(?::((?:"(?:\\.|[^"\\])*"|[^;"])*))?;')
# Those that mean the same to everybody.
PCRE = re.compile(r'^"/([A-Za-z0-9 \[\]+{},.]+)/([ism]*)"$')
CONTENT = re.compile(r'^\s*(!?)\s*"((?:\\.|[^"\\])*)"\s*$')
NOTES = {"msg", "reference", "metadata", "classtype", "rev", "gid", "priority", "rawbytes"}


# --- rules ---------------------------------------------------------------------------------------


def _bytes(text):
    out, parts = bytearray(), re.split(r"\|", text)
    for i, part in enumerate(parts):
        if i % 2:
            out += bytes.fromhex(part)
        else:
            out += re.sub(r"\\(.)", r"\1", part).encode("latin-1")
    return bytes(out)


def _contents(options):
    """The contents, or None where there is something else."""
    contents, pcres, sid, flow, dsize = [], [], None, set(), None
    for i, (name, value) in enumerate(options):
        value = (value or "").strip()
        if name == "content":
            found = CONTENT.match(value)
            if not found:
                return None
            contents.append(Content(_bytes(found[2]), False, bool(found[1]), False, 0, None, 0, None, False))
        elif name == "pcre":
            found = PCRE.match(value)
            if not found:
                return None
            flags = sum({"i": re.I, "s": re.S, "m": re.M}[f] for f in found[2])
            # One before a content: is that relative to it? One behind all of them leaves no doubt.
            if "content" in [n for n, _ in options[i + 1 :]]:
                return None
            pcres.append(re.compile(found[1].encode("latin-1"), flags))
        elif name in ("nocase", "fast_pattern"):
            contents[-1] = contents[-1]._replace(**{"nocase" if name == "nocase" else "fast": True})
        elif name in ("offset", "depth"):
            contents[-1] = contents[-1]._replace(**{name: int(value)})
        elif name in ("distance", "within"):
            contents[-1] = contents[-1]._replace(relative=True, **{name: int(value)})
        elif name == "flow":
            flow = {w.strip() for w in value.split(",")}
        elif name == "sid":
            sid = int(value)
        elif name == "dsize" and dsize is None:
            dsize = _dsize(value)
        elif name not in NOTES:
            return None
    return contents, sid, flow, pcres, dsize


def _dsize(value):
    if "<>" in value:
        return tuple(map(int, value.split("<>")))
    if value[0] in "<>":
        return (0, int(value[1:]) - 1) if value[0] == "<" else (int(value[1:]) + 1, 65535)
    return int(value), int(value)


def _plain(whole, contents):
    """Can this search judge it?"""
    if not contents or all(c.negated for c in contents) or contents[0].relative:
        return False
    placed = [c for c in contents if c.offset or c.depth is not None]
    if any(c.relative for c in placed) or any(c.negated and c.fast for c in contents):
        return False
    if any(len(c.data) > (c.within if c.within is not None else c.depth if c.depth is not None else 99999)
           for c in contents):
        return False
    first = next(i for i, c in enumerate(contents) if not c.negated)
    if any(c.relative for c in contents[:first]) or any(not 0 < len(c.data) < 256 for c in contents):
        return False
    return whole or all(c.relative and c.within is not None and c.distance >= 0
                                 for c in contents if c.negated)


def read_rules(text):
    rules = []
    for line in text.splitlines():
        head = re.match(r"^(alert|drop) (tcp|udp) (\S+) (\S+) (->|<>) (\S+) (\S+)\s*\((.*)\)\s*$", line.strip())
        if not head:
            continue
        body, options, at = head[8], [], 0
        while (found := OPTION.match(body, at)) is not None:
            options.append((found[1], found[2]))
            at = found.end()
        if body[at:].strip():
            continue
        try:
            read = _contents(options)
        except (ValueError, IndexError):
            continue
        if read is None or read[1] is None or not _plain(head[2] == "udp" or read[4] is not None, read[0]):
            continue
        if not read[2] <= {"to_server", "from_client", "to_client", "from_server", "established", "stateless"}:
            continue
        rules.append(Rule(read[1], head[1], head[2], head[3], head[4], head[5] == "<>", head[6], head[7], read[2],
                          read[0], read[3], read[4], line))
    return rules


# --- headers -------------------------------------------------------------------------------------


def _items(text, variables):
    """The items of a list, with their negation: variables and inner lists taken apart."""
    text = text.strip()
    if text.startswith("!"):
        for item, negated in _items(text[1:], variables):
            assert not negated
            yield item, True
    elif text.startswith("$"):
        yield from _items(variables[text[1:]], variables)
    elif text.startswith("["):
        depth, item = 0, ""
        for c in text[1:-1] + ",":
            if c == "," and depth == 0:
                yield from _items(item, variables)
                item = ""
            else:
                depth += (c == "[") - (c == "]")
                item += c
    else:
        yield text, False


def _in_list(text, variables, has):
    items = list(_items(text, variables))
    wanted = [i for i, negated in items if not negated]
    return (not wanted or any(has(i) for i in wanted)) and not any(has(i) for i, negated in items if negated)


def _has_address(item, address):
    if item == "any":
        return True
    network = ipaddress.ip_network(item, strict=False)
    return address.version == network.version and address in network


def _has_port(item, port):
    if item == "any":
        return True
    low, colon, high = item.partition(":")
    return int(low or 0) <= port <= int(high or 65535) if colon else port == int(item)


class Headers:
    def __init__(self, variables):
        self.variables, self.known = variables, {}

    def _address(self, text, address):
        key = (text, address)
        if key not in self.known:
            ip = ipaddress.ip_address(address)
            self.known[key] = _in_list(text, self.variables, lambda item: _has_address(item, ip))
        return self.known[key]

    def _port(self, text, port):
        key = (text, port, "port")
        if key not in self.known:
            self.known[key] = _in_list(text, self.variables, lambda item: _has_port(item, port))
        return self.known[key]

    def _one_way(self, rule, source, source_port, destination, destination_port):
        return (self._port(rule.source_port, source_port) and self._port(rule.destination_port, destination_port)
                and self._address(rule.source, source) and self._address(rule.destination, destination))

    def match(self, rule, s):
        if s.dsize is None and rule.dsize is not None or s.proto == "tcp" and s.dsize is not None and rule.dsize is None:
            return False  # of a stream, and of what is by itself
        if rule.dsize is not None and not rule.dsize[0] <= s.dsize <= rule.dsize[1]:
            return False
        if rule.proto != s.proto or ("established" in rule.flow and not s.established):
            return False
        if rule.flow & {"to_server", "from_client"} and not s.to_server:
            return False
        if rule.flow & {"to_client", "from_server"} and s.to_server:
            return False
        return (self._one_way(rule, s.source, s.source_port, s.destination, s.destination_port)
                or rule.both and self._one_way(rule, s.destination, s.destination_port, s.source, s.source_port))


# --- search --------------------------------------------------------------------------------------


def _places(content, data, folded, low, high):
    """Where the content begins, whole in data[low:high]."""
    text, word = (folded, content.data.lower()) if content.nocase else (data, content.data)
    low = max(low, 0)
    at = text.find(word, low, max(high, 0))
    while at >= 0:
        yield at
        at = text.find(word, at + 1, max(high, 0))


def _range(content, position, end, size):
    """From where to where a content may lie; position: of data[0], None: far into the stream."""
    if content.relative:
        low = end + content.distance
        return low, size if content.within is None else low + content.within
    if position is None:
        return 0, 0 if content.depth is not None else size
    low = content.offset - position
    return low, size if content.depth is None else min(size, low + content.depth)


def _holds(contents, data, folded, position, whole, i=0, end=0):
    """By trying everything."""
    if i == len(contents):
        return True
    c = contents[i]
    low, high = _range(c, position, end, len(data))
    if c.negated:
        if high > len(data) and not whole:
            return False
        return (next(_places(c, data, folded, low, high), None) is None
                and _holds(contents, data, folded, position, whole, i + 1, end))
    return any(_holds(contents, data, folded, position, whole, i + 1, at + len(c.data))
               for at in _places(c, data, folded, low, high))


def fast_content(contents):
    wanted = [c for c in contents if not c.negated]
    marked = [c for c in wanted if c.fast]
    return max(marked or wanted, key=lambda c: len(c.data))


def _rule_holds(rule, data, folded, position, whole):
    return (_holds(rule.contents, data, folded, position, whole)
            and all(pcre.search(data) is not None for pcre in rule.pcres))


def matches(rule, position, data, folded, datagram, half=HALF_WINDOW):
    fast = fast_content(rule.contents)
    if datagram:
        return (next(_places(fast, data, folded, 0, len(data)), None) is not None
                and _rule_holds(rule, data, folded, position, True))
    if len(rule.contents) == 1 and not rule.pcres:
        return _holds(rule.contents, data, folded, position, False)
    for at in _places(fast, data, folded, 0, len(data)):
        end = at + len(fast.data)
        low, high = max(0, end - half), min(len(data), end + half)
        if _rule_holds(rule, data[low:high], folded[low:high], None if position is None else position + low, False):
            return True
    return False


def search(rules, streams, variables, half=HALF_WINDOW):
    """{(connection, sid)}"""
    headers, found = Headers(variables), set()
    for s in streams:
        wanted = [r for r in rules if headers.match(r, s)]
        for position, data in s.pieces:
            folded = data.lower()
            for rule in wanted:
                if matches(rule, position, data, folded, s.dsize is not None, half):
                    found.add((connection(s.proto, s.source, s.source_port, s.destination, s.destination_port), rule.sid))
    return found


def connection(proto, source, source_port, destination, destination_port):
    ends = sorted([(source, source_port), (destination, destination_port)])
    return (proto, *ends[0], *ends[1])


# --- streams, by tshark --------------------------------------------------------------------------

PLAIN = re.compile(r"^eth:ethertype:(vlan:ethertype:)*(ip|ipv6):(tcp|udp)(:|$)")
MISSING = re.compile(rb"\[(\d+) bytes missing in capture file\]")


def _tshark(*args):
    done = subprocess.run(["tshark", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", *args],
                          capture_output=True, timeout=600, check=True)
    return done.stdout.decode(errors="replace")


def _packets(capture):
    fields = ["frame.protocols", "tcp.stream", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport",
              "udp.srcport", "udp.dstport", "tcp.flags", "udp.payload", "tcp.len", "tcp.payload", "udp.length"]
    out = _tshark("-r", capture, "-T", "fields", "-E", "occurrence=f", "-Y", "(tcp || udp) && !icmp && !icmpv6",
                  *(x for f in fields for x in ("-e", f)))
    for line in out.splitlines():
        f = (line.split("\t") + [""] * len(fields))[: len(fields)]
        if not PLAIN.match(f[0]):
            continue
        proto = PLAIN.match(f[0])[3]
        ports = f[6:8] if proto == "tcp" else f[8:10]
        if ports[0] and (f[1] or proto == "udp"):
            yield (proto, f[1] if proto == "tcp" else "", f[2] or f[3], int(ports[0]), f[4] or f[5], int(ports[1]), int(f[10] or "0", 16),
                   bytes.fromhex((f[11] or f[13]).replace(":", "")), int(f[12] or 0) if proto == "tcp" else int(f[14] or 8) - 8)


def _follow(capture, numbers):
    """{(stream, source, port): text of its bytes}"""
    streams = defaultdict(bytearray)
    out = _tshark("-r", capture, "-q", *(x for n in numbers for x in ("-z", "follow,tcp,raw,%d" % n)))
    number, nodes = None, [None, None]
    for line in out.splitlines():
        if line.startswith("Filter: tcp.stream eq "):
            number = int(line.split()[-1])
        elif line.startswith("Node "):
            address, _, port = line[8:].rpartition(":")
            nodes[int(line[5])] = (address.strip("[]"), int(port))
        elif line and line[0] in "\t0123456789abcdef":
            streams[(number, *nodes[line[0] == "\t"])] += bytes.fromhex(line.strip())
    return streams


def _pieces(data, from_start):
    """Cut where tshark says that bytes are missing."""
    position, at, pieces = 0 if from_start else None, 0, []
    for gap in MISSING.finditer(data):
        pieces.append((position, bytes(data[at : gap.start()])))
        position = None if position is None else position + gap.start() - at + int(gap[1])
        at = gap.end()
    pieces.append((position, bytes(data[at:])))
    return [p for p in pieces if p[1]]


def streams_of(capture):
    seen, syns, sides, clients, out = {}, set(), defaultdict(set), {}, []
    udp, followed = [], set()
    for proto, number, source, source_port, destination, destination_port, flags, payload, dsize in _packets(capture):
        ends = (source, source_port, destination, destination_port)
        key = connection(proto, *ends)
        clients.setdefault((key, number), ends[2:] if flags & 0x12 == 0x12 else ends[:2])
        sides[(key, number)].add(ends[:2])
        if proto == "udp":
            udp.append((key, ends, len(sides[(key, number)]) == 2, payload, dsize))
            continue
        if flags & 2:
            syns.add((number, *ends[:2]))
        seen.setdefault(int(number), (key, number, ends, bool(flags & 2)))
        if dsize > 0:
            followed.add(int(number))
        if payload:
            established = not seen[int(number)][3] or len(sides[(key, number)]) == 2
            out.append(Stream("tcp", *ends, clients[(key, number)] == ends[:2], established, [(0, payload)], dsize))
    numbers = sorted(followed)
    for i in range(0, len(numbers), 200):
        for (number, address, port), data in _follow(capture, numbers[i : i + 200]).items():
            key, name, ends, syn_first = seen[number]
            other = ends[2:] if ends[:2] == (address, port) else ends[:2]
            out.append(Stream("tcp", address, port, *other, clients[(key, name)] == (address, port),
                              not syn_first or len(sides[(key, name)]) == 2,
                              _pieces(data, (name, address, port) in syns)))
    for key, ends, established, payload, dsize in udp:
        out.append(Stream("udp", *ends, clients[(key, "")] == ends[:2], established, [(0, payload)] if payload else [],
                          dsize))
    return out
