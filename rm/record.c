#include "rm/record.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_BITS = 7, NUMBER_MORE = 0x80, NUMBER_BYTES_MAX = 10, FIRST_ROOM = 4096 };

void rill_memo_begin(struct rill_memo *r)
{
    r->count = r->at = 0;
    r->reading = r->failed = false;
}

void rill_memo_open(struct rill_memo *r, const void *bytes, size_t count)
{
    *r = (struct rill_memo){.bytes = (uint8_t *)(uintptr_t)bytes, .count = count, .reading = true};
}

void rill_memo_fini(struct rill_memo *r)
{
    if (!r->reading)
        free(r->bytes);
    *r = (struct rill_memo){0};
}

bool rill_memo_failed(const struct rill_memo *r)
{
    return r->failed;
}

bool rill_memo_is_over(const struct rill_memo *r)
{
    return !r->failed && r->at == r->count;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static bool make_room(struct rill_memo *r, size_t more)
{
    size_t room = r->room == 0 ? FIRST_ROOM : r->room;
    uint8_t *larger;

    if (r->failed)
        return false;
    while (room - r->count < more)
        room *= 2;
    if (room == r->room)
        return true;
    larger = realloc(r->bytes, room);
    if (larger == NULL) {
        r->failed = true;
        return false;
    }
    r->bytes = larger;
    r->room = room;
    return true;
}

static void put(struct rill_memo *r, const void *bytes, size_t n)
{
    if (n > 0 && make_room(r, n)) {
        memcpy(r->bytes + r->count, bytes, n);
        r->count += n;
    }
}

/* NULL: there are not so many. */
static const uint8_t *take(struct rill_memo *r, size_t n)
{
    const uint8_t *at = r->bytes + r->at;

    if (r->failed || r->count - r->at < n) {
        r->failed = true;
        return NULL;
    }
    r->at += n;
    return at;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void put_number(struct rill_memo *r, uint64_t value)
{
    uint8_t bytes[NUMBER_BYTES_MAX];
    size_t n = 0;

    do {
        bytes[n] = (uint8_t)(value & (NUMBER_MORE - 1));
        value >>= NUMBER_BITS;
        if (value != 0)
            bytes[n] |= NUMBER_MORE;
        n++;
    } while (value != 0);
    put(r, bytes, n);
}

static uint64_t take_number(struct rill_memo *r, uint64_t most)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += NUMBER_BITS) {
        const uint8_t *byte = take(r, 1);

        if (byte == NULL)
            return 0;
        value |= (uint64_t)(*byte & (NUMBER_MORE - 1)) << shift;
        if ((*byte & NUMBER_MORE) != 0)
            continue;
        if (value <= most)
            return value;
        break;
    }
    r->failed = true;
    return 0;
}

void rill_memo_u64(struct rill_memo *r, uint64_t *value)
{
    if (r->reading)
        *value = take_number(r, UINT64_MAX);
    else
        put_number(r, *value);
}

void rill_memo_count(struct rill_memo *r, uint32_t *count, uint32_t most)
{
    if (r->reading)
        *count = (uint32_t)take_number(r, most);
    else
        put_number(r, *count);
}

void rill_memo_u32(struct rill_memo *r, uint32_t *value)
{
    rill_memo_count(r, value, UINT32_MAX);
}

void rill_memo_u16(struct rill_memo *r, uint16_t *value)
{
    uint32_t wide = *value;

    rill_memo_count(r, &wide, UINT16_MAX);
    *value = (uint16_t)wide;
}

void rill_memo_bool(struct rill_memo *r, bool *value)
{
    uint32_t wide = r->reading ? 0 : *value;

    rill_memo_count(r, &wide, 1);
    *value = wide != 0;
}

/* --- texts and blobs -------------------------------------------------------------------------- */

void rill_memo_text(struct rill_memo *r, char *text, size_t bytes)
{
    uint64_t n = r->reading ? take_number(r, bytes - 1) : strnlen(text, bytes - 1);
    const uint8_t *from;

    if (!r->reading) {
        put_number(r, n);
        put(r, text, n);
        return;
    }
    from = take(r, n);
    if (from != NULL)
        memcpy(text, from, n);
    text[from != NULL ? n : 0] = '\0';
}

void rill_memo_blob(struct rill_memo *r, const uint8_t **data, size_t *bytes)
{
    if (!r->reading) {
        put_number(r, *bytes);
        put(r, *data, *bytes);
        return;
    }
    *bytes = take_number(r, SIZE_MAX);
    *data = take(r, *bytes);
    if (*data == NULL)
        *bytes = 0;
}
