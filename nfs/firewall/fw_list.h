/* A list of prefixes, one a line: is an address in it? */
#ifndef RILL_NFS_FIREWALL_FW_LIST_H
#define RILL_NFS_FIREWALL_FW_LIST_H

#include "fw_text.h"

struct fw_list;

/* NULL after rill_load_error(). */
struct fw_list *fw_list_read(struct rill_load *load, const char *text, size_t bytes);
void fw_list_free(struct fw_list *list); /* NULL is fine */
bool fw_list_has(const struct fw_list *list, const struct rill_endpoint *endpoint);

#endif
