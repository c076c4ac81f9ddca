/* Captures: what is written is read back the same; every fault of a file becomes one clear line. */
#include "traces/capture.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_mbuf.h>
#include <zlib.h>

#include "lib/base/rng.h"
#include "lib/base/role.h"

/* Beside the repository; not everyone has it. */
#define REAL_TRACES "../shared/traces"

static char folder[64];

/* A path in the test's folder; valid until the call after the next one. */
static const char *at(const char *name)
{
    static char paths[2][256];
    static int turn;

    turn = !turn;
    snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", folder, name);
    return paths[turn];
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/rill_capture_XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_file(const char *name, const void *data, size_t bytes)
{
    FILE *f = fopen(at(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static uint8_t *get_file(const char *name, size_t *bytes)
{
    FILE *f = fopen(at(name), "rb");
    uint8_t *data = malloc(1 << 20);

    assert_non_null(f);
    assert_non_null(data);
    *bytes = fread(data, 1, 1 << 20, f);
    assert_true(*bytes < 1 << 20);
    fclose(f);
    return data;
}

/* Reads a file that must be refused, with `code`, a line that names it and has each of the words.
 */
static void assert_refused(const char *name, int code, const char *word, const char *word2)
{
    struct rill_capture capture;
    struct rill_error err = {""};

    assert_int_equal(rill_capture_read(at(name), &capture, &err), code);
    if (strstr(err.text, name) == NULL || strstr(err.text, word) == NULL ||
        strstr(err.text, word2) == NULL)
        fail_msg("'%s' has not '%s' and '%s'", err.text, word, word2);
    assert_null(strchr(err.text, '\n'));
    assert_null(capture.packets);
    assert_null(capture.memory);
    assert_int_equal(capture.count, 0);
}

/* ---- packets to write ---- */

enum { SAMPLES = 7 };
static const struct {
    uint32_t bytes, wire_bytes;
    uint64_t time_ns;
} samples[SAMPLES] = {
    {60, 60, 1700000000123456789u},     {0, 0, 1700000000123456790u},
    {1514, 1514, 1700000001000000000u}, {65535, 65535, 1700000001000000001u},
    {1, 1, 1699999999999999999u},       {54, 1514, 1700000002999999999u},
    {63, 63, 1700000003000000000u},
};
static uint8_t sample_data[65535];

static void fill_sample(int i)
{
    for (uint32_t k = 0; k < samples[i].bytes; k++)
        sample_data[k] = (uint8_t)(k * 7 + k / 251 + (uint32_t)i);
}

static struct rill_capture_packet_out sample_out(int i)
{
    return (struct rill_capture_packet_out){.time_ns = samples[i].time_ns,
                                            .wire_bytes = samples[i].wire_bytes,
                                            .side = i % 2 ? RILL_OUTSIDE : RILL_INSIDE,
                                            .packet_id =
                                                i == 6 ? 0 : 1000000007u * (uint64_t)i + 1};
}

/* In three segments, as a large packet is; cut so that one of them may be empty. */
static int put_segments(struct rill_capture_writer *w, uint32_t bytes,
                        const struct rill_capture_packet_out *out)
{
    uint32_t cut[4] = {0, bytes / 3, bytes / 2, bytes};
    struct rte_mbuf segments[3];

    memset(segments, 0, sizeof(segments));
    for (int i = 0; i < 3; i++) {
        segments[i].buf_addr = sample_data + cut[i];
        segments[i].data_len = (uint16_t)(cut[i + 1] - cut[i]);
        segments[i].next = i < 2 ? &segments[i + 1] : NULL;
    }
    segments[0].pkt_len = bytes;
    segments[0].nb_segs = 3;
    return rill_capture_writer_put(w, segments, out);
}

static void write_samples(const char *name, int n)
{
    struct rill_capture_writer *w;
    struct rill_error err = {""};

    assert_int_equal(rill_capture_writer_open(at(name), &w, &err), 0);
    for (int i = 0; i < n; i++) {
        struct rill_capture_packet_out out = sample_out(i);

        fill_sample(i);
        if (i % 2)
            assert_int_equal(put_segments(w, samples[i].bytes, &out), 0);
        else
            assert_int_equal(rill_capture_writer_put_bytes(w, sample_data, samples[i].bytes, &out),
                             0);
    }
    assert_int_equal(rill_capture_writer_close(w, &err), 0);
}

static void assert_samples(const char *name, const char *format)
{
    struct rill_capture capture;
    struct rill_error err = {""};
    uint64_t bytes = 0;

    assert_int_equal(rill_capture_read(at(name), &capture, &err), 0);
    assert_string_equal(capture.format, format);
    assert_int_equal(capture.count, SAMPLES);
    for (int i = 0; i < SAMPLES; i++) {
        fill_sample(i);
        assert_int_equal(capture.packets[i].time_ns, samples[i].time_ns);
        assert_int_equal(capture.packets[i].bytes, samples[i].bytes);
        assert_int_equal(capture.packets[i].wire_bytes, samples[i].wire_bytes);
        assert_memory_equal(capture.packets[i].data, sample_data, samples[i].bytes);
        bytes += samples[i].wire_bytes;
    }
    assert_int_equal(capture.bytes, bytes);
    rill_capture_free(&capture);
    rill_capture_free(&capture);
}

static void test_written_is_read(void **state)
{
    static const char *const names[] = {"a.pcap", "a.pcapng", "a.pcap.gz", "a.pcapng.gz"};
    static const char *const formats[] = {"pcap (ns)", "pcapng", "pcap (ns), gzip", "pcapng, gzip"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        write_samples(names[i], SAMPLES);
        assert_samples(names[i], formats[i]);
    }
}

static void test_gzip_is_the_same_each_time(void **state)
{
    size_t bytes_a, bytes_b;
    uint8_t *a, *b;

    (void)state;
    write_samples("a.pcapng.gz", SAMPLES);
    write_samples("b.pcapng.gz", SAMPLES);
    a = get_file("a.pcapng.gz", &bytes_a);
    b = get_file("b.pcapng.gz", &bytes_b);
    assert_int_equal(bytes_a, bytes_b);
    assert_memory_equal(a, b, bytes_a);
    assert_int_equal(a[4] | a[5] | a[6] | a[7], 0); /* no time */
    assert_int_equal(a[3], 0);                      /* no name */
    free(a);
    free(b);
}

/* What libpcap does not show: the interfaces, and the packet's number. */
static void test_tshark_sees_sides_and_numbers(void **state)
{
    char command[512], line[256], want[256];
    FILE *f;

    (void)state;
    if (system("command -v tshark >/dev/null 2>&1") != 0) {
        print_message("SKIPPED: tshark is not installed; pcapng is checked by libpcap only\n");
        skip();
    }
    write_samples("a.pcapng", SAMPLES);
    snprintf(command, sizeof(command),
             "tshark -r %s -T fields -E separator=, -e frame.interface_name -e frame.packet_id "
             "-e frame.time_epoch -e frame.cap_len -e frame.len 2>%s/tshark.err",
             at("a.pcapng"), folder);
    f = popen(command, "r");
    assert_non_null(f);
    for (int i = 0; i < SAMPLES; i++) {
        struct rill_capture_packet_out out = sample_out(i);
        char id[32] = "";

        assert_non_null(fgets(line, sizeof(line), f));
        if (out.packet_id != 0)
            snprintf(id, sizeof(id), "%llu", (unsigned long long)out.packet_id);
        snprintf(want, sizeof(want), "%s,%s,%llu.%09llu,%u,%u\n", i % 2 ? "outside" : "inside", id,
                 (unsigned long long)(out.time_ns / 1000000000),
                 (unsigned long long)(out.time_ns % 1000000000), samples[i].bytes,
                 samples[i].wire_bytes);
        assert_string_equal(line, want);
    }
    assert_null(fgets(line, sizeof(line), f));
    assert_int_equal(pclose(f), 0);
}

/* ---- pcap by hand ---- */

struct pcap_file {
    uint8_t bytes[512];
    size_t n;
    bool big_endian;
};

static void add32(struct pcap_file *f, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        f->bytes[f->n++] = (uint8_t)(v >> (f->big_endian ? 24 - 8 * i : 8 * i));
}

static void add_header(struct pcap_file *f, uint32_t magic, uint32_t link_type)
{
    add32(f, magic);
    add32(f, f->big_endian ? 0x00020004 : 0x00040002);
    add32(f, 0);
    add32(f, 0);
    add32(f, 65535);
    add32(f, link_type);
}

static void add_packet(struct pcap_file *f, uint32_t s, uint32_t fraction, uint32_t bytes,
                       uint32_t wire_bytes)
{
    add32(f, s);
    add32(f, fraction);
    add32(f, bytes);
    add32(f, wire_bytes);
    for (uint32_t i = 0; i < bytes; i++)
        f->bytes[f->n++] = (uint8_t)i;
}

static void test_both_byte_orders_and_precisions(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct pcap_file f = {.big_endian = i & 1};
        bool ns = i & 2;
        struct rill_capture capture;

        add_header(&f, ns ? 0xa1b23c4d : 0xa1b2c3d4, 1);
        add_packet(&f, 7, 123456, 20, 20);
        add_packet(&f, 4000000000u, 5, 20, 12); /* shorter on the wire than captured: can't be */
        put_file("x.pcap", f.bytes, f.n);
        assert_int_equal(rill_capture_read(at("x.pcap"), &capture, NULL), 0);
        assert_string_equal(capture.format, ns ? "pcap (ns)" : "pcap");
        assert_int_equal(capture.count, 2);
        assert_int_equal(capture.packets[0].time_ns, 7000000000u + (ns ? 123456 : 123456000));
        assert_int_equal(capture.packets[1].time_ns / 1000000000, 4000000000u);
        assert_int_equal(capture.packets[1].bytes, 20);
        assert_int_equal(capture.packets[1].wire_bytes, 20);
        assert_int_equal(capture.bytes, 40);
        rill_capture_free(&capture);
    }
}

static void test_not_captures(void **state)
{
    char text[] = "# a README, which someone took for a capture; long enough for a header\n";

    (void)state;
    assert_refused("missing.pcap", -ENOENT, "no such file", "");
    assert_int_equal(mkdir(at("folder"), 0700), 0);
    assert_refused("folder", -EINVAL, "directory", "");
    put_file("empty.pcap", "", 0);
    assert_refused("empty.pcap", -EINVAL, "empty", "");
    put_file("text.pcap", text, sizeof(text));
    assert_refused("text.pcap", -EINVAL, "not a capture", "pcap or pcapng");
    put_file("two.pcap", "\xd4\xc3", 2);
    assert_refused("two.pcap", -EINVAL, "not a capture", "");
    if (geteuid() != 0) {
        put_file("secret.pcap", "x", 1);
        assert_int_equal(chmod(at("secret.pcap"), 0), 0);
        assert_refused("secret.pcap", -EIO, "cannot be read", "denied");
    }
}

static void test_refused_packets(void **state)
{
    struct pcap_file empty = {.n = 0}, sll = {.n = 0}, odd = {.n = 0}, large = {.n = 0};

    (void)state;
    add_header(&empty, 0xa1b2c3d4, 1);
    put_file("none.pcap", empty.bytes, empty.n);
    assert_refused("none.pcap", -EINVAL, "without packets", "");
    add_header(&sll, 0xa1b2c3d4, 113);
    add_packet(&sll, 1, 1, 20, 20);
    put_file("sll.pcap", sll.bytes, sll.n);
    assert_refused("sll.pcap", -EINVAL, "LINUX_SLL (113)", "tcprewrite");
    add_header(&odd, 0xa1b2c3d4, 65000);
    put_file("odd.pcap", odd.bytes, odd.n);
    assert_refused("odd.pcap", -EINVAL, "unknown (65000)", "tcprewrite");
    add_header(&large, 0xa1b2c3d4, 1);
    add_packet(&large, 1, 1, 20, 20);
    add_packet(&large, 1, 1, 20, 65536);
    put_file("large.pcap", large.bytes, large.n);
    assert_refused("large.pcap", -EINVAL, "packet 2 has 65536 bytes", "editcap");
}

static void assert_prefix(const char *name, const uint8_t *data, size_t bytes, bool whole)
{
    struct rill_capture capture;
    struct rill_error err = {""};
    int rc;

    put_file(name, data, bytes);
    rc = rill_capture_read(at(name), &capture, &err);
    if ((rc == 0) != whole)
        fail_msg("%s, first %zu bytes: %d %s", name, bytes, rc, err.text);
    assert_true(rc == 0 || (rc == -EINVAL && err.text[0] != '\0'));
    rill_capture_free(&capture);
}

/* Every prefix of a file is refused, except where a plain pcap is cut between two packets. */
static void test_truncated(void **state)
{
    struct pcap_file f = {.n = 0};
    size_t bytes;
    uint8_t *gz;

    (void)state;
    add_header(&f, 0xa1b2c3d4, 1);
    for (uint32_t i = 0; i < 3; i++)
        add_packet(&f, i, 0, 30, 30);
    for (size_t n = 1; n < f.n; n++)
        assert_prefix("cut.pcap", f.bytes, n, n > 24 && (n - 24) % 46 == 0);
    put_file("cut.pcap", f.bytes, 24 + 2 * 46 + 40);
    assert_refused("cut.pcap", -EINVAL, "truncated after packet 2", "editcap");

    write_samples("whole.pcap.gz", SAMPLES);
    gz = get_file("whole.pcap.gz", &bytes);
    for (size_t n = 1; n < bytes; n += n < 100 || n + 100 > bytes ? 1 : 37)
        assert_prefix("cut.pcap.gz", gz, n, false);
    put_file("cut.pcap.gz", gz, bytes - 1); /* all packets are there, the check sum is not */
    assert_refused("cut.pcap.gz", -EINVAL, "truncated after packet 7", "gzip");
    gz[bytes - 6] ^= 1; /* of the check sum */
    put_file("bad.pcap.gz", gz, bytes);
    assert_refused("bad.pcap.gz", -EIO, ".gz: cannot be read: incorrect data check", "");
    free(gz);
}

/* Damage anywhere: read or refused, never a crash. */
static void test_damaged(void **state)
{
    static const char *const names[] = {"d.pcap", "d.pcapng", "d.pcap.gz"};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int i = 0; i < 3; i++) {
        size_t bytes;
        uint8_t *data;

        write_samples(names[i], 3);
        data = get_file(names[i], &bytes);
        for (int round = 0; round < 1000; round++) {
            uint32_t where = rill_rng_below(&rng, (uint32_t)(bytes < 200 ? bytes : 200));
            uint8_t old = data[where];
            struct rill_capture capture;
            struct rill_error err = {""};
            int rc;

            data[where] = (uint8_t)rill_rng_u64(&rng);
            put_file(names[i], data, bytes);
            rc = rill_capture_read(at(names[i]), &capture, &err);
            assert_true(rc == 0 ? capture.count > 0 : rc < 0 && err.text[0] != '\0');
            rill_capture_free(&capture);
            data[where] = old;
        }
        free(data);
    }
}

static void test_writer_refuses(void **state)
{
    static const char *const names[] = {"a.txt", "a", ".pcap", "a.gz", "a.pcap.bz2"};
    struct rill_capture_writer *w;
    struct rill_error err;

    (void)state;
    for (int i = 0; i < 5; i++) {
        const char *path = i == 2 ? names[i] : at(names[i]);

        assert_int_equal(rill_capture_writer_open(path, &w, &err), -EINVAL);
        assert_non_null(strstr(err.text, ".pcapng.gz"));
        assert_null(w);
    }
    assert_int_equal(rill_capture_writer_open(at("no/such/folder/a.pcap"), &w, &err), -EIO);
    assert_non_null(strstr(err.text, "No such file"));
    assert_null(w);
}

/* A full disk is noticed by put, once the buffer is written, and in any case by close. */
static void test_disk_full(void **state)
{
    struct rill_capture_packet_out out = {.wire_bytes = 65535};
    struct rill_capture_writer *w;
    struct rill_error err = {""};
    int rc = 0;

    (void)state;
    assert_int_equal(symlink("/dev/full", at("full.pcap")), 0);
    assert_int_equal(rill_capture_writer_open(at("full.pcap"), &w, &err), 0);
    assert_int_equal(rill_capture_writer_close(w, &err), -EIO);
    assert_non_null(strstr(err.text, "No space left"));
    assert_int_equal(rill_capture_writer_open(at("full.pcap"), &w, &err), 0);
    for (int i = 0; i < 64; i++)
        rc = rill_capture_writer_put_bytes(w, sample_data, 65535, &out);
    assert_int_equal(rc, -EIO);
    err.text[0] = '\0';
    assert_int_equal(rill_capture_writer_close(w, &err), -EIO);
    assert_non_null(strstr(err.text, "No space left"));
}

/* ---- real captures ---- */

static bool have_real_traces(void)
{
    if (access(REAL_TRACES, R_OK) == 0)
        return true;
    print_message("SKIPPED: no real captures in " REAL_TRACES "\n");
    return false;
}

static void test_real_captures(void **state)
{
    static const struct {
        const char *name;
        uint64_t packets;
    } known[] = {
        {"wan_wand2010_hdr.pcap", 10000},   {"wan_sanitized4k.pcap.gz", 4096},
        {"overlay_homes_A.pcap", 64102},    {"overlay_apps_A.pcap", 28268},
        {"jumbo_reassembled.pcap", 190},    {"bulk_tcp_loss_hdr.pcap.gz", 15712},
        {"5g_pktgen_gtpu_1024.pcap", 1024}, {"malformed_eth_A.pcap", 2632},
    };
    int found = 0, read = 0;
    struct dirent *entry;
    DIR *dir;

    (void)state;
    if (!have_real_traces())
        skip();
    dir = opendir(REAL_TRACES);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct rill_capture capture;
        struct rill_error err;
        char path[512];

        if (strstr(entry->d_name, ".pcap") == NULL)
            continue;
        snprintf(path, sizeof(path), REAL_TRACES "/%s", entry->d_name);
        if (rill_capture_read(path, &capture, &err) != 0)
            fail_msg("%s", err.text);
        read++;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (strcmp(entry->d_name, known[i].name) == 0) {
                assert_int_equal(capture.count, known[i].packets);
                found++;
            }
        }
        rill_capture_free(&capture);
    }
    closedir(dir);
    assert_int_equal(found, sizeof(known) / sizeof(known[0]));
    print_message("%d real captures read\n", read);
}

