/* How long it takes until a unit accepts its first packet, and what that consists of:
 *
 *   fabric_*   a warm process with the NF's image loaded, that gets the word, and the first packet,
 *              over memif; seen from who sent them: `prepared`, its unit is there without capacity;
 *              `asleep`, the same, and it must be woken; `on_demand`, its unit is made then
 *   dlopen     within a process: load the NF, make the unit, process the packet
 *   fork       the same by a child that is forked then, with the image loaded before
 *   exec       rill-nf-runtime is executed, until it says Join
 *   control    Activate to Activated over the control link, as a cluster does; `inside`: of that,
 *              what the runtime itself takes; piece_*: what that is made of
 *
 * Each figure is the median of the runs, each the median of its samples; all kinds take turns.
 */
#include "eval/bench/start.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/nf_path.h"
#include "eval/bench/source.h"
#include "lib/base/eal.h"
#include "lib/config/settings.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/frame.h"
#include "nf-runtime/unit_settings.h"

enum {
    SAMPLES = 51,
    QUICK_SAMPLES = 3,
    PATH_BYTES = 4096,
    WIRE_BYTES = 64,
    MMAP_BYTES = 128 << 10
};
#define PACKET_NF "lb" /* its first packet needs nothing from anybody */

enum what {
    FABRIC_PREPARED,
    FABRIC_ASLEEP,
    FABRIC_ON_DEMAND,
    DLOPEN,
    FORK,
    EXEC,
    CONTROL,
    CONTROL_INSIDE,
    PIECE_SETTINGS,
    PIECE_FABRIC,
    PIECE_IMAGE,
    PIECE_CONFIG,
    PIECE_NF,
    PIECE_UNIT,
    PIECE_PACKET,
    WHATS
};
static const char *const whats[WHATS] = {"fabric_prepared", "fabric_asleep",  "fabric_on_demand",
                                         "dlopen",          "fork",           "exec",
                                         "control",         "control_inside", "piece_settings",
                                         "piece_fabric",    "piece_image",    "piece_config",
                                         "piece_nf",        "piece_unit",     "piece_first_packet"};

struct world {
    const struct bench_options *options;
    struct bench_report *report;
    struct start_process process;
    struct start_fabric *fabric;
    char nf[PATH_BYTES], program[PATH_BYTES], folder[64], pieces[80];
    void *image; /* the NF's file */
    size_t image_bytes;
    double values[WHATS][BENCH_RUNS_MAX];
};

/* --- a unit ---------------------------------------------------------------------------------- */

int start_process_init(struct start_process *p, struct rill_error *err)
{
    int rc = rill_eal_init(START_MEMORY_MB, err);

    if (rc == 0) {
        p->pool = rill_frame_pool_create("bench", START_MBUFS, err);
        p->settings = rill_config_create(rill_settings_schema, err);
    }
    return rc == 0 && (p->pool == NULL || p->settings == NULL) ? -ENOMEM : rc;
}

static int make_unit(const struct start_process *p, struct start_instance *i,
                     struct rill_error *err)
{
    struct rill_unit_config config = rill_unit_settings(p->settings);

    config.id = START_UNIT;
    config.output_logger = START_LOGGER;
    config.controller = START_CONTROLLER;
    config.epoch = START_EPOCH;
    config.vni = START_VNI;
    config.pool = p->pool;
    config.nf = i->nf;
    i->unit = rill_unit_create(&config, err);
    return i->unit != NULL ? 0 : -ENOMEM;
}

static int make_config(const struct rill_nf_image *image, struct start_instance *i,
                       struct rill_error *err)
{
    i->config = rill_config_create(image->descriptor->options, err);
    return i->config != NULL ? rill_config_complete(i->config, err) : -ENOMEM;
}

static int make_nf(const struct rill_nf_image *image, struct start_instance *i,
                   struct rill_error *err)
{
    i->nf = rill_nf_create(image->descriptor, i->config, err);
    return i->nf != NULL ? 0 : -EINVAL;
}

int start_instance_create(const struct start_process *p, struct start_instance *i,
                          struct rill_error *err)
{
    int rc = make_config(&p->image, i, err);

    if (rc == 0)
        rc = make_nf(&p->image, i, err);
    return rc == 0 ? make_unit(p, i, err) : rc;
}

