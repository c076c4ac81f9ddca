/* Numbers as nodes hold them: in decimal, so that a person can read them. */
#ifndef RILL_LIB_REGISTRY_NUMBER_H
#define RILL_LIB_REGISTRY_NUMBER_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { RILL_NUMBER_MAX = 21 };

/* Returns how many digits; a zero byte follows them. */
static inline uint32_t rill_number_print(uint64_t number, char text[RILL_NUMBER_MAX])
{
    return (uint32_t)snprintf(text, RILL_NUMBER_MAX, "%" PRIu64, number);
}

/* False: it is none, or does not fit. */
static inline bool rill_number_parse(const char *text, uint32_t bytes, uint64_t *number)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bytes; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return bytes > 0;
}

#endif
