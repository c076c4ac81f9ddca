#include "nfs/nf_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/config/config.h"
#include "lib/packet/test_packets.h"

enum { PAYLOAD_BYTES = 37, STEP_NS = 1000 };

/* --- records ---------------------------------------------------------------------------------- */

static char records[1 << 20];
static size_t records_bytes;
static unsigned record_count;

static void keep_record(void *arg, const char *nf, const char *line, size_t bytes)
{
    (void)arg;
    (void)nf;
    if (records_bytes + bytes + 2 > sizeof(records))
        fail_msg("more than %zu bytes of records", sizeof(records));
    memcpy(records + records_bytes, line, bytes);
    records_bytes += bytes;
    records[records_bytes++] = '\n';
    records[records_bytes] = '\0';
    record_count++;
}

const char *nf_records(void)
{
    return records;
}

unsigned nf_record_count(void)
{
    return record_count;
}

void nf_records_clear(void)
{
    records_bytes = 0;
    record_count = 0;
    records[0] = '\0';
}

/* --- instances -------------------------------------------------------------------------------- */

static int create(struct nf_bench *b, struct rill_error *err)
{
    const struct rill_record_sink sink = {.write = keep_record};

    rill_nf_record_to(&sink);
    b->nf = rill_nf_create(b->image.descriptor, b->config, err);
    return b->nf != NULL ? 0 : -1;
}

static int try_open(struct nf_bench *b, const char *name, const char *const *settings,
                    struct rill_error *err)
{
    *b = (struct nf_bench){.time_ns = 1};
    if (rill_nf_load(name, RILL_TEST_NFS, &b->image, err) != 0)
        return -1;
    b->config = rill_config_create(b->image.descriptor->options, err);
    if (b->config == NULL)
        return -1;
    for (; *settings != NULL; settings++)
        if (rill_config_set_pair(b->config, *settings, err) != 0)
            return -1;
    return create(b, err);
}

void nf_open(struct nf_bench *b, const char *name, const char *const *settings)
{
    struct rill_error err = {.text = ""};

    if (try_open(b, name, settings, &err) != 0)
        fail_msg("%s: %s", name, err.text);
}

void nf_open_file(struct nf_bench *b, const char *path)
{
    struct rill_config_file *file = NULL;
    struct rill_error err = {.text = ""};

    *b = (struct nf_bench){.time_ns = 1};
    if (rill_config_file_open(path, &file, &err) != 0 ||
        rill_nf_load(rill_config_file_nf(file), RILL_TEST_NFS, &b->image, &err) != 0)
        fail_msg("%s", err.text);
    b->config = rill_config_create(b->image.descriptor->options, &err);
    if (b->config == NULL || rill_config_file_apply(file, "config", b->config, &err) != 0)
        fail_msg("%s", err.text);
    if (create(b, &err) != 0)
        fail_msg("%s", err.text);
    rill_config_file_close(file);
}

const char *nf_open_error(const char *name, const char *const *settings)
{
    static struct rill_error err;
    struct nf_bench b;

    err.text[0] = '\0';
    assert_int_not_equal(try_open(&b, name, settings, &err), 0);
    nf_close(&b);
    assert_string_not_equal(err.text, "");
    assert_null(strchr(err.text, '\n'));
    return err.text;
}

void nf_close(struct nf_bench *b)
{
    rill_nf_destroy(b->nf);
    rill_config_destroy(b->config);
    rill_nf_unload(&b->image);
}

void nf_lease(struct nf_bench *b, unsigned pool, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = first + i;

        assert_int_equal(rill_nf_pool_give(b->nf, pool, 0, &index, 1, 1), 0);
    }
}

uint64_t nf_count(const struct nf_bench *b, const char *counter)
{
    const char *name;
    uint64_t value;

    for (unsigned i = 0; rill_nf_counter(b->nf, i, &name, &value); i++)
        if (strcmp(name, counter) == 0)
            return value;
    fail_msg("no counter '%s'", counter);
    return 0;
}

