#include "lib/control/control.h"

#include <stdbool.h>
#include <string.h>

enum { VALUE_TEXT_MAX = 64 << 10, DEPTH_MAX = 8 };

static const char *const result_names[RILL_CONTROL_RESULTS] = {
    [RILL_CONTROL_OK] = "ok",
    [RILL_CONTROL_TOO_LONG] = "too_long",
    [RILL_CONTROL_MALFORMED] = "malformed",
    [RILL_CONTROL_VERSION_OTHER] = "version",
    [RILL_CONTROL_EMPTY] = "empty",
    [RILL_CONTROL_LIMIT] = "limit",
};

const char *rill_control_result_name(enum rill_control_result result)
{
    return (unsigned)result < RILL_CONTROL_RESULTS ? result_names[result] : "unknown";
}

/* --- the walk: protobuf-c describes every type, so one function checks them all -------------- */

static bool printable(const char *text, size_t max)
{
    for (size_t i = 0; text[i] != '\0'; i++)
        if (i >= max || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static bool message_fits(const ProtobufCMessage *message, int depth);

/* A field's value, or one of a list's. */
static bool value_fits(const ProtobufCFieldDescriptor *field, const void *value, int depth)
{
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        bool is_value = strcmp(field->name, "text") == 0;

        return printable(*(char *const *)value, is_value ? VALUE_TEXT_MAX : RILL_CONTROL_TEXT_MAX);
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return message_fits(*(const ProtobufCMessage *const *)value, depth + 1);
    return true;
}

static size_t value_bytes(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return 0; /* nothing to look at */
    }
}

static bool list_fits(const ProtobufCFieldDescriptor *field, const char *base, int depth)
{
    size_t count = *(const size_t *)(base + field->quantifier_offset);
    size_t bytes = value_bytes(field);

    if (count > RILL_CONTROL_LIST_MAX)
        return false;
    for (size_t i = 0; bytes != 0 && i < count; i++)
        if (!value_fits(field, *(const char *const *)(base + field->offset) + i * bytes, depth))
            return false;
    return true;
}

static bool field_is_set(const ProtobufCFieldDescriptor *field, const char *base)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
    return value_bytes(field) == 0 || *(void *const *)(base + field->offset) != NULL;
}

static bool message_fits(const ProtobufCMessage *message, int depth)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    const char *base = (const char *)message;

    if (depth > DEPTH_MAX)
        return false;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            if (!list_fits(field, base, depth))
                return false;
        } else if (field_is_set(field, base) && !value_fits(field, base + field->offset, depth)) {
            return false;
        }
    }
    return true;
}

/* Bodies whose meaning hangs on an embedded message. */
static bool embedded_are_there(const Control__Message *m)
{
    switch (m->body_case) {
    case CONTROL__MESSAGE__BODY_ATTACHED:
        return m->attached->facts != NULL;
    default:
        return true;
    }
}

static enum rill_control_result judge(const Control__Message *m)
{
    if (m->version != RILL_CONTROL_VERSION)
        return RILL_CONTROL_VERSION_OTHER;
    if (m->body_case == CONTROL__MESSAGE__BODY__NOT_SET)
        return RILL_CONTROL_EMPTY;
    if (!message_fits(&m->base, 0))
        return RILL_CONTROL_LIMIT;
    return embedded_are_there(m) ? RILL_CONTROL_OK : RILL_CONTROL_MALFORMED;
}

enum rill_control_result rill_control_unpack(const void *bytes, size_t size,
                                             Control__Message **message)
{
    enum rill_control_result result;
    Control__Message *m;

    *message = NULL;
    if (size > RILL_CONTROL_BYTES_MAX)
        return RILL_CONTROL_TOO_LONG;
    m = control__message__unpack(NULL, size, bytes);
    if (m == NULL)
        return RILL_CONTROL_MALFORMED;
    result = judge(m);
    if (result == RILL_CONTROL_OK)
        *message = m;
    else
        control__message__free_unpacked(m, NULL);
    return result;
}

void rill_control_free(Control__Message *message)
{
    if (message != NULL)
        control__message__free_unpacked(message, NULL);
}

const char *rill_control_name(const Control__Message *message)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
        &control__message__descriptor, (unsigned)message->body_case);

    return field == NULL ? "none" : field->name;
}