void start_instance_destroy(struct start_instance *i)
{
    rill_unit_destroy(i->unit);
    rill_nf_destroy(i->nf);
    rill_config_destroy(i->config);
    *i = (struct start_instance){0};
}

static void address(struct rte_mbuf *m, enum rill_frame_type type, uint32_t src)
{
    struct rill_frame *f = rill_frame(m);

    rill_frame_reset(f);
    f->type = type;
    f->src = src;
    f->dst = START_UNIT;
    f->epoch = START_EPOCH;
    f->vni = START_VNI;
}

static void fill_share(struct rte_mbuf *m)
{
    address(m, RILL_FRAME_SHARE, START_RM);
    rill_frame(m)->next_unit = START_CONTROLLER;
    rill_frame(m)->count = 1000;
    rill_frame(m)->clock = 1;
}

static void stamp_packet(struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);

    address(m, RILL_FRAME_DATA, START_CONTROLLER);
    f->flags = RILL_FLAG_PACKET;
    f->side = RILL_INSIDE;
    f->wire_bytes = WIRE_BYTES;
    f->flow = f->clock = rill_epoch_base(START_EPOCH) + 1;
    f->term = f->flow;
    f->ingress_id = 1;
    f->chain_len = 1; /* it is born here */
}

int start_frames(struct rte_mempool *pool, struct rte_mbuf *frames[2])
{
    struct rte_mbuf *packets[BENCH_BURST];
    struct bench_source source;

    bench_source_init(&source, pool, 1, WIRE_BYTES, BENCH_IN_TURN);
    if (!bench_source_burst(&source, packets))
        return -ENOMEM;
    rte_pktmbuf_free_bulk(packets + 2, BENCH_BURST - 2);
    rte_pktmbuf_reset(packets[0]);
    fill_share(packets[0]);
    stamp_packet(packets[1]);
    memcpy(frames, packets, 2 * sizeof(frames[0]));
    return 0;
}

bool start_serve(struct start_instance *i, struct rte_mbuf **frames, uint32_t n,
                 struct rill_outbox *out)
{
    uint64_t now_ns = bench_ns();

    if (n > 0)
        rill_unit_recv(i->unit, frames, n, now_ns, out);
    if (rill_unit_next_ns(i->unit) <= now_ns)
        rill_unit_tick(i->unit, now_ns, out);
    return rill_unit_counters(i->unit)->packets_processed > 0;
}

/* --- within this process --------------------------------------------------------------------- */

static double since_us(uint64_t begin_ns)
{
    return (double)(bench_ns() - begin_ns) / 1000;
}

static int first_packet(struct start_instance *i, struct rte_mempool *pool, double *us,
                        struct rill_error *err)
{
    struct rill_outbox out = {0};
    struct rte_mbuf *frames[2];
    uint64_t begin_ns;
    bool served;

    if (start_frames(pool, frames) != 0)
        return rill_error_set(err, -ENOMEM, "no packet buffer");
    begin_ns = bench_ns();
    served = start_serve(i, frames, 2, &out);
    for (int tries = 0; !served && tries < 1000; tries++)
        served = start_serve(i, frames, 0, &out);
    *us = since_us(begin_ns);
    rill_outbox_fini(&out);
    return served ? 0 : rill_error_set(err, -EIO, "the unit does not process its first packet");
}

/* The pieces of role_activate() and of the runtime's own part of it, one after the other. */
static int sample_pieces(struct world *w, double us[WHATS], struct rill_error *err)
{
    struct rill_fabric_memif_config links = {
        .folder = w->pieces, .ring_frames = 64, .pool = w->process.pool};
    struct start_instance i = {0};
    struct rill_nf_image image = {.memory = -1};
    struct rill_config *settings = NULL;
    struct rill_fabric *fabric = NULL;
    int rc = 0;

#define TIMED(what, action)                                                                        \
    do {                                                                                           \
        uint64_t begin_ns = bench_ns();                                                            \
                                                                                                   \
        if (rc == 0)                                                                               \
            rc = (action);                                                                         \
        us[what] = since_us(begin_ns);                                                             \
    } while (0)
    TIMED(PIECE_SETTINGS,
          (settings = rill_config_create(rill_settings_schema, err)) != NULL ? 0 : -ENOMEM);
    TIMED(PIECE_FABRIC, (fabric = rill_fabric_memif_create(&links, err)) != NULL
                            ? fabric->ops->attach(fabric, START_UNIT, err)
                            : -EIO);
    TIMED(PIECE_IMAGE, rill_nf_load_bytes("nf", w->image, w->image_bytes, &image, err));
    TIMED(PIECE_CONFIG, make_config(&image, &i, err));
    TIMED(PIECE_NF, make_nf(&image, &i, err));
    TIMED(PIECE_UNIT, make_unit(&w->process, &i, err));
#undef TIMED
    if (rc == 0)
        rc = first_packet(&i, w->process.pool, &us[PIECE_PACKET], err);
    start_instance_destroy(&i);
    if (image.handle != NULL)
        rill_nf_unload(&image);
    if (fabric != NULL)
        fabric->ops->destroy(fabric);
    rill_config_destroy(settings);
    return rc;
}

