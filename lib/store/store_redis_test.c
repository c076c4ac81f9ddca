/* Against a real server, which this test starts, kills and stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "lib/store/redis_server.h"
#include "lib/store/store_redis.h"
#include "tests/core_testing.h"

enum { FLOW = 100, STATE_BYTES = 3000, WAIT_S = 30, OUTSTANDING_MAX = 64, SKIPPED = 77 };

#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define STORE rill_role_id(RILL_ROLE_STORE, 1)
#define SECOND_NS UINT64_C(1000000000)
#define TIMEOUT_NS (SECOND_NS / 5)

static struct redis_server *server;
static struct rill_store *store;
static struct rill_outbox out;
static unsigned in_use;

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static struct rill_store *create(const char *address, const char *prefix)
{
    struct rill_store_redis_config config = {.pool = core_pool,
                                             .address = address,
                                             .prefix = prefix,
                                             .keep_ns = 60 * SECOND_NS,
                                             .timeout_ns = TIMEOUT_NS,
                                             .outstanding_max = OUTSTANDING_MAX};
    struct rill_error err = {.text = ""};

    return rill_store_redis_create(&config, &err);
}

/* --- turning it until something has happened --- */

static void turn(void)
{
    rill_store_tick(store, clock_ns(), &out);
    poll(NULL, 0, 1);
}

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t give_up_ns = clock_ns() + WAIT_S * SECOND_NS;                                     \
                                                                                                   \
        while (!(condition)) {                                                                     \
            assert_true(clock_ns() < give_up_ns);                                                  \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

static int setup(void **state)
{
    (void)state;
    in_use = core_in_use();
    if (!redis_server_start(server))
        return -1;
    store = create(redis_server_socket(server), "rill:test");
    if (store == NULL)
        return -1;
    UNTIL(rill_store_redis_is_connected(store));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rill_store_destroy(store);
    rill_outbox_fini(&out);
    redis_server_kill(server);
    return core_in_use() == in_use ? 0 : -1;
}

static int group_setup(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    server = redis_server_create();
    return server == NULL ? -1 : core_group_setup(state);
}

static int group_teardown(void **state)
{
    redis_server_destroy(server);
    return core_group_teardown(state);
}

/* --- requests --- */

static void give(struct rte_mbuf *m)
{
    rill_store_recv(store, &m, 1, clock_ns(), &out);
}

static struct rte_mbuf *put(uint64_t flow, uint64_t granted, uint64_t term, uint64_t step,
                            uint8_t fill)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_STORE_PUT, UNIT, STORE);
    struct rill_frame *f = rill_frame(m);
    uint8_t state[STATE_BYTES];

    f->flow = flow;
    f->granted_term = granted;
    f->term = term;
    f->step = step;
    f->clock = step + 1000;
    f->window = 0x8000000000000001u;
    memset(state, fill, sizeof(state));
    core_body(m, state, sizeof(state));
    return m;
}

static struct rte_mbuf *get(uint64_t flow, uint32_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_STORE_GET, UNIT, STORE);

    rill_frame(m)->flow = flow;
    rill_frame(m)->count = number;
    return m;
}

static struct rill_frame put_and_wait(struct rte_mbuf *m)
{
    give(m);
    UNTIL(core_count(&out, RILL_FRAME_STORE_ACK, UNIT) > 0);
    return core_expect(&out, RILL_FRAME_STORE_ACK, UNIT);
}

static void check_value(struct rte_mbuf *m, uint64_t step, uint8_t fill)
{
    uint8_t state[STATE_BYTES], expected[STATE_BYTES];

    memset(expected, fill, sizeof(expected));
    assert_true(rill_frame(m)->flags & RILL_FLAG_STATE);
    assert_int_equal(rill_frame(m)->step, step);
    assert_int_equal(rill_frame(m)->clock, step + 1000);
    assert_true(rill_frame(m)->window == 0x8000000000000001u);
    assert_int_equal(rte_pktmbuf_pkt_len(m), STATE_BYTES);
    assert_int_equal(rill_body_read(m, 0, state, sizeof(state)), 0);
    assert_memory_equal(state, expected, sizeof(state));
}

/* What is read is the state filled with that, at that step; 0: nothing is there. */
static void expect_read(uint64_t flow, uint64_t step, uint8_t fill)
{
    struct rte_mbuf *m;

    give(get(flow, 7));
    UNTIL(core_count(&out, RILL_FRAME_STORE_VALUE, UNIT) > 0);
    m = core_take(&out, RILL_FRAME_STORE_VALUE, UNIT);
    assert_int_equal(rill_frame(m)->flow, flow);
    assert_int_equal(rill_frame(m)->count, 7);
    if (fill == 0) {
        assert_false(rill_frame(m)->flags & RILL_FLAG_STATE);
        assert_int_equal(rte_pktmbuf_pkt_len(m), 0);
    } else {
        check_value(m, step, fill);
    }
    rte_pktmbuf_free(m);
}

