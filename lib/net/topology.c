/* SPDX-License-Identifier: BSD-3-Clause */
/* The topology: arithmetic on the ranks' cards, the same on every rank, with no communication in it.
 *
 * Slots: the CPUs of a mask are shared among the ranks of a machine that have the very same mask; the first
 * of them get what is left over. So are those of a quota among the ranks of one control group, and those of a batch job
 * among all ranks of the machine. The least of these counts; each rank has at least one. What a rank is told by
 * MPMAP_SLOTS comes before all. */
#include "net/topology.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define NO_RANK         UINT_MAX
#define MESSAGE_VERSION 1u /* of the messages between nodes: another one is another build */

/* Keeps of a text what fits: its front, or its end. */
static void keep_front(char *kept, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);

    memcpy(kept, text, length);
    kept[length] = 0;
}

static void keep_end(char *kept, size_t size, const char *text)
{
    size_t length = strlen(text);

    keep_front(kept, size, length < size ? text : text + length - (size - 1));
}

int rank_card_fill(struct rank_card *card)
{
    char text[4096] = {0};

    memset(card, 0, sizeof *card);
    card->pid = getpid();
    card->version = MESSAGE_VERSION;
    if (gethostname(text, sizeof text - 1))
        return error_set_errno(MPM_ESYSTEM, "cannot read the host name");
    keep_front(card->machine, sizeof card->machine, text);
    if (sched_getaffinity(0, sizeof card->cpus, &card->cpus))
        return error_set_errno(MPM_ESYSTEM, "cannot read the CPU affinity mask");
    card->quota = cpu_quota_of("/proc/self/cgroup", "/sys/fs/cgroup");
    card->job_cpus = cpu_limit_of_job();
    card->task_cpus = cpu_limit_of_task();
    memset(text, 0, sizeof text);
    if (readlink("/proc/self/exe", text, sizeof text - 1) < 0)
        return error_set_errno(MPM_ESYSTEM, "cannot read /proc/self/exe");
    keep_end(card->program, sizeof card->program, text);
    return MPM_OK;
}

/* How many ranks have something together with one of them, itself included, and how many of those come before it. */
struct sharers {
    unsigned count, before;
};

static void count_sharer(struct sharers *sharers, bool shares, bool is_before)
{
    sharers->count += shares;
    sharers->before += shares && is_before;
}

static unsigned share_of(unsigned cpus, const struct sharers *sharers)
{
    return cpus / sharers->count + (sharers->before < cpus % sharers->count);
}

/* `cpus` are shared, and 0 is no limit. */
static void limit_slots(struct rank_info *rank, unsigned cpus, const struct sharers *sharers,
                        enum slots_by by)
{
    unsigned share;

    if (!cpus || (share = share_of(cpus, sharers)) >= rank->slots)
        return;
    rank->slots = share;
    rank->slots_by = by;
}

static void choose_slots(struct rank_info *rank, const struct sharers *mask, const struct sharers *quota,
                         const struct sharers *job)
{
    const struct rank_card *card = &rank->card;

    rank->slots = share_of((unsigned)CPU_COUNT(&card->cpus), mask);
    rank->slots_by = SLOTS_BY_MASK;
    limit_slots(rank, card->quota.cpus, quota, SLOTS_BY_QUOTA);
    limit_slots(rank, card->job_cpus, job, SLOTS_BY_BATCH);
    limit_slots(rank, card->task_cpus, &(struct sharers){.count = 1}, SLOTS_BY_BATCH);
    if (!rank->slots)
        rank->slots = 1;
    if (!card->slots)
        return;
    rank->slots = card->slots;
    rank->slots_by = SLOTS_BY_SETTING;
}

/* The ranks of a machine are chained from the last to the first, so that nothing here looks at all pairs of
 * ranks of a large run. */
static void count_slots(struct topology *topology, unsigned last, const unsigned *before_on_machine)
{
    struct rank_info *ranks = topology->ranks;

    for (unsigned i = last; i != NO_RANK; i = before_on_machine[i]) {
        struct sharers mask = {0}, quota = {0}, job = {0};

        for (unsigned j = last; j != NO_RANK; j = before_on_machine[j]) {
            topology->comparisons++;
            count_sharer(&mask, CPU_EQUAL(&ranks[j].card.cpus, &ranks[i].card.cpus), j < i);
            count_sharer(&quota, ranks[j].card.quota.group == ranks[i].card.quota.group, j < i);
            count_sharer(&job, true, j < i);
        }
        choose_slots(&ranks[i], &mask, &quota, &job);
        topology->nodes[ranks[i].node].slots += ranks[i].slots;
    }
}

const char *topology_slots_by(enum slots_by slots_by)
{
    static const char *const words[] = {"affinity mask", "cgroup quota", "batch system", "MPMAP_SLOTS"};

    return words[slots_by];
}

