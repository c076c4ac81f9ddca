/* What programs say, and who they are. */
#include <stdlib.h>

#include "lib/base/role.h"
#include "rm/agent/agent_internal.h"

static struct rill_agent_program *find_peer(struct rill_agent *a, uint32_t peer)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->programs[i].peer == peer)
            return &a->programs[i];
    return NULL;
}

/* Of a message that is lent; NULL: no memory, or it could not be sent as it is. */
static Control__Message *copy(const Control__Message *message)
{
    size_t size = control__message__get_packed_size(message);
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    Control__Message *made = NULL;

    if (bytes == NULL)
        return NULL;
    control__message__pack(message, bytes);
    rill_control_unpack(bytes, size, &made);
    free(bytes);
    return made;
}

static bool is_own_join(const Control__Message *message)
{
    const Control__Join *body = message->join;

    return message->body_case == CONTROL__MESSAGE__BODY_JOIN && body->role != 0 &&
           message->from == body->role && body->kind == rill_role_kind(body->role);
}

/* The program has shown its token. A connection that it had before is nobody's from now on. */
static void let_in(struct rill_agent *a, struct rill_agent_program *program, uint32_t peer,
                   const Control__Message *message)
{
    program->peer = peer;
    rill_control_free(program->join);
    program->join = copy(message);
    rill_agent_pass_join(a, program);
}

static void drop_early(struct rill_agent *a, uint32_t peer)
{
    for (uint32_t i = 0; i < a->early_count; i++) {
        if (a->early[i].peer != peer)
            continue;
        rill_control_free(a->early[i].join);
        a->early[i] = a->early[--a->early_count];
        return;
    }
}

/* One for each connection, so that nobody takes all the room. */
static void keep_early(struct rill_agent *a, uint32_t peer, const Control__Message *message)
{
    Control__Message *kept;

    drop_early(a, peer);
    kept = a->early_count < RILL_AGENT_EARLY_MAX ? copy(message) : NULL;
    if (kept == NULL)
        a->n.refused_identity++;
    else
        a->early[a->early_count++] = (struct rill_agent_early){.peer = peer, .join = kept};
}

static void on_join(struct rill_agent *a, uint32_t peer, const Control__Message *message)
{
    struct rill_agent_program *program = rill_agent_find(a, message->join->role);

    if (program == NULL || program->ended ||
        (program->token != 0 && program->token != message->join->token))
        a->n.refused_identity++;
    else if (program->token == 0)
        keep_early(a, peer, message);
    else
        let_in(a, program, peer, message);
}

/* Those that came before the token was known, the false ones too. */
void rill_agent_judge_early(struct rill_agent *a, const struct rill_agent_program *program)
{
    for (uint32_t i = 0; i < a->early_count;) {
        struct rill_agent_early early = a->early[i];

        if (early.join->join->role != program->role) {
            i++;
            continue;
        }
        a->early[i] = a->early[--a->early_count];
        on_join(a, early.peer, early.join);
        rill_control_free(early.join);
    }
}

void rill_agent_drop_all_early(struct rill_agent *a)
{
    while (a->early_count > 0)
        drop_early(a, a->early[0].peer);
}

void rill_agent_program_message(struct rill_agent *agent, uint32_t peer,
                                const Control__Message *message)
{
    const struct rill_agent_program *program = find_peer(agent, peer);

    if (program != NULL && message->from != program->role)
        agent->n.refused_identity++;
    else if (is_own_join(message))
        on_join(agent, peer, message);
    else if (program == NULL || message->body_case == CONTROL__MESSAGE__BODY_JOIN)
        agent->n.refused_identity++;
    else if (rill_role_kind(message->to) == RILL_ROLE_AGENT)
        agent->n.unexpected++; /* an agent has nothing to say to programs */
    else
        rill_agent_pass_up(agent, message);
}

void rill_agent_program_down(struct rill_agent *agent, uint32_t peer)
{
    struct rill_agent_program *program = find_peer(agent, peer);

    drop_early(agent, peer);
    if (program != NULL)
        program->peer = 0;
}