/* --- the tests --- */

static void what_was_put_is_read(void **state)
{
    struct rill_frame ack;

    (void)state;
    expect_read(FLOW, 0, 0);
    ack = put_and_wait(put(FLOW, 5, 5, 3, 'a'));
    assert_int_equal(ack.flags, 0);
    assert_int_equal(ack.flow, FLOW);
    assert_int_equal(ack.granted_term, 5);
    assert_int_equal(ack.step, 3);
    assert_int_equal(ack.src, STORE);
    expect_read(FLOW, 3, 'a');
    expect_read(FLOW + 1, 0, 0);
    assert_int_equal(store->n.connects, 1);
}

static void the_newer_one_stays(void **state)
{
    uint64_t big = UINT64_C(0x0fffffffffffffff), bigger = UINT64_C(0x1000000000000000);

    (void)state;
    put_and_wait(put(FLOW, 5, 5, 3, 'a'));
    assert_true(put_and_wait(put(FLOW, 5, 5, 2, 'b')).flags & RILL_FLAG_REFUSED);
    assert_true(put_and_wait(put(FLOW, 5, 4, 9, 'b')).flags & RILL_FLAG_REFUSED);
    assert_true(put_and_wait(put(FLOW, 4, 5, 9, 'b')).flags & RILL_FLAG_REFUSED);
    expect_read(FLOW, 3, 'a');
    assert_int_equal(put_and_wait(put(FLOW, 5, 5, 3, 'c')).flags, 0); /* again */
    assert_int_equal(put_and_wait(put(FLOW, 6, 5, 2, 'd')).flags, 0);
    expect_read(FLOW, 2, 'd');
    put_and_wait(put(FLOW, bigger, 5, 2, 'e'));
    assert_true(put_and_wait(put(FLOW, big, 5, 2, 'f')).flags & RILL_FLAG_REFUSED);
    expect_read(FLOW, 2, 'e');
    assert_int_equal(store->n.puts_refused, 4);
}

/* One write for all, and answers in the order of the questions. */
static void requests_are_pipelined(void **state)
{
    struct rte_mbuf *burst[OUTSTANDING_MAX];

    (void)state;
    for (uint32_t i = 0; i < OUTSTANDING_MAX; i++)
        burst[i] = i % 2 == 0 ? put(i, 5, 5, i, (uint8_t)(i + 1)) : get(i - 1, i);
    rill_store_recv(store, burst, OUTSTANDING_MAX, clock_ns(), &out);
    UNTIL(out.count == OUTSTANDING_MAX);
    for (uint32_t i = 1; i < OUTSTANDING_MAX; i += 2) {
        assert_int_equal(rill_frame(out.frames[i])->count, i);
        check_value(out.frames[i], i - 1, (uint8_t)i);
    }
    assert_int_equal(store->n.requests_refused, 0);
}

static void more_than_may_be_outstanding_are_refused(void **state)
{
    (void)state;
    redis_server_freeze(server, true);
    for (uint32_t i = 0; i < OUTSTANDING_MAX + 3; i++)
        give(get(i, i));
    assert_int_equal(store->n.requests_refused, 3);
    redis_server_freeze(server, false);
    UNTIL(out.count == OUTSTANDING_MAX);
}

static void a_server_that_dies_is_connected_to_again(void **state)
{
    (void)state;
    put_and_wait(put(FLOW, 5, 5, 3, 'a'));
    redis_server_freeze(server, true);
    give(get(FLOW, 1));
    redis_server_kill(server);
    UNTIL(!rill_store_redis_is_connected(store));
    assert_true(rill_store_redis_trouble(store)[0] != '\0');
    assert_int_equal(store->n.requests_lost, 1);
    give(get(FLOW, 2)); /* counted, and forgotten: it is asked again */
    assert_int_equal(store->n.requests_refused, 1);
    UNTIL(store->n.connects_failed > 0);
    assert_true(rill_store_redis_trouble(store)[0] != '\0');
    assert_true(redis_server_start(server));
    UNTIL(rill_store_redis_is_connected(store));
    assert_int_equal(store->n.connects, 2);
    assert_int_equal(out.count, 0);
    expect_read(FLOW, 0, 0); /* it has forgotten */
    put_and_wait(put(FLOW, 5, 5, 4, 'b'));
    expect_read(FLOW, 4, 'b');
}

