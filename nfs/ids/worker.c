#include "nfs/ids/worker.h"

#include <stdlib.h>

static bool prepare_regexes_of(struct ids_worker *w, const struct ids_rule *rule)
{
    for (uint32_t k = 0; k < rule->n_pcres; k++)
        if (!ids_regex_prepare(rule->pcres[k].regex, &w->scratch.regex))
            return false;
    for (uint32_t k = 0; k < rule->n_checks; k++)
        if (rule->checks[k].regex != NULL &&
            !ids_regex_prepare(rule->checks[k].regex, &w->scratch.regex))
            return false;
    return true;
}

static bool prepare_regexes(struct ids_worker *w)
{
    const struct ids_rules *rules = w->set->rules;

    for (uint32_t i = 0; i < rules->n_rules; i++)
        if (!prepare_regexes_of(w, &rules->rules[i]))
            return false;
    return true;
}

static bool prepare(struct ids_worker *w, uint32_t line_bytes)
{
    const struct ids_rules *rules = w->set->rules;

    w->line = calloc(1, line_bytes);
    w->scratch.ends[0] = calloc(line_bytes + 1, sizeof(uint32_t));
    w->scratch.ends[1] = calloc(line_bytes + 1, sizeof(uint32_t));
    w->header = calloc(rules->n_headers + 1, sizeof(uint32_t));
    w->tried = calloc(rules->n_rules + 1, sizeof(w->tried[0]));
    w->scanner = w->set->engine != NULL ? ids_scanner_create(w->set->engine) : NULL;
    w->saved_bytes = w->set->engine != NULL ? (uint32_t)ids_engine_saved_bytes(w->set->engine) : 0;
    w->saved = malloc(w->saved_bytes + 1);
    return w->line != NULL && w->scratch.ends[0] != NULL && w->scratch.ends[1] != NULL &&
           w->header != NULL && w->tried != NULL && w->saved != NULL &&
           (w->set->engine == NULL || w->scanner != NULL) && prepare_regexes(w);
}

struct ids_worker *ids_worker_create(const struct ids_set *set, const struct ids_layout *layout)
{
    struct ids_worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL)
        return NULL;
    worker->set = set;
    if (prepare(worker, IDS_CHUNK_MAX + layout->window_bytes))
        return worker;
    ids_worker_free(worker);
    return NULL;
}

void ids_worker_free(struct ids_worker *worker)
{
    if (worker == NULL)
        return;
    ids_scanner_free(worker->scanner);
    ids_regex_scratch_free(worker->scratch.regex);
    free(worker->scratch.ends[0]);
    free(worker->scratch.ends[1]);
    free(worker->line);
    free(worker->saved);
    free(worker->header);
    free(worker->tried);
    free(worker);
}
