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

/* --- an NF that each test makes from two functions ----------------------------------------------
 */

typedef int (*init_function)(struct rill_nf *nf, const struct rill_config *config);
typedef enum rill_verdict (*process_function)(struct rill_nf *nf, struct rill_pkt *pkt);

struct parts {
    struct rill_table *a, *b, *global;
    struct rill_pool *pool;
    int counter;
};

static enum rill_verdict forward(struct rill_nf *nf, struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
    return RILL_FORWARD;
}

static int init_nothing(struct rill_nf *nf, const struct rill_config *config)
{
    (void)nf;
    (void)config;
    return 0;
}

static struct rill_nf_descriptor described(init_function init, process_function process)
{
    return (struct rill_nf_descriptor){
        .abi = RILL_NF_ABI,
        .name = "test",
        .version = "1",
        .summary = "for tests",
        .handles = RILL_HANDLES_TCP4,
        .instance_bytes = sizeof(struct parts),
        .init = init,
        .process_packet = process,
    };
}

static struct rill_nf *make(struct rill_nf_descriptor *d, init_function init,
                            process_function process)
{
    struct rill_error err = {.text = ""};
    struct rill_nf *nf;

    *d = described(init, process);
    nf = rill_nf_create(d, NULL, &err);
    if (nf == NULL)
        fail_msg("%s", err.text);
    return nf;
}

/* Making it must fail, with a line that holds `part`. */
static void refused(init_function init, const char *part)
{
    struct rill_nf_descriptor d = described(init, forward);
    struct rill_error err = {.text = ""};

    assert_null(rill_nf_create(&d, NULL, &err));
    if (strstr(err.text, part) == NULL)
        fail_msg("no '%s' in: %s", part, err.text);
    assert_null(strchr(err.text, '\n'));
}

static struct rill_pkt packet(uint8_t *state)
{
    return (struct rill_pkt){.state = state, .dirty_low = UINT32_MAX, .is_new = true};
}

/* --- descriptor and init -----------------------------------------------------------------------
 */

static void test_descriptor_faults(void **unused)
{
    static const struct rill_option nameless_enum[] = {
        {.name = "x", .type = RILL_OPT_ENUM, .doc = ""}, {.name = NULL}};
    struct rill_error err;
    struct rill_nf_descriptor d;

    (void)unused;
#define FAULT(field, value, part)                                                                  \
    do {                                                                                           \
        d = described(init_nothing, forward);                                                      \
        assert_int_equal(rill_nf_descriptor_check(&d, &err), 0);                                   \
        d.field = (value);                                                                         \
        assert_int_not_equal(rill_nf_descriptor_check(&d, &err), 0);                               \
        if (strstr(err.text, part) == NULL)                                                        \
            fail_msg(#field ": no '%s' in: %s", part, err.text);                                   \
        assert_null(rill_nf_create(&d, NULL, &err));                                               \
    } while (0)
    FAULT(abi, 0, "version 0");
    FAULT(name, NULL, "name");
    FAULT(name, "", "name");
    FAULT(name, "has space", "name");
    FAULT(version, NULL, "version");
    FAULT(summary, NULL, "summary");
    FAULT(flow_scope, (enum rill_flow_scope)9, "flow_scope");
    FAULT(handles, 0, "handles");
    FAULT(handles, 1u << 20, "handles");
    FAULT(flags, 1u << 20, "flags");
    FAULT(writes, 1u << 20, "writes");
    FAULT(instance_bytes, SIZE_MAX, "instance_bytes");
    FAULT(init, NULL, "init");
    FAULT(process_packet, NULL, "process_packet");
    FAULT(options, nameless_enum, "'x'");
#undef FAULT
    assert_int_not_equal(rill_nf_descriptor_check(NULL, &err), 0);
}

static void test_options_without_configuration(void **unused)
{
    static const struct rill_option options[] = {
        {.name = "x", .type = RILL_OPT_BOOL, .def = "true", .doc = ""}, {.name = NULL}};
    struct rill_nf_descriptor d = described(init_nothing, forward);
    struct rill_error err = {.text = ""};

    (void)unused;
    d.options = options;
    assert_null(rill_nf_create(&d, NULL, &err));
    assert_non_null(strstr(err.text, "configuration"));
}

static int init_fails_with_line(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    return rill_nf_error(nf, "limit: %d is\ntoo much", 7);
}

static int init_fails_silently(struct rill_nf *nf, const struct rill_config *config)
{
    (void)nf;
    (void)config;
    return -1;
}

static int init_ignores_a_failure(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    (void)rill_table_create(nf, "big", RILL_PER_FLOW, RILL_WRITE, 60001);
    rill_nf_error(nf, "a later line");
    return 0;
}

static void test_init_failures(void **unused)
{
    (void)unused;
    refused(init_fails_with_line, "limit: 7 is too much");
    refused(init_fails_silently, "does not say why");
    refused(init_ignores_a_failure, "'big'");
}

static unsigned fini_calls;

static void count_fini(struct rill_nf *nf)
{
    (void)nf;
    fini_calls++;
}

static void test_fini(void **unused)
{
    struct rill_nf_descriptor d = described(init_nothing, forward);
    struct rill_error err;

    (void)unused;
    d.fini = count_fini;
    rill_nf_destroy(rill_nf_create(&d, NULL, &err));
    assert_int_equal(fini_calls, 1);
    d.init = init_fails_silently;
    assert_null(rill_nf_create(&d, NULL, &err));
    assert_int_equal(fini_calls, 2);
    rill_nf_destroy(NULL);
}

/* --- counters ----------------------------------------------------------------------------------
 */

static int init_counters(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    for (int i = 0; i < RILL_NF_COUNTERS_MAX; i++)
        if (rill_counter(nf, i == 3 ? "third" : "x") != i)
            return -1;
    return rill_counter(nf, "one too many") == -1 ? 0 : -1;
}

static void test_counters(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_counters, forward);
    const char *name;
    uint64_t value;

    (void)unused;
    assert_int_equal(rill_counter(nf, "after init"), -1);
    rill_count(nf, 3, 2);
    rill_count(nf, 3, 5);
    rill_count(nf, -1, 1);
    rill_count(nf, 32, 1);
    assert_true(rill_nf_counter(nf, 3, &name, &value));
    assert_string_equal(name, "third");
    assert_int_equal(value, 7);
    assert_true(rill_nf_counter(nf, 31, &name, &value));
    assert_int_equal(value, 0);
    assert_false(rill_nf_counter(nf, 32, &name, &value));
    rill_nf_destroy(nf);
}

