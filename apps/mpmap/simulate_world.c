/* SPDX-License-Identifier: BSD-3-Clause */
/* Events in the order of their time: what happens on nodes, and messages that reach main or a node. Main
 * handles messages one at a time; its wire carries bytes one after the other, each way; so messages between
 * main and a node never overtake each other, as in a run. Nodes do what couriers do: they tell when a lease
 * is done, or claimed to the end while some of its items take longer, and answer recalls by what is not claimed.
 *
 * What a node will do with the lease that it claims from is worked out when it begins with it; a recall cuts
 * that short, and the events foreseen are void then: they bear the version of the lease that they are about.
 */
#include "simulate_world.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "pool/driver/lease.h"

#include "simulate_crew.h"
#include "simulate_greedy.h"
#include "simulate_limit.h"

#define DEPTH          16
#define TARGET_S       0.1
#define LEASE_BYTES    ((double)(4 << 20))
#define CHUNK_S        100e-6 /* work in a chunk */
#define HEADER_BYTES   64.0   /* of a message */
#define LOSS_NOTICED_S 2.0    /* after a node has died */

enum event_kind {
    /* On a node. */
    EVENT_CLAIMED, /* nothing of the lease is left to claim */
    EVENT_DONE,
    EVENT_DIE,
    EVENT_START,
    /* Messages to a node. */
    EVENT_GRANT,
    EVENT_RECALL,
    /* Messages to main, and what it finds out by itself. */
    EVENT_JOIN,
    EVENT_ALL_CLAIMED,
    EVENT_LEASE_DONE,
    EVENT_RETURN,
    EVENT_LOSS,
};

struct event {
    double time_s;
    uint64_t order; /* of events at the same time */
    enum event_kind kind;
    unsigned node;
    uint32_t lease;
    uint32_t version;
    uint64_t first, count; /* of a grant; count: what is kept of a lease that returns */
};

struct node_lease {
    bool lives;
    bool begun;
    uint32_t number, version;
    uint64_t order; /* in which they have come */
    uint64_t first, count;
    double start_s;
    struct simulate_claims claims;
};

struct world_node {
    struct simulate_crew crew;
    struct node_lease leases[DEPTH];
    struct node_lease *current; /* the one that is claimed from */
    bool dead;
    double claimed_s;  /* when the last lease was claimed */
    double finished_s; /* when the last lease was done */
};

struct world {
    const struct simulate_options *options;
    struct simulate_result *result;
    struct simulate_work work;
    struct lease_table *table;
    struct world_node *nodes;
    double *slot_times;
    struct simulate_life *lives; /* of each node */

    struct event *events; /* a heap */
    size_t event_count, event_room;
    uint64_t order;

    double now_s;
    double main_free_s, main_work_s, wire_in_s, wire_out_s;
    struct simulate_done done;
    double wire_in_work_s, wire_out_work_s;
    uint64_t table_events;
    double table_s;
    const char *problem;
};

/* ---- Events ---- */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->time_s < b->time_s || (a->time_s == b->time_s && a->order < b->order);
}

static void event_push(struct world *world, struct event event)
{
    if (world->event_count == world->event_room) {
        size_t room = world->event_room * 2 + 1024;
        struct event *grown = realloc(world->events, room * sizeof *grown);
        if (!grown) {
            world->problem = "no memory for the events";
            return;
        }
        world->events = grown;
        world->event_room = room;
    }
    event.order = world->order++;
    size_t at = world->event_count++;
    for (; at && event_before(&event, &world->events[(at - 1) / 2]); at = (at - 1) / 2)
        world->events[at] = world->events[(at - 1) / 2];
    world->events[at] = event;
}

static bool event_pop(struct world *world, struct event *event)
{
    if (world->event_count == 0)
        return false;
    *event = world->events[0];
    struct event last = world->events[--world->event_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->event_count)
            break;
        if (child + 1 < world->event_count && event_before(&world->events[child + 1], &world->events[child]))
            child++;
        if (!event_before(&world->events[child], &last))
            break;
        world->events[at] = world->events[child];
        at = child;
    }
    world->events[at] = last;
    return true;
}

/* ---- The wire ---- */

static void count_message(struct world *world, double bytes)
{
    world->result->messages++;
    world->result->bytes += bytes;
}

/* The event happens when main has got the message. */
static void send_to_main(struct world *world, struct event event, double bytes)
{
    double there_s = world->now_s + world->options->latency_s;
    world->wire_in_s = fmax(world->wire_in_s, there_s) + bytes / world->options->bandwidth_bytes_s;
    world->wire_in_work_s += bytes / world->options->bandwidth_bytes_s;
    count_message(world, bytes);
    event.time_s = world->wire_in_s;
    event_push(world, event);
}

