#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "nf-runtime/nf_host.h"
#include "nf-runtime/nf_test_descriptor.h"

static char last[RILL_RECORD_BYTES_MAX + 1];
static unsigned lines;

static void keep(void *arg, const char *nf, const char *line, size_t bytes)
{
    (void)arg;
    assert_string_equal(nf, "test");
    assert_int_equal(strlen(line), bytes);
    assert_true(bytes <= RILL_RECORD_BYTES_MAX);
    strcpy(last, line);
    lines++;
}

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)nf;
    (void)config;
    return 0;
}

static const struct rill_nf_descriptor descriptor = NF_TEST_DESCRIPTOR(init, NULL);

static int setup(void **state)
{
    const struct rill_record_sink sink = {.write = keep};
    struct rill_error err = {.text = ""};

    rill_nf_record_to(&sink);
    lines = 0;
    last[0] = '\0';
    *state = rill_nf_create(&descriptor, NULL, &err);
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    rill_nf_destroy(*state);
    rill_nf_record_to(NULL);
    return 0;
}

static void test_members_and_nesting(void **state)
{
    struct rill_nf *nf = *state;
    struct rill_record *r = rill_record_begin(nf, NULL, "test");
    struct rill_endpoint six = {.family = 6, .addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};

    rill_record_open(r, "a");
    rill_record_number(r, "n", UINT64_MAX);
    rill_record_open(r, "b");
    rill_record_close(r);
    rill_record_text(r, "t", "x");
    rill_record_close(r);
    rill_record_address(r, "host", &six);
    rill_record_time(r, "at", UINT64_C(951782400000000001));
    rill_record_end(r);
    assert_string_equal(last, "{\"event_type\": \"test\", \"a\": {\"n\": 18446744073709551615, "
                              "\"b\": {}, \"t\": \"x\"}, \"host\": \"2001:db8::1\", "
                              "\"at\": \"2000-02-29T00:00:00.000000001Z\"}");
    assert_int_equal(lines, 1);
}

static void test_packet(void **state)
{
    struct rill_nf *nf = *state;
    const struct rill_record_sink sink = {.write = keep, .utc_offset_ns = -500};
    struct rill_pkt pkt = {.time_ns = UINT64_C(1700000000123456789) + 500, .flow = 77};

    rill_nf_record_to(&sink);
    pkt.view.source =
        (struct rill_endpoint){.family = 4, .addr = {10, 0, 0, 1}, .port = 5, .proto = RILL_TCP};
    pkt.view.destination =
        (struct rill_endpoint){.family = 4, .addr = {10, 0, 0, 2}, .port = 80, .proto = RILL_TCP};
    rill_record_end(rill_record_begin(nf, &pkt, "alert"));
    assert_string_equal(last,
                        "{\"timestamp\": \"2023-11-14T22:13:20.123456789Z\", \"flow_id\": 77, "
                        "\"event_type\": \"alert\", \"src_ip\": \"10.0.0.1\", \"src_port\": 5, "
                        "\"dest_ip\": \"10.0.0.2\", \"dest_port\": 80, \"proto\": \"TCP\"}");
    pkt.source_set = true; /* rewritten since */
    pkt.source_in = pkt.view.source;
    pkt.view.source.addr[0] = 99;
    pkt.view.source.proto = pkt.view.destination.proto = RILL_ICMP;
    pkt.source_in.proto = RILL_ICMP;
    rill_record_end(rill_record_begin(nf, &pkt, "alert"));
    assert_non_null(strstr(last, "\"src_ip\": \"10.0.0.1\", \"dest_ip\": \"10.0.0.2\", "
                                 "\"proto\": \"ICMP\"}"));
}

static void test_text_is_escaped(void **state)
{
    struct rill_nf *nf = *state;
    struct rill_record *r = rill_record_begin(nf, NULL, "t");

    rill_record_text(r, "a\"b", "q\" b\\ n\n d\x7f e\xc3\xa9 z\xff\xc3");
    rill_record_end(r);
    assert_string_equal(last, "{\"event_type\": \"t\", \"a\\\"b\": \"q\\\" b\\\\ n\\u000a d\\u007f "
                              "e\xc3\xa9 z\\ufffd\\ufffd\"}");
}

static uint64_t count(const struct rill_nf *nf, const char *counter)
{
    const char *name;
    uint64_t value;

    for (unsigned i = 0; rill_nf_counter(nf, i, &name, &value); i++)
        if (strcmp(name, counter) == 0)
            return value;
    return UINT64_MAX;
}

static void write_text(struct rill_nf *nf, size_t bytes)
{
    struct rill_record *r = rill_record_begin(nf, NULL, "t");
    char *text = malloc(bytes + 1);

    assert_non_null(text);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    rill_record_text(r, "x", text);
    rill_record_end(r);
    free(text);
}

static void test_too_long_is_counted(void **state)
{
    struct rill_nf *nf = *state;
    const size_t around = strlen("{\"event_type\": \"t\", \"x\": \"\"}");

    assert_int_equal(count(nf, "records_written"), UINT64_MAX);
    write_text(nf, RILL_RECORD_BYTES_MAX - around);
    assert_int_equal(lines, 1);
    assert_int_equal(strlen(last), RILL_RECORD_BYTES_MAX);
    write_text(nf, RILL_RECORD_BYTES_MAX - around + 1);
    write_text(nf, 100000);
    assert_int_equal(lines, 1);
    assert_int_equal(count(nf, "records_written"), 1);
    assert_int_equal(count(nf, "records_too_long"), 2);
    write_text(nf, 1);
    assert_string_equal(last, "{\"event_type\": \"t\", \"x\": \"x\"}");
}

static void test_without_a_sink_they_are_counted(void **state)
{
    struct rill_nf *nf = *state;

    rill_nf_record_to(NULL);
    write_text(nf, 1);
    assert_int_equal(lines, 0);
    assert_int_equal(count(nf, "records_written"), 1);
}

/* Misuse ends the process with a line, as every bug of an NF does. */
static void aborts(struct rill_nf *nf, void (*misuse)(struct rill_nf *nf))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        misuse(nf);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void begin_twice(struct rill_nf *nf)
{
    rill_record_begin(nf, NULL, "a");
    rill_record_begin(nf, NULL, "b");
}

static void end_twice(struct rill_nf *nf)
{
    struct rill_record *r = rill_record_begin(nf, NULL, "a");

    rill_record_end(r);
    rill_record_end(r);
}

static void leave_open(struct rill_nf *nf)
{
    struct rill_record *r = rill_record_begin(nf, NULL, "a");

    rill_record_open(r, "x");
    rill_record_end(r);
}

static void close_too_much(struct rill_nf *nf)
{
    rill_record_close(rill_record_begin(nf, NULL, "a"));
}

static void test_misuse_ends_the_unit(void **state)
{
    aborts(*state, begin_twice);
    aborts(*state, end_twice);
    aborts(*state, leave_open);
    aborts(*state, close_too_much);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_members_and_nesting),
        TEST(test_packet),
        TEST(test_text_is_escaped),
        TEST(test_too_long_is_counted),
        TEST(test_without_a_sink_they_are_counted),
        TEST(test_misuse_ends_the_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
