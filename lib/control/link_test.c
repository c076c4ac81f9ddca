#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/control/link.h"

enum { PEERS_MAX = 64, WAIT_MS = 20000 };

/* One end, and what it was told. */
struct end {
    struct rill_link *link;
    uint32_t peers[PEERS_MAX]; /* up, in order */
    int ups, downs;
    uint64_t messages, last_number;
    bool in_order;
    bool echo;
    bool close_at_message;
    size_t last_image;
};

static uv_loop_t loop;
static char folder[] = "/tmp/rill_link_test_XXXXXX";
static char path[100], url[160];

static void on_up(void *arg, uint32_t peer)
{
    struct end *end = arg;

    assert_true(end->ups < PEERS_MAX);
    assert_int_not_equal(peer, 0);
    end->peers[end->ups++] = peer;
}

static void on_down(void *arg, uint32_t peer)
{
    struct end *end = arg;

    (void)peer;
    end->downs++;
}

static void on_message(void *arg, uint32_t peer, const Control__Message *message)
{
    struct end *end = arg;

    end->in_order &= message->number == end->last_number + 1;
    end->last_number = message->number;
    end->messages++;
    if (message->body_case == CONTROL__MESSAGE__BODY_DEPLOY)
        end->last_image = message->deploy->image.len;
    if (end->echo)
        assert_true(rill_link_send(end->link, peer, message));
    if (end->close_at_message) {
        rill_link_close(end->link);
        end->link = NULL;
    }
}

static struct rill_link_events events_of(struct end *end)
{
    end->in_order = true;
    return (struct rill_link_events){
        .up = on_up, .down = on_down, .message = on_message, .arg = end};
}

static void listen_at(struct end *end)
{
    struct rill_link_events events = events_of(end);
    struct rill_error err = {.text = ""};

    if (rill_link_listen(&loop, url, 0600, &events, &end->link, &err) != 0)
        fail_msg("%s", err.text);
}

static void dial(struct end *end)
{
    struct rill_link_events events = events_of(end);
    struct rill_error err = {.text = ""};

    if (rill_link_dial(&loop, url, &events, &end->link, &err) != 0)
        fail_msg("%s", err.text);
}

