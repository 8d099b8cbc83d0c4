/* SPDX-License-Identifier: BSD-3-Clause */
/* The arithmetic of topologies: nodes, names and slots from the cards of ranks that are made up here. */
#include <CUnit/CUnit.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "child.h"
#include "net/topology.h"
#include "suite.h"

/* A run that is made up: cards and machines by rank. */
struct cluster {
    struct rank_card *cards;
    unsigned *machine_of;
    unsigned count;
};

static void set_cpus(struct rank_card *card, unsigned first, unsigned count)
{
    CPU_ZERO(&card->cpus);
    for (unsigned i = 0; i < count; i++)
        CPU_SET(first + i, &card->cpus);
}

/* `count` ranks of one CPU each; rank i is on machine i % machines ("m0", "m1" …). */
static struct cluster cluster_of(unsigned count, unsigned machines)
{
    struct cluster cluster = {calloc(count, sizeof *cluster.cards), calloc(count, sizeof *cluster.machine_of),
                              count};

    CU_ASSERT_FATAL(cluster.cards && cluster.machine_of);
    for (unsigned i = 0; i < count; i++) {
        struct rank_card *card = &cluster.cards[i];

        snprintf(card->machine, sizeof card->machine, "m%u", i % machines);
        snprintf(card->program, sizeof card->program, "/opt/program");
        set_cpus(card, i / machines % CPU_SETSIZE, 1);
        card->build = 0xb111d;
        card->version = 1;
        cluster.machine_of[i] = i % machines;
    }
    return cluster;
}

static void share_cpus(struct cluster *cluster, unsigned cpus)
{
    for (unsigned i = 0; i < cluster->count; i++)
        set_cpus(&cluster->cards[i], 0, cpus);
}

/* Makes the topology as `rank` sees it, and forgets the cluster. */
static struct topology topology_of(struct cluster *cluster, unsigned rank)
{
    struct topology topology;

    CU_ASSERT_EQUAL_FATAL(topology_make(cluster->cards, cluster->machine_of, cluster->count, rank, &topology),
                          MPM_OK);
    free(cluster->cards);
    free(cluster->machine_of);
    return topology;
}

