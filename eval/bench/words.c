#include "eval/bench/words.h"

#include <string.h>

#define RULE(sid, content)                                                                         \
    "alert tcp any any -> any any (msg:\"word\"; " content " sid:" #sid ";)\n"

static const char rules[] = RULE(1, "content:\"passwd\";") RULE(2, "content:\"/bin/sh\";")
    RULE(3, "content:\"xp_cmdshell\";") RULE(4, "content:\"../../..\";")
        RULE(5, "content:\"eval(base64\";") RULE(6, "content:\"cmd.exe\"; nocase;")
            RULE(7, "content:\"union select\"; nocase;") RULE(8, "content:\"<script\"; nocase;")
                RULE(9, "content:\"powershell\"; nocase;")
                    RULE(10, "content:\"wget http\"; nocase;");

int bench_words_equip(void *arg, struct rill_nf *nf, struct rill_error *err)
{
    const struct rill_object_spec *spec = rill_nf_object_missing(nf);
    struct rill_load_report report;
    struct rill_object_version *version;
    int rc;

    (void)arg;
    if (spec == NULL)
        return 0;
    version = rill_object_load(spec, "1", rules, strlen(rules), &report, err);
    if (version == NULL)
        return -1;
    rc = rill_nf_object_set(nf, 0, version, err);
    rill_object_release(version);
    return rc;
}
