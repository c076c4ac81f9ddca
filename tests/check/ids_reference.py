"""What the NF ids should find, by a plain search: rules in Snort's syntax over streams that someone else put together.

No code in common with Rill. Only the part of the syntax that it can judge exactly: read_rules() leaves out the rest.
"""
import ipaddress
import re
import subprocess
from collections import defaultdict, namedtuple

import expected
import packets

Content = namedtuple("Content", "data nocase negated relative distance within offset depth fast")
# Of the payload, beside contents: holds(data, at) with the place that it counts from; None: it counts from the beginning.
Check = namedtuple("Check", "kind relative negated holds")
# parts: contents and checks in their order. tests: {field: [predicate]}. stream: judged on streams, else on packets.
Rule = namedtuple("Rule", "sid action proto source source_port both destination destination_port flow parts pcres dsize tests "
                  "stream line")
# pieces: runs of bytes as (position or None if it is not known, bytes). dsize: of a packet by itself, with its header's
# fields. flow: the connection that it belongs to, where that is not its own (an ICMP error).
Stream = namedtuple("Stream", "proto source source_port destination destination_port to_server established pieces dsize "
                    "fields later flow", defaults=[None, None, False, None])

HALF_WINDOW = 1024
OPTION = re.compile(r'\s*([\w.]+)\s*(?::((?:"(?:\\.|[^"\\])*"|[^;"])*))?;')
# Those that mean the same to everybody.
PCRE = re.compile(r'^(!?)"/(\^?[A-Za-z0-9 \[\]+{},.]+)/([ismR]*)"$')
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


def contents_of(rule):
    return [p for p in rule.parts if isinstance(p, Content)]


def _is_relative_to_nothing(parts):
    return not any(isinstance(p, Content) and not p.negated for p in parts)


def _isdataat(value):
    first, *words = [w.strip() for w in value.split(",")]
    if set(words) - {"relative"} or not re.fullmatch(r"!?\d+", first):
        return None
    n = int(first.lstrip("!"))
    return Check("isdataat", "relative" in words, first[0] == "!", lambda data, at: at + n < len(data))


_COMPARE = {"<": lambda a, b: a < b, ">": lambda a, b: a > b, "=": lambda a, b: a == b, "": lambda a, b: a == b,
            "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "&": lambda a, b: a & b != 0, "^": lambda a, b: a ^ b != 0}
_DIGITS = {10: rb"[ \t\n\v\f\r]*([+-]?[0-9]+)", 8: rb"[ \t\n\v\f\r]*([+-]?[0-7]+)",
           16: rb"[ \t\n\v\f\r]*([+-]?(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+)"}


def _number(data, base, order):
    if base is None:
        return int.from_bytes(data, order)
    found = re.match(_DIGITS[base], data.split(b"\0")[0])
    return int(found[1], base) % 2**32 if found else None


def _byte_test(value):
    items = [w.strip() for w in value.split(",")]
    words = items[4:]
    if len(items) < 4 or set(words) - {"relative", "big", "little", "string", "dec", "hex", "oct"}:
        return None
    base = {"dec": 10, "hex": 16, "oct": 8}[(set(words) & {"dec", "hex", "oct"}).pop()] if "string" in words else None
    size, wanted, offset, negated = int(items[0]), int(items[2], 0), int(items[3]), items[1][0] == "!"
    compare, order = _COMPARE[items[1].lstrip("!")], "little" if "little" in words else "big"

    def holds(data, at):
        if at + offset < 0 or at + offset + size > len(data):
            return False
        number = _number(data[at + offset : at + offset + size], base, order)
        return number is not None and compare(number, wanted) != negated

    return Check("byte_test", "relative" in words, False, holds)


_PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50}
_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128, "1": 128, "2": 64, "0": 0}
_FRAGBITS = {"M": 1, "D": 2, "R": 4}
NUMBERS = {"itype", "icode", "icmp_id", "icmp_seq", "ttl", "tos", "id", "ip_proto", "seq", "ack", "window"}
FIELDS = NUMBERS | {"flags", "fragbits"}


