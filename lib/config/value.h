/* One value of one option: read from text, checked, and written as text again. */
#ifndef RILL_LIB_CONFIG_VALUE_H
#define RILL_LIB_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rill/schema.h>

#include "lib/base/error.h"

enum { RILL_VALUE_STRING_BYTES = 255 };

/* The option's type says which member holds. Zeroed memory is a value that nothing was read into.
 */
struct rill_value {
    union {
        bool boolean;
        uint64_t u64;
        double number;
        char *string;
        struct {
            unsigned choice;
            uint64_t choice_number; /* 0 where the choice has none */
        };
        struct {
            uint64_t low, high;
        } range;
        struct {
            char **items;
            size_t count;
        } list;
    };
};

/* Reads `text` as the option wants it into *value, which must be empty. 0, -EINVAL or -ENOMEM, with
 * what is wrong and what would be right in *err, but not where: the caller knows that. */
int rill_value_read(const struct rill_option *option, const char *text, struct rill_value *value,
                    struct rill_error *err);
/* The same for a list whose items are apart already. */
int rill_value_read_items(const char *const *items, size_t count, struct rill_value *value,
                          struct rill_error *err);
void rill_value_clear(const struct rill_option *option, struct rill_value *value);

/* The value as text that rill_value_read would take, cut where the buffer ends. */
void rill_value_write(const struct rill_option *option, const struct rill_value *value, char *buf,
                      size_t bytes);
/* What the option takes, short: "1..1000000", "flowlet|flow", "true|false", "text", "list". */
void rill_option_takes(const struct rill_option *option, char *buf, size_t bytes);
/* The choices of an enum, with the bounds of the number in them where there is one. */
void rill_option_choices(const struct rill_option *option, char *buf, size_t bytes);

/* Bounds of an integer option. 2^64 - 1 can't be said as a double: from 2^64 on, `max` means it. */
uint64_t rill_option_min_u64(const struct rill_option *option);
uint64_t rill_option_max_u64(const struct rill_option *option);

#endif