static char logged[600];

static void take_line(const char *nf, const char *line)
{
    snprintf(logged, sizeof(logged), "%s: %s", nf, line);
}

static int log_in_init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    rill_log(nf, "a %s\nof %d", "line", 2);
    return 0;
}

static void test_log(void **unused)
{
    struct rill_nf_descriptor d;
    char large[1000];
    struct rill_nf *nf;

    (void)unused;
    rill_nf_log_to(take_line);
    nf = make(&d, log_in_init, forward);
    assert_non_null(strstr(logged, ": a line?of 2"));
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    rill_log(nf, "%s", large);
    assert_int_equal(strlen(strchr(logged, ' ') + 1), 500);
    rill_nf_log_to(NULL);
    logged[0] = '\0';
    rill_log(nf, "to nobody");
    assert_string_equal(logged, "");
    rill_nf_destroy(nf);
}

/* --- tables ------------------------------------------------------------------------------------
 */

static int init_tables(struct rill_nf *nf, const struct rill_config *config)
{
    struct parts *p = rill_nf_private(nf);

    (void)config;
    p->a = rill_table_create(nf, "a", RILL_PER_FLOW, RILL_WRITE, 3);
    p->global = rill_table_create(nf, "global", RILL_GLOBAL, RILL_READ, 100);
    p->b = rill_table_create(nf, "b", RILL_PER_FLOW, RILL_WRITE, 16);
    if (p->global != NULL)
        memset(rill_get(p->global, NULL), 7, 100);
    return 0;
}

enum { A_AT = sizeof(struct rill_state_head), B_AT = A_AT + 8, TABLES_BYTES = A_AT + 24 };

static enum rill_verdict use_tables(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct parts *p = rill_nf_private(nf);
    uint8_t *a = rill_get(p->a, pkt), *b = rill_get(p->b, pkt);

    assert_int_equal(((uint8_t *)rill_get(p->global, pkt))[99], 7);
    assert_true(rill_flow_is_new(pkt));
    rill_put(p->b, pkt, 4, 2); /* before the write is as good as after it */
    b[4] = 1;
    b[5] = 2;
    a[2] = 3;
    rill_put(p->a, pkt, 2, 1);
    rill_put(p->b, pkt, 16, 0); /* nothing */
    return RILL_FORWARD;
}

