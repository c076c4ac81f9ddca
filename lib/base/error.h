/* The one error idiom: a function that can fail returns 0, or a negative errno and, where it takes
 * a struct rill_error, one line in it that says what, where and what to do. Bugs are asserted, the
 * world's faults are returned.
 */
#ifndef RILL_LIB_BASE_ERROR_H
#define RILL_LIB_BASE_ERROR_H

#include <stdarg.h>
#include <stdio.h>

struct rill_error {
    char text[512]; /* one line, no newline, "" where there was no error */
};

/* Writes the line (cut where it is too long) and returns `code`, so that a caller can write
 * `return rill_error_set(err, -EINVAL, ...)`. `err` may be NULL. */
__attribute__((format(printf, 3, 4))) static inline int
rill_error_set(struct rill_error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;

        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return code;
}

#endif