static void a_server_that_stands_still_is_given_up(void **state)
{
    (void)state;
    redis_server_freeze(server, true);
    give(put(FLOW, 5, 5, 3, 'a'));
    UNTIL(store->n.requests_lost > 0);
    assert_false(rill_store_redis_is_connected(store));
    redis_server_freeze(server, false);
    UNTIL(rill_store_redis_is_connected(store));
    put_and_wait(put(FLOW, 5, 5, 4, 'b'));
    expect_read(FLOW, 4, 'b');
}

static redisContext *second_client(void)
{
    redisContext *client = redisConnectUnix(redis_server_socket(server) + strlen("unix:"));

    assert_non_null(client);
    assert_int_equal(client->err, 0);
    return client;
}

static void scripts_that_are_flushed_are_loaded_again(void **state)
{
    redisContext *client = second_client();

    (void)state;
    put_and_wait(put(FLOW, 5, 5, 3, 'a'));
    expect_read(FLOW, 3, 'a');
    freeReplyObject(redisCommand(client, "SCRIPT FLUSH"));
    redisFree(client);
    give(put(FLOW, 5, 5, 4, 'b'));
    UNTIL(store->n.errors == 1); /* as if it had been lost */
    put_and_wait(put(FLOW, 5, 5, 4, 'b'));
    expect_read(FLOW, 4, 'b');
}

static void a_value_that_is_none_is_an_error(void **state)
{
    redisContext *client = second_client();

    (void)state;
    freeReplyObject(redisCommand(client, "SET rill:test:%016x %s", FLOW, "nonsense"));
    give(get(FLOW, 1));
    UNTIL(store->n.errors == 1);
    assert_int_equal(out.count, 0);
    freeReplyObject(redisCommand(client, "DEL rill:test:%016x", FLOW));
    freeReplyObject(redisCommand(client, "LPUSH rill:test:%016x 1", FLOW));
    give(get(FLOW, 1));
    UNTIL(store->n.errors == 2);
    redisFree(client);
}

static void keys_have_an_end_and_a_prefix(void **state)
{
    struct rill_store *first = store;
    redisContext *client = second_client();
    redisReply *reply;

    (void)state;
    put_and_wait(put(FLOW, 5, 5, 3, 'a'));
    reply = redisCommand(client, "PTTL rill:test:%016x", FLOW);
    assert_true(reply->integer > 0 && reply->integer <= 60001);
    freeReplyObject(reply);
    redisFree(client);
    store = create(redis_server_port(server), "rill:other"); /* another run, by the port */
    UNTIL(rill_store_redis_is_connected(store));
    expect_read(FLOW, 0, 0);
    rill_store_destroy(store);
    store = first;
}

static void what_is_outstanding_at_the_end_is_freed(void **state)
{
    (void)state;
    redis_server_freeze(server, true);
    give(get(FLOW, 1));
    give(put(FLOW, 5, 5, 3, 'a'));
    redis_server_freeze(server, false);
}

static void other_frames_are_refused(void **state)
{
    (void)state;
    give(core_frame(RILL_FRAME_PULL, UNIT, STORE));
    assert_int_equal(store->n.messages_unknown, 1);
}

static void addresses_are_judged(void **state)
{
    static const char *const good[] = {"unix:/a", "127.0.0.1:6379", "::1:6379", "10.0.0.1:1"};
    static const char *const bad[] = {"",          "unix:",      "unix:a",    "localhost:6379",
                                      "1.2.3.4",   "1.2.3.4:",   "1.2.3.4:0", "1.2.3.4:65536",
                                      "1.2.3.4:a", "1.2.3.4:1 ", "/a",        ":1"};
    struct rill_error err;

    (void)state;
    for (size_t i = 0; i < RTE_DIM(good); i++)
        assert_int_equal(rill_store_redis_check_address(good[i], &err), 0);
    for (size_t i = 0; i < RTE_DIM(bad); i++) {
        err.text[0] = '\0';
        assert_int_equal(rill_store_redis_check_address(bad[i], &err), -EINVAL);
        assert_non_null(strstr(err.text, "Redis"));
        assert_null(create(bad[i], "rill:test"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_read),
        TEST(the_newer_one_stays),
        TEST(requests_are_pipelined),
        TEST(more_than_may_be_outstanding_are_refused),
        TEST(a_server_that_dies_is_connected_to_again),
        TEST(a_server_that_stands_still_is_given_up),
        TEST(scripts_that_are_flushed_are_loaded_again),
        TEST(a_value_that_is_none_is_an_error),
        TEST(keys_have_an_end_and_a_prefix),
        TEST(what_is_outstanding_at_the_end_is_freed),
        TEST(other_frames_are_refused),
        cmocka_unit_test(addresses_are_judged),
    };

    if (!redis_server_is_installed())
        return SKIPPED;
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
