#include "nf-runtime/nf_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nf-runtime/nf_impl.h"

enum { LOG_LINE_BYTES = 501 };

/* The process's, like its stderr. */
static void (*log_sink)(const char *nf, const char *line);

enum {
    HANDLES_KNOWN = (1 << 10) - 1,
    FLAGS_KNOWN = RILL_NF_INSIDE_OPENS | RILL_NF_INVERTS | RILL_NF_TURNS,
    WRITES_KNOWN = RILL_WRITES_SOURCE | RILL_WRITES_DESTINATION | RILL_WRITES_DSCP,
};

static bool name_is_plain(const char *name)
{
    return name != NULL && name[0] != '\0' && strlen(name) <= 64 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0';
}

/* What is wrong with an option, or NULL. */
static const char *option_fault(const struct rill_option *option)
{
    if (!name_is_plain(option->name))
        return "has a name that is not lower_case";
    if ((unsigned)option->type > RILL_OPT_LIST)
        return "has an unknown type";
    if (option->doc == NULL)
        return "has no doc";
    if (option->type == RILL_OPT_ENUM && option->choices == NULL)
        return "is an enum without choices";
    return NULL;
}

/* What is wrong with the descriptor, or NULL. */
static const char *descriptor_fault(const struct rill_nf_descriptor *d)
{
    if (d->version == NULL)
        return "no version";
    if (d->summary == NULL)
        return "no summary";
    if ((unsigned)d->flow_scope > RILL_FLOW_OUTSIDE_HOST)
        return "an unknown flow_scope";
    if (d->handles == 0)
        return "nothing in handles";
    if ((d->handles & ~(uint32_t)HANDLES_KNOWN) != 0)
        return "unknown bits in handles";
    if ((d->flags & ~(uint32_t)FLAGS_KNOWN) != 0)
        return "unknown bits in flags";
    if ((d->writes & ~(uint32_t)WRITES_KNOWN) != 0)
        return "unknown bits in writes";
    if (d->instance_bytes > RILL_NF_PRIVATE_BYTES_MAX)
        return "more than 1 GiB of instance_bytes";
    if (d->init == NULL)
        return "no init";
    if (d->process_packet == NULL)
        return "no process_packet";
    return NULL;
}

int rill_nf_descriptor_check(const struct rill_nf_descriptor *d, struct rill_error *err)
{
    const char *fault;

    if (d == NULL)
        return rill_error_set(err, -EINVAL, "NF: no descriptor; give its address to RILL_NF()");
    if (d->abi != RILL_NF_ABI)
        return rill_error_set(err, -EINVAL,
                              "NF: built for interface version %u, this Rill has %u; build it anew "
                              "with this Rill's <rill/nf.h>",
                              d->abi, RILL_NF_ABI);
    if (!name_is_plain(d->name))
        return rill_error_set(err, -EINVAL,
                              "NF: its descriptor has no name, or one with other characters than "
                              "a-z, 0-9, '_' and '-'; correct it");
    fault = descriptor_fault(d);
    if (fault != NULL)
        return rill_error_set(err, -EINVAL, "NF '%s': its descriptor has %s; correct it", d->name,
                              fault);
    for (const struct rill_option *o = d->options; o != NULL && o->name != NULL; o++) {
        fault = option_fault(o);
        if (fault != NULL)
            return rill_error_set(err, -EINVAL, "NF '%s': its option '%s' %s; correct it", d->name,
                                  o->name, fault);
    }
    return 0;
}

static int run_init(struct rill_nf *nf, const struct rill_config *config, struct rill_error *err)
{
    int result;

    nf->in_init = true;
    result = nf->descriptor->init(nf, config);
    nf->in_init = false;
    if (nf->error.text[0] != '\0')
        return rill_error_set(err, -EINVAL, "%s", nf->error.text);
    if (result != 0)
        return rill_error_set(err, -EINVAL,
                              "NF '%s': init failed and does not say why; it should call "
                              "rill_nf_error()",
                              nf->descriptor->name);
    return 0;
}

