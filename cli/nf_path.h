/* Where NFs are looked for: $RILL_NF_PATH, then the folder `nfs` beside the program's own. */
#ifndef RILL_CLI_NF_PATH_H
#define RILL_CLI_NF_PATH_H

#include <stddef.h>

/* Writes a list of folders separated by ':'. */
void rill_nf_search_path(char *buf, size_t bytes);

#endif
