/* A small NF with one fault, which a macro picks. */
#include <stddef.h>

#include <rill/nf.h>

#ifdef MUTABLE_GLOBAL
static volatile uint64_t packets_seen = 1; /* volatile: or -O3 takes it away */
#endif
#ifdef UNSET_GLOBAL
uint64_t packets_seen[2];
#endif
#ifdef THREAD_LOCAL
static _Thread_local volatile uint64_t packets_seen;
#endif
#ifdef POINTER
static const char *volatile last_name = "a"; /* the text is const, the pointer to it is not */
#endif
#ifdef UNRESOLVED
void nobody_has_this_function(void);
#endif

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)nf;
    (void)config;
    return 0;
}

static enum rill_verdict process(struct rill_nf *nf, struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
#if defined(MUTABLE_GLOBAL) || defined(THREAD_LOCAL)
    packets_seen++;
#endif
#ifdef UNSET_GLOBAL
    packets_seen[1]++;
#endif
#ifdef STATIC_LOCAL
    static volatile uint64_t packets_here;

    packets_here++;
    return packets_here > 1 ? RILL_FORWARD : RILL_DROP;
#endif
#ifdef POINTER
    last_name = last_name[0] == 'a' ? "b" : "a";
#endif
#ifdef UNRESOLVED
    nobody_has_this_function();
#endif
    return RILL_FORWARD;
}

static const char *const a_table_of_constants[] = {"one", "two"};

static const struct rill_option options[] = {
#ifdef BAD_OPTION
    {.name = "choice", .type = RILL_OPT_ENUM, .doc = "an enum without choices"},
#endif
    {.name = NULL},
};

static const struct rill_nf_descriptor descriptor = {
#ifdef OTHER_ABI
    .abi = RILL_NF_ABI + 41,
#else
    .abi = RILL_NF_ABI,
#endif
    .name = "variant",
    .version = "1",
    .summary = "for the loader's test",
    .flow_scope = RILL_FLOW_CONNECTION,
    .handles = RILL_HANDLES_TCP4,
    .options = options,
#ifndef NO_INIT
    .init = init,
#endif
    .process_packet = process,
};

#ifndef NO_ENTRY
RILL_NF(&descriptor);
#endif

/* So that every variant has relocated constants, which are not variables. */
__attribute__((visibility("default"))) const void *variant_constant(unsigned i);
const void *variant_constant(unsigned i)
{
    return i > 1 ? (const void *)&descriptor
                 : (const void *)(i > 0 ? a_table_of_constants[i] : (const char *)(size_t)init);
}
