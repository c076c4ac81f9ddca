#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "cli/client.h"
#include "lib/base/role.h"
#include "lib/control/link.h"

enum { LONG_MS = 20000, CLIENT = (RILL_ROLE_CLIENT << 24) | 9 };

static char folder[] = "/tmp/rill-client-test-XXXXXX";

/* --- a process that stands still for a moment before its loop runs ------------------------------
 */

static bool stands_still;

int __real_uv_run(uv_loop_t *loop, uv_run_mode mode);
int __wrap_uv_run(uv_loop_t *loop, uv_run_mode mode); /* linked in place of uv_run() */

int __wrap_uv_run(uv_loop_t *loop, uv_run_mode mode)
{
    if (stands_still)
        usleep(3000);
    return __real_uv_run(loop, mode);
}

/* --- a resource manager that says what the tests need; a process of its own ------------------- */

static struct rill_link *listener;

static void answer(uint32_t peer, const Control__Message *m)
{
    Control__Message out = rill_control_message(1, m->from, m->number);
    Control__Welcome welcome = CONTROL__WELCOME__INIT;
    Control__Error error = CONTROL__ERROR__INIT;
    Control__Done done = CONTROL__DONE__INIT;
    Control__Peers peers = CONTROL__PEERS__INIT;

    switch (m->body_case) {
    case CONTROL__MESSAGE__BODY_JOIN:
        welcome.role = CLIENT;
        welcome.cluster = (char *)"fake";
        RILL_CONTROL_SET(&out, WELCOME, welcome, &welcome);
        break;
    case CONTROL__MESSAGE__BODY_UNDEPLOY:
        error.text = (char *)"no such deployment";
        RILL_CONTROL_SET(&out, ERROR, error, &error);
        break;
    case CONTROL__MESSAGE__BODY_STATUS_REQUEST: /* a request of its own first, of the same number */
        RILL_CONTROL_SET(&out, PEERS, peers, &peers);
        rill_link_send(listener, peer, &out);
        RILL_CONTROL_SET(&out, DONE, done, &done);
        break;
    case CONTROL__MESSAGE__BODY_SHUTDOWN:
        _exit(0);
    default:
        return; /* no answer */
    }
    rill_link_send(listener, peer, &out);
}

static void on_up(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer;
}

static void on_message(void *arg, uint32_t peer, const Control__Message *m)
{
    (void)arg;
    answer(peer, m);
}

static void run_manager(int ready)
{
    struct rill_link_events events = {.up = on_up, .down = on_up, .message = on_message};
    struct rill_error err;
    char url[128];
    uv_loop_t loop;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where the tests are ended by a signal */
    uv_loop_init(&loop);
    snprintf(url, sizeof(url), "ipc://%s/rm.sock", folder);
    if (rill_link_listen(&loop, url, 0600, &events, &listener, &err) != 0)
        _exit(1);
    if (write(ready, "x", 1) == 1)
        uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

static pid_t manager;

/* Once, before this process has anything of nng. */
static int start_manager(void **state)
{
    int ready[2];
    char x;

    (void)state;
    if (mkdtemp(folder) == NULL || pipe(ready) != 0)
        return -1;
    manager = fork();
    if (manager == 0)
        run_manager(ready[1]);
    close(ready[1]);
    if (manager < 0 || read(ready[0], &x, 1) != 1)
        return -1;
    return close(ready[0]);
}

static int remove_all(void **state)
{
    char path[sizeof(folder) + 16];

    (void)state;
    if (manager > 0) {
        kill(manager, SIGKILL);
        waitpid(manager, NULL, 0);
    }
    snprintf(path, sizeof(path), "%s/rm.sock", folder);
    unlink(path);
    return rmdir(folder);
}

/* --- tests ------------------------------------------------------------------------------------ */

static struct rill_place place_of(const char *name)
{
    struct rill_place place = {.given_name = name, .given_base = folder};

    assert_int_equal(rill_place_resolve(&place, NULL), 0);
    return place;
}

static struct rill_client *open_client(void)
{
    struct rill_place place = place_of("fake");
    struct rill_client *client;
    struct rill_error err;

    if (rill_client_open(&place, &client, &err) != 0)
        fail_msg("%s", err.text);
    return client;
}

static void count_peers(void *arg, const Control__Message *message)
{
    *(unsigned *)arg += message->body_case == CONTROL__MESSAGE__BODY_PEERS;
}

static void asks_and_hears(void **state)
{
    Control__StatusRequest request = CONTROL__STATUS_REQUEST__INIT;
    Control__Undeploy undeploy = CONTROL__UNDEPLOY__INIT;
    struct rill_client *client = open_client();
    Control__Message m, *answer_got = NULL;
    struct rill_error err = {""};
    unsigned peers = 0;

    (void)state;
    assert_int_equal(rill_client_role(client), CLIENT);
    rill_client_on_message(client, count_peers, &peers);
    m = rill_client_message_to(client, 0);
    assert_int_equal(m.from, CLIENT);
    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &request);
    assert_int_equal(rill_client_ask(client, &m, LONG_MS, &answer_got, &err), 0);
    assert_int_equal(answer_got->body_case, CONTROL__MESSAGE__BODY_DONE);
    assert_int_equal(peers, 1); /* went to the callback, not for an answer */
    rill_control_free(answer_got);

    m = rill_client_message_to(client, 0);
    undeploy.name = (char *)"x";
    RILL_CONTROL_SET(&m, UNDEPLOY, undeploy, &undeploy);
    assert_int_equal(rill_client_ask(client, &m, LONG_MS, &answer_got, &err), -EREMOTEIO);
    assert_null(answer_got);
    assert_string_equal(err.text, "no such deployment");
    assert_false(rill_client_lost(client));
    rill_client_close(client);
}