def _field_test(name, value):
    """What must be true of the field, or None."""
    value = value.replace(" ", "")
    if name in NUMBERS:
        if name == "ttl" and re.fullmatch(r"\d*-\d*", value):
            low, high = value.split("-")
            return lambda x: int(low or 0) <= x <= int(high or 255)
        found = re.fullmatch(r"(<=|>=|[<>=!]?)(\w+)", value)
        if not found:
            return None
        number = _PROTOCOLS[found[2].lower()] if not found[2].isdigit() else int(found[2])
        return {"": lambda x: x == number, "=": lambda x: x == number, "!": lambda x: x != number, "<": lambda x: x < number,
                ">": lambda x: x > number, "<=": lambda x: x <= number, ">=": lambda x: x >= number}[found[1]]
    letters = _FLAGS if name == "flags" else _FRAGBITS
    value, _, ignored = value.partition(",")
    mode = "".join(c for c in value if c in "+*!")
    bits = sum(letters[c] for c in value if c not in "+*!")
    mask = ~sum(letters[c] for c in ignored)
    return {"": lambda x: x & mask == bits, "+": lambda x: x & mask & bits == bits, "*": lambda x: x & mask & bits != 0,
            "!": lambda x: x & mask & bits == 0}[mode]


def _pcre(found, parts, behind):
    """The expression, or the check that it is with flag R; None if it can't be judged."""
    flags = sum({"i": re.I, "s": re.S, "m": re.M, "R": 0}[f] for f in found[3])
    regex, negated = re.compile(found[2].encode("latin-1"), flags), bool(found[1])
    if "R" not in found[3]:
        # One before a content: is that relative to it? One behind all of them leaves no doubt.
        return None if "content" in behind or negated or found[2][0] == "^" else regex
    if _is_relative_to_nothing(parts) or ({"content", "isdataat", "byte_test"} & set(behind) and not negated):
        return None
    return Check("pcre", True, negated, lambda data, at: regex.search(data[at:]) is not None)


def _contents(options):
    """What a rule is made of, or None where there is something else."""
    parts, pcres, sid, flow, dsize, tests = [], [], None, set(), None, []

    def modify(**what):
        i = max(k for k, p in enumerate(parts) if isinstance(p, Content))
        parts[i] = parts[i]._replace(**what)

    for i, (name, value) in enumerate(options):
        value = (value or "").strip()
        if name == "content":
            found = CONTENT.match(value)
            if not found:
                return None
            parts.append(Content(_bytes(found[2]), False, bool(found[1]), False, 0, None, 0, None, False))
        elif name == "pcre":
            found = PCRE.match(value)
            made = found and _pcre(found, parts, [n for n, _ in options[i + 1 :]])
            if not made:
                return None
            (parts if isinstance(made, Check) else pcres).append(made)
        elif name in ("isdataat", "byte_test"):
            made = (_isdataat if name == "isdataat" else _byte_test)(value)
            if not made or (made.relative and (_is_relative_to_nothing(parts) or pcres)):
                return None
            parts.append(made)
        elif name in FIELDS:
            test = _field_test(name, value)
            if not test:
                return None
            tests.append((name, test))
        elif name in ("nocase", "fast_pattern"):
            modify(**{"nocase" if name == "nocase" else "fast": True})
        elif name in ("offset", "depth"):
            modify(**{name: int(value)})
        elif name in ("distance", "within"):
            modify(relative=True, **{name: int(value)})
        elif name == "flow":
            flow = {w.strip() for w in value.split(",")}
        elif name == "sid":
            sid = int(value)
        elif name == "dsize" and dsize is None:
            dsize = _dsize(value)
        elif name not in NOTES:
            return None
    return parts, sid, flow, pcres, dsize, tests


def _dsize(value):
    if "<>" in value:
        return tuple(map(int, value.split("<>")))
    if value[0] in "<>":
        return (0, int(value[1:]) - 1) if value[0] == "<" else (int(value[1:]) + 1, 65535)
    return int(value), int(value)