/* Sending takes main's time as well: the next message is handled after it. */
static void send_to_node(struct world *world, const struct lease_action *action)
{
    bool grant = action->kind == LEASE_GRANT;
    double bytes = HEADER_BYTES + (grant ? (double)action->count * (double)world->options->item_size : 0.0);

    world->main_free_s += world->options->message_s;
    world->main_work_s += world->options->message_s;
    world->wire_out_s = fmax(world->wire_out_s, world->main_free_s) +
                        bytes / world->options->bandwidth_bytes_s;
    world->wire_out_work_s += bytes / world->options->bandwidth_bytes_s;
    count_message(world, bytes);
    if (grant)
        world->result->leases++;
    else
        world->result->recalls++;
    event_push(world, (struct event){.time_s = world->wire_out_s + world->options->latency_s,
                                     .kind = grant ? EVENT_GRANT : EVENT_RECALL,
                                     .node = action->node,
                                     .lease = action->lease,
                                     .first = action->first,
                                     .count = action->count});
}

/* ---- Nodes ---- */

static struct node_lease *find_held(struct world_node *node, uint32_t number)
{
    for (int i = 0; i < DEPTH; i++)
        if (node->leases[i].lives && node->leases[i].number == number)
            return &node->leases[i];
    return NULL;
}

static struct node_lease *next_to_begin(struct world_node *node)
{
    struct node_lease *next = NULL;
    for (int i = 0; i < DEPTH; i++) {
        struct node_lease *lease = &node->leases[i];
        if (lease->lives && !lease->begun && (!next || lease->order < next->order))
            next = lease;
    }
    return next;
}

static void foresee(struct world *world, unsigned index, const struct node_lease *lease)
{
    const struct simulate_claims *claims = &lease->claims;
    struct event event = {.node = index, .lease = lease->number, .version = lease->version};

    event.kind = EVENT_CLAIMED;
    event.time_s = fmax(world->now_s, claims->claimed_s);
    event_push(world, event);
    event.kind = EVENT_DONE;
    event.time_s = fmax(world->now_s, claims->done_s);
    event_push(world, event);
}

static void begin_next(struct world *world, unsigned index)
{
    struct world_node *node = &world->nodes[index];
    struct node_lease *lease = node->current ? NULL : next_to_begin(node);
    if (!lease)
        return;
    node->current = lease;
    lease->begun = true;
    lease->start_s = fmax(world->now_s, node->claimed_s);
    lease->claims = simulate_crew_work(
        &node->crew, &world->work,
        &(struct simulate_lease){lease->first, lease->count, lease->start_s, INFINITY});
    foresee(world, index, lease);
}

static void node_gets_lease(struct world *world, const struct event *event)
{
    struct world_node *node = &world->nodes[event->node];
    struct node_lease *lease = node->leases;
    while (lease < node->leases + DEPTH && lease->lives)
        lease++;
    if (lease == node->leases + DEPTH) {
        world->problem = "a node was granted more leases than it may hold";
        return;
    }
    uint32_t version = lease->version + 1;
    *lease = (struct node_lease){.lives = true,
                                 .number = event->lease,
                                 .version = version,
                                 .order = event->order,
                                 .first = event->first,
                                 .count = event->count};
    begin_next(world, event->node);
}

static void end_current(struct world *world, unsigned index)
{
    world->nodes[index].current = NULL;
    begin_next(world, index);
}

/* Stops claiming from the lease; what it keeps is what is claimed. */
static void cut_current(struct world *world, struct world_node *node, unsigned index)
{
    struct node_lease *lease = node->current;
    lease->claims = simulate_crew_stop(
        &node->crew, &world->work,
        &(struct simulate_lease){lease->first, lease->count, lease->start_s, world->now_s});
    lease->count = lease->claims.count;
    lease->version++;
    lease->lives = lease->count > 0;
    node->claimed_s = world->now_s;
    if (lease->lives)
        foresee(world, index, lease);
    else
        end_current(world, index);
}

static void node_gets_recall(struct world *world, const struct event *event)
{
    struct world_node *node = &world->nodes[event->node];
    struct node_lease *lease = find_held(node, event->lease);
    if (!lease)
        return;
    if (!lease->begun) {
        lease->lives = false;
        lease->count = 0;
    } else if (lease == node->current && lease->claims.claimed_s > world->now_s) {
        cut_current(world, node, event->node);
    }
    send_to_main(world,
                 (struct event){
                     .kind = EVENT_RETURN, .node = event->node, .lease = event->lease, .count = lease->count},
                 HEADER_BYTES);
}