static void test_tables(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_tables, use_tables);
    _Alignas(8) uint8_t state[TABLES_BYTES] = {0};
    struct rill_pkt pkt = packet(state);

    (void)unused;
    assert_int_equal(rill_nf_state_bytes(nf), TABLES_BYTES);
    assert_ptr_equal(rill_nf_descriptor(nf), &d);
    assert_int_equal(rill_nf_process(nf, &pkt), RILL_FORWARD);
    assert_int_equal(pkt.dirty_low, A_AT + 2);
    assert_int_equal(pkt.dirty_high, B_AT + 6);
    assert_int_equal(state[A_AT + 2], 3);
    assert_int_equal(state[B_AT + 4], 1);
    rill_nf_destroy(nf);
}

static int init_nine_tables(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    for (int i = 0; i < 9; i++)
        rill_table_create(nf, i < 8 ? "some" : "ninth", RILL_PER_FLOW, RILL_WRITE, 8);
    return 0;
}

static int init_global_written(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    rill_table_create(nf, "shared", RILL_GLOBAL, RILL_WRITE, 8);
    return 0;
}

static int init_empty_value(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    rill_table_create(nf, "empty", RILL_PER_FLOW, RILL_WRITE, 0);
    return 0;
}

static int init_too_much_in_all(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    if (rill_table_create(nf, "most", RILL_PER_FLOW, RILL_WRITE, 60000) == NULL)
        return -1;
    rill_table_create(nf, "rest", RILL_PER_FLOW, RILL_WRITE, 1353);
    return 0;
}

static int init_all_that_fits(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    rill_table_create(nf, "most", RILL_PER_FLOW, RILL_WRITE, 60000);
    rill_table_create(nf, "rest", RILL_PER_FLOW, RILL_WRITE, 1352);
    return 0;
}

static void test_table_limits(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf;

    (void)unused;
    refused(init_nine_tables, "'ninth'");
    refused(init_global_written, "'shared'");
    refused(init_empty_value, "'empty'");
    refused(init_too_much_in_all, "'rest'");
    nf = make(&d, init_all_that_fits, forward);
    assert_int_equal(rill_nf_state_bytes(nf), RILL_BODY_MAX);
    assert_null(rill_table_create(nf, "late", RILL_PER_FLOW, RILL_WRITE, 8));
    rill_nf_destroy(nf);
}

/* --- bugs of an NF that end the unit ------------------------------------------------------------
 */

/* Runs one packet in a child, which must abort after a line that holds `part`. */
static void aborts(process_function process, const char *part)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_tables, process);
    _Alignas(8) uint8_t state[TABLES_BYTES] = {0};
    struct rill_pkt pkt = packet(state);
    char line[512] = "";
    int pipe_fds[2], status;
    pid_t child;

    assert_int_equal(pipe(pipe_fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka's handler would take it for a failure */
        rill_nf_process(nf, &pkt);
        _exit(0);
    }
    close(pipe_fds[1]);
    for (size_t used = 0; used < sizeof(line) - 1;) {
        ssize_t n = read(pipe_fds[0], line + used, sizeof(line) - 1 - used);

        if (n <= 0)
            break;
        used += (size_t)n;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (strstr(line, part) == NULL || strstr(line, "'test'") == NULL)
        fail_msg("no '%s' in: %s", part, line);
    rill_nf_destroy(nf);
}

static enum rill_verdict put_past_end(struct rill_nf *nf, struct rill_pkt *pkt)
{
    rill_put(((struct parts *)rill_nf_private(nf))->a, pkt, 2, 2);
    return RILL_FORWARD;
}

static enum rill_verdict put_overflow(struct rill_nf *nf, struct rill_pkt *pkt)
{
    rill_put(((struct parts *)rill_nf_private(nf))->a, pkt, 2, SIZE_MAX);
    return RILL_FORWARD;
}

static enum rill_verdict put_global(struct rill_nf *nf, struct rill_pkt *pkt)
{
    rill_put(((struct parts *)rill_nf_private(nf))->global, pkt, 0, 1);
    return RILL_FORWARD;
}

static enum rill_verdict get_without_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    (void)pkt;
    rill_get(((struct parts *)rill_nf_private(nf))->a, NULL);
    return RILL_FORWARD;
}

