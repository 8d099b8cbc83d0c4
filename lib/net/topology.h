/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is in the run, and where: ranks, the machines that they are on, the nodes that these are cut into,
 * and the slots that they have CPUs for. For net/ and the layers above it. */
#ifndef NET_TOPOLOGY_H
#define NET_TOPOLOGY_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/cpu_limit.h"

/* What every rank tells of itself at the start; plain bytes. */
struct rank_card {
    char machine[64];  /* host name */
    char program[256]; /* path of its executable, its end if it is longer */
    uint64_t build;    /* function_program_build() */
    uint64_t version;  /* of the library and its messages */
    cpu_set_t cpus;    /* affinity mask */
    int32_t pid;
    uint32_t ranks_per_node; /* as its options say: rank 0's counts */
    double node_timeout_s;   /* the same; MPM_FOREVER: no node is ever lost by its silence */
    struct cpu_quota quota;  /* of its control groups */
    uint32_t job_cpus;       /* what a batch job has on its machine; 0: not known, as is the next */
    uint32_t task_cpus;      /* what the batch system gave this rank alone */
    uint32_t slots;          /* MPMAP_SLOTS; 0: not set */
    uint32_t unused;
};

/* What has decided on the slots of a rank. */
enum slots_by { SLOTS_BY_MASK, SLOTS_BY_QUOTA, SLOTS_BY_BATCH, SLOTS_BY_SETTING };

struct rank_info {
    struct rank_card card;
    unsigned machine;      /* number of the machine, by first rank on it */
    unsigned node;         /* number of the node, by first rank in it */
    unsigned rank_in_node; /* 0 is the leader */
    unsigned slots;
    enum slots_by slots_by;
};

struct node {
    unsigned leader; /* rank */
    unsigned ranks;
    unsigned slots;
    char name[64]; /* machine, with "/K" behind it for the K-th virtual node of a machine that is cut */
};

struct topology {
    unsigned rank, rank_count; /* the calling process's */
    unsigned node, node_count;
    struct rank_info *ranks; /* by rank */
    struct node *nodes;      /* by number */
    uint64_t comparisons;    /* of the masks of two ranks: what it has cost to find the slots */
};

/* This process's own card but for the build. MPM_ESYSTEM. */
int rank_card_fill(struct rank_card *card);

/* Makes the topology from all cards, the same in every rank. `machine_of`: by rank, the first rank that
 * shares memory with it. `cards` may be freed afterwards. MPM_ENOMEM. */
int topology_make(const struct rank_card *cards, const unsigned *machine_of, unsigned rank_count,
                  unsigned rank, struct topology *topology);
void topology_free(struct topology *topology);

/* 0 if all ranks run one build and one version, else MPM_EBUILD with both and where they run. */
int topology_check_build(const struct topology *topology);

/* In words. */
const char *topology_slots_by(enum slots_by slots_by);

/* The rank that is `rank_in_node` on `node`. */
unsigned topology_rank_of(const struct topology *topology, unsigned node, unsigned rank_in_node);

#endif