static void on_timeout(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Turns the loop until *value is at least `wanted`. */
static void wait_for(const int *value, int wanted)
{
    uv_timer_t timer;
    bool late = false;

    uv_timer_init(&loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_timeout, WAIT_MS, 0);
    while (*value < wanted && !late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    if (*value < wanted)
        fail_msg("only %d of %d came", *value, wanted);
}

static void wait_for_messages(struct end *end, uint64_t wanted)
{
    uv_timer_t timer;
    bool late = false;

    uv_timer_init(&loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_timeout, WAIT_MS, 0);
    while (end->messages < wanted && !late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(end->messages, wanted);
}

static bool send_number(struct end *end, uint32_t peer, uint64_t number)
{
    Control__Message m = rill_control_message(1, 2, number);
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &done);
    return rill_link_send(end->link, peer, &m);
}

static void close_all(struct end *ends, int n)
{
    for (int i = 0; i < n; i++)
        rill_link_close(ends[i].link);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0); /* no handle is left open */
}

/* --- tests ------------------------------------------------------------------------------------ */

static void many_diallers_one_listener(void **state)
{
    enum { DIALLERS = 20, EACH = 500 };
    struct end ends[DIALLERS + 1] = {0};
    struct end *server = &ends[DIALLERS];

    (void)state;
    server->echo = true;
    listen_at(server);
    for (int i = 0; i < DIALLERS; i++)
        dial(&ends[i]);
    wait_for(&server->ups, DIALLERS);
    for (int i = 0; i < DIALLERS; i++)
        wait_for(&ends[i].ups, 1);
    for (uint64_t number = 1; number <= EACH; number++)
        for (int i = 0; i < DIALLERS; i++)
            assert_true(send_number(&ends[i], ends[i].peers[0], number));
    for (int i = 0; i < DIALLERS; i++) {
        wait_for_messages(&ends[i], EACH); /* none lost, though all at once */
        assert_true(ends[i].in_order);
    }
    assert_int_equal(server->messages, DIALLERS * EACH);
    assert_int_equal(rill_link_counters(server->link)->dropped, 0);
    close_all(ends, DIALLERS + 1);
}

static void large_messages(void **state)
{
    static uint8_t image[20 << 20];
    struct end ends[2] = {{.echo = false}, {.echo = true}};
    Control__Message m = rill_control_message(1, 2, 1);
    Control__Deploy deploy = CONTROL__DEPLOY__INIT;

    (void)state;
    deploy.image.data = image;
    deploy.image.len = sizeof(image);
    RILL_CONTROL_SET(&m, DEPLOY, deploy, &deploy);
    listen_at(&ends[1]);
    dial(&ends[0]);
    wait_for(&ends[0].ups, 1);
    assert_true(rill_link_send(ends[0].link, ends[0].peers[0], &m));
    assert_true(send_number(&ends[0], ends[0].peers[0], 2));
    wait_for_messages(&ends[0], 2);
    assert_int_equal(ends[0].last_image, sizeof(image));
    assert_true(ends[0].in_order);
    close_all(ends, 2);
}

/* The listener goes and comes back; the diallers find it again. */
static void dials_again(void **state)
{
    struct end ends[3] = {0};

    (void)state;
    dial(&ends[0]); /* before there is anybody */
    listen_at(&ends[1]);
    wait_for(&ends[0].ups, 1);
    rill_link_close(ends[1].link);
    wait_for(&ends[0].downs, 1);
    listen_at(&ends[2]);
    wait_for(&ends[0].ups, 2);
    assert_int_not_equal(ends[0].peers[0], ends[0].peers[1]);
    assert_false(send_number(&ends[0], ends[0].peers[0], 1)); /* that one is gone */
    assert_true(send_number(&ends[0], ends[0].peers[1], 1));
    wait_for_messages(&ends[2], 1);
    ends[1].link = NULL;
    close_all(ends, 3);
}

static void second_listener_is_refused(void **state)
{
    struct end ends[1] = {0};
    struct rill_link_events events = events_of(&ends[0]);
    struct rill_link *second = NULL;
    struct rill_error err = {.text = ""};
    struct stat st;

    (void)state;
    listen_at(&ends[0]);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(rill_link_listen(&loop, url, 0600, &events, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, url));
    assert_null(second);
    assert_int_equal(rill_link_dial(&loop, "nonsense", &events, &second, &err), -EINVAL);
    close_all(ends, 1);
}

/* A peer that does not read: sending never waits, and is told so when too much waits. */
static void who_does_not_read(void **state)
{
    static uint8_t image[8 << 20];
    struct end ends[1] = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    Control__Message m = rill_control_message(1, 2, 1);
    Control__Deploy deploy = CONTROL__DEPLOY__INIT;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), sent = 0;

    (void)state;
    listen_at(&ends[0]);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    wait_for(&ends[0].ups, 1);
    deploy.image.data = image;
    deploy.image.len = sizeof(image);
    RILL_CONTROL_SET(&m, DEPLOY, deploy, &deploy);
    while (sent < 100 && rill_link_send(ends[0].link, ends[0].peers[0], &m))
        sent++;
    assert_in_range(sent, 8, 12);
    assert_int_equal(rill_link_counters(ends[0].link)->dropped, 1);
    close(fd);
    wait_for(&ends[0].downs, 1);
    close_all(ends, 1);
}

