/* Text and arrays for the rules' reader, and Snort's classes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nfs/ids/rules_internal.h"

char *ids_trim(char *text)
{
    size_t n;

    while (*text == ' ' || *text == '\t' || *text == '\r')
        text++;
    n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\r'))
        n--;
    text[n] = '\0';
    return text;
}

bool ids_read_number(const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end;
    long long number;

    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < low || number > high)
        return false;
    *value = number;
    return true;
}

/* Room for a power of two of elements, so the array grows when `n` is one. */
void *ids_grow(void *array_pointer, uint32_t n, size_t bytes)
{
    void **array = array_pointer;
    char *grown = *array;

    if ((n & (n - 1)) == 0) {
        grown = realloc(*array, (n == 0 ? 1 : 2 * (size_t)n) * bytes);
        if (grown == NULL)
            return NULL;
        *array = grown;
    }
    return memset(grown + n * bytes, 0, bytes);
}

/* --- quoted text ------------------------------------------------------------------------------ */

bool ids_unquote(char **text, bool *negated)
{
    char *p = *text;
    size_t n;

    *negated = *p == '!';
    if (*negated)
        p = ids_trim(p + 1);
    n = strlen(p);
    if (n < 2 || p[0] != '"' || p[n - 1] != '"')
        return false;
    p[n - 1] = '\0';
    *text = p + 1;
    return true;
}

char *ids_plain_text(const char *text)
{
    char *copy = strdup(text), *to = copy;

    if (copy == NULL)
        return NULL;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        *to++ = *p >= ' ' && *p < 127 ? *p : '?';
    }
    *to = '\0';
    return copy;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint16_t ids_read_bytes(const char *p, uint8_t *bytes)
{
    uint16_t n = 0;
    bool hex = false;

    for (; *p != '\0'; p++) {
        if (*p == '|') {
            hex = !hex;
            continue;
        }
        if (hex && (*p == ' ' || *p == '\t'))
            continue;
        if (n == IDS_PATTERN_BYTES_MAX)
            return 0;
        if (hex) {
            int high = hex_digit(p[0]), low = high < 0 ? -1 : hex_digit(p[1]);

            if (low < 0)
                return 0;
            bytes[n++] = (uint8_t)(high << 4 | low);
            p++;
        } else {
            if (*p == '\\' && *++p == '\0')
                return 0;
            bytes[n++] = (uint8_t)*p;
        }
    }
    return hex ? 0 : n;
}

/* --- classes --------------------------------------------------------------------------------- */

/* Names, texts and priorities as in the classification.config that comes with Snort. */
static const struct {
    const char *name, *text;
    uint32_t priority;
} classes[] = {
    {"attempted-admin", "Attempted Administrator Privilege Gain", 1},
    {"attempted-dos", "Attempted Denial of Service", 2},
    {"attempted-recon", "Attempted Information Leak", 2},
    {"attempted-user", "Attempted User Privilege Gain", 1},
    {"bad-unknown", "Potentially Bad Traffic", 2},
    {"default-login-attempt", "Attempt to login by a default username and password", 2},
    {"denial-of-service", "Detection of a Denial of Service Attack", 2},
    {"icmp-event", "Generic ICMP event", 3},
    {"inappropriate-content", "Inappropriate Content was Detected", 1},
    {"misc-activity", "Misc activity", 3},
    {"misc-attack", "Misc Attack", 2},
    {"network-scan", "Detection of a Network Scan", 3},
    {"non-standard-protocol", "Detection of a non-standard protocol or event", 2},
    {"not-suspicious", "Not Suspicious Traffic", 3},
    {"policy-violation", "Potential Corporate Privacy Violation", 1},
    {"protocol-command-decode", "Generic Protocol Command Decode", 3},
    {"rpc-portmap-decode", "Decode of an RPC Query", 2},
    {"shellcode-detect", "Executable code was detected", 1},
    {"string-detect", "A suspicious string was detected", 3},
    {"successful-admin", "Successful Administrator Privilege Gain", 1},
    {"successful-dos", "Denial of Service", 2},
    {"successful-recon-largescale", "Large Scale Information Leak", 2},
    {"successful-recon-limited", "Information Leak", 2},
    {"successful-user", "Successful User Privilege Gain", 1},
    {"suspicious-filename-detect", "A suspicious filename was detected", 2},
    {"suspicious-login", "An attempted login using a suspicious username was detected", 2},
    {"system-call-detect", "A system call was detected", 2},
    {"tcp-connection", "A TCP connection was detected", 4},
    {"trojan-activity", "A Network Trojan was detected", 1},
    {"unknown", "Unknown Traffic", 3},
    {"unsuccessful-user", "Unsuccessful User Privilege Gain", 1},
    {"unusual-client-port-connection", "A client was using an unusual port", 2},
    {"web-application-activity", "access to a potentially vulnerable web application", 2},
    {"web-application-attack", "Web Application Attack", 1},
};

const char *ids_class_text(const char *name, uint32_t *priority)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strcmp(classes[i].name, name) == 0) {
            *priority = classes[i].priority;
            return classes[i].text;
        }
    }
    *priority = 3;
    return name;
}
