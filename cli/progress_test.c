#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/progress.h"

enum { MS = 1000000 };

static void nothing_on_a_pipe(void **state)
{
    struct rill_progress progress;
    char text[8];
    int fds[2];
    FILE *out;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    out = fdopen(fds[1], "w");
    rill_progress_init(&progress, out, 0);
    assert_false(rill_progress_update(&progress, 1000 * (uint64_t)MS, 1, 2, 1));
    rill_progress_clear(&progress);
    fclose(out);
    assert_int_equal(read(fds[0], text, sizeof(text)), 0);
    close(fds[0]);
}

/* A terminal of `columns`: its other end, and a stream to it. */
static int open_terminal(unsigned short columns, FILE **out)
{
    struct winsize size = {.ws_row = 25, .ws_col = columns};
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    struct termios raw;

    if (master < 0)
        skip();
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    *out = fdopen(slave, "w");
    return master;
}

/* A terminal hands on what was written to it when it likes, in pieces: waits for `needle`. */
static void read_until(int terminal, char *text, size_t bytes, const char *needle)
{
    size_t used = 0;

    while (strstr(text, needle) == NULL) {
        struct pollfd readable = {.fd = terminal, .events = POLLIN};
        ssize_t n;

        assert_int_equal(poll(&readable, 1, 10000), 1);
        n = read(terminal, text + used, bytes - 1 - used);
        assert_true(n > 0);
        used += (size_t)n;
        text[used] = '\0';
    }
}

static void a_line_ten_times_a_second(void **state)
{
    struct rill_progress progress;
    char text[1024] = "";
    unsigned drawn = 0;
    FILE *out;
    int terminal = open_terminal(80, &out);

    (void)state;
    rill_progress_init(&progress, out, 5 * (uint64_t)MS);
    for (uint64_t ms = 100; ms < 1100; ms++)
        drawn += rill_progress_update(&progress, ms * MS, ms, 2000, ms / 2);
    assert_int_equal(drawn, 10);
    read_until(terminal, text, sizeof(text), "\r 50%  1,000 of 2,000 packets in, 500 released");
    assert_non_null(strstr(text, "\r  5%  100 of 2,000 packets in, 50 released\r"));
    fclose(out);
    close(terminal);
}

static void fits_the_terminal_and_goes_away(void **state)
{
    struct rill_progress progress;
    char text[256] = "";
    FILE *out;
    int terminal = open_terminal(10, &out);

    (void)state;
    rill_progress_init(&progress, out, 0);
    assert_true(rill_progress_update(&progress, 200 * (uint64_t)MS, 1, 2, 1));
    read_until(terminal, text, sizeof(text), "\r 50%  1 o");
    assert_string_equal(text, "\r 50%  1 o");
    rill_progress_clear(&progress);
    memset(text, 0, sizeof(text));
    read_until(terminal, text, sizeof(text), "\r         \r");
    assert_string_equal(text, "\r         \r");
    rill_progress_clear(&progress);
    fclose(out);
    close(terminal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_on_a_pipe),
        cmocka_unit_test(a_line_ten_times_a_second),
        cmocka_unit_test(fits_the_terminal_and_goes_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
