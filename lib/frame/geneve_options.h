/* The Geneve options that carry a frame's metadata; for geneve.c and its test. The table is in
 * docs/wire-format.md. */
#ifndef RILL_LIB_FRAME_GENEVE_OPTIONS_H
#define RILL_LIB_FRAME_GENEVE_OPTIONS_H

#include "lib/frame/geneve.h"

enum {
    RILL_GENEVE_BYTES = 8,             /* Geneve's own header */
    RILL_GENEVE_CONTROL_BIT = 1 << 7,  /* O */
    RILL_GENEVE_CRITICAL_BIT = 1 << 6, /* C: some option is critical */
    RILL_GENEVE_PROTOCOL_ETHERNET = 0x6558,
    RILL_GENEVE_PROTOCOL_BODY = 0x88b5,
    RILL_GENEVE_LAYOUT = 1,         /* version of the options' layout */
    RILL_GENEVE_OPTIONS_MAX = 252,  /* bytes of all options: 63 words */
    RILL_GENEVE_OPTION_HEADER = 4,  /* class, type, length */
    RILL_GENEVE_CRITICAL = 1 << 7,  /* in an option's type: who does not know it must drop */
    RILL_GENEVE_LENGTH_MASK = 0x1f, /* in words, without the option's header */
    RILL_GENEVE_STATE_FIRST = 120,  /* bytes of state in the option STATE */
    RILL_GENEVE_STATE_HEAD = 4,     /* and in front of them */
    RILL_GENEVE_CHAIN_ENTRY = 16,
    RILL_GENEVE_TARGET = 4,
    RILL_GENEVE_TUPLE = 40,
};

/* One option per group of fields. The type on the wire is this number with the critical bit. */
enum rill_geneve_option {
    RILL_OPTION_FRAME = 1, /* layout version, type, flags, side, src, dst, epoch */
    RILL_OPTION_FLOW,
    RILL_OPTION_TERM,
    RILL_OPTION_CLOCK,
    RILL_OPTION_STEP, /* step, window */
    RILL_OPTION_NEXT_TERM,
    RILL_OPTION_NEXT_UNIT,
    RILL_OPTION_GRANTED_TERM,
    RILL_OPTION_INGRESS, /* ingress_ns, ingress_id, wire_bytes, first_sport, first_dport */
    RILL_OPTION_CHAIN,   /* 0 to 7 entries of 16 bytes */
    RILL_OPTION_TARGETS, /* 0 to 7 of 4 bytes */
    RILL_OPTION_STATE,   /* state_offset, state_bytes, the bytes, zeros up to a word */
    RILL_OPTION_POOL,
    RILL_OPTION_COUNT,
    RILL_OPTION_TUPLE,      /* only with flag TUPLE */
    RILL_OPTION_STATE_MORE, /* the state's bytes from RILL_GENEVE_STATE_FIRST on, if there are */
    RILL_OPTION_ENDPOINT,   /* pool, count; only with flag ENDPOINT */
    RILL_OPTIONS
};

/* Whether the type is one, its counts are in range, its flags fit, and `data_bytes` behind the
 * metadata may be: OK, TYPE or VALUE. */
enum rill_geneve_result rill_geneve_check(const struct rill_frame *f, uint32_t data_bytes);

/* Reads `bytes` of options (a multiple of 4) into f; what the type does not use is zero. On
 * anything but OK f is undefined. Checks all but what rill_geneve_check() does. */
enum rill_geneve_result rill_geneve_options_read(const uint8_t *from, uint32_t bytes,
                                                 struct rill_frame *f);

/* The two ways of rill_geneve_decode(). The short one knows a packet's frame as the encoder writes
 * it; of anything else it says false, and m is as it was. */
enum rill_geneve_result rill_geneve_decode_any(struct rte_mbuf *m);
bool rill_geneve_decode_short(struct rte_mbuf *m);

#endif
