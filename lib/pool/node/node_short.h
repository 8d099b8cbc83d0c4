/* SPDX-License-Identifier: BSD-3-Clause */
/* Short maps: all of one is a single lease on this node, in memory that the next one uses again. For pool/. */
#ifndef POOL_NODE_NODE_SHORT_H
#define POOL_NODE_NODE_SHORT_H

#include "pool/node/node_pool.h"

/* Whether a map of so many items is best done here, where nothing else is under way, with so many workers elsewhere:
 * see short_plan.h. */
bool node_short_stays(struct node_pool *node_pool, uint64_t task_id, uint64_t count, uint32_t elsewhere);
/* What a map took that was done by workers of several nodes. */
void node_short_learn(struct node_pool *node_pool, uint64_t task_id, uint64_t count, uint64_t work_ns);
/* As node_job_open(); `spec` is without its task, which is put there if need be. Its lease is published and looked at
 * by these calls. */
int node_short_open(struct node_pool *node_pool, struct job_spec *spec, const struct function *task,
                    const void *context, struct node_job **job);
/* Publishes all items, in the same statuses as node_lease_publish(), and looks on for a while if that is worth it. From
 * then on the doorbell rings when there may be more to say. */
int node_short_publish(struct node_job *job, uint64_t count, const void *items, uint64_t size,
                       struct node_lease **lease);
/* As node_lease_look(). */
enum lease_look node_short_look(struct node_lease *lease);
/* Until when its driver may sleep: who has not come to it by then is woken by the next look. */
uint64_t node_short_look_again_ns(struct node_lease *lease);
/* Gives back what nobody has claimed: how many items it keeps. */
uint64_t node_short_cut(struct node_lease *lease);
/* Ends the job, whose lease is done. */
void node_short_end(struct node_job *job);

#endif
