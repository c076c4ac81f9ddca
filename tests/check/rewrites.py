"""Which bytes of a packet an NF may write, and comparing two packets but for these."""

from packets import ICMP, TCP, UDP

# What each NF rewrites on a packet towards the outside; it takes it back on the reply.
NFS = {"nat": "source", "lb": "destination"}
_OPPOSITE = {"source": "destination", "destination": "source"}


def handled(view, nf):
    """True if the NF rewrites such packets: else it must leave them as they are."""
    if view is None:
        return False
    if nf == "nat":
        if view.family != 4 or view.proto not in (TCP, UDP, ICMP):
            return False
        return view.later_fragment or view.error or view.source.port is not None
    if view.error:
        return view.quoted.proto in (TCP, UDP)
    return view.proto in (TCP, UDP) and (view.later_fragment or view.source.port is not None)


def _end_fields(view, end):
    """(offset, bytes) of one end's address, its port, and the checksums over them."""
    fields = [(getattr(view, end + "_at"), view.address_bytes)]
    if view.family == 4:
        fields.append((view.ip_at + 10, 2))
    if view.l4_at is not None and view.source.port is not None:
        port_at = 4 if view.echo else (0 if end == "source" else 2)
        fields.append((view.l4_at + port_at, 2))
    if view.checksum_at is not None:
        fields.append((view.checksum_at, 2))
    return fields


def writable(view, nf):
    """(offset, bytes) of all that the NF may write on this packet towards the outside."""
    if not handled(view, nf):
        return []
    fields = _end_fields(view, NFS[nf])
    if view.error:
        # It travels against the packet that it quotes: there the inside is the other end.
        fields += _end_fields(view.quoted, _OPPOSITE[NFS[nf]])
    return fields


def blanked(data, fields):
    copy = bytearray(data)
    for at, count in fields:
        copy[at : at + count] = bytes(count)
    return copy


def one_zero(data, view):
    """The packet with TCP and UDP checksums of 0xffff, which mean zero, written as zero."""
    fields = []
    for at in (view, view.quoted if view else None):
        if at is not None and at.proto in (TCP, UDP) and at.checksum_at is not None:
            if data[at.checksum_at : at.checksum_at + 2] == b"\xff\xff":
                fields.append((at.checksum_at, 2))
    return blanked(data, fields)


def first_difference(a, b):
    """Offset of the first byte that differs, for a message."""
    for at, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return at
    return min(len(a), len(b))