static void test_bad_puts(void **unused)
{
    (void)unused;
    aborts(put_past_end, "table 'a'");
    aborts(put_overflow, "table 'a'");
    aborts(put_global, "table 'global'");
    aborts(get_without_packet, "table 'a'");
}

static enum rill_verdict write_without_put(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct parts *p = rill_nf_private(nf);

    ((uint8_t *)rill_get(p->b, pkt))[9] = 1;
    rill_put(p->b, pkt, 0, 8);
    rill_put(p->b, pkt, 12, 4); /* byte 9 would ride along this time, by luck */
    return RILL_FORWARD;
}

static enum rill_verdict write_past_value(struct rill_nf *nf, struct rill_pkt *pkt)
{
    ((uint8_t *)rill_get(((struct parts *)rill_nf_private(nf))->a, pkt))[4] = 1;
    return RILL_DROP;
}

static enum rill_verdict write_global(struct rill_nf *nf, struct rill_pkt *pkt)
{
    ((uint8_t *)rill_get(((struct parts *)rill_nf_private(nf))->global, pkt))[50] = 1;
    return RILL_FORWARD;
}

static void test_changes_that_were_not_put(void **unused)
{
    (void)unused;
#ifdef RILL_CHECK_PUTS
    aborts(write_without_put, "byte 9 of its value in table 'b'");
    aborts(write_past_value, "byte 92 of the flow's state");
    aborts(write_global, "table 'global'");
#else
    (void)write_without_put;
    (void)write_past_value;
    (void)write_global;
    skip();
#endif
}

/* --- alias -------------------------------------------------------------------------------------
 */

static const struct rill_endpoint some = {
    .addr = {192, 0, 2, 1}, .port = 80, .family = 4, .proto = RILL_TCP};
static const struct rill_endpoint other = {
    .addr = {192, 0, 2, 2}, .port = 80, .family = 4, .proto = RILL_TCP};
static const struct rill_endpoint unclean = {
    .addr = {192, 0, 2, 2, 1}, .port = 80, .family = 4, .proto = RILL_TCP};

static enum rill_verdict use_alias(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct rill_endpoint none = {.family = 0};

    (void)nf;
    assert_int_equal(rill_flow_alias(pkt, &none, NULL), -1);
    assert_int_equal(rill_flow_alias(pkt, &unclean, NULL), -1);
    assert_int_equal(rill_flow_alias(pkt, &some, &none), -1);
    assert_true(pkt->dirty_low > pkt->dirty_high);
    assert_int_equal(rill_flow_alias(pkt, &some, &other), 0);
    assert_int_equal(pkt->dirty_low, 0);
    assert_int_equal(pkt->dirty_high, sizeof(struct rill_alias));
    pkt->dirty_low = UINT32_MAX;
    pkt->dirty_high = 0;
    assert_int_equal(rill_flow_alias(pkt, &some, &other), 0);
    assert_int_equal(rill_flow_alias(pkt, &some, NULL), -1);
    assert_int_equal(rill_flow_alias(pkt, &other, &some), -1);
    assert_true(pkt->dirty_low > pkt->dirty_high);
    return RILL_FORWARD;
}

static void test_alias(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_nothing, use_alias);
    _Alignas(8) uint8_t state[sizeof(struct rill_state_head)] = {0};
    const struct rill_alias *alias = (const struct rill_alias *)(const void *)state;
    struct rill_pkt pkt = packet(state);

    (void)unused;
    assert_int_equal(rill_nf_state_bytes(nf), sizeof(struct rill_state_head));
    assert_int_equal(rill_nf_process(nf, &pkt), RILL_FORWARD);
    assert_true(rill_endpoint_equal(&alias->local, &some));
    assert_true(rill_endpoint_equal(&alias->remote, &other));
    rill_nf_destroy(nf);
}

/* --- pools -------------------------------------------------------------------------------------
 */

static int init_pool(struct rill_nf *nf, const struct rill_config *config)
{
    static const char *const addresses[] = {"192.0.2.1", "192.0.2.2"};
    struct parts *p = rill_nf_private(nf);

    (void)config;
    p->pool = rill_pool_create(nf, "pool", addresses, 2, 1000, 1999, RILL_UDP);
    return 0;
}

