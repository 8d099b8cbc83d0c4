/* SPDX-License-Identifier: BSD-3-Clause */
/* The node agent: holds main's pools, jobs and leases on another node, in that leader's courier. For run/layers.c.
 */
#ifndef POOL_NODE_NODE_AGENT_H
#define POOL_NODE_NODE_AGENT_H

/* Has the courier bring main's orders here. Before the courier starts. */
void node_agent_announce(void);

#endif