static int files_read, files_refused;

static int read_odd_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    struct rill_capture capture;
    struct rill_error err = {""};
    int rc;

    (void)st;
    (void)ftw;
    if (type != FTW_F)
        return 0;
    rc = rill_capture_read(path, &capture, &err);
    if (rc != 0 && (err.text[0] == '\0' || strchr(err.text, '\n') != NULL))
        fail_msg("%s: %d with line '%s'", path, rc, err.text);
    if (rc == 0)
        files_read++;
    else
        files_refused++;
    rill_capture_free(&capture);
    return 0;
}

static void test_real_malformed_files(void **state)
{
    char command[256];

    (void)state;
    if (!have_real_traces())
        skip();
    assert_int_equal(mkdir(at("malformed"), 0700), 0);
    snprintf(command, sizeof(command), "tar -xzf " REAL_TRACES "/malformed_files_A.tar.gz -C %s",
             at("malformed"));
    assert_int_equal(system(command), 0);
    assert_int_equal(nftw(at("malformed"), read_odd_file, 16, FTW_PHYS), 0);
    assert_int_equal(files_read + files_refused, 468);
    print_message("%d odd files read, %d refused\n", files_read, files_refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_is_read),
        cmocka_unit_test(test_gzip_is_the_same_each_time),
        cmocka_unit_test(test_tshark_sees_sides_and_numbers),
        cmocka_unit_test(test_both_byte_orders_and_precisions),
        cmocka_unit_test(test_not_captures),
        cmocka_unit_test(test_refused_packets),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_real_captures),
        cmocka_unit_test(test_real_malformed_files),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