static int try_object(struct nf_bench *b, const char *option, const char *text,
                      struct rill_load_report *report, struct rill_error *err)
{
    for (unsigned i = 0; i < rill_nf_object_count(b->nf); i++) {
        const struct rill_object_spec *spec = rill_nf_object_spec(b->nf, i);
        struct rill_object_version *version;
        int rc;

        if (strcmp(spec->option, option) != 0)
            continue;
        version = rill_object_load(spec, "test", text, strlen(text), report, err);
        if (version == NULL)
            return -1;
        rc = rill_nf_object_set(b->nf, i, version, err);
        rill_object_release(version);
        return rc;
    }
    fail_msg("no object of option '%s'", option);
    return -1;
}

void nf_object(struct nf_bench *b, const char *option, const char *text,
               struct rill_load_report *report)
{
    struct rill_load_report unread;
    struct rill_error err = {.text = ""};

    if (try_object(b, option, text, report != NULL ? report : &unread, &err) != 0)
        fail_msg("%s: %s", option, err.text);
}

const char *nf_object_error(struct nf_bench *b, const char *option, const char *text)
{
    static struct rill_error err;
    struct rill_load_report report;

    err.text[0] = '\0';
    assert_int_not_equal(try_object(b, option, text, &report, &err), 0);
    assert_string_not_equal(err.text, "");
    assert_null(strchr(err.text, '\n'));
    return err.text;
}

/* --- flows ------------------------------------------------------------------------------------ */

void nf_flow_open(struct nf_flow *f, const struct nf_bench *b)
{
    *f = (struct nf_flow){.bytes = rill_nf_state_bytes(b->nf)};
    f->state = calloc(1, f->bytes);
    f->copy = calloc(1, f->bytes);
    assert_non_null(f->state);
    assert_non_null(f->copy);
}

void nf_flow_close(struct nf_flow *f)
{
    free(f->state);
    free(f->copy);
}

void nf_flow_move(struct nf_flow *f)
{
    free(f->state);
    f->state = f->copy;
    f->copy = malloc(f->bytes);
    assert_non_null(f->copy);
    memcpy(f->copy, f->state, f->bytes);
}

const struct rill_alias *nf_alias(const struct nf_flow *f)
{
    return (const struct rill_alias *)(const void *)f->state;
}

/* --- packets ---------------------------------------------------------------------------------- */

struct rte_mbuf *nf_packet(const char *text)
{
    char proto[8], source[64], destination[64];
    unsigned source_port, destination_port;
    struct test_packet p = {.len = 0};
    bool six;

    if (sscanf(text, "%7s %63s %u > %63s %u", proto, source, &source_port, destination,
               &destination_port) != 5)
        fail_msg("no packet: '%s'", text);
    six = strchr(source, ':') != NULL;
    test_ethernet(&p, six ? 0x86dd : 0x0800, 0);
    test_ip(&p, source, destination,
            strcmp(proto, "tcp") == 0   ? RILL_TCP
            : strcmp(proto, "udp") == 0 ? RILL_UDP
                                        : RILL_ICMP,
            0, 0);
    if (strcmp(proto, "tcp") == 0)
        test_tcp(&p, (uint16_t)source_port, (uint16_t)destination_port, 0x10, 0, PAYLOAD_BYTES);
    else if (strcmp(proto, "udp") == 0)
        test_udp(&p, (uint16_t)source_port, (uint16_t)destination_port, PAYLOAD_BYTES);
    else
        test_icmp(&p, 8, 0, (uint16_t)source_port, PAYLOAD_BYTES);
    test_finish(&p);
    return test_mbuf(p.bytes, p.len);
}