/* Puts a rank into its machine's latest node, or into a new one if that is full. */
static void put_in_node(struct topology *topology, unsigned rank, unsigned before, unsigned ranks_per_node)
{
    struct rank_info *own = &topology->ranks[rank];

    if (before == NO_RANK || topology->nodes[topology->ranks[before].node].ranks == ranks_per_node) {
        own->node = topology->node_count++;
        topology->nodes[own->node].leader = rank;
    } else {
        own->node = topology->ranks[before].node;
    }
    own->rank_in_node = topology->nodes[own->node].ranks++;
}

/* Cuts the ranks of each machine, in order, into nodes of at most `ranks_per_node` (0: of all of them). */
static int cut_nodes(struct topology *topology, unsigned ranks_per_node)
{
    unsigned count = topology->rank_count, *last = malloc(2 * (size_t)count * sizeof *last),
             *before = last + count;

    if (!last)
        return error_set(MPM_ENOMEM, "no memory for a topology of %u ranks", count);
    for (unsigned i = 0; i < count; i++)
        last[i] = NO_RANK;
    for (unsigned i = 0; i < count; i++) {
        unsigned *last_here = &last[topology->ranks[i].machine];

        before[i] = *last_here;
        put_in_node(topology, i, before[i], ranks_per_node);
        *last_here = i;
    }
    for (unsigned i = 0; i < count; i++)
        count_slots(topology, last[i], before);
    free(last);
    return MPM_OK;
}

static unsigned machine_of_node(const struct topology *topology, unsigned node)
{
    return topology->ranks[topology->nodes[node].leader].machine;
}

static int name_nodes(struct topology *topology)
{
    unsigned *nodes = calloc(2 * (size_t)topology->rank_count, sizeof *nodes),
             *named = nodes + topology->rank_count;

    if (!nodes)
        return error_set(MPM_ENOMEM, "no memory for a topology of %u ranks", topology->rank_count);
    for (unsigned i = 0; i < topology->node_count; i++)
        nodes[machine_of_node(topology, i)]++;
    for (unsigned i = 0; i < topology->node_count; i++) {
        struct node *node = &topology->nodes[i];
        const char *host = topology->ranks[node->leader].card.machine;
        unsigned machine = machine_of_node(topology, i);

        if (nodes[machine] > 1)
            snprintf(node->name, sizeof node->name, "%.48s/%u", host, named[machine]++);
        else
            snprintf(node->name, sizeof node->name, "%s", host);
    }
    free(nodes);
    return MPM_OK;
}

int topology_make(const struct rank_card *cards, const unsigned *machine_of, unsigned rank_count,
                  unsigned rank, struct topology *topology)
{
    struct topology made = {.rank = rank, .rank_count = rank_count};
    int status;

    made.ranks = calloc(rank_count, sizeof *made.ranks);
    made.nodes = calloc(rank_count, sizeof *made.nodes);
    if (!made.ranks || !made.nodes) {
        topology_free(&made);
        return error_set(MPM_ENOMEM, "no memory for a topology of %u ranks", rank_count);
    }
    for (unsigned i = 0; i < rank_count; i++) {
        made.ranks[i].card = cards[i];
        made.ranks[i].machine = machine_of[i];
    }
    if ((status = cut_nodes(&made, cards[0].ranks_per_node)) || (status = name_nodes(&made))) {
        topology_free(&made);
        return status;
    }
    made.node = made.ranks[rank].node;
    *topology = made;
    return MPM_OK;
}

void topology_free(struct topology *topology)
{
    free(topology->ranks);
    free(topology->nodes);
    memset(topology, 0, sizeof *topology);
}

int topology_check_build(const struct topology *topology)
{
    const struct rank_card *first = &topology->ranks[0].card;

    for (unsigned i = 1; i < topology->rank_count; i++) {
        const struct rank_card *other = &topology->ranks[i].card;

        if (other->build == first->build && other->version == first->version)
            continue;
        return error_set(
            MPM_EBUILD,
            "the ranks do not run the same program: rank 0 on %s runs %s (build %016llx, messages %llu), "
            "rank %u on %s runs %s (build %016llx, messages %llu)",
            first->machine, first->program, (unsigned long long)first->build,
            (unsigned long long)first->version, i, other->machine, other->program,
            (unsigned long long)other->build, (unsigned long long)other->version);
    }
    return MPM_OK;
}

unsigned topology_rank_of(const struct topology *topology, unsigned node, unsigned rank_in_node)
{
    unsigned rank = topology->nodes[node].leader;

    while (topology->ranks[rank].node != node || topology->ranks[rank].rank_in_node != rank_in_node)
        rank++;
    return rank;
}
