/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes that were lost, where the run goes on without them. Main alone decides who is, in its courier, and tells the
 * other nodes, one loss after the other; each node takes it in once, in its courier. A node that was lost stays so,
 * even if it was only stopped: nothing that it says is heard any more, and it is told to end.
 *
 * In each arena there is a table. The leader's courier writes a node's sentence, then `is_lost` (release), and has each
 * layer do what follows (run/layers.c): so whoever finds `is_lost` can read the sentence, and whoever has not found it
 * before it waits for that node is woken by its layer. Couriers do not die alone.
 *
 * For node/ and the layers above it. */
#ifndef NODE_LOST_NODE_H
#define NODE_LOST_NODE_H

#include <stdbool.h>

#include "shm/arena.h"

/* Makes the table in a new arena. By the leader, once. MPM_ENOMEM. */
int lost_node_table_create(struct arena *arena);

/* In the courier: it is lost, and why. Once for each. */
void lost_node_note(unsigned node, const char *sentence);

/* Whether a node is lost, as far as the own one knows. Any process. */
bool lost_node_is(unsigned node);
/* How many are. */
unsigned lost_node_count(void);
/* Says that it is: MPM_ENODELOST. */
int lost_node_say(unsigned node);
/* The same of the first one, and how many more there are; MPM_OK if none is. */
int lost_node_check(void);

#endif
