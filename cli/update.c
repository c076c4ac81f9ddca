#include "cli/update.h"

#include <errno.h>
#include <string.h>

#include "cli/args.h"

int rill_update_parse(const char *text, struct rill_update *update, struct rill_error *err)
{
    const char *equals = strchr(text, '='), *at = strrchr(text, '@');

    *update = (struct rill_update){.text = text};
    if (equals == NULL || at == NULL || at < equals + 2 || equals - text > RILL_OBJECT_NAME_MAX ||
        at - equals - 1 >= RILL_UPDATE_PATH_BYTES)
        return rill_error_set(err, -EINVAL,
                              "'%.120s': it is NAME=FILE@TIME, like rules.txt=new.txt@1.5s", text);
    memcpy(update->name, text, (size_t)(equals - text));
    memcpy(update->file, equals + 1, (size_t)(at - equals - 1));
    if (!rill_object_name_is_plain(update->name))
        return rill_error_set(err, -EINVAL, "'%.120s': '%.80s' is no name of an object", text,
                              update->name);
    if (rill_args_time(at + 1, &update->at_ns) != 0)
        return rill_error_set(err, -EINVAL,
                              "'%.120s': the time is counted from the first packet and has a unit, "
                              "like 1.5s or 300ms",
                              text);
    return 0;
}
