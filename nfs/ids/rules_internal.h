/* Between the files of the rules' reader. */
#ifndef RILL_NFS_IDS_RULES_INTERNAL_H
#define RILL_NFS_IDS_RULES_INTERNAL_H

#include "nfs/ids/rules.h"

/* Variables: those of the text before those of the configuration. */
struct ids_names {
    const struct ids_variable *given;
    size_t n_given;
    struct ids_variable *set; /* by the text; both strings are its own */
    size_t n_set;
};

/* NULL: not known. */
const char *ids_names_find(const struct ids_names *names, const char *name, size_t bytes);

/* Reads "tcp $HOME_NET any -> [10.0.0.0/8,!10.1.0.0/16] 80:90". False with the reason. */
bool ids_header_read(struct ids_header *header, const char *text, const struct ids_names *names,
                     char why[IDS_WHY_BYTES]);
void ids_header_free(struct ids_header *header);

/* Reads what stands in the parentheses, cut off the text (it is changed). False with the reason. */
bool ids_options_read(struct ids_rule *rule, const struct ids_header *header, char *text,
                      char why[IDS_WHY_BYTES]);
void ids_rule_free(struct ids_rule *rule);

/* --- a rule's options, while they are read --- */

struct ids_reader {
    struct ids_rule *rule;
    const struct ids_header *header;
    bool stream; /* it is judged on streams, whose beginnings and ends are not at hand */
    char *why;
    bool has_sid;
    bool content_before; /* that is not negated */
    bool pcre_since;     /* the last of these */
};

/* Says why it is left out: "WHAT 'TEXT'". Returns false. */
bool ids_refuse(struct ids_reader *reader, const char *what, const char *text);
/* It has a content before it that it can be relative to. False with the reason. */
bool ids_may_be_relative(struct ids_reader *reader, const char *what);
/* What stands behind "pcre:". */
bool ids_pcre_read(struct ids_reader *reader, char *value);

/* A keyword that asks for a header field: its test. False with the reason. */
bool ids_is_test(const char *name);
bool ids_test_read(const char *name, char *text, const struct ids_header *header,
                   struct ids_test *test, char why[IDS_WHY_BYTES]);
/* isdataat or byte_test. False with the reason. */
bool ids_check_read(const char *name, char *text, struct ids_check *check, char why[IDS_WHY_BYTES]);

/* Of Snort's usual classes: a text and a priority; of others the name itself, and 3. */
const char *ids_class_text(const char *name, uint32_t *priority);

/* One more element of `bytes` at the end of an array that has `n`, zeroed. NULL: no memory, and the
 * array is as it was. */
void *ids_grow(void *array_pointer, uint32_t n, size_t bytes);

/* --- text --- */
char *ids_trim(char *text); /* in place */
/* Takes off a leading ! and the quotes. False if there are none. */
bool ids_unquote(char **text, bool *negated);
/* Takes off backslashes, and what is no printable ASCII: records are UTF-8. NULL: no memory. */
char *ids_plain_text(const char *text);
/* "GET |20 2f|x\"y": writes at most IDS_PATTERN_BYTES_MAX bytes. Returns how many, 0 for what can't
 * be read. */
uint16_t ids_read_bytes(const char *text, uint8_t *bytes);
bool ids_read_number(const char *text, int64_t low, int64_t high, int64_t *value);

#endif
