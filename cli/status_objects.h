/* Which versions of objects of the configuration store units have, as `rill status` shows it. */
#ifndef RILL_CLI_STATUS_OBJECTS_H
#define RILL_CLI_STATUS_OBJECTS_H

#include "cli/json.h"
#include "lib/control/control.h"

/* A line for each version and the units that have it, under it the newest that they refused;
 * nothing if no NF has objects. */
void rill_status_print_objects(FILE *out, const Control__Status *status);

/* Of one unit: [{"option": ...}, ...]; NULL: it has said nothing, or its NF has none. */
void rill_status_json_objects(struct rill_json *json, const Control__Objects *objects);

#endif