static int sample_dlopen(struct world *w, double *us, struct rill_error *err)
{
    struct start_process p = w->process;
    struct start_instance i = {0};
    double packet_us;
    uint64_t begin_ns = bench_ns();
    int rc = rill_nf_load(w->nf, "", &p.image, err);

    if (rc == 0)
        rc = start_instance_create(&p, &i, err);
    if (rc == 0)
        rc = first_packet(&i, p.pool, &packet_us, err);
    *us = since_us(begin_ns);
    start_instance_destroy(&i);
    if (rc == 0)
        rill_nf_unload(&p.image);
    return rc;
}

/* The image is loaded before; the child says when its packet was processed. */
static int sample_fork(struct world *w, double *us, struct rill_error *err)
{
    atomic_uint_fast64_t *done_ns =
        mmap(NULL, sizeof(*done_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t begin_ns;
    pid_t child;

    if (done_ns == MAP_FAILED)
        return rill_error_set(err, -ENOMEM, "no memory");
    fflush(NULL);
    begin_ns = bench_ns();
    child = fork();
    if (child == 0) {
        struct start_instance i = {0};
        double packet_us;

        if (start_instance_create(&w->process, &i, err) == 0 &&
            first_packet(&i, w->process.pool, &packet_us, err) == 0)
            atomic_store(done_ns, bench_ns());
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
    *us = (double)(atomic_load(done_ns) - begin_ns) / 1000;
    if (child < 0 || atomic_load(done_ns) == 0)
        rill_error_set(err, -EIO, "the forked child failed");
    munmap(done_ns, sizeof(*done_ns));
    return child > 0 && *us > 0 ? 0 : -EIO;
}

/* --- runs ------------------------------------------------------------------------------------ */

static int sample(struct world *w, double us[WHATS], struct rill_error *err)
{
    int rc = 0;

    for (int how = 0; rc == 0 && how < START_HOWS; how++)
        rc = start_fabric_sample(w->fabric, (enum start_how)how, &us[FABRIC_PREPARED + how], err);
    if (rc == 0)
        rc = sample_dlopen(w, &us[DLOPEN], err);
    if (rc == 0)
        rc = sample_pieces(w, us, err);
    return rc != 0 ? rc : sample_fork(w, &us[FORK], err);
}

/* All that is done within here, or by children that are forked. */
static int run(struct world *w, uint64_t at, struct rill_error *err)
{
    uint64_t n = w->options->quick ? QUICK_SAMPLES : SAMPLES;
    double us[WHATS] = {0}, samples[WHATS][SAMPLES];

    for (uint64_t i = 0; i < n; i++) {
        int rc = sample(w, us, err);

        if (rc != 0)
            return rc;
        for (int what = 0; what < WHATS; what++)
            samples[what][i] = us[what];
    }
    for (int what = 0; what < WHATS; what++)
        w->values[what][at] = bench_median(samples[what], n, NULL);
    return 0;
}

static int run_program(struct world *w, uint64_t at, struct rill_error *err)
{
    struct start_program_times times;
    int rc = start_program_sample(w->program, w->nf, w->folder, &times, err);

    if (rc != 0)
        return rc;
    w->values[EXEC][at] = times.ready_us;
    w->values[CONTROL][at] = times.control_us;
    w->values[CONTROL_INSIDE][at] = times.inside_us;
    return 0;
}

/* The programs come last: the control link has threads, and then nobody may fork. */
static int measure(struct world *w, struct rill_error *err)
{
    int rc = 0;

    for (uint64_t i = 0; rc == 0 && i < w->options->runs; i++)
        rc = run(w, i, err);
    for (uint64_t i = 0; rc == 0 && i < w->options->runs; i++)
        rc = run_program(w, i, err);
    return rc;
}

static void fill(struct world *w)
{
    for (int what = 0; what < WHATS; what++) {
        char name[80];
        double spread, median = bench_median(w->values[what], w->options->runs, &spread);

        snprintf(name, sizeof(name), "%s_us", whats[what]);
        bench_report_figure(w->report, name, median);
        snprintf(name, sizeof(name), "%s_us_spread_percent", whats[what]);
        bench_report_figure(w->report, name, spread);
    }
}

/* --- what is needed -------------------------------------------------------------------------- */

/* The NF's file, and the program beside this one's folder. */
static int find_files(struct world *w, struct rill_error *err)
{
    char search[PATH_BYTES], self[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    rill_nf_search_path(search, sizeof(search));
    search[strcspn(search, ":")] = '\0';
    snprintf(w->nf, sizeof(w->nf), "%.4000s/" PACKET_NF ".so", search);
    self[n < 0 ? 0 : n] = '\0';
    for (int i = 0; i < 2 && (slash = strrchr(self, '/')) != NULL; i++)
        *slash = '\0';
    snprintf(w->program, sizeof(w->program), "%.4000s/bin/rill-nf-runtime", self);
    if (access(w->program, X_OK) != 0)
        return rill_error_set(err, -errno, "%s: %s", w->program, strerror(errno));
    return 0;
}

static int read_image(struct world *w, struct rill_error *err)
{
    FILE *in = fopen(w->nf, "re");
    long bytes = -1;

    if (in != NULL && fseek(in, 0, SEEK_END) == 0 && (bytes = ftell(in)) > 0) {
        rewind(in);
        w->image_bytes = (size_t)bytes;
        w->image = malloc(w->image_bytes);
    }
    if (w->image == NULL || fread(w->image, 1, w->image_bytes, in) != w->image_bytes)
        rill_error_set(err, -EIO, "%s can not be read: set RILL_NF_PATH", w->nf);
    else
        bytes = 0;
    if (in != NULL)
        fclose(in);
    return bytes == 0 ? 0 : -EIO;
}

static int set_up(struct world *w, struct rill_error *err)
{
    int rc = find_files(w, err);

    if (rc == 0)
        rc = read_image(w, err);
    snprintf(w->folder, sizeof(w->folder), "/tmp/rill_bench_start_XXXXXX");
    if (rc == 0 && mkdtemp(w->folder) == NULL)
        rc = rill_error_set(err, -errno, "%s: %s", w->folder, strerror(errno));
    if (rc != 0)
        return rc;
    snprintf(w->pieces, sizeof(w->pieces), "%s/pieces", w->folder);
    if (mkdir(w->pieces, 0700) != 0)
        return rill_error_set(err, -errno, "%s: %s", w->pieces, strerror(errno));
    w->fabric = start_fabric_fork(w->nf, w->folder, err);
    rc = w->fabric != NULL ? start_process_init(&w->process, err) : -EIO;
    if (rc == 0)
        rc = rill_nf_load_bytes("nf", w->image, w->image_bytes, &w->process.image, err);
    return rc == 0 ? start_fabric_link(w->fabric, w->process.pool, err) : rc;
}

static void clean_up(struct world *w)
{
    start_fabric_end(w->fabric);
    if (w->process.image.handle != NULL)
        rill_nf_unload(&w->process.image);
    rill_config_destroy(w->process.settings);
    free(w->image);
    rmdir(w->pieces);
    rmdir(w->folder);
}

int main(int argc, char **argv)
{
    static struct world w;
    struct bench_options options = {0};
    struct rill_error err = {""};
    int rc = bench_options("start", argc, argv, NULL, &options);

    if (rc != 0)
        return rc - 1;
    /* A process makes its tables once, of memory that nobody had before; here it is the same each
     * time. */
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    w.options = &options;
    w.process.image.memory = -1;
    w.report = bench_report_begin("start", &options);
    if (w.report == NULL)
        return 2;
    rc = set_up(&w, &err);
    if (rc == 0)
        rc = measure(&w, &err);
    clean_up(&w);
    if (rc != 0) {
        fprintf(stderr, "bench start: %s\n", err.text);
        free(w.report);
        return 2;
    }
    fill(&w);
    return bench_report_end(w.report);
}
