/* Rules for the NF ids in a benchmark: ten words, five of them in any case of letters. */
#ifndef RILL_EVAL_BENCH_WORDS_H
#define RILL_EVAL_BENCH_WORDS_H

#include "nf-runtime/nf_host.h"

#define BENCH_WORDS "words" /* the object's name */

/* Gives the instance its rules, if it wants any. 0, or negative with *err. */
int bench_words_equip(void *arg, struct rill_nf *nf, struct rill_error *err);

#endif