def _plain(stream, parts):
    """Can this search judge it?"""
    contents = [p for p in parts if isinstance(p, Content)]
    if contents and contents[0].relative:
        return False
    placed = [c for c in contents if c.offset or c.depth is not None]
    if any(c.relative for c in placed) or any(c.negated and c.fast for c in contents):
        return False
    if any(len(c.data) > (c.within if c.within is not None else c.depth if c.depth is not None else 99999)
           for c in contents):
        return False
    first = next((i for i, c in enumerate(contents) if not c.negated), len(contents))
    if any(c.relative for c in contents[:first]) or any(not 0 < len(c.data) < 256 for c in contents):
        return False
    if not stream:
        return True
    if first == len(contents) or any(p.negated for p in parts if isinstance(p, Check)):
        return False
    return all(c.relative and c.within is not None and c.distance >= 0 for c in contents if c.negated)


def read_rules(text):
    rules = []
    for line in text.splitlines():
        head = re.match(r"^(alert|drop) (tcp|udp|icmp|ip) (\S+) (\S+) (->|<>) (\S+) (\S+)\s*\((.*)\)\s*$", line.strip())
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
        except (ValueError, IndexError, KeyError):
            continue
        if read is None or read[1] is None:
            continue
        parts, sid, flow, pcres, dsize, tests = read
        stream = head[2] == "tcp" and dsize is None and not tests and bool(parts or pcres)
        if not _plain(stream, parts):
            continue
        if not flow <= {"to_server", "from_client", "to_client", "from_server", "established", "stateless"}:
            continue
        if head[2] in ("icmp", "ip") and (flow - {"stateless"} or (head[4], head[7]) != ("any", "any")):
            continue
        rules.append(Rule(sid, head[1], head[2], head[3], head[4], head[5] == "<>", head[6], head[7], flow, parts, pcres,
                          dsize, tests, stream, line))
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
        if rule.stream != (s.dsize is None) or (rule.proto == "icmp" and s.fields is None):
            return False  # of a stream, and of what is by itself
        if rule.dsize is not None and not rule.dsize[0] <= s.dsize <= rule.dsize[1]:
            return False
        if s.later and (rule.proto != "ip" or rule.parts or rule.pcres or rule.dsize is not None):
            return False
        if rule.tests and not all(name in s.fields and test(s.fields[name]) for name, test in rule.tests):
            return False
        if not (rule.proto in ("ip", s.proto) if rule.proto != "icmp" else "itype" in s.fields):
            return False
        if "established" in rule.flow and not s.established:
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


def _holds(parts, data, folded, position, whole, i=0, end=0):
    """By trying everything."""
    if i == len(parts):
        return True
    c = parts[i]
    if isinstance(c, Check):
        # Where the stream's beginning is not known, this is far into it: there is data at any place before.
        at = end if c.relative else -2**32 if position is None else -position
        return c.holds(data, at) != c.negated and _holds(parts, data, folded, position, whole, i + 1, end)
    low, high = _range(c, position, end, len(data))
    if c.negated:
        if high > len(data) and not whole:
            return False
        return (next(_places(c, data, folded, low, high), None) is None
                and _holds(parts, data, folded, position, whole, i + 1, end))
    return any(_holds(parts, data, folded, position, whole, i + 1, at + len(c.data))
               for at in _places(c, data, folded, low, high))


def fast_content(contents):
    wanted = [c for c in contents if not c.negated]
    marked = [c for c in wanted if c.fast]
    return max(marked or wanted, key=lambda c: len(c.data))


def _rule_holds(rule, data, folded, position, whole):
    return (_holds(rule.parts, data, folded, position, whole)
            and all(pcre.search(data) is not None for pcre in rule.pcres))


