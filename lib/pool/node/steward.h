/* SPDX-License-Identifier: BSD-3-Clause */
/* The steward: holds main's pools, jobs and leases on another node, in that leader's courier. For run/layers.c.
 */
#ifndef POOL_NODE_STEWARD_H
#define POOL_NODE_STEWARD_H

/* Has the courier bring main's orders here. Before the courier starts. */
void steward_announce(void);

#endif