/* What is no message is counted, and the next one is read; what is too long ends the connection. */
static void nonsense_from_a_peer(void **state)
{
    static const uint8_t nonsense[] = {0, 0, 0, 3, 0xff, 0xff, 0xff, /* no protobuf */
                                       0, 0, 0, 0,                   /* empty: version 0 */
                                       /* our version, Done, number 1: */
                                       0, 0, 0, 6, 8, RILL_CONTROL_VERSION, 32, 1, 82, 0};
    static const uint8_t too_long[] = {0xff, 0, 0, 0};
    struct end ends[1] = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    listen_at(&ends[0]);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    wait_for(&ends[0].ups, 1);
    for (size_t i = 0; i < sizeof(nonsense); i++) /* byte by byte */
        assert_int_equal(write(fd, nonsense + i, 1), 1);
    wait_for_messages(&ends[0], 1);
    assert_int_equal(rill_link_counters(ends[0].link)->refused[RILL_CONTROL_MALFORMED], 1);
    assert_int_equal(rill_link_counters(ends[0].link)->refused[RILL_CONTROL_VERSION_OTHER], 1);
    assert_int_equal(write(fd, too_long, sizeof(too_long)), sizeof(too_long));
    wait_for(&ends[0].downs, 1);
    assert_int_equal(rill_link_counters(ends[0].link)->refused[RILL_CONTROL_TOO_LONG], 1);
    close(fd);
    close_all(ends, 1);
}

static void closed_from_within(void **state)
{
    struct end ends[2] = {{.echo = false}, {.close_at_message = true}};

    (void)state;
    listen_at(&ends[1]);
    dial(&ends[0]);
    wait_for(&ends[0].ups, 1);
    for (uint64_t number = 1; number <= 10; number++)
        send_number(&ends[0], ends[0].peers[0], number);
    wait_for(&ends[0].downs, 1);
    assert_int_equal(ends[1].messages, 1);
    close_all(ends, 2);
}

/* A process that says something and ends; here a thread with a loop of its own. */
static void *says_and_ends(void *arg)
{
    struct end end = {0};
    struct rill_link_events events = events_of(&end);
    struct rill_error err;
    uv_loop_t own;

    (void)arg;
    uv_loop_init(&own);
    rill_link_dial(&own, url, &events, &end.link, &err);
    while (end.ups == 0)
        uv_run(&own, UV_RUN_ONCE);
    for (uint64_t number = 1; number <= 1000; number++)
        send_number(&end, end.peers[0], number);
    rill_link_flush(end.link, WAIT_MS);
    rill_link_close(end.link);
    uv_run(&own, UV_RUN_DEFAULT);
    uv_loop_close(&own);
    return NULL;
}

/* What was flushed arrives, even if the sender is closed at once. */
static void flushed_before_the_end(void **state)
{
    struct end ends[1] = {0};
    pthread_t thread;

    (void)state;
    listen_at(&ends[0]);
    assert_int_equal(pthread_create(&thread, NULL, says_and_ends, NULL), 0);
    wait_for_messages(&ends[0], 1000);
    assert_true(ends[0].in_order);
    wait_for(&ends[0].downs, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close_all(ends, 1);
}

/* Sockets that are bound to our path: the listening one, and one for each connection that the
 * kernel has made to it. */
static int sockets_there(void)
{
    FILE *file = fopen("/proc/net/unix", "r");
    char line[512];
    int n = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        n += strstr(line, path) != NULL;
    fclose(file);
    return n;
}

static void await_sockets(int wanted)
{
    int n = 0, tries = WAIT_MS;

    for (; tries > 0 && (n = sockets_there()) != wanted; tries--)
        usleep(1000);
    if (tries == 0)
        fail_msg("%d sockets are there, not %d", n, wanted);
}

/* Both ends have their connection, and the loop has not turned since. */
static void closed_before_it_is_up(void **state)
{
    struct end ends[2] = {{.echo = false}, {.echo = false}};

    (void)state;
    await_sockets(0); /* nng closes what the tests before had in its own time */
    listen_at(&ends[0]);
    dial(&ends[1]);
    await_sockets(2);
    close_all(ends, 2);
    assert_int_equal(ends[0].ups + ends[1].ups, 0);
    await_sockets(0);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/a.sock", folder);
    snprintf(url, sizeof(url), "ipc://%s", path);
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    return uv_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_diallers_one_listener),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(dials_again),
        cmocka_unit_test(second_listener_is_refused),
        cmocka_unit_test(who_does_not_read),
        cmocka_unit_test(nonsense_from_a_peer),
        cmocka_unit_test(closed_from_within),
        cmocka_unit_test(flushed_before_the_end),
        cmocka_unit_test(closed_before_it_is_up),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