/* One's complement sum of the bytes as big-endian words. */
static uint32_t sum_words(const uint8_t *bytes, uint32_t n, uint32_t sum)
{
    for (uint32_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    if (n % 2 != 0)
        sum += (uint32_t)bytes[n - 1] << 8;
    return sum;
}

static bool is_right(uint32_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff;
}

bool nf_checksums_right(const struct rte_mbuf *m, const struct rill_view *view)
{
    const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
    const uint8_t *ip = data + view->l2_len, *l4 = data + view->l4_off;
    uint32_t l4_bytes = rte_pktmbuf_data_len(m) - view->l4_off, sum = 0;
    uint8_t proto = view->source.proto;

    if (view->source.family == 4 && !is_right(sum_words(ip, (ip[0] & 15u) * 4, 0)))
        return false;
    if (view->l4_off == 0)
        return true;
    if (proto == RILL_UDP && l4[6] == 0 && l4[7] == 0)
        return true; /* none */
    if (proto != RILL_ICMP) {
        sum = view->source.family == 4 ? sum_words(ip + 12, 8, 0) : sum_words(ip + 8, 32, 0);
        sum += proto + l4_bytes;
    }
    return is_right(sum_words(l4, l4_bytes, sum));
}

enum rill_verdict nf_run(struct nf_bench *b, struct nf_flow *f, struct rill_pkt *pkt)
{
    enum rill_verdict verdict;

    pkt->time_ns = b->time_ns;
    pkt->wire_bytes = rte_pktmbuf_pkt_len(pkt->m);
    pkt->is_new = !f->old;
    pkt->state = f->state;
    pkt->dirty_low = UINT32_MAX;
    pkt->dirty_high = 0;
    verdict = rill_nf_process(b->nf, pkt);
    b->time_ns += STEP_NS;
    f->old = true;
    f->dirty_low = pkt->dirty_low;
    f->dirty_high = pkt->dirty_high;
    if (f->dirty_low < f->dirty_high) {
        assert_true(f->dirty_high <= f->bytes);
        memcpy(f->copy + f->dirty_low, f->state + f->dirty_low, f->dirty_high - f->dirty_low);
    }
    assert_memory_equal(f->copy, f->state, f->bytes);
    return verdict;
}

static const char *verdict_name(enum rill_verdict verdict)
{
    return verdict == RILL_FORWARD ? "forwarded" : verdict == RILL_TURN ? "turned" : "dropped";
}

static void send_for(struct nf_bench *b, struct nf_flow *f, enum rill_side side, const char *packet,
                     const char *expected, enum rill_verdict expected_verdict)
{
    struct rill_pkt pkt = {.m = nf_packet(packet), .side = side};
    struct rte_mbuf *want = nf_packet(expected != NULL ? expected : packet);
    uint32_t bytes = rte_pktmbuf_pkt_len(pkt.m);
    struct rill_view after;
    enum rill_verdict verdict;

    assert_int_equal(rill_parse(pkt.m, bytes, &pkt.view), RILL_PARSE_OK);
    verdict = nf_run(b, f, &pkt);
    if (verdict != expected_verdict)
        fail_msg("%s: was %s", packet, verdict_name(verdict));
    assert_int_equal(rill_parse(pkt.m, bytes, &after), RILL_PARSE_OK);
    assert_memory_equal(&after.source, &pkt.view.source, sizeof(after.source));
    assert_memory_equal(&after.destination, &pkt.view.destination, sizeof(after.destination));
    assert_true(nf_checksums_right(pkt.m, &after));
    assert_int_equal(rte_pktmbuf_pkt_len(want), bytes);
    assert_memory_equal(rte_pktmbuf_mtod(pkt.m, void *), rte_pktmbuf_mtod(want, void *), bytes);
    test_mbuf_free(pkt.m);
    test_mbuf_free(want);
}

void nf_send(struct nf_bench *b, struct nf_flow *f, enum rill_side side, const char *packet,
             const char *expected)
{
    send_for(b, f, side, packet, expected, expected != NULL ? RILL_FORWARD : RILL_DROP);
}

void nf_turn(struct nf_bench *b, struct nf_flow *f, const char *packet, const char *expected)
{
    send_for(b, f, RILL_INSIDE, packet, expected, RILL_TURN);
}

static bool is_smaller(const struct rill_endpoint *a, const struct rill_endpoint *b)
{
    int order = memcmp(a->addr, b->addr, sizeof(a->addr));

    return order != 0 ? order < 0 : a->port < b->port;
}

void nf_end(struct nf_bench *b, struct nf_flow *f, const char *packet)
{
    struct rill_pkt pkt = {.side = RILL_INSIDE, .state = f->state, .dirty_low = UINT32_MAX};
    struct rte_mbuf *m = nf_packet(packet);
    struct rill_view view;

    assert_int_equal(rill_parse(m, rte_pktmbuf_pkt_len(m), &view), RILL_PARSE_OK);
    pkt.time_ns = b->time_ns - STEP_NS; /* the last packet's */
    pkt.view.source = view.source;
    pkt.view.destination = view.destination;
    if (!is_smaller(&view.source, &view.destination)) {
        pkt.view.source = view.destination;
        pkt.view.destination = view.source;
    }
    rill_nf_flow_end(b->nf, &pkt);
    test_mbuf_free(m);
}
