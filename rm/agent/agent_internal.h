/* What the files of the node agent's core share; nobody else includes it. */
#ifndef RILL_RM_AGENT_AGENT_INTERNAL_H
#define RILL_RM_AGENT_AGENT_INTERNAL_H

#include "rm/agent/agent.h"

enum { RILL_AGENT_EARLY_MAX = 256 };

/* A container, from the RM's Start (or the keeper's word that it was there) to its end. */
struct rill_agent_program {
    uint32_t role;
    uint64_t token;        /* 0: it is being started */
    uint64_t start_ns;     /* of its start; 0: adopted */
    uint32_t peer;         /* 0: it has not proved who it is, or is not connected */
    uint32_t asker;        /* who wants it started or stopped */
    uint64_t start_number; /* of the Start that is to be answered */
    uint64_t stop_number;
    bool ended;             /* how is told soon; it says nothing any more */
    bool rm_was_away;       /* since its Start: who asked may have forgotten */
    bool welcomed;          /* the RM's Welcome passed by: it heard all that was said until then */
    Control__Message *join; /* what it said first, until it is welcomed; or NULL */
};

/* A Join for a container whose start the keeper has not told of yet: the program was faster. */
struct rill_agent_early {
    uint32_t peer;
    Control__Message *join;
};

struct rill_agent {
    struct rill_agent_config config;
    uint32_t id; /* the agent's; 0: not welcome yet */
    bool rm_is_up, keeper_is_ready, stopping_all, over;
    /* on this connection to the RM: it was told what runs here; and has taken us */
    bool joined, welcome;
    bool refused;
    uint64_t rm_number; /* the highest that was heard */
    uint64_t stop_all_number;
    uint32_t stop_all_asker;
    struct rill_agent_program *programs;
    uint32_t count, room;
    struct rill_agent_early early[RILL_AGENT_EARLY_MAX];
    uint32_t early_count;
    struct rill_agent_counters n;
};

/* agent.c */
struct rill_agent_program *rill_agent_find(struct rill_agent *a, uint32_t role);
void rill_agent_pass_up(struct rill_agent *a, const Control__Message *message);

/* A program's Join: once the RM has taken us, as what it refuses of a program ends that. */
void rill_agent_pass_join(struct rill_agent *a, const struct rill_agent_program *program);

/* agent_programs.c: who is who. The program's start was told: the Joins that came before it. */
void rill_agent_judge_early(struct rill_agent *a, const struct rill_agent_program *program);
void rill_agent_drop_all_early(struct rill_agent *a);

#endif
