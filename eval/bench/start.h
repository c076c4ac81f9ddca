/* What the parts of the benchmark `start` share: a unit with its NF, and what gets it going.
 *
 *   start.c          the pieces of an activation, and what is reported
 *   start_fabric.c   a warm process that gets its capacity and its first packet over memif
 *   start_program.c  rill-nf-runtime: executed, then activated by a control message
 */
#ifndef RILL_EVAL_BENCH_START_H
#define RILL_EVAL_BENCH_START_H

#include "eval/bench/harness.h"
#include "lib/base/role.h"
#include "lib/config/config.h"
#include "nf-runtime/loader.h"
#include "nf-runtime/unit.h"

#define START_RM rill_role_id(RILL_ROLE_RM, 1)
#define START_CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define START_UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define START_LOGGER rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)

enum { START_MEMORY_MB = 256, START_MBUFS = 4096, START_EPOCH = 1, START_VNI = 1 };

/* What is there before a unit is asked for: DPDK, settings, and the NF's image, not its instance.
 */
struct start_process {
    struct rte_mempool *pool;
    struct rill_config *settings;
    struct rill_nf_image image;
};

struct start_instance {
    struct rill_config *config;
    struct rill_nf *nf;
    struct rill_unit *unit;
};

/* DPDK, once in a process; and the settings. */
int start_process_init(struct start_process *p, struct rill_error *err);

/* The instance of a loaded NF, and its unit with all tables. */
int start_instance_create(const struct start_process *p, struct start_instance *i,
                          struct rill_error *err);
void start_instance_destroy(struct start_instance *i);

/* What the resource manager and the controller then send: a share, and a flow's first packet. 0, or
 * -ENOMEM. */
int start_frames(struct rte_mempool *pool, struct rte_mbuf *frames[2]);

/* Frames in; true once the unit has processed a packet and its change is in `out`. */
bool start_serve(struct start_instance *i, struct rte_mbuf **frames, uint32_t n,
                 struct rill_outbox *out);

/* --- start_fabric.c --- */

enum start_how {
    START_PREPARED,  /* the unit is there, without capacity, and its process polls */
    START_ASLEEP,    /* the same, and it sleeps until it is woken */
    START_ON_DEMAND, /* the unit is made when the word comes; the image is loaded */
    START_HOWS
};

struct start_fabric;

/* Starts the warm process, which loads `nf`, in `folder`. Before DPDK is started here. */
struct start_fabric *start_fabric_fork(const char *nf, const char *folder, struct rill_error *err);
/* Makes this process's end. */
int start_fabric_link(struct start_fabric *f, struct rte_mempool *pool, struct rill_error *err);
/* From the word to the warm process to the change of its first packet, here. */
int start_fabric_sample(struct start_fabric *f, enum start_how how, double *us,
                        struct rill_error *err);
void start_fabric_end(struct start_fabric *f); /* NULL is fine */

/* --- start_program.c --- */

struct start_program_times {
    double ready_us;   /* from the start of the program to its Join */
    double control_us; /* from Activate to Activated */
    double inside_us;  /* of that: what it took itself */
};

/* One life of rill-nf-runtime at `path`. nng has threads: nobody forks afterwards. */
int start_program_sample(const char *path, const char *nf, const char *folder,
                         struct start_program_times *times, struct rill_error *err);

#endif
