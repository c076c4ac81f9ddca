/* The store behind the director of the test world, and directors that take each other's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rm/director_world.h"

static struct world_kept *kept_named(struct world *w, const char *name)
{
    for (uint32_t i = strcmp(name, "state") == 0 ? 0 : 1; i < WORLD_KEPT; i++)
        if (w->kept[i].data == NULL || strcmp(w->kept[i].name, name) == 0)
            return &w->kept[i];
    fail_msg("too much is kept");
    return NULL;
}

static void on_save(void *arg, uint64_t version, const char *name, const void *data, size_t bytes)
{
    struct world *w = arg;
    struct world_kept *kept = kept_named(w, name);

    assert_true(version >= w->version);
    free(kept->data);
    kept->data = NULL;
    w->version = version;
    if (data == NULL)
        return;
    snprintf(kept->name, sizeof(kept->name), "%s", name);
    kept->data = malloc(bytes + 1);
    assert_non_null(kept->data);
    memcpy(kept->data, data, bytes);
    kept->bytes = bytes;
}

struct world *world_keeping(uint32_t warm)
{
    struct world *w = world_new(warm, false);

    w->config.save = on_save;
    rill_director_destroy(w->d);
    world_start_director(w);
    return w;
}

bool world_saves(struct world *w)
{
    if (w->config.save == NULL || w->store_away || w->told_version == w->version)
        return false;
    w->told_version = w->version;
    rill_director_saved(w->d, w->version);
    return true;
}

void world_store_back(struct world *w)
{
    w->store_away = false;
    world_settle(w);
}

void world_kill_director(struct world *w)
{
    rill_director_destroy(w->d);
    w->d = NULL;
    for (uint32_t i = 0; i < WORLD_AGENTS; i++)
        w->agents[i].peer = 0;
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        w->clients[i].peer = 0;
}

void world_start_director(struct world *w)
{
    struct rill_director_record records[WORLD_KEPT];
    struct rill_error err;
    uint32_t n = 0;

    for (uint32_t i = 0; i < WORLD_KEPT; i++)
        if (w->kept[i].data != NULL)
            records[n++] = (struct rill_director_record){
                .name = w->kept[i].name, .data = w->kept[i].data, .bytes = w->kept[i].bytes};
    w->config.number++;
    w->version = w->told_version = 0;
    w->d = rill_director_create(&w->config, w->now_ns, &err);
    assert_non_null(w->d);
    assert_int_equal(rill_director_adopt(w->d, records, n, &err), 0);
    world_settle(w);
}

void world_replace_director(struct world *w)
{
    world_kill_director(w);
    world_start_director(w);
}

void world_forget_kept(struct world *w)
{
    for (uint32_t i = 0; i < WORLD_KEPT; i++)
        free(w->kept[i].data);
}
