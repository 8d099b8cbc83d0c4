/* SPDX-License-Identifier: BSD-3-Clause */
/* The search of kill points in a run: a process of the run sets up its own target, and runs an operation, in
 * which it dies at its first kill point; another one dies at its second, and so on until one gets through.
 * After each of them main looks whether all is right. For tests that are built with KILL_POINTS; each has
 * kill_operations, which is the same in all processes. */
#ifndef SUPPORT_KILL_RUN_H
#define SUPPORT_KILL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpmap.h>

/* What the process gets of main: main makes it anew for each process. */
struct kill_scene {
    mpm_handle handle[4];
    uint64_t number[4];
};

struct kill_operation {
    const char *name;
    void (*prepare)(struct kill_scene *scene);   /* in main */
    bool (*run)(const struct kill_scene *scene); /* in the process: false if it failed, which is wrong */
    bool (*is_right)(const struct kill_scene *scene, bool was_killed); /* in main; it ends the scene, too */
};

extern const struct kill_operation kill_operations[];

/* Blocks in use in the arena of main's node. */
size_t kill_blocks_in_use(void);
/* Whether there are no more now, when all that stands in cells of the dead was swept. */
bool kill_no_block_is_lost(size_t before);
/* Has the run make what it makes when it is first needed, and keeps: that is not to count as lost. */
bool kill_warm_up(void);

/* Searches all points of an operation by processes on a node; asserts what must be so. How many there are. */
unsigned long kill_search(size_t operation, unsigned node);
/* Searches so many operations, by processes on all nodes, and prints how many points there are. */
void kill_search_all(size_t operations);
/* The main() of a test that does just that, by the name of the suite. */
int kill_main(int argc, char **argv, const char *suite, size_t operations);

#endif
