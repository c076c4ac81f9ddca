/* What texts of rules and of prefix lists share: lines, words, addresses. */
#ifndef RILL_NFS_FIREWALL_FW_TEXT_H
#define RILL_NFS_FIREWALL_FW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rill/nf.h>

enum { FW_LINE_BYTES = 512 };

struct fw_prefix {
    uint8_t addr[16]; /* IPv4 in the first 4; zero behind the prefix */
    uint8_t family;   /* 4, 6, or 0: any address */
    uint8_t bits;
};

struct fw_lines {
    struct rill_load *load;
    const char *at, *end;
    unsigned number;          /* of the present line */
    char comment;             /* begins one, anywhere in a line: '#'; '\0' for none */
    char line[FW_LINE_BYTES]; /* without comment and newline */
    bool failed;
};

void fw_lines_start(struct fw_lines *lines, struct rill_load *load, const char *text, size_t bytes);
/* The next line that holds anything: its first word is *word, the others come from fw_word(). False
 * at the end, or after rill_load_error() (then `failed` is set). */
bool fw_lines_next(struct fw_lines *lines);
/* The next word of `rest`, which is cut; NULL at its end. */
char *fw_word(char **rest);

/* "10.0.0.0/8", "192.0.2.1", "2001:db8::/32": false if the text is none. *clean: no bit is set
 * behind the prefix (they are cleared). */
bool fw_prefix_read(const char *text, struct fw_prefix *prefix, bool *clean);
/* A whole decimal number up to `most`; false if the text is none. */
bool fw_number_read(const char *text, unsigned long most, unsigned long *number);

#endif