def matches(rule, position, data, folded, packet, half=HALF_WINDOW):
    if packet:
        return _rule_holds(rule, data, folded, position, True)
    fast = fast_content(contents_of(rule))
    if len(rule.parts) == 1 and not rule.pcres:
        return _holds(rule.parts, data, folded, position, False)
    for at in _places(fast, data, folded, 0, len(data)):
        end = at + len(fast.data)
        low, high = max(0, end - half), min(len(data), end + half)
        if _rule_holds(rule, data[low:high], folded[low:high], None if position is None else position + low, False):
            return True
    return False


def search(rules, streams, variables, half=HALF_WINDOW):
    """{(connection, sid): the connections that it belongs to, which are told of it}"""
    headers, found = Headers(variables), defaultdict(set)
    for s in streams:
        wanted = [r for r in rules if headers.match(r, s)]
        own = connection(s.proto, s.source, s.source_port, s.destination, s.destination_port)
        for position, data in s.pieces:
            folded = data.lower()
            for rule in wanted:
                if matches(rule, position, data, folded, s.dsize is not None, half):
                    found[(own, rule.sid)].add(s.flow or own)
    return found


def explained(missing, found, wanted):
    """Of what is wanted and was not found: what its connections were told of already, by another's packet. An ICMP error
    belongs to the connection that it is about."""
    told = defaultdict(set)
    for item in found:
        told[item[1]] |= wanted[item]
    return {item for item in missing if wanted[item] <= told[item[1]]}


def connection(proto, source, source_port, destination, destination_port):
    ends = sorted([(source, source_port), (destination, destination_port)])
    return (proto, *ends[0], *ends[1])


# --- packets by themselves -----------------------------------------------------------------------

_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}


def _u16(data, at):
    return int.from_bytes(data[at : at + 2], "big")


def _fields(data, view):
    at, out = view.ip_at, {"ip_proto": view.proto}
    if view.family == 4:
        out |= {"tos": data[at + 1], "ttl": data[at + 8], "id": _u16(data, at + 4), "fragbits": data[at + 6] >> 5}
    else:
        out |= {"tos": _u16(data, at) >> 4 & 255, "ttl": data[at + 7]}
    at = view.l4_at
    if at is not None and view.proto == packets.TCP:
        out |= {"flags": data[at + 13], "window": _u16(data, at + 14), "seq": int.from_bytes(data[at + 4 : at + 8], "big"),
                "ack": int.from_bytes(data[at + 8 : at + 12], "big")}
    if at is not None and view.proto == (packets.ICMP if view.family == 4 else packets.ICMP6):
        out |= {"itype": data[at], "icode": data[at + 1]}
        if view.echo:
            out |= {"icmp_id": _u16(data, at + 4), "icmp_seq": _u16(data, at + 6)}
    return out


def _address(end):
    return str(ipaddress.ip_address(end.address))


def _ends(view):
    ports = view.proto in (packets.TCP, packets.UDP)
    return (_address(view.source), view.source.port or 0 if ports else 0, _address(view.destination),
            view.destination.port or 0 if ports else 0)


def _flow_of(view):
    """As Rill keeps it: with the identifier of an echo, an error with what it is about."""
    about = view.quoted if view.quoted is not None and view.quoted.source.port is not None else view
    return connection(_NAMES.get(about.proto, str(about.proto)), _address(about.source), about.source.port or 0,
                      _address(about.destination), about.destination.port or 0)


def _carried(data, view):
    """What a packet carries, and how many bytes that is on the wire."""
    if view.later_fragment:
        return b"", 0
    at, end = view.ip_at + (data[view.ip_at] & 15) * 4, view.ip_at + view.ip_bytes
    if view.l4_at is not None:
        at = view.l4_at + ((data[view.l4_at + 12] >> 4) * 4 if view.proto == packets.TCP else 8)
    if view.proto == packets.UDP and view.l4_at is not None and not view.fragment:
        end = min(end, view.l4_at + _u16(data, view.l4_at + 4))
    return data[at : min(view.end, end)], max(0, end - at)


def packet_of(data, to_server=True, established=False):
    """A packet of what is neither TCP nor UDP, or a later fragment, as a stream by itself."""
    view = packets.parse(data)
    return _packet_of(data, view, to_server, established)