static void test_pool_indexes(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_pool, forward);
    struct rill_pool_spec spec;
    struct rill_endpoint e;

    (void)unused;
    assert_int_equal(rill_nf_pool_count(nf), 1);
    rill_nf_pool_spec(nf, 0, &spec);
    assert_string_equal(spec.name, "pool");
    assert_int_equal(rill_pool_spec_size(&spec), 2000);
    for (uint32_t i = 0; i < 2000; i++) {
        rill_pool_spec_endpoint(&spec, i, &e);
        assert_int_equal(rill_pool_spec_index(&spec, &e), i);
    }
    assert_int_equal(e.port, 1999);
    assert_int_equal(e.addr[3], 2);
    e.port = 2000;
    assert_int_equal(rill_pool_spec_index(&spec, &e), -1);
    e.port = 999;
    assert_int_equal(rill_pool_spec_index(&spec, &e), -1);
    e.port = 1000;
    e.proto = RILL_TCP;
    assert_int_equal(rill_pool_spec_index(&spec, &e), -1);
    e.proto = RILL_UDP;
    e.addr[3] = 3;
    assert_int_equal(rill_pool_spec_index(&spec, &e), -1);
    rill_nf_destroy(nf);
}

static enum rill_verdict take_and_declare(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct parts *p = rill_nf_private(nf);
    struct rill_endpoint e, second;

    if (rill_pool_take(p->pool, pkt, &e) != 0)
        return RILL_DROP;
    assert_int_equal(rill_pool_take(p->pool, pkt, &second), -1);
    return rill_flow_alias(pkt, &e, NULL) == 0 ? RILL_FORWARD : RILL_DROP;
}

/* One packet of a new flow: its verdict, and the port that it declared (0: none). */
static enum rill_verdict run_flow(struct rill_nf *nf, unsigned *port)
{
    _Alignas(8) uint8_t state[sizeof(struct rill_state_head)] = {0};
    struct rill_pkt pkt = packet(state);
    const struct rill_alias *alias = (const struct rill_alias *)(const void *)state;
    enum rill_verdict verdict = rill_nf_process(nf, &pkt);

    *port = alias->local.port;
    return verdict;
}

/* The port of a flow that must be forwarded if it has one, and dropped if not. */
static unsigned one_flow(struct rill_nf *nf)
{
    unsigned port;
    enum rill_verdict verdict = run_flow(nf, &port);

    assert_int_equal(verdict, port != 0 ? RILL_FORWARD : RILL_DROP);
    return port;
}

/* What the controller keeps for the flow goes before what is leased, and is nobody else's. */
static void test_pool_gives_what_is_kept(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_pool, take_and_declare);
    static const uint32_t leased[] = {7};
    struct {
        bool has;
        unsigned pool;
        uint32_t index, port;
    } rows[] = {
        {true, 0, 1005, 1005}, /* of the second address */
        {true, 1, 3, 1007},    /* there is no such pool */
        {true, 0, 2000, 0},    /* nor such an index; and the leased one is gone */
        {false, 0, 1005, 0},
    };

    (void)unused;
    assert_int_equal(rill_nf_pool_give(nf, 0, 0, leased, 1, 99), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _Alignas(8) uint8_t state[sizeof(struct rill_state_head)] = {0};
        const struct rill_alias *alias = (const struct rill_alias *)(const void *)state;
        struct rill_pkt pkt = packet(state);

        pkt.flow = 42;
        pkt.has_kept = rows[i].has;
        pkt.kept_pool = rows[i].pool;
        pkt.kept_index = rows[i].index;
        rill_nf_process(nf, &pkt);
        assert_int_equal(alias->local.port, rows[i].port);
        if (i == 0) {
            assert_true(alias->lease == 42);
            assert_int_equal(rill_nf_pool_free(nf, 0), 1);
        }
    }
    rill_nf_destroy(nf);
}