/* What must hold in any topology. */
static void check_sound(const struct topology *topology)
{
    unsigned ranks = 0, slots = 0, wrong = 0;

    for (unsigned i = 0; i < topology->node_count; i++) {
        const struct node *node = &topology->nodes[i];

        ranks += node->ranks;
        slots += node->slots;
        wrong += topology->ranks[node->leader].node != i || topology->ranks[node->leader].rank_in_node != 0;
        wrong += i > 0 && node->leader <= topology->nodes[i - 1].leader;
    }
    for (unsigned i = 0; i < topology->rank_count; i++) {
        const struct rank_info *rank = &topology->ranks[i];

        slots -= rank->slots;
        wrong += rank->slots < 1 || rank->node >= topology->node_count;
        wrong += rank->machine != topology->ranks[topology->nodes[rank->node].leader].machine;
        wrong += topology_rank_of(topology, rank->node, rank->rank_in_node) != i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(ranks, topology->rank_count);
    CU_ASSERT_EQUAL(slots, 0);
    CU_ASSERT_EQUAL(topology->node, topology->ranks[topology->rank].node);
}

/* Makes it, and checks each rank's slots. */
static void expect_slots(struct cluster cluster, const unsigned *slots)
{
    struct topology topology = topology_of(&cluster, 0);

    check_sound(&topology);
    for (unsigned i = 0; i < topology.rank_count; i++)
        CU_ASSERT_EQUAL(topology.ranks[i].slots, slots[i]);
    topology_free(&topology);
}

static void bound_ranks_have_a_slot_each(void)
{
    struct cluster cluster = cluster_of(64, 1);
    struct topology topology = topology_of(&cluster, 63);

    check_sound(&topology);
    CU_ASSERT_EQUAL(topology.node_count, 1);
    CU_ASSERT_EQUAL(topology.nodes[0].ranks, 64);
    CU_ASSERT_EQUAL(topology.nodes[0].slots, 64);
    CU_ASSERT_EQUAL(topology.rank, 63);
    topology_free(&topology);
}

static void one_rank_has_all_cpus_of_its_mask(void)
{
    struct cluster cluster = cluster_of(1, 1);

    share_cpus(&cluster, 64);
    expect_slots(cluster, (unsigned[]){64});
}

static void ranks_with_one_mask_share_its_cpus(void)
{
    struct cluster three = cluster_of(3, 1), four = cluster_of(4, 1), many = cluster_of(5, 1);

    share_cpus(&three, 8);
    expect_slots(three, (unsigned[]){3, 3, 2});
    share_cpus(&four, 8);
    expect_slots(four, (unsigned[]){2, 2, 2, 2});
    share_cpus(&many, 2);
    expect_slots(many, (unsigned[]){1, 1, 1, 1, 1});
}

static void only_the_very_same_masks_are_shared(void)
{
    struct cluster cluster = cluster_of(6, 1);

    for (unsigned i = 0; i < 3; i++)
        set_cpus(&cluster.cards[i], 0, 7);
    set_cpus(&cluster.cards[3], 8, 5);
    set_cpus(&cluster.cards[4], CPU_SETSIZE - 5, 5);
    set_cpus(&cluster.cards[5], 8, 5);
    expect_slots(cluster, (unsigned[]){3, 2, 2, 3, 5, 2});
}

static void masks_of_different_machines_are_not_shared(void)
{
    struct cluster cluster = cluster_of(5, 2);

    share_cpus(&cluster, 4);
    expect_slots(cluster, (unsigned[]){2, 2, 1, 2, 1});
}

static void an_empty_mask_is_one_slot(void)
{
    struct cluster cluster = cluster_of(2, 1);

    share_cpus(&cluster, 0);
    expect_slots(cluster, (unsigned[]){1, 1});
}

/* Two groups of three ranks; the one with the quota is narrower than the mask. */
static void a_quota_is_shared_by_the_ranks_of_its_group(void)
{
    struct cluster cluster = cluster_of(6, 1);

    share_cpus(&cluster, 64);
    for (unsigned i = 0; i < 3; i++)
        cluster.cards[i].quota = (struct cpu_quota){.group = 7, .cpus = 8};
    for (unsigned i = 3; i < 6; i++)
        cluster.cards[i].quota = (struct cpu_quota){.group = 8, .cpus = 600};
    expect_slots(cluster, (unsigned[]){3, 3, 2, 11, 10, 10});
}

static void what_the_batch_system_gave_bounds_a_job_and_a_task(void)
{
    struct cluster cluster = cluster_of(4, 2);

    share_cpus(&cluster, 64);
    cluster.cards[0].job_cpus = cluster.cards[2].job_cpus = 3;
    cluster.cards[1].task_cpus = 5;
    cluster.cards[3].job_cpus = 1; /* of two ranks: each has one all the same */
    expect_slots(cluster, (unsigned[]){2, 5, 1, 1});
}

static void a_setting_comes_before_all_and_the_topology_says_what_it_was(void)
{
    struct cluster cluster = cluster_of(4, 4);
    struct topology topology;

    share_cpus(&cluster, 64);
    cluster.cards[1].quota = (struct cpu_quota){.group = 1, .cpus = 2};
    cluster.cards[2].job_cpus = 2;
    cluster.cards[3].job_cpus = 2;
    cluster.cards[3].slots = 100;
    topology = topology_of(&cluster, 0);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(topology.ranks[i].slots_by, i);
    CU_ASSERT_EQUAL(topology.ranks[3].slots, 100);
    CU_ASSERT_STRING_EQUAL(topology_slots_by(topology.ranks[1].slots_by), "cgroup quota");
    topology_free(&topology);
}

/* Groups that are made up in a folder. */

static char folder[] = "/tmp/mpmap_topology.XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(file = fopen(path, "w"));
    fputs(text, file);
    fclose(file);
}

static struct cpu_quota quota_of(const char *own_groups)
{
    char own[256], groups[256];

    write_file("own", own_groups);
    snprintf(own, sizeof own, "%s/own", folder);
    snprintf(groups, sizeof groups, "%s/groups", folder);
    return cpu_quota_of(own, groups);
}