def _packet_of(data, view, to_server, established):
    text, size = _carried(data, view)
    return Stream(_NAMES.get(view.proto, str(view.proto)), *_ends(view), to_server, established, [(0, text)], size, _fields(data, view),
                  view.later_fragment, _flow_of(view))


def fields_of(data):
    return _fields(data, packets.parse(data))


def fields_by_number(capture):
    return {one.number: _fields(one.data, one.view) for one in expected.read_given(capture, "10.0.0.0/8")
            if one.view is not None and not one.malformed}


def packets_of(capture, numbers):
    """Those of a capture that have these numbers, each by itself."""
    return [_packet_of(one.data, one.view, True, False) for one in expected.read_given(capture, "10.0.0.0/8")
            if one.view is not None and one.number in numbers]


# --- streams, by tshark --------------------------------------------------------------------------

PLAIN = re.compile(r"^eth:ethertype:(vlan:ethertype:)*(ip|ipv6):(tcp|udp)(:|$)")
MISSING = re.compile(rb"\[(\d+) bytes missing in capture file\]")


def _tshark(*args):
    done = subprocess.run(["tshark", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", *args],
                          capture_output=True, timeout=600, check=True)
    return done.stdout.decode(errors="replace")


def _packets(capture):
    fields = ["frame.number", "frame.protocols", "tcp.stream", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport",
              "udp.srcport", "udp.dstport", "tcp.flags", "udp.payload", "tcp.len", "tcp.payload", "udp.length"]
    out = _tshark("-r", capture, "-T", "fields", "-E", "occurrence=f", "-Y", "(tcp || udp) && !icmp && !icmpv6",
                  *(x for f in fields for x in ("-e", f)))
    for line in out.splitlines():
        number, *f = (line.split("\t") + [""] * len(fields))[: len(fields)]
        if not PLAIN.match(f[0]):
            continue
        proto = PLAIN.match(f[0])[3]
        ports = f[6:8] if proto == "tcp" else f[8:10]
        if ports[0] and (f[1] or proto == "udp"):
            yield (int(number), proto, f[1] if proto == "tcp" else "", f[2] or f[3], int(ports[0]), f[4] or f[5], int(ports[1]), int(f[10] or "0", 16),
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
    fields = fields_by_number(capture)
    for frame, proto, number, source, source_port, destination, destination_port, flags, payload, dsize in _packets(capture):
        ends = (source, source_port, destination, destination_port)
        key = connection(proto, *ends)
        clients.setdefault((key, number), ends[2:] if flags & 0x12 == 0x12 else ends[:2])
        sides[(key, number)].add(ends[:2])
        if proto == "udp":
            if frame in fields:
                udp.append((key, ends, len(sides[(key, number)]) == 2, payload, dsize, fields[frame]))
            continue
        if flags & 2:
            syns.add((number, *ends[:2]))
        seen.setdefault(int(number), (key, number, ends, bool(flags & 2)))
        if dsize > 0:
            followed.add(int(number))
        if frame in fields:
            established = not seen[int(number)][3] or len(sides[(key, number)]) == 2
            out.append(Stream("tcp", *ends, clients[(key, number)] == ends[:2], established, [(0, payload)], dsize,
                              fields[frame]))
    numbers = sorted(followed)
    for i in range(0, len(numbers), 200):
        for (number, address, port), data in _follow(capture, numbers[i : i + 200]).items():
            key, name, ends, syn_first = seen[number]
            other = ends[2:] if ends[:2] == (address, port) else ends[:2]
            out.append(Stream("tcp", address, port, *other, clients[(key, name)] == (address, port),
                              not syn_first or len(sides[(key, name)]) == 2,
                              _pieces(data, (name, address, port) in syns)))
    for key, ends, established, payload, dsize, its in udp:
        out.append(Stream("udp", *ends, clients[(key, "")] == ends[:2], established, [(0, payload)], dsize, its))
    return out
