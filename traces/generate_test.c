/* The generator: the same everywhere, well-formed, and of the kind that it promises. */
#include "traces/generate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_ip.h>

#include "lib/config/config.h"
#include "traces/capture.h"
#include "traces/generate_draw.h"
#include "traces/generate_packet.h"
#include "traces/info.h"
#include "traces/trace_parse.h"

#define BUNDLED "traces/bundled.pcap.gz"

static char folder[64];

static const char *at(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/rill_generate_XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"a.pcap", "b.pcap", "bundled.pcap.gz"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(at(names[i]));
    return rmdir(folder);
}

/* With options as after --set, separated by blanks. */
static int generate(const char *path, const char *options, struct rill_generate_counters *counters,
                    struct rill_error *err)
{
    struct rill_config *config = rill_config_create(rill_generate_schema, err);
    char *copy = strdup(options), *rest = copy, *pair;
    int rc;

    assert_non_null(config);
    while ((pair = strsep(&rest, " ")) != NULL && *pair != '\0')
        assert_int_equal(rill_config_set_pair(config, pair, err), 0);
    assert_int_equal(rill_config_complete(config, err), 0);
    rc = rill_generate(config, path, counters, err);
    rill_config_destroy(config);
    free(copy);
    return rc;
}

static void generate_capture(const char *options, struct rill_capture *capture)
{
    struct rill_generate_counters counters;
    struct rill_error err = {""};

    if (generate(at("a.pcap"), options, &counters, &err) != 0 ||
        rill_capture_read(at("a.pcap"), capture, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(counters.packets, capture->count);
    assert_int_equal(counters.bytes, capture->bytes);
}

static bool same_captures(const struct rill_capture *a, const struct rill_capture *b)
{
    if (a->count != b->count)
        return false;
    for (uint64_t i = 0; i < a->count; i++) {
        const struct rill_capture_packet *p = &a->packets[i], *q = &b->packets[i];

        if (p->time_ns != q->time_ns || p->bytes != q->bytes || p->wire_bytes != q->wire_bytes ||
            memcmp(p->data, q->data, p->bytes) != 0)
            return false;
    }
    return true;
}

static void test_same_seed_same_packets(void **state)
{
    struct rill_capture a, b, c;

    (void)state;
    generate_capture("seconds=0.05 seed=7", &a);
    generate_capture("seconds=0.05 seed=7", &b);
    generate_capture("seconds=0.05 seed=8", &c);
    assert_true(same_captures(&a, &b));
    assert_false(same_captures(&a, &c));
    rill_capture_free(&a);
    rill_capture_free(&b);
    rill_capture_free(&c);
}

/* The capture in the repository is what the default settings make. It was not necessarily made on
 * this machine, so this also says that all machines generate the same. */
static void test_bundled_capture(void **state)
{
    struct rill_generate_counters counters;
    struct rill_capture bundled, fresh;
    struct rill_error err = {""};
    struct stat st;

    (void)state;
    if (getenv("RILL_REGENERATE") != NULL) {
        assert_int_equal(generate(BUNDLED, "", &counters, &err), 0);
        print_message("wrote " BUNDLED "\n");
    }
    if (rill_capture_read(BUNDLED, &bundled, &err) != 0)
        fail_msg("%s; set RILL_REGENERATE=1 to make it", err.text);
    generate_capture("", &fresh);
    if (!same_captures(&bundled, &fresh))
        fail_msg(BUNDLED
                 " is not what the default settings generate; set RILL_REGENERATE=1 to make "
                 "it anew, if they were changed on purpose");
    assert_int_equal(stat(BUNDLED, &st), 0);
    assert_true(st.st_size < 1300000);
    rill_capture_free(&bundled);
    rill_capture_free(&fresh);
}

/* The traffic on which flowlets pay.. */
static void test_default_traffic(void **state)
{
    struct rill_capture capture;
    struct rill_trace_info info;
    struct rill_error err;

    (void)state;
    generate_capture("", &capture);
    assert_int_equal(rill_trace_info(&capture, &info, &err), 0);
    assert_in_range(info.packets, 60000, 80000);
    assert_in_range(info.mean_bps, 800000000, 1200000000);
    assert_in_range(info.peak_bps, 1500000000, 4000000000);
    assert_in_range(info.duration_ns, 550000000, 600000000);
    assert_in_range(info.flows, 200, 800);
    assert_true(info.flows_one_way > info.flows * 3 / 2);
    assert_true(info.flowlets_by_gap > 3 * info.flows);
    assert_true(info.flowlets_by_size > 5 * info.flows);
    assert_int_equal(info.results[RILL_PARSE_OK], info.packets);
    assert_int_equal(info.ip4, info.packets);
    assert_true(info.tcp > info.udp && info.udp > info.icmp && info.icmp > 0);
    assert_int_equal(info.other_ip + info.fragments + info.vlan + info.snapped, 0);
    assert_int_equal(info.backwards, 0);
    rill_capture_free(&capture);
}

/* Over a longer time the asked rate comes out, whatever the other options. */
static void test_mean_rate(void **state)
{
    static const char *const options[] = {
        "seconds=20 mean_mbps=20 flows_per_s=100 seed=3",
        "seconds=20 mean_mbps=30 flows_per_s=50 pareto_alpha=1.3 flow_bytes_max=500000",
        "seconds=10 mean_mbps=40 flows_per_s=300 busy_share=0 upload_share=1 icmp_share=0",
        "seconds=10 mean_mbps=40 flows_per_s=300 busy_share=1 tcp_share=0 cycle_ms=1",
    };
    static const uint64_t want_bps[] = {20000000, 30000000, 40000000, 40000000};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct rill_capture capture;
        struct rill_trace_info info;

        generate_capture(options[i], &capture);
        assert_int_equal(rill_trace_info(&capture, &info, NULL), 0);
        if (info.mean_bps < want_bps[i] * 8 / 10 || info.mean_bps > want_bps[i] * 12 / 10)
            fail_msg("%s: %llu bps", options[i], (unsigned long long)info.mean_bps);
        rill_capture_free(&capture);
    }
}

/* The same traffic, and of each packet only the beginning. */
static void test_snapped(void **state)
{
    struct rill_capture whole, snapped;

    (void)state;
    generate_capture("seconds=0.02 seed=5", &whole);
    generate_capture("seconds=0.02 seed=5 snap_bytes=96", &snapped);
    assert_int_equal(snapped.count, whole.count);
    assert_int_equal(snapped.bytes, whole.bytes);
    for (uint64_t i = 0; i < whole.count; i++) {
        const struct rill_capture_packet *a = &whole.packets[i], *b = &snapped.packets[i];

        assert_int_equal(b->time_ns, a->time_ns);
        assert_int_equal(b->wire_bytes, a->wire_bytes);
        assert_int_equal(b->bytes, a->bytes < 96 ? a->bytes : 96);
        assert_memory_equal(b->data, a->data, b->bytes);
    }
    rill_capture_free(&whole);
    rill_capture_free(&snapped);
}

/* ---- every packet ---- */

struct connection {
    bool open, replied;
    uint64_t opened_ns;
    bool seq_known[2];
    uint32_t seq[2]; /* next, by direction */
    uint64_t bytes;
};

static uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void assert_checksums(const struct rill_capture_packet *p, const struct rill_view *v)
{
    const uint8_t *ip = p->data + v->l2_len;
    uint32_t end = v->source.family == 4
                       ? rte_be_to_cpu_16(((const struct rte_ipv4_hdr *)ip)->total_length)
                       : 40u + (uint32_t)(ip[4] << 8 | ip[5]);
    uint32_t l4_bytes = end - (v->l4_off - v->l2_len);
    uint32_t sum = rte_raw_cksum(p->data + v->l4_off, l4_bytes);

    if (v->source.family == 4)
        assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
    if (v->source.proto != RILL_ICMP)
        sum += v->source.family == 4 ? rte_ipv4_phdr_cksum((const void *)ip, 0)
                                     : rte_ipv6_phdr_cksum((const void *)ip, 0);
    assert_int_equal(fold(sum), 0xffff);
    if (v->source.proto == RILL_UDP)
        assert_int_not_equal(p->data[v->l4_off + 6] | p->data[v->l4_off + 7], 0);
}

static bool is_inside(const struct rill_endpoint *e)
{
    static const uint8_t prefix6[6] = {0x20, 0x01, 0x0d, 0xb8, 0, 1};

    return e->family == 4 ? e->addr[0] == 10 : memcmp(e->addr, prefix6, 6) == 0;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Each direction's numbers go on without a hole, and nothing is acknowledged that was not sent. */
static void assert_tcp(struct connection *c, const struct rill_capture_packet *p,
                       const struct rill_view *v, unsigned d)
{
    const uint8_t *ip = p->data + v->l2_len;
    uint32_t end = v->l2_len + (v->source.family == 4 ? (uint32_t)(ip[2] << 8 | ip[3])
                                                      : 40u + (uint32_t)(ip[4] << 8 | ip[5]));
    uint32_t seq = be32(p->data + v->l4_off + 4), ack = be32(p->data + v->l4_off + 8);

    if (v->tcp_flags & RILL_TCP_SYN) {
        assert_false(c->seq_known[d]);
        c->seq_known[d] = true;
    } else {
        assert_true(c->seq_known[d]);
        assert_int_equal(seq, c->seq[d]);
    }
    c->seq[d] =
        seq + end - v->l4_payload_off + ((v->tcp_flags & (RILL_TCP_SYN | RILL_TCP_FIN)) != 0);
    if (v->tcp_flags & RILL_TCP_ACK)
        assert_true((int32_t)(c->seq[!d] - ack) >= 0);
}

static void assert_packet(struct connection *c, const struct rill_capture_packet *p,
                          const struct rill_view *v, unsigned d)
{
    bool from_inside = is_inside(&v->source);

    assert_int_not_equal(from_inside, is_inside(&v->destination));
    assert_checksums(p, v);
    if (!c->open) {
        assert_true(from_inside);
        c->open = true;
        c->opened_ns = p->time_ns;
    } else if (!from_inside && !c->replied) {
        assert_true(p->time_ns - c->opened_ns >= 200000);
        c->replied = true;
    }
    if (v->source.proto == RILL_TCP)
        assert_tcp(c, p, v, d);
    c->bytes += p->wire_bytes;
}

static void assert_all_packets(const struct rill_capture *capture, uint64_t *largest)
{
    enum { CONNECTIONS_MAX = 4096 };
    struct connection *connections = calloc(CONNECTIONS_MAX, sizeof(*connections));
    struct rill_trace_parser parser = {.fragments = {0}};
    struct rill_key_map map = {0};
    uint64_t last_ns = 0;

    assert_non_null(connections);
    *largest = 0;
    for (uint64_t i = 0; i < capture->count; i++) {
        const struct rill_capture_packet *p = &capture->packets[i];
        struct rill_flow_key key;
        struct rill_view view;
        unsigned d;
        uint64_t *index;

        assert_int_equal(rill_trace_parse(&parser, p, &view), RILL_PARSE_OK);
        d = rill_trace_connection(&view, &key);
        index = rill_key_map_at(&map, &key, map.count);
        assert_true(*index < CONNECTIONS_MAX);
        assert_packet(&connections[*index], p, &view, d);
        if (connections[*index].bytes > *largest)
            *largest = connections[*index].bytes;
        assert_true(p->time_ns >= last_ns);
        last_ns = p->time_ns;
    }
    rill_key_map_fini(&map);
    free(connections);
}

static void test_packets_are_right(void **state)
{
    struct rill_capture capture;
    uint64_t largest;

    (void)state;
    generate_capture("", &capture);
    assert_all_packets(&capture, &largest);
    assert_true(largest > 2000000);
    rill_capture_free(&capture);
    generate_capture(
        "seconds=0.1 ipv6_share=0.5 icmp_share=0.3 packet_bytes=9018 line_mbps=100-200", &capture);
    assert_all_packets(&capture, &largest);
    rill_capture_free(&capture);
}

/* Of all ports one gives a sum of zero, which UDP must write as 0xffff: zero means "none". */
static void test_udp_checksum_is_never_zero(void **state)
{
    struct rill_build_flow f = {
        .addr = {{10, 0, 0, 1}, {192, 0, 2, 1}}, .family = 4, .proto = RILL_UDP};
    struct rill_build_packet p = {.from = RILL_INSIDE, .payload_bytes = 100};
    static uint8_t buf[RILL_BUILD_BYTES_MAX];
    int ones = 0;

    (void)state;
    for (uint32_t port = 0; port < 65536; port++) {
        f.port[RILL_INSIDE] = (uint16_t)port;
        rill_build(&f, &p, buf);
        assert_int_not_equal(buf[40] << 8 | buf[41], 0);
        ones += (buf[40] << 8 | buf[41]) == 0xffff;
    }
    assert_true(ones > 0);
}

static void test_shares(void **state)
{
    struct rill_capture capture;
    struct rill_trace_info info;

    (void)state;
    generate_capture("seconds=0.1 ipv6_share=1 tcp_share=0 icmp_share=0", &capture);
    assert_int_equal(rill_trace_info(&capture, &info, NULL), 0);
    assert_int_equal(info.ip6, info.packets);
    assert_int_equal(info.udp, info.packets);
    rill_capture_free(&capture);
    generate_capture("seconds=0.1 icmp_share=1 hosts=1 servers=1", &capture);
    assert_int_equal(rill_trace_info(&capture, &info, NULL), 0);
    assert_int_equal(info.icmp, info.packets);
    assert_true(info.flows > 1);
    rill_capture_free(&capture);
    generate_capture("seconds=0.1 tcp_share=1 icmp_share=0", &capture);
    assert_int_equal(rill_trace_info(&capture, &info, NULL), 0);
    assert_int_equal(info.tcp, info.packets);
    rill_capture_free(&capture);
}

static void test_refused(void **state)
{
    static const struct {
        const char *options, *path, *word;
        int rc;
    } cases[] = {
        {"mean_mbps=100000 flows_per_s=1", "a.pcap", "raise flows_per_s", -EINVAL},
        {"mean_mbps=0.01 flows_per_s=1000000", "a.pcap", "lower flows_per_s", -EINVAL},
        {"seconds=0.001 flows_per_s=0.1 mean_mbps=1", "a.pcap", "no packet", -EINVAL},
        {"seconds=0.01", "a.txt", "ending", -EINVAL},
        {"seconds=0.01", "none/a.pcap", "cannot be created", -EIO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rill_generate_counters counters;
        struct rill_error err = {""};

        assert_int_equal(generate(at(cases[i].path), cases[i].options, &counters, &err),
                         cases[i].rc);
        if (strstr(err.text, cases[i].word) == NULL)
            fail_msg("'%s' has not '%s'", err.text, cases[i].word);
        assert_int_equal(counters.packets, 0);
    }
}

static void test_disk_full(void **state)
{
    struct rill_generate_counters counters;
    struct rill_error err = {""};

    (void)state;
    assert_int_equal(symlink("/dev/full", at("b.pcap")), 0);
    assert_int_equal(generate(at("b.pcap"), "", &counters, &err), -EIO);
    assert_non_null(strstr(err.text, "No space left"));
}

/* ---- draws ---- */

enum { DRAWS = 65536 };

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t mean_of(const uint64_t *x)
{
    uint64_t sum = 0;

    for (int i = 0; i < DRAWS; i++)
        sum += x[i];
    return sum / DRAWS;
}

static void assert_near(uint64_t value, uint64_t want, uint64_t percent)
{
    assert_in_range(value, want - want * percent / 100, want + want * percent / 100);
}

/* Known quantiles of the distributions. */
static void test_draws(void **state)
{
    uint64_t *x = calloc(DRAWS, sizeof(*x));
    struct rill_pareto sizes;
    struct rill_rng rng;

    (void)state;
    assert_non_null(x);
    rill_rng_seed(&rng, 5);
    for (int i = 0; i < DRAWS; i++)
        x[i] = rill_draw_exponential(&rng, 1000000);
    qsort(x, DRAWS, sizeof(*x), compare_u64);
    assert_near(mean_of(x), 1000000, 2);
    assert_near(x[DRAWS / 2], 693147, 2);
    assert_near(x[DRAWS / 10 * 9], 2302585, 2);
    for (int i = 0; i < DRAWS; i++)
        x[i] = rill_draw_lognormal(&rng, 1000000, 1 << 16);
    qsort(x, DRAWS, sizeof(*x), compare_u64);
    assert_near(x[DRAWS / 2], 1000000, 2);
    assert_near(x[DRAWS * 84134ull / 100000], 2718282, 4);
    assert_near(x[DRAWS * 15866ull / 100000], 367879, 4);
    assert_int_equal(rill_pareto_init(&sizes, 2 << 16, 2000, 1, 1000000000), 0);
    assert_near(sizes.min, 1000, 2); /* alpha 2, hardly bounded: the mean is twice the least */
    for (int i = 0; i < DRAWS; i++)
        x[i] = rill_draw_pareto(&sizes, &rng);
    qsort(x, DRAWS, sizeof(*x), compare_u64);
    assert_near(mean_of(x), 2000, 5);
    assert_near(x[DRAWS / 4 * 3], 2 * sizes.min, 2);
    assert_near(x[DRAWS / 100 * 99], 10 * sizes.min, 6);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_packets),
        cmocka_unit_test(test_bundled_capture),
        cmocka_unit_test(test_default_traffic),
        cmocka_unit_test(test_mean_rate),
        cmocka_unit_test(test_snapped),
        cmocka_unit_test(test_packets_are_right),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_udp_checksum_is_never_zero),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_draws),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
