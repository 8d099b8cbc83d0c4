/* SPDX-License-Identifier: BSD-3-Clause */
/* What ends a run before its time, and the messages that say so. For run/. */
#ifndef RUN_TROUBLE_H
#define RUN_TROUBLE_H

/* In every leader, before its courier starts. */
void trouble_announce(void);
/* Another rank of this node has died, and the run may go on without the node. In any thread of a rank, not its
 * courier's. */
void trouble_rank_died(unsigned rank);
/* How long a node may be silent: 0 is without end. */
double trouble_node_timeout_s(void);

#endif