static void no_answer(void **state)
{
    Control__Attach attach = CONTROL__ATTACH__INIT;
    struct rill_client *client = open_client();
    Control__Message m = rill_client_message_to(client, 0), *answer_got;
    struct rill_error err = {""};

    (void)state;
    RILL_CONTROL_SET(&m, ATTACH, attach, &attach);
    assert_int_equal(rill_client_ask(client, &m, 20, &answer_got, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "of cluster 'fake' does not answer; see `rill logs rm"));
    rill_client_close(client);
}

/* A turn's time may be over before it begins to wait, and then no message may ever come. */
static void a_turn_on_a_busy_machine_ends(void **state)
{
    struct rill_client *client = open_client();

    (void)state;
    stands_still = true;
    alarm(LONG_MS / 1000);
    for (int i = 0; i < 5; i++)
        rill_client_turn(client, 1);
    alarm(0);
    stands_still = false;
    rill_client_close(client);
}

static void it_ends(void **state)
{
    Control__Shutdown shutdown = CONTROL__SHUTDOWN__INIT;
    struct rill_client *client = open_client();
    Control__Message m = rill_client_message_to(client, 0), *answer_got;
    struct rill_error err = {""};

    (void)state;
    RILL_CONTROL_SET(&m, SHUTDOWN, shutdown, &shutdown);
    assert_int_equal(rill_client_ask(client, &m, LONG_MS, &answer_got, &err), -ECONNRESET);
    assert_non_null(strstr(err.text, "of cluster 'fake' has ended"));
    assert_true(rill_client_is_away(client));
    assert_false(rill_client_lost(client)); /* another one may come */
    rill_client_close(client);
    /* Its listening socket may be the last that the kernel closes. */
    assert_int_equal(waitpid(manager, NULL, 0), manager);
    manager = 0;
}

static void another_clusters_folder(void **state)
{
    struct rill_place place = place_of("other");
    struct rill_client *client;
    struct rill_error err = {""};

    (void)state;
    assert_true(rill_client_open(&place, &client, &err) < 0);
    assert_null(client);
    assert_non_null(strstr(err.text, "this is the cluster 'fake'; give it as --cluster"));
}

/* After the one before: no manager, but its socket. */
static void nobody_is_there(void **state)
{
    struct rill_place place = place_of("fake");
    struct rill_client *client;
    struct rill_error err = {""};
    char path[RILL_PLACE_PATH_BYTES];

    (void)state;
    assert_int_equal(access(rill_place_path(&place, "rm.sock", path), F_OK), 0);
    assert_int_equal(rill_client_open(&place, &client, &err), -ENOENT);
    assert_non_null(strstr(err.text, "run on: rill down --cluster fake --base /"));
    unlink(path);
    assert_int_equal(rill_client_open(&place, &client, &err), -ENOENT);
    assert_non_null(strstr(err.text, "cluster 'fake' is not up: rill up --cluster fake --base /"));
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_and_hears),
        cmocka_unit_test(no_answer),
        cmocka_unit_test(a_turn_on_a_busy_machine_ends),
        cmocka_unit_test(another_clusters_folder),
        cmocka_unit_test(it_ends),
        cmocka_unit_test(nobody_is_there),
    };

    return cmocka_run_group_tests(tests, start_manager, remove_all);
}