static void test_pool_gives_in_order(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_pool, take_and_declare);
    uint32_t given = 0, taken = 0, indexes[300];

    (void)unused;
    assert_int_equal(one_flow(nf), 0);
    /* Lease and take at different paces, so that the ring wraps and grows with its head anywhere.
     */
    for (uint32_t round = 1; given + round <= 2000; round += 7) {
        for (uint32_t i = 0; i < round; i++)
            indexes[i] = given++;
        assert_int_equal(rill_nf_pool_give(nf, 0, 0, indexes, round, 1), 0);
        for (uint32_t i = 0; i < round / 2; i++, taken++)
            assert_int_equal(one_flow(nf), 1000 + taken % 1000);
        assert_int_equal(rill_nf_pool_free(nf, 0), given - taken);
    }
    for (; taken < given; taken++)
        assert_int_equal(one_flow(nf), 1000 + taken % 1000);
    assert_int_equal(one_flow(nf), 0);
    rill_nf_destroy(nf);
}

static void test_pool_refuses_foreign_index(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_pool, take_and_declare);
    const uint32_t indexes[] = {0, 2000};

    (void)unused;
    assert_int_not_equal(rill_nf_pool_give(nf, 0, 0, indexes, 2, 1), 0);
    assert_int_equal(rill_nf_pool_free(nf, 0), 0);
    rill_nf_destroy(nf);
}

static enum rill_verdict take_only(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct rill_endpoint e;

    assert_int_equal(rill_pool_take(((struct parts *)rill_nf_private(nf))->pool, pkt, &e), 0);
    return RILL_FORWARD;
}

static void test_endpoint_not_declared_goes_back(void **unused)
{
    struct rill_nf_descriptor d;
    struct rill_nf *nf = make(&d, init_pool, take_only);
    const uint32_t indexes[] = {5, 6};

    (void)unused;
    assert_int_equal(rill_nf_pool_give(nf, 0, 0, indexes, 2, 1), 0);
    assert_int_equal(one_flow(nf), 0);
    assert_int_equal(rill_nf_pool_free(nf, 0), 2);
    d.process_packet = take_and_declare;
    assert_int_equal(one_flow(nf), 1005);
    assert_int_equal(one_flow(nf), 1006);
    rill_nf_destroy(nf);
}

static const char *pool_address;
static uint16_t pool_low, pool_high;
static enum rill_proto pool_proto;
static size_t pool_addresses;

static int init_bad_pool(struct rill_nf *nf, const struct rill_config *config)
{
    const char *const addresses[] = {"192.0.2.1", pool_address};

    (void)config;
    rill_pool_create(nf, "bad", addresses, pool_addresses, pool_low, pool_high, pool_proto);
    return 0;
}

static void test_pool_faults(void **unused)
{
    static const struct {
        const char *address;
        size_t n;
        uint16_t low, high;
        enum rill_proto proto;
        const char *part;
    } rows[] = {
        {"x", 2, 1, 2, RILL_TCP, "'x'"},
        {"192.0.2.1", 2, 1, 2, RILL_TCP, "twice"},
        {"2001:db8::1", 2, 1, 2, RILL_TCP, "family"},
        {"224.0.0.1", 2, 1, 2, RILL_TCP, "unicast"},
        {NULL, 2, 1, 2, RILL_TCP, "''"},
        {"", 0, 1, 2, RILL_TCP, "no addresses"},
        {"", 1, 3, 2, RILL_TCP, "above"},
        {"", 1, 0, 2, RILL_TCP, "port 0"},
        {"", 1, 1, 2, (enum rill_proto)99, "protocol"},
        {"", 1, 1, 2, RILL_ICMP6, "family"},
        {"", 5000, 1, 2, RILL_TCP, "4096"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pool_address = rows[i].address;
        pool_addresses = rows[i].n;
        pool_low = rows[i].low;
        pool_high = rows[i].high;
        pool_proto = rows[i].proto;
        refused(init_bad_pool, "'bad'");
        refused(init_bad_pool, rows[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptor_faults),
        cmocka_unit_test(test_options_without_configuration),
        cmocka_unit_test(test_init_failures),
        cmocka_unit_test(test_fini),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_table_limits),
        cmocka_unit_test(test_bad_puts),
        cmocka_unit_test(test_changes_that_were_not_put),
        cmocka_unit_test(test_alias),
        cmocka_unit_test(test_pool_indexes),
        cmocka_unit_test(test_pool_gives_what_is_kept),
        cmocka_unit_test(test_pool_gives_in_order),
        cmocka_unit_test(test_pool_refuses_foreign_index),
        cmocka_unit_test(test_endpoint_not_declared_goes_back),
        cmocka_unit_test(test_pool_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