static int forget_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void the_least_quota_of_a_group_and_of_those_above_it_counts(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    write_file("groups/job/cpu.max", "350000 100000\n");
    write_file("groups/job/step/cpu.max", "max 100000\n");
    write_file("groups/job/step/task/cpu.max", "50000 100000\n");
    CU_ASSERT_EQUAL(quota_of("0::/job\n").cpus, 4);
    CU_ASSERT_EQUAL(quota_of("0::/job/step\n").cpus, 4);
    CU_ASSERT_EQUAL(quota_of("0::/job/step/task\n").cpus, 1);
    CU_ASSERT_EQUAL(quota_of("0::/job/step\n").group, quota_of("0::/job\n").group);
    CU_ASSERT_NOT_EQUAL(quota_of("0::/job/step/task\n").group, quota_of("0::/job\n").group);
    CU_ASSERT_EQUAL(quota_of("0::/\n").cpus, 0);
    write_file("groups/cpu/cpu.cfs_quota_us", "-1\n");
    write_file("groups/cpu/cpu.cfs_period_us", "100000\n");
    write_file("groups/cpu/uid/job/cpu.cfs_quota_us", "200000\n");
    write_file("groups/cpu/uid/job/cpu.cfs_period_us", "100000\n");
    CU_ASSERT_EQUAL(quota_of("4:memory:/x\n3:cpu,cpuacct:/uid/job/step\n2:cpuset:/\n").cpus, 2);
    CU_ASSERT_EQUAL(quota_of("3:cpuset,cpuacct:/uid/job\n").cpus, 0);
    CU_ASSERT_EQUAL(quota_of("1:cpu:/elsewhere\n").cpus, 0);
    write_file("groups/cpu/cpu.cfs_quota_us", "600000\n"); /* a container sees its own at the root */
    CU_ASSERT_EQUAL(quota_of("1:cpu:/docker/0815\n").cpus, 6);
    CU_ASSERT_EQUAL(quota_of("nonsense\n:\n").cpus, 0);
    nftw(folder, forget_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void slurm_says_what_it_gave(void)
{
    setenv("SLURM_CPUS_ON_NODE", "6", 1);
    setenv("SLURM_CPUS_PER_TASK", "3", 1);
    setenv("SLURM_STEP_ID", "0", 1);
    setenv("SLURM_PROCID", "1", 1);
    unsetenv("SLURM_JOB_ID");
    unsetenv("OMPI_COMM_WORLD_SIZE");
    CU_ASSERT_EQUAL(cpu_limit_of_job(), 0);
    setenv("SLURM_JOB_ID", "5", 1);
    CU_ASSERT_EQUAL(cpu_limit_of_job(), 6);
    CU_ASSERT_EQUAL(cpu_limit_of_task(), 3);
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1); /* mpirun's daemon is that task, not its ranks */
    CU_ASSERT_EQUAL(cpu_limit_of_task(), 0);
    setenv("SLURM_CPUS_ON_NODE", "6(x2)", 1);
    CU_ASSERT_EQUAL(cpu_limit_of_job(), 0);
}

/* Five ranks on machine "m0", cut into nodes of `ranks_per_node`: how many nodes, and the ranks of each. */
static void expect_cut(unsigned ranks_per_node, unsigned node_count, const unsigned *ranks,
                       const char *const *names)
{
    struct cluster cluster = cluster_of(5, 1);
    struct topology topology;

    share_cpus(&cluster, 12);
    cluster.cards[0].ranks_per_node = ranks_per_node;
    cluster.cards[1].ranks_per_node = 4; /* nobody asks rank 1 */
    topology = topology_of(&cluster, 4);
    check_sound(&topology);
    CU_ASSERT_EQUAL_FATAL(topology.node_count, node_count);
    for (unsigned i = 0; i < node_count; i++) {
        CU_ASSERT_EQUAL(topology.nodes[i].ranks, ranks[i]);
        CU_ASSERT_STRING_EQUAL(topology.nodes[i].name, names[i]);
    }
    /* Virtual nodes of a machine share its CPUs as its ranks do. */
    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(topology.ranks[i].slots, i < 2 ? 3 : 2);
    CU_ASSERT_EQUAL(topology.node, node_count - 1);
    topology_free(&topology);
}

static void a_machine_is_cut_into_virtual_nodes(void)
{
    expect_cut(0, 1, (unsigned[]){5}, (const char *[]){"m0"});
    expect_cut(1, 5, (unsigned[]){1, 1, 1, 1, 1}, (const char *[]){"m0/0", "m0/1", "m0/2", "m0/3", "m0/4"});
    expect_cut(2, 3, (unsigned[]){2, 2, 1}, (const char *[]){"m0/0", "m0/1", "m0/2"});
    expect_cut(3, 2, (unsigned[]){3, 2}, (const char *[]){"m0/0", "m0/1"});
    expect_cut(5, 1, (unsigned[]){5}, (const char *[]){"m0"});
    expect_cut(7, 1, (unsigned[]){5}, (const char *[]){"m0"});
}

/* Ranks 0 to 6 on m0, m1, m0, m1 …, in nodes of two. */
static void interleaved_ranks_stay_on_their_machines(void)
{
    static const unsigned nodes[] = {0, 1, 0, 1, 2, 3, 2}, in_node[] = {0, 0, 1, 1, 0, 0, 1};
    static const char *const names[] = {"m0/0", "m1/0", "m0/1", "m1/1"};
    struct cluster cluster = cluster_of(7, 2);
    struct topology topology;

    cluster.cards[0].ranks_per_node = 2;
    topology = topology_of(&cluster, 0);
    check_sound(&topology);
    CU_ASSERT_EQUAL_FATAL(topology.node_count, 4);
    for (unsigned i = 0; i < 7; i++) {
        CU_ASSERT_EQUAL(topology.ranks[i].machine, i % 2);
        CU_ASSERT_EQUAL(topology.ranks[i].node, nodes[i]);
        CU_ASSERT_EQUAL(topology.ranks[i].rank_in_node, in_node[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_STRING_EQUAL(topology.nodes[i].name, names[i]);
    topology_free(&topology);
}

/* Two containers of one name, say: only what shares memory is one machine. */
static void machines_of_one_name_are_two_nodes(void)
{
    struct cluster cluster = cluster_of(4, 2);
    struct topology topology;

    for (unsigned i = 0; i < 4; i++)
        strcpy(cluster.cards[i].machine, "same");
    topology = topology_of(&cluster, 0);
    check_sound(&topology);
    CU_ASSERT_EQUAL(topology.node_count, 2);
    CU_ASSERT_STRING_EQUAL(topology.nodes[0].name, "same");
    CU_ASSERT_STRING_EQUAL(topology.nodes[1].name, "same");
    topology_free(&topology);
}

static void a_long_machine_name_keeps_its_number(void)
{
    struct cluster cluster = cluster_of(2, 1);
    struct topology topology;

    for (unsigned i = 0; i < 2; i++)
        memset(cluster.cards[i].machine, 'x', sizeof cluster.cards[i].machine - 1);
    cluster.cards[0].ranks_per_node = 1;
    topology = topology_of(&cluster, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(topology.nodes[1].name, "xxx/1"));
    topology_free(&topology);
}

/* Makes four ranks on two machines, of which rank 2 on m0 is different by `change`. */
static int check_build_with(void (*change)(struct rank_card *card))
{
    struct cluster cluster = cluster_of(4, 2);
    struct topology topology;
    int status;

    if (change)
        change(&cluster.cards[3]);
    topology = topology_of(&cluster, 0);
    status = topology_check_build(&topology);
    topology_free(&topology);
    return status;
}

static void change_build(struct rank_card *card)
{
    card->build = 0xbadb111d;
    strcpy(card->program, "/opt/other");
}

static void change_version(struct rank_card *card)
{
    card->version = 2;
}

static void another_build_is_an_error_that_names_both(void)
{
    CU_ASSERT_EQUAL(check_build_with(NULL), MPM_OK);
    CU_ASSERT_EQUAL(check_build_with(change_build), MPM_EBUILD);
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "rank 0 on m0 runs /opt/program (build 00000000000b111d"));
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "rank 3 on m1 runs /opt/other (build 00000000badb111d"));
    CU_ASSERT_EQUAL(check_build_with(change_version), MPM_EBUILD);
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "messages 2"));
}