struct rill_nf *rill_nf_create(const struct rill_nf_descriptor *descriptor,
                               const struct rill_config *config, struct rill_error *err)
{
    struct rill_nf *nf;

    if (rill_nf_descriptor_check(descriptor, err) != 0)
        return NULL;
    if (descriptor->options != NULL && config == NULL) {
        rill_error_set(err, -EINVAL, "NF '%s': has options, and no configuration was given",
                       descriptor->name);
        return NULL;
    }
    nf = calloc(1, sizeof(*nf));
    if (nf == NULL)
        goto no_memory;
    nf->descriptor = descriptor;
    nf->config = config;
    nf->state_bytes = sizeof(struct rill_state_head);
    nf->private_memory = calloc(1, descriptor->instance_bytes > 0 ? descriptor->instance_bytes : 1);
    if (nf->private_memory == NULL)
        goto no_memory;
    if (run_init(nf, config, err) != 0)
        goto failed;
    if (rill_nf_check_init(nf) != 0)
        goto no_memory;
    return nf;

no_memory:
    rill_error_set(err, -ENOMEM, "NF '%s': no memory for an instance; free some", descriptor->name);
failed:
    rill_nf_destroy(nf);
    return NULL;
}

void rill_nf_destroy(struct rill_nf *nf)
{
    if (nf == NULL)
        return;
    /* After a failed init too: what init took before it failed is fini's to free. */
    if (nf->descriptor->fini != NULL && nf->private_memory != NULL)
        nf->descriptor->fini(nf);
    rill_nf_check_fini(nf);
    rill_nf_pools_fini(nf);
    rill_nf_objects_fini(nf);
    rill_nf_shared_fini(nf);
    rill_nf_state_fini(nf);
    free(nf->private_memory);
    free(nf);
}

const struct rill_nf_descriptor *rill_nf_descriptor(const struct rill_nf *nf)
{
    return nf->descriptor;
}

enum rill_verdict rill_nf_process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    enum rill_verdict verdict;

    pkt->nf = nf;
    pkt->checks_puts = RILL_NF_CHECKS_PUTS;
    rill_nf_check_begin(nf, pkt);
    verdict = nf->descriptor->process_packet(nf, pkt);
    rill_nf_check_end(nf, pkt);
    if (__builtin_expect(nf->taken_pool != NULL, 0) && !rill_nf_pool_settle(nf, pkt))
        verdict = RILL_DROP;
    if (verdict == RILL_FORWARD)
        return RILL_FORWARD;
    return verdict == RILL_TURN && pkt->side == RILL_INSIDE &&
                   (nf->descriptor->flags & RILL_NF_TURNS)
               ? RILL_TURN
               : RILL_DROP;
}

void rill_nf_flow_end(struct rill_nf *nf, struct rill_pkt *pkt)
{
    pkt->nf = nf;
    pkt->ended = true;
    if (nf->descriptor->flow_end != NULL)
        nf->descriptor->flow_end(nf, pkt);
}

int rill_nf_error(struct rill_nf *nf, const char *format, ...)
{
    va_list args;

    if (nf->error.text[0] != '\0') /* the first line is the cause, later ones are its echo */
        return -1;
    va_start(args, format);
    vsnprintf(nf->error.text, sizeof(nf->error.text), format, args);
    va_end(args);
    for (char *c = nf->error.text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return -1;
}

void rill_nf_bug(const struct rill_nf *nf, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "NF '%s': ", nf->descriptor->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void rill_nf_log_to(void (*log)(const char *nf, const char *line))
{
    log_sink = log;
}

void rill_log(struct rill_nf *nf, const char *format, ...)
{
    char line[LOG_LINE_BYTES];
    va_list args;

    if (log_sink == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    log_sink(nf->descriptor->name, line);
}

int rill_counter(struct rill_nf *nf, const char *name)
{
    if (!nf->in_init || name == NULL || nf->counters_n == RILL_NF_COUNTERS_MAX)
        return -1;
    nf->counter_names[nf->counters_n] = name;
    return (int)nf->counters_n++;
}

void rill_count(struct rill_nf *nf, int counter, uint64_t n)
{
    if ((unsigned)counter < nf->counters_n)
        nf->counters[counter] += n;
}

/* What the host counts for the NF. */
static bool own_counter(const struct rill_nf *nf, unsigned i, const char **name, uint64_t *value)
{
    const struct {
        const char *name;
        uint64_t value;
        bool used;
    } own[] = {{"records_written", nf->records_written, nf->records_used},
               {"records_too_long", nf->records_too_long, nf->records_used},
               {"shared_overflow", nf->shared_overflow, nf->shared_n > 0}};

    for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++) {
        if (!own[k].used || i-- > 0)
            continue;
        *name = own[k].name;
        *value = own[k].value;
        return true;
    }
    return false;
}

bool rill_nf_counter(const struct rill_nf *nf, unsigned i, const char **name, uint64_t *value)
{
    if (i < nf->counters_n) {
        *name = nf->counter_names[i];
        *value = nf->counters[i];
        return true;
    }
    return own_counter(nf, i - nf->counters_n, name, value);
}
