/* An NF for tests of the configuration store: it drops what goes to a port that an object lists,
 * one a line, and records the first such packet of each flow. A line "no" makes a version bad, and
 * one that begins with '#' is left out. */
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

struct ports {
    uint8_t listed[65536];
};

struct state {
    uint8_t recorded;
};

struct private
{
    struct rill_table *table;
    int object, dropped;
};

static void *load(struct rill_load *load_, const struct rill_config *config, const char *text,
                  size_t bytes)
{
    struct ports *ports = calloc(1, sizeof(*ports));
    unsigned line = 1;

    (void)config;
    for (size_t at = 0; ports != NULL && at < bytes; line++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t length = end != NULL ? (size_t)(end - (text + at)) : bytes - at;

        if (text[at] == '#') {
            rill_load_skip(load_, line, "a comment");
        } else if (length == 2 && memcmp(text + at, "no", 2) == 0) {
            free(ports);
            return rill_load_error(load_, line, "'no' is no port");
        } else {
            unsigned port = 0;

            for (size_t i = 0; i < length && text[at + i] >= '0' && text[at + i] <= '9'; i++)
                port = port * 10 + (unsigned)(text[at + i] - '0');
            ports->listed[port & 0xffff] = 1;
        }
        at += length + 1;
    }
    return ports;
}

static void unload(void *object)
{
    free(object);
}

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    static const struct rill_object_type type = {.load = load, .unload = unload};
    struct private *p = rill_nf_private(nf);

    (void)config;
    p->object = rill_object_declare(nf, "ports", &type);
    p->dropped = rill_counter(nf, "listed");
    p->table = rill_table_create(nf, "flow", RILL_PER_FLOW, RILL_WRITE, sizeof(struct state));
    return p->object < 0 || p->table == NULL ? -1 : 0;
}

static enum rill_verdict process_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    const struct private *p = rill_nf_private(nf);
    const struct ports *ports = rill_object(nf, p->object);
    struct state *state = rill_get(p->table, pkt);
    struct rill_endpoint to;

    rill_pkt_destination(pkt, &to);
    if (ports == NULL || !ports->listed[to.port])
        return RILL_FORWARD;
    rill_count(nf, p->dropped, 1);
    if (!state->recorded) {
        struct rill_record *record = rill_record_begin(nf, pkt, "listed");

        rill_record_open(record, "listed");
        rill_record_number(record, "port", to.port);
        rill_record_close(record);
        rill_record_end(record);
        state->recorded = 1;
        rill_put(p->table, pkt, 0, sizeof(*state));
    }
    return RILL_DROP;
}

static const struct rill_option options[] = {
    {.name = "ports", .type = RILL_OPT_STRING, .unit = "", .def = "", .doc = "Object with ports."},
    {.name = NULL}};

static const struct rill_nf_descriptor descriptor = {
    .abi = RILL_NF_ABI,
    .name = "ports",
    .version = "1",
    .summary = "drops what goes to listed ports",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4 | RILL_HANDLES_UDP4 | RILL_HANDLES_TCP6 | RILL_HANDLES_UDP6,
    .unhandled_passes = true,
    .options = options,
    .instance_bytes = sizeof(struct private),
    .init = init,
    .process_packet = process_packet,
};

RILL_NF(&descriptor);
