#include "nfs/ids/fields.h"

#include <rill/endpoint.h>

enum { IP4_BYTES = 20, IP6_BYTES = 40, TCP_BYTES = 20, ICMP_BYTES = 8 };

static uint32_t load16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t load32(const uint8_t *p)
{
    return load16(p) << 16 | load16(p + 2);
}

static void set(struct ids_fields *f, enum ids_field field, uint32_t value)
{
    f->value[field] = value;
    f->known |= 1u << field;
}

static void read_ip4(struct ids_fields *f, const uint8_t *ip)
{
    set(f, IDS_TOS, ip[1]);
    set(f, IDS_ID, load16(ip + 4));
    set(f, IDS_FRAGBITS, ip[6] >> 5);
    set(f, IDS_TTL, ip[8]);
}

static void read_ip6(struct ids_fields *f, const uint8_t *ip)
{
    set(f, IDS_TOS, load16(ip) >> 4 & 0xff);
    set(f, IDS_TTL, ip[7]);
}

static void read_tcp(struct ids_fields *f, const uint8_t *tcp)
{
    set(f, IDS_TCP_SEQ, load32(tcp + 4));
    set(f, IDS_TCP_ACK, load32(tcp + 8));
    set(f, IDS_TCP_FLAGS, tcp[13]);
    set(f, IDS_TCP_WINDOW, load16(tcp + 14));
}

static void read_icmp(struct ids_fields *f, const uint8_t *icmp, bool is_4)
{
    set(f, IDS_ITYPE, icmp[0]);
    set(f, IDS_ICODE, icmp[1]);
    if (is_4 ? icmp[0] != 8 && icmp[0] != 0 : icmp[0] != 128 && icmp[0] != 129)
        return;
    set(f, IDS_ICMP_ID, load16(icmp + 4));
    set(f, IDS_ICMP_SEQ, load16(icmp + 6));
}

void ids_fields_read(struct ids_fields *f, const struct ids_headers *h)
{
    bool is_4 = h->family == 4;

    f->known = 0;
    f->later_fragment = h->later_fragment;
    set(f, IDS_IP_PROTO, h->proto);
    if (is_4 && h->ip_bytes >= IP4_BYTES)
        read_ip4(f, h->ip);
    else if (!is_4 && h->ip_bytes >= IP6_BYTES)
        read_ip6(f, h->ip);
    if (h->transport == NULL)
        return;
    if (h->proto == RILL_TCP && h->transport_bytes >= TCP_BYTES)
        read_tcp(f, h->transport);
    if (h->proto == (is_4 ? RILL_ICMP : RILL_ICMP6) && h->transport_bytes >= ICMP_BYTES)
        read_icmp(f, h->transport, is_4);
}

static bool holds(const struct ids_test *t, uint32_t value)
{
    value &= ~t->ignored;
    switch (t->how) {
    case IDS_WITHIN:
        return value >= t->low && value <= t->high;
    case IDS_NOT_WITHIN:
        return value < t->low || value > t->high;
    case IDS_ALL_BITS:
        return (value & t->low) == t->low;
    case IDS_ANY_BIT:
        return (value & t->low) != 0;
    default:
        return (value & t->low) == 0;
    }
}

bool ids_tests_hold(const struct ids_test *tests, uint32_t n, const struct ids_fields *fields)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct ids_test *t = &tests[i];

        if ((fields->known >> t->field & 1) == 0 || !holds(t, fields->value[t->field]))
            return false;
    }
    return true;
}
