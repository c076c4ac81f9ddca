/* Stands for rill-nf-runtime and the others in the test of the keeper: takes their options, dials
 * the socket at /run/control/agent.sock, says in a line what it was given, and then does what the
 * other side writes, a character a command:
 *
 *   c   counts turns from now on, one a millisecond
 *   l   does not count them any more
 *   s   the same, in a loop without end
 *   d   is deaf to SIGTERM, which else ends it with 7
 *   e   says two lines on stdout, then ends with 3
 *   n   a control message over an ipc link to itself; answers with a line
 *   o   opens an AF_PACKET socket; answers with a line
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/control/link.h"
#include "lib/daemon/turns.h"

#define LINK_URL "ipc:///run/probe.sock"

enum { LINK_MS = 10000, DIAL_MS = 10 };

static const char *const names[] = {"--role", "--control", "--turns", "--memory-mb", "--poll"};
enum { ROLE, CONTROL, TURNS, MEMORY, POLL, OPTIONS };

static void on_term(int signal_number)
{
    (void)signal_number;
    _exit(7);
}

static void deaf(int signal_number)
{
    (void)signal_number;
}

/* Again and again, as a link does: the agent may be away. */
static int dial(const char *url)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strncmp(url, "ipc://", 6) != 0)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", url + 6);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        poll(NULL, 0, DIAL_MS);
    return fd;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value == NULL ? "" : value;
}

/* ---- a link to itself ---- */

struct talk {
    struct rill_link *listener, *dialer;
    bool received;
};

static void on_up(void *arg, uint32_t peer)
{
    struct talk *talk = arg;
    Control__Message message = rill_control_message(1, 2, 3);
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&message, DONE, done, &done);
    rill_link_send(talk->dialer, peer, &message);
}

static void ignore_peer(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer;
}

static void ignore_message(void *arg, uint32_t peer, const Control__Message *message)
{
    (void)arg;
    (void)peer;
    (void)message;
}

static void on_message(void *arg, uint32_t peer, const Control__Message *message)
{
    struct talk *talk = arg;

    (void)peer;
    talk->received = message->body_case == CONTROL__MESSAGE__BODY_DONE && message->number == 3;
    rill_link_close(talk->listener);
    rill_link_close(talk->dialer);
}

static void give_up(uv_timer_t *timer)
{
    (void)timer;
    _exit(8);
}

static const char *talk_to_itself(void)
{
    struct talk talk = {.received = false};
    struct rill_link_events listens = {
        .up = ignore_peer, .down = ignore_peer, .message = on_message, .arg = &talk};
    struct rill_link_events dials = {
        .up = on_up, .down = ignore_peer, .message = ignore_message, .arg = &talk};
    uv_loop_t loop;
    uv_timer_t timer;

    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, give_up, LINK_MS, 0);
    uv_unref((uv_handle_t *)&timer);
    if (rill_link_listen(&loop, LINK_URL, 0666, &listens, &talk.listener, NULL) != 0 ||
        rill_link_dial(&loop, LINK_URL, &dials, &talk.dialer, NULL) != 0)
        return "no link";
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return talk.received ? "received" : "lost";
}

/* ---- commands ---- */

static void answer(int fd, const char *text)
{
    dprintf(fd, "%s\n", text);
}

static void obey(int fd, char command, bool *counts)
{
    switch (command) {
    case 'c':
    case 'l':
        *counts = command == 'c';
        break;
    case 's':
        for (volatile unsigned turns = 0;; turns++)
            ;
    case 'd':
        signal(SIGTERM, deaf);
        answer(fd, "deaf");
        break;
    case 'e':
        printf("a line\nlast \x1bwords\n");
        exit(3);
    case 'n':
        answer(fd, talk_to_itself());
        break;
    case 'o':
        answer(fd, socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? "opened" : strerror(errno));
        break;
    }
}

static void serve(int fd, struct rill_turns *turns)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    bool counts = false;
    char command;

    for (;;) {
        if (poll(&wait, 1, counts ? 1 : -1) > 0) {
            /* The test closes its end before it lets a new one adopt: the program runs on. */
            if (read(fd, &command, 1) == 1)
                obey(fd, command, &counts);
            else
                wait.fd = -1;
        }
        if (counts)
            rill_turns_count(turns);
    }
}

int main(int argc, char **argv)
{
    const char *options[OPTIONS] = {"", "", "", "", ""};
    struct rill_turns turns;
    int fd;

    for (int i = 1; i + 1 < argc; i += 2)
        for (int option = 0; option < OPTIONS; option++)
            if (strcmp(argv[i], names[option]) == 0)
                options[option] = argv[i + 1];
    signal(SIGTERM, on_term);
    if (rill_turns_open(&turns, options[TURNS], NULL) != 0)
        return 9;
    fd = dial(options[CONTROL]);
    if (fd < 0)
        return 10;
    dprintf(fd, "program=%s role=%s memory=%s poll=%s token=%s asan=%s ubsan=%s links=%s\n",
            argv[0], options[ROLE], options[MEMORY], options[POLL], variable("RILL_TOKEN"),
            variable("ASAN_OPTIONS"), variable("UBSAN_OPTIONS"),
            access("/run/links", X_OK) == 0 ? "there" : "not there");
    serve(fd, &turns);
}