/* The comparisons that a cluster of so many ranks on so many machines costs. */
static uint64_t comparisons_of(unsigned ranks, unsigned machines, unsigned ranks_per_node)
{
    struct cluster cluster = cluster_of(ranks, machines);
    struct topology topology;
    uint64_t comparisons;

    cluster.cards[0].ranks_per_node = ranks_per_node;
    topology = topology_of(&cluster, 0);
    check_sound(&topology);
    comparisons = topology.comparisons;
    topology_free(&topology);
    return comparisons;
}

/* Pairs of ranks are looked at within a machine only: a large run of small machines costs no more a rank than a
 * small one. */
static void large_runs_cost_no_more_a_rank(void)
{
    CU_ASSERT_EQUAL(comparisons_of(20000, 20000, 0), 20000);
    CU_ASSERT_EQUAL(comparisons_of(1250, 20, 1) * 16, comparisons_of(20000, 320, 1));
    CU_ASSERT(comparisons_of(20000, 320, 1) <= 20000 * 63);
}

static void the_own_card_tells_the_truth(void)
{
    struct rank_card card;
    char name[256], path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    cpu_set_t cpus;

    CU_ASSERT_FATAL(length > 0 && !gethostname(name, sizeof name) &&
                    !sched_getaffinity(0, sizeof cpus, &cpus));
    path[length] = 0;
    CU_ASSERT_EQUAL_FATAL(rank_card_fill(&card), MPM_OK);
    CU_ASSERT_EQUAL(strncmp(card.machine, name, sizeof card.machine - 1), 0);
    CU_ASSERT(strlen(card.program) > 0 && strstr(path, card.program));
    CU_ASSERT(CPU_EQUAL(&card.cpus, &cpus));
    CU_ASSERT_EQUAL(card.pid, getpid());
    CU_ASSERT(card.version > 0);
}

