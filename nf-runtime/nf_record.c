/* Records: one line of JSON at a time, built in the instance's own memory. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "nf-runtime/nf_impl.h"

/* The process's, like its log. */
static struct rill_record_sink sink;

void rill_nf_record_to(const struct rill_record_sink *to)
{
    sink = to != NULL ? *to : (struct rill_record_sink){0};
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void put(struct rill_record *r, const char *bytes, size_t n)
{
    if (r->bytes + n > RILL_RECORD_BYTES_MAX) {
        r->too_long = true;
        return;
    }
    memcpy(r->line + r->bytes, bytes, n);
    r->bytes += (uint32_t)n;
}

static void put_text(struct rill_record *r, const char *text)
{
    put(r, text, strlen(text));
}

static void put_string(struct rill_record *r, const char *text)
{
    put_text(r, "\"");
    while (*text != '\0' && !r->too_long) {
        unsigned bytes = rill_utf8_bytes(text);
        char escape[8];

        if (bytes == 0) {
            put_text(r, "\\ufffd");
            bytes = 1;
        } else if (*text == '"' || *text == '\\') {
            put(r, "\\", 1);
            put(r, text, 1);
        } else if ((unsigned char)*text < ' ' || *text == 0x7f) {
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)(unsigned char)*text);
            put_text(r, escape);
        } else {
            put(r, text, bytes);
        }
        text += bytes;
    }
    put_text(r, "\"");
}

static void put_name(struct rill_record *r, const char *name)
{
    if (r->has_member)
        put_text(r, ", ");
    r->has_member = true;
    put_string(r, name);
    put_text(r, ": ");
}

/* --- members ---------------------------------------------------------------------------------- */

void rill_record_open(struct rill_record *r, const char *name)
{
    r->depth++;
    put_name(r, name);
    put_text(r, "{");
    r->has_member = false;
}

void rill_record_close(struct rill_record *r)
{
    if (r->depth == 0)
        rill_nf_bug(r->nf, "rill_record_close() without a rill_record_open() before it");
    r->depth--;
    put_text(r, "}");
    r->has_member = true;
}

void rill_record_number(struct rill_record *r, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    put_name(r, name);
    put_text(r, text);
}

void rill_record_text(struct rill_record *r, const char *name, const char *text)
{
    put_name(r, name);
    put_string(r, text);
}

void rill_record_address(struct rill_record *r, const char *name,
                         const struct rill_endpoint *endpoint)
{
    char text[INET6_ADDRSTRLEN] = "";

    inet_ntop(endpoint->family == 4 ? AF_INET : AF_INET6, endpoint->addr, text, sizeof(text));
    rill_record_text(r, name, text);
}

/* Year, month and day of a day since 1970-01-01, in the Gregorian calendar; its year begins with
 * March here, so that the day that comes and goes is the last one. */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t from_march = (5 * of_year + 2) / 153;

    *day = (unsigned)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (unsigned)(year_of_era + era * 400 + (*month <= 2));
}

/* RFC 3339, to the nanosecond. */
void rill_record_time(struct rill_record *r, const char *name, uint64_t time_ns)
{
    uint64_t utc_ns = time_ns + (uint64_t)sink.utc_offset_ns, s = utc_ns / 1000000000;
    unsigned year, month, day, of_day = (unsigned)(s % 86400);
    char text[64];

    civil(s / 86400, &year, &month, &day);
    snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", year, month, day,
             of_day / 3600, of_day / 60 % 60, of_day % 60, (unsigned)(utc_ns % 1000000000));
    rill_record_text(r, name, text);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void put_proto(struct rill_record *r, uint8_t proto)
{
    char number[8];
    const char *name = proto == RILL_TCP     ? "TCP"
                       : proto == RILL_UDP   ? "UDP"
                       : proto == RILL_ICMP  ? "ICMP"
                       : proto == RILL_ICMP6 ? "IPv6-ICMP"
                                             : number;

    snprintf(number, sizeof(number), "%u", proto);
    rill_record_text(r, "proto", name);
}

static void put_endpoint(struct rill_record *r, const char *address, const char *port,
                         const struct rill_endpoint *e)
{
    rill_record_address(r, address, e);
    if (e->proto == RILL_TCP || e->proto == RILL_UDP)
        rill_record_number(r, port, e->port);
}

struct rill_record *rill_record_begin(struct rill_nf *nf, const struct rill_pkt *pkt,
                                      const char *event_type)
{
    struct rill_record *r = &nf->record;

    if (r->is_open)
        rill_nf_bug(nf, "rill_record_begin() before the rill_record_end() of the one before");
    r->nf = nf;
    r->is_open = true;
    r->too_long = r->has_member = false;
    r->bytes = r->depth = 0;
    nf->records_used = true;
    put_text(r, "{");
    if (pkt != NULL) {
        rill_record_time(r, "timestamp", pkt->time_ns);
        rill_record_number(r, "flow_id", pkt->flow);
    }
    rill_record_text(r, "event_type", event_type);
    if (pkt != NULL) {
        put_endpoint(r, "src_ip", "src_port", rill_pkt_source_in(pkt));
        put_endpoint(r, "dest_ip", "dest_port", rill_pkt_destination_in(pkt));
        put_proto(r, pkt->view.source.proto);
    }
    return r;
}

void rill_record_end(struct rill_record *r)
{
    struct rill_nf *nf = r->nf;

    if (!r->is_open)
        rill_nf_bug(nf, "rill_record_end() of a record that has ended");
    if (r->depth != 0)
        rill_nf_bug(nf, "rill_record_end() with a rill_record_open() that was not closed");
    put_text(r, "}");
    r->is_open = false;
    if (r->too_long) {
        nf->records_too_long++;
        return;
    }
    r->line[r->bytes] = '\0';
    nf->records_written++;
    if (sink.write != NULL)
        sink.write(sink.arg, nf->descriptor->name, r->line, r->bytes);
}
