#include "lib/daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log_limit.h"
#include "lib/daemon/log_file.h"

enum { LINE_MAX_BYTES = 1000, REFUSED = 2 };

static const char *program_name; /* what lines begin with */
static struct rill_log_limit log_limit;
static uint64_t log_file_bytes;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER; /* of the limit, and of the order */

/* --- lines on stderr -------------------------------------------------------------------------- */

void rill_daemon_clean(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* One write, so that lines of several processes into one file do not mix. */
static void write_line(const char *format, va_list args)
{
    const char *name = program_name != NULL ? program_name : program_invocation_short_name;
    char line[LINE_MAX_BYTES + 2];
    int head = snprintf(line, sizeof(line) - 1, "%.64s: ", name);
    int body = vsnprintf(line + head, LINE_MAX_BYTES + 1 - (size_t)head, format, args);
    size_t bytes = body < 0 ? (size_t)head : (size_t)head + (size_t)body;
    ssize_t written;

    if (bytes > LINE_MAX_BYTES)
        bytes = LINE_MAX_BYTES;
    line[bytes] = '\0';
    rill_daemon_clean(line);
    line[bytes++] = '\n';
    written = write(STDERR_FILENO, line, bytes);
    (void)written; /* where else could that be said? */
}

__attribute__((format(printf, 1, 2))) static void write_text(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(format, args);
    va_end(args);
}

static void bound_file(void)
{
    char path[PATH_MAX];
    struct stat info;
    ssize_t bytes;

    if (log_file_bytes == 0 || fstat(STDERR_FILENO, &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_size <= (off_t)(log_file_bytes / 2))
        return;
    bytes = readlink("/proc/self/fd/2", path, sizeof(path) - 1);
    if (bytes <= 0)
        return;
    path[bytes] = '\0';
    rill_log_file_bound(path, log_file_bytes);
}

static bool may_write(uint64_t now_ns)
{
    uint64_t unsaid = 0;

    if (!rill_log_limit_take(&log_limit, now_ns, &unsaid))
        return false;
    bound_file();
    if (unsaid > 0)
        write_text("%" PRIu64 " lines were not written: more than log_lines_per_s", unsaid);
    return true;
}

void rill_daemon_say(const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&log_lock);
    if (may_write(rill_daemon_now_ns())) {
        va_start(args, format);
        write_line(format, args);
        va_end(args);
    }
    pthread_mutex_unlock(&log_lock);
}

void rill_daemon_log_limit(uint64_t lines_per_s)
{
    pthread_mutex_lock(&log_lock);
    log_limit.lines_per_s = lines_per_s;
    pthread_mutex_unlock(&log_lock);
}

void rill_daemon_log_look(uint64_t now_ns)
{
    pthread_mutex_lock(&log_lock);
    if (log_limit.unsaid > 0 && rill_log_limit_has_room(&log_limit, now_ns))
        may_write(now_ns);
    pthread_mutex_unlock(&log_lock);
}

void rill_daemon_log_file(uint64_t max_bytes)
{
    log_file_bytes = max_bytes;
}

uint64_t rill_daemon_log_suppressed(void)
{
    uint64_t lines;

    pthread_mutex_lock(&log_lock);
    lines = log_limit.suppressed;
    pthread_mutex_unlock(&log_lock);
    return lines;
}

void rill_daemon_refuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(format, args);
    va_end(args);
    exit(REFUSED);
}

/* --- options ---------------------------------------------------------------------------------- */

static void print_help(const char *program, const struct rill_daemon_option *table)
{
    printf("usage: %s", program);
    for (const struct rill_daemon_option *o = table; o->name != NULL; o++)
        printf(o->required ? " %s %s" : " [%s %s]", o->name, o->what);
    printf("\n\n");
    for (const struct rill_daemon_option *o = table; o->name != NULL; o++) {
        char head[64];

        snprintf(head, sizeof(head), "%s %s", o->name, o->what);
        printf("  %-26s %s", head, o->doc);
        if (!o->required && *o->text != NULL)
            printf(" (default: %s)", *o->text);
        printf("\n");
    }
    printf("  %-26s %s\n  %-26s %s\n", "--help", "this text", "--version", "the version");
}

static const struct rill_daemon_option *find(const struct rill_daemon_option *table,
                                             const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

static void show_if_asked(const char *program, const struct rill_daemon_option *table,
                          const char *arg)
{
    if (strcmp(arg, "--help") == 0) {
        print_help(program, table);
        exit(0);
    }
    if (strcmp(arg, "--version") == 0) {
        printf("%s %s\n", program, RILL_VERSION);
        exit(0);
    }
}

void rill_daemon_options(const char *program, const struct rill_daemon_option *table, int argc,
                         char **argv)
{
    uint64_t given = 0; /* a bit for each entry of the table */

    program_name = program;
    for (int i = 1; i < argc; i += 2) {
        const struct rill_daemon_option *option;

        show_if_asked(program, table, argv[i]);
        option = find(table, argv[i]);
        if (option == NULL)
            rill_daemon_refuse("unknown option '%s'; --help lists them", argv[i]);
        if (i + 1 >= argc)
            rill_daemon_refuse("%s: its value is missing; give %s %s", argv[i], argv[i],
                               option->what);
        if (given & UINT64_C(1) << (option - table))
            rill_daemon_refuse("%s: stands there twice; give it once", argv[i]);
        given |= UINT64_C(1) << (option - table);
        *option->text = argv[i + 1];
    }
    for (const struct rill_daemon_option *o = table; o->name != NULL; o++)
        if (o->required && !(given & UINT64_C(1) << (o - table)))
            rill_daemon_refuse("%s is missing; give %s %s", o->name, o->name, o->what);
}

uint64_t rill_daemon_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    uint64_t value = 0;

    errno = 0;
    if (text[0] >= '0' && text[0] <= '9') /* no sign, no blank */
        value = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    if (end == NULL || end == text || *end != '\0' || errno != 0 || value < min || value > max)
        rill_daemon_refuse("%s: '%.64s' is not a number from %llu to %llu", option, text,
                           (unsigned long long)min, (unsigned long long)max);
    return value;
}

enum rill_poll rill_daemon_poll(const char *text)
{
    static const char *const names[] = {
        [RILL_POLL_YIELD] = "yield", [RILL_POLL_BUSY] = "busy", [RILL_POLL_SLEEP] = "sleep"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0)
            return (enum rill_poll)i;
    rill_daemon_refuse("--poll: '%.64s' is none of yield, busy, sleep", text);
}

uint64_t rill_daemon_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}
