/* SPDX-License-Identifier: BSD-3-Clause */
/* What links to the driver's own node and to others share. For pool/driver/. */
#ifndef POOL_DRIVER_NODE_LINK_INSIDE_H
#define POOL_DRIVER_NODE_LINK_INSIDE_H

#include "pool/driver/node_link.h"

extern const struct link_calls link_local_calls, link_remote_calls;

/* Counts what it takes to bring items to a node, without those that are used where they are. */
void node_link_count_sent(const struct node_link *link, uint64_t first, uint64_t count, bool are_in_place);

#endif