static void node_is_done(struct world *world, unsigned index, struct node_lease *lease)
{
    struct world_node *node = &world->nodes[index];
    double bytes = HEADER_BYTES + (double)lease->count * (double)world->options->result_size;

    lease->lives = false;
    node->finished_s = world->now_s;
    world->done.cost_s += lease->claims.cost_s;
    world->done.longest_s = fmax(world->done.longest_s, lease->claims.longest_s);
    send_to_main(world, (struct event){.kind = EVENT_LEASE_DONE, .node = index, .lease = lease->number},
                 bytes);
}

static void node_event(struct world *world, const struct event *event)
{
    struct world_node *node = &world->nodes[event->node];
    struct node_lease *lease = find_held(node, event->lease);

    if (!lease || lease->version != event->version)
        return;
    if (event->kind == EVENT_DONE) {
        node_is_done(world, event->node, lease);
        return;
    }
    node->claimed_s = world->now_s;
    if (lease->claims.done_s > world->now_s && !world->options->silent)
        send_to_main(world,
                     (struct event){.kind = EVENT_ALL_CLAIMED, .node = event->node, .lease = lease->number},
                     HEADER_BYTES);
    if (lease == node->current)
        end_current(world, event->node);
}

/* ---- Main ---- */

static double real_time_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int tell_table(struct world *world, const struct event *event, double now_s)
{
    switch (event->kind) {
    case EVENT_JOIN:
        return lease_node_joined(world->table, event->node, world->options->slots, now_s);
    case EVENT_ALL_CLAIMED:
        return lease_claimed(world->table, event->node, event->lease, now_s);
    case EVENT_LEASE_DONE:
        return lease_done(world->table, event->node, event->lease, now_s);
    case EVENT_RETURN:
        return lease_returned(world->table, event->node, event->lease, event->count, now_s);
    default:
        return lease_node_lost(world->table, event->node, now_s);
    }
}

static void main_event(struct world *world, const struct event *event)
{
    struct lease_node_state state;
    struct lease_action action;

    lease_node_look(world->table, event->node, &state);
    if (state.lost)
        return;
    world->main_free_s = fmax(world->main_free_s, world->now_s) + world->options->message_s;
    world->main_work_s += world->options->message_s;
    double before_s = real_time_s();
    if (tell_table(world, event, world->main_free_s))
        world->problem = "the lease table refused a node's message";
    world->table_s += real_time_s() - before_s;
    world->table_events++;
    while (lease_next_action(world->table, &action))
        send_to_node(world, &action);
    if (world->options->check && !lease_table_is_sound(world->table))
        world->problem = "the lease table is inconsistent";
}

/* ---- The world ---- */

static void start_node(struct world *world, unsigned index)
{
    struct world_node *node = &world->nodes[index];
    for (unsigned i = 0; i < node->crew.slots; i++)
        node->crew.free_s[i] = world->now_s;
    node->finished_s = node->claimed_s = world->now_s;
    send_to_main(world, (struct event){.kind = EVENT_JOIN, .node = index}, HEADER_BYTES);
}

static void node_dies(struct world *world, unsigned index)
{
    world->nodes[index].dead = true;
    event_push(world,
               (struct event){.time_s = world->now_s + LOSS_NOTICED_S, .kind = EVENT_LOSS, .node = index});
}

static void happen(struct world *world, const struct event *event)
{
    if (event->kind < EVENT_JOIN && world->nodes[event->node].dead)
        return;
    switch (event->kind) {
    case EVENT_START:
        start_node(world, event->node);
        break;
    case EVENT_DIE:
        node_dies(world, event->node);
        break;
    case EVENT_GRANT:
        node_gets_lease(world, event);
        break;
    case EVENT_RECALL:
        node_gets_recall(world, event);
        break;
    case EVENT_CLAIMED:
    case EVENT_DONE:
        node_event(world, event);
        break;
    default:
        main_event(world, event);
    }
}

static double cost_of(const void *work, uint64_t item)
{
    return simulate_item_cost(work, item);
}

static bool world_allocate(struct world *world)
{
    const struct simulate_options *options = world->options;
    size_t times = (size_t)options->nodes * options->slots;

    world->nodes = calloc(options->nodes, sizeof *world->nodes);
    world->slot_times = calloc(times, 3 * sizeof *world->slot_times);
    world->lives = calloc(options->nodes, sizeof *world->lives);
    if (!world->nodes || !world->slot_times || !world->lives)
        return false;
    double size = (double)(options->item_size > options->result_size ? options->item_size
                                                                     : options->result_size);
    struct lease_limits limits = {
        .max_items = (uint64_t)fmax(1.0, LEASE_BYTES / fmax(size, 0.001)),
        .depth = DEPTH,
        .target_s = TARGET_S,
    };
    if (lease_table_create(options->items, options->nodes, &limits, &world->table))
        return false;
    if (options->known)
        lease_table_know_costs(world->table, cost_of, &world->work);
    return true;
}

