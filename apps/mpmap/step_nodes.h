/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps over two nodes, each of which is a rank: as a map, and as bare MPI does them. For step_main.c. */
#ifndef MPMAP_STEP_NODES_H
#define MPMAP_STEP_NODES_H

/* In both ranks, before MPI is started; `round_s` as in step_rounds(). Main prints a line for each of
 * node_step_kinds: the seconds of a step, by NODE_STEP_WAYS. Returns the exit status. */
int step_nodes(int argc, char **argv, double seconds, double round_s);

#endif
