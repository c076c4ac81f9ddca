#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/format.h"

enum { PERIOD_NS = 100000000, COLUMNS_DEFAULT = 80 };

void rill_progress_init(struct rill_progress *progress, FILE *out, uint64_t now_ns)
{
    struct winsize size;

    *progress = (struct rill_progress){.start_ns = now_ns, .columns = COLUMNS_DEFAULT};
    if (!isatty(fileno(out)))
        return;
    progress->out = out;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        progress->columns = size.ws_col;
}

/* The last column stays free, else some terminals begin a new line. Spaces, no escape sequences,
 * wipe what is left of the line before: every terminal knows them. */
static void draw(struct rill_progress *progress, const char *line)
{
    int drawn = fprintf(progress->out, "\r%.*s", progress->columns - 1, line) - 1;

    if (drawn < progress->drawn)
        fprintf(progress->out, "%*s\r%.*s", progress->drawn - drawn, "", progress->columns - 1,
                line);
    progress->drawn = drawn;
    fflush(progress->out);
}

bool rill_progress_update(struct rill_progress *progress, uint64_t now_ns, uint64_t done,
                          uint64_t total, uint64_t released)
{
    char line[256], counts[3][RILL_FORMAT_BYTES];
    double share = total > 0 ? (double)done / (double)total : 0;
    double elapsed_s = (double)(now_ns - progress->start_ns) / 1e9;
    int length;

    if (progress->out == NULL || now_ns - progress->last_ns < PERIOD_NS)
        return false;
    progress->last_ns = now_ns;
    length = snprintf(line, sizeof(line), "%3.0f%%  %s of %s packets in, %s released", share * 100,
                      rill_format_count(counts[0], done), rill_format_count(counts[1], total),
                      rill_format_count(counts[2], released));
    if (share > 0.01 && share < 1 && elapsed_s > 1)
        snprintf(line + length, sizeof(line) - (size_t)length, ", %.0f s left",
                 elapsed_s * (1 - share) / share);
    draw(progress, line);
    return true;
}

void rill_progress_clear(struct rill_progress *progress)
{
    if (progress->out == NULL || progress->drawn == 0)
        return;
    fprintf(progress->out, "\r%*s\r", progress->drawn, "");
    fflush(progress->out);
    progress->drawn = 0;
}