static bool may_rename_forkserver(void *unused)
{
    (void)unused;
    return !unshare(CLONE_NEWUTS) && !sethostname("x", 1);
}

/* The longest name that Linux allows does not fit, and is cut. */
static bool long_forkserver_name_is_cut(void *unused)
{
    char name[64];
    struct rank_card card;

    (void)unused;
    memset(name, 'n', sizeof name);
    if (unshare(CLONE_NEWUTS) || sethostname(name, sizeof name) || rank_card_fill(&card))
        return false;
    return strlen(card.machine) == sizeof card.machine - 1 &&
           !strncmp(card.machine, name, sizeof card.machine - 1);
}

static void a_long_forkserver_name_is_cut(void)
{
    if (child_wait(child_start(may_rename_forkserver, NULL))) {
        puts("(no right to set a host name: not tried)");
        return;
    }
    CU_ASSERT(child_succeeds(long_forkserver_name_is_cut, NULL));
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"bound_ranks_have_a_slot_each", bound_ranks_have_a_slot_each},
        {"one_rank_has_all_cpus_of_its_mask", one_rank_has_all_cpus_of_its_mask},
        {"ranks_with_one_mask_share_its_cpus", ranks_with_one_mask_share_its_cpus},
        {"only_the_very_same_masks_are_shared", only_the_very_same_masks_are_shared},
        {"masks_of_different_machines_are_not_shared", masks_of_different_machines_are_not_shared},
        {"an_empty_mask_is_one_slot", an_empty_mask_is_one_slot},
        {"a_quota_is_shared_by_the_ranks_of_its_group", a_quota_is_shared_by_the_ranks_of_its_group},
        {"what_the_batch_system_gave_bounds_a_job_and_a_task",
         what_the_batch_system_gave_bounds_a_job_and_a_task},
        {"a_setting_comes_before_all_and_the_topology_says_what_it_was",
         a_setting_comes_before_all_and_the_topology_says_what_it_was},
        {"the_least_quota_of_a_group_and_of_those_above_it_counts",
         the_least_quota_of_a_group_and_of_those_above_it_counts},
        {"slurm_says_what_it_gave", slurm_says_what_it_gave},
        {"a_machine_is_cut_into_virtual_nodes", a_machine_is_cut_into_virtual_nodes},
        {"interleaved_ranks_stay_on_their_machines", interleaved_ranks_stay_on_their_machines},
        {"machines_of_one_name_are_two_nodes", machines_of_one_name_are_two_nodes},
        {"a_long_machine_name_keeps_its_number", a_long_machine_name_keeps_its_number},
        {"another_build_is_an_error_that_names_both", another_build_is_an_error_that_names_both},
        {"large_runs_cost_no_more_a_rank", large_runs_cost_no_more_a_rank},
        {"the_own_card_tells_the_truth", the_own_card_tells_the_truth},
        {"a_long_host_name_is_cut", a_long_forkserver_name_is_cut},
    };

    return suite_run("topology", tests, sizeof tests / sizeof *tests);
}
