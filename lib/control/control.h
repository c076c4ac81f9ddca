/* Control messages: what of control.proto the compiler can't check, and packing. Pure.
 *
 * The C types are protobuf-c's (lib/control/control.pb-c.h, made by the build): Control__Message
 * and its bodies. A message that rill_control_unpack() gave is whole: known version, a body, every
 * embedded message there, texts printable and all sizes within the limits below.
 */
#ifndef RILL_LIB_CONTROL_CONTROL_H
#define RILL_LIB_CONTROL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/control/control.pb-c.h"

enum {
    RILL_CONTROL_VERSION = 2,
    RILL_CONTROL_BYTES_MAX = 32 << 20, /* a message; most of it an NF's image */
    RILL_CONTROL_TEXT_MAX = 4096,      /* any text, but for a configuration's values: 64 KiB */
    RILL_CONTROL_LIST_MAX = 4096,      /* any list */
};

enum rill_control_result {
    RILL_CONTROL_OK = 0,
    RILL_CONTROL_TOO_LONG,  /* more than RILL_CONTROL_BYTES_MAX */
    RILL_CONTROL_MALFORMED, /* no protobuf, or cut off */
    RILL_CONTROL_VERSION_OTHER,
    RILL_CONTROL_EMPTY, /* no body, or one that this version does not know */
    RILL_CONTROL_LIMIT, /* a text or list beyond its limit, or a text that is not printable UTF-8 */
    RILL_CONTROL_RESULTS
};
const char *rill_control_result_name(enum rill_control_result result); /* snake_case */

/* A message from `bytes`; *message is the caller's, freed by rill_control_free(). NULL in *message
 * unless OK. */
enum rill_control_result rill_control_unpack(const void *bytes, size_t size,
                                             Control__Message **message);
void rill_control_free(Control__Message *message); /* NULL is fine */

/* snake_case name of the body, "none" for none. For logs. */
const char *rill_control_name(const Control__Message *message);

/* Builders for what every role sends. A message on the stack that points to the caller's body:
 *
 *     Control__Message m = rill_control_message(self, to, number);
 *     Control__Done done = CONTROL__DONE__INIT;
 *     RILL_CONTROL_SET(&m, DONE, done, &done);
 */
static inline Control__Message rill_control_message(uint32_t from, uint32_t to, uint64_t number)
{
    Control__Message m = CONTROL__MESSAGE__INIT;

    m.version = RILL_CONTROL_VERSION;
    m.from = from;
    m.to = to;
    m.number = number;
    return m;
}
#define RILL_CONTROL_SET(m, CASE, field, value)                                                    \
    do {                                                                                           \
        (m)->body_case = CONTROL__MESSAGE__BODY_##CASE;                                            \
        (m)->field = (value);                                                                      \
    } while (0)

#endif
