#include "cli/json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "lib/base/utf8.h"

void rill_json_start(struct rill_json *json, FILE *out)
{
    *json = (struct rill_json){.out = out};
}

static void write_text(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text != '\0') {
        unsigned bytes = rill_utf8_bytes(text);

        if (bytes == 0) {
            fputs("\\ufffd", out);
            bytes = 1;
        } else if (*text == '"' || *text == '\\') {
            fprintf(out, "\\%c", *text);
        } else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            fprintf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        } else {
            fwrite(text, 1, bytes, out);
        }
        text += bytes;
    }
    fputc('"', out);
}

/* What stands before every value: comma, line, indentation, key. */
static void begin(struct rill_json *json, const char *key)
{
    if (json->filled)
        fputc(',', json->out);
    if (json->depth > 0)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    if (key != NULL) {
        write_text(json->out, key);
        fputs(": ", json->out);
    }
    json->filled = true;
}

void rill_json_open(struct rill_json *json, const char *key, char bracket)
{
    begin(json, key);
    fputc(bracket, json->out);
    json->depth++;
    json->filled = false;
}

void rill_json_close(struct rill_json *json, char bracket)
{
    json->depth--;
    if (json->filled)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    fputc(bracket, json->out);
    json->filled = true;
    if (json->depth == 0)
        fputc('\n', json->out);
}

void rill_json_u64(struct rill_json *json, const char *key, uint64_t value)
{
    begin(json, key);
    fprintf(json->out, "%llu", (unsigned long long)value);
}

void rill_json_i64(struct rill_json *json, const char *key, int64_t value)
{
    begin(json, key);
    fprintf(json->out, "%lld", (long long)value);
}

void rill_json_double(struct rill_json *json, const char *key, double value)
{
    begin(json, key);
    if (isfinite(value))
        fprintf(json->out, "%.9g", value);
    else
        fputs("null", json->out);
}

void rill_json_bool(struct rill_json *json, const char *key, bool value)
{
    begin(json, key);
    fputs(value ? "true" : "false", json->out);
}

void rill_json_string(struct rill_json *json, const char *key, const char *text)
{
    begin(json, key);
    if (text != NULL)
        write_text(json->out, text);
    else
        fputs("null", json->out);
}

static const char *skip_digits(const char *s)
{
    while (isdigit((unsigned char)*s))
        s++;
    return s;
}

/* The grammar of RFC 8259, section 6: no plus sign, no leading zero, no bare point. */
static bool is_number(const char *s)
{
    const char *digits = *s == '-' ? s + 1 : s;
    const char *end = skip_digits(digits);

    if (end == digits || (*digits == '0' && end != digits + 1))
        return false;
    if (*end == '.') {
        const char *fraction = end + 1;

        end = skip_digits(fraction);
        if (end == fraction)
            return false;
    }
    if (*end == 'e' || *end == 'E') {
        const char *exponent = end + 1 + (end[1] == '-' || end[1] == '+');

        end = skip_digits(exponent);
        if (end == exponent)
            return false;
    }
    return *end == '\0';
}

void rill_json_scalar(struct rill_json *json, const char *key, const char *text)
{
    if (!is_number(text) && strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        rill_json_string(json, key, text);
        return;
    }
    begin(json, key);
    fputs(text, json->out);
}