/* The last nodes join late, those before them die; main's own node, 0, does neither. */
static void choose_fates(struct world *world)
{
    const struct simulate_options *options = world->options;
    double whole_s = (double)options->items * options->item_s / ((double)options->nodes * options->slots);

    for (unsigned i = 0; i < options->nodes; i++) {
        double chance = simulate_uniform(options->seed + 1, i);
        bool late = i > 0 && i >= options->nodes - options->joining;
        bool dies = i > 0 && !late && i >= options->nodes - options->joining - options->lost;
        world->lives[i] = (struct simulate_life){
            .speed = pow(options->speed_spread, simulate_uniform(options->seed + 2, i) - 0.5),
            .start_s = late ? 0.5 * whole_s * chance : 0.0,
            .death_s = dies ? (0.1 + 0.5 * chance) * whole_s : INFINITY};
    }
}

static void populate(struct world *world)
{
    const struct simulate_options *options = world->options;

    choose_fates(world);
    for (unsigned i = 0; i < options->nodes; i++) {
        struct simulate_crew *crew = &world->nodes[i].crew;
        crew->slots = options->slots;
        crew->speed = world->lives[i].speed;
        crew->free_s = &world->slot_times[(size_t)i * 3 * options->slots];
        crew->before_s = crew->free_s + options->slots;
        crew->spare_s = crew->before_s + options->slots;
        event_push(world, (struct event){.time_s = world->lives[i].start_s, .kind = EVENT_START, .node = i});
        if (isfinite(world->lives[i].death_s))
            event_push(world,
                       (struct event){.time_s = world->lives[i].death_s, .kind = EVENT_DIE, .node = i});
    }
}

static void world_free(struct world *world)
{
    lease_table_destroy(world->table);
    free(world->nodes);
    free(world->slot_times);
    free(world->lives);
    free(world->events);
}

static double find_greedy_s(struct world *world)
{
    double greedy_s = simulate_greedy_s(&world->work, world->lives, world->options->nodes,
                                        world->options->slots, LOSS_NOTICED_S);

    if (isnan(greedy_s))
        world->problem = "no memory for the slots of a greedy schedule";
    return greedy_s;
}

static double mean_finish_s(const struct world *world)
{
    double sum = 0.0;
    unsigned alive = 0;
    for (unsigned i = 0; i < world->options->nodes; i++) {
        if (world->nodes[i].dead || world->nodes[i].finished_s == 0)
            continue;
        sum += world->nodes[i].finished_s;
        alive++;
    }
    return alive ? sum / alive : 0.0;
}

static void draw_result(struct world *world)
{
    struct simulate_result *result = world->result;
    result->greedy_s = world->options->greedy ? find_greedy_s(world) : 0;
    result->limit = simulate_limit(world->options, &world->done, world->lives);
    result->makespan_s = world->main_free_s;
    result->efficiency = result->limit.work_s / result->makespan_s;
    result->main_busy = world->main_work_s / result->makespan_s;
    result->wire_busy = fmax(world->wire_in_work_s, world->wire_out_work_s) / result->makespan_s;
    result->tail_s = result->makespan_s - mean_finish_s(world);
    result->table_event_s = world->table_s / (double)(world->table_events ? world->table_events : 1);
}

static void run(struct world *world)
{
    struct event event;
    while (!world->problem && !lease_all_done(world->table)) {
        if (!event_pop(world, &event)) {
            world->problem = "no more events, but items are left";
            return;
        }
        world->now_s = event.time_s;
        happen(world, &event);
    }
}

int simulate_world(const struct simulate_options *options, struct simulate_result *result)
{
    struct world world = {.options = options, .result = result};

    *result = (struct simulate_result){0};
    world.work = (struct simulate_work){
        .costs = options->costs,
        .items = options->items,
        .item_s = options->item_s,
        .chunk = (uint64_t)fmax(1.0, CHUNK_S / options->item_s),
        .seed = options->seed,
        .known = options->known,
    };
    if (!world_allocate(&world))
        world.problem = "no memory for so many nodes";
    if (!world.problem)
        populate(&world);
    if (!world.problem)
        run(&world);
    if (!world.problem)
        draw_result(&world);
    result->problem = world.problem;
    world_free(&world);
    return result->problem ? -1 : 0;
}
