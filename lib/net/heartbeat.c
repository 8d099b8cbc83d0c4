/* SPDX-License-Identifier: BSD-3-Clause */
/* Heartbeats: see heartbeat.h. A peer that has left stays so. */
#include "net/heartbeat.h"

#include <stdlib.h>

#include "base/error.h"

#define BEATS_A_LIMIT 5u  /* so several must be lost before a node is */
#define STEPS_A_LIMIT 10u /* awake time moves by such a step at most, from look to look */
#define TURNS_A_LIMIT 20u /* how often all peers are gone over */

int heartbeat_create(struct heartbeat *heartbeat, unsigned own, unsigned count, uint64_t limit_ns,
                     uint64_t now_ns)
{
    *heartbeat = (struct heartbeat){.limit_ns = limit_ns, .looked_ns = now_ns, .own = own, .count = count};
    if (!(heartbeat->peers = calloc(count, sizeof *heartbeat->peers)))
        return error_set(MPM_ENOMEM, "no memory for the heartbeats of %u nodes", count);
    return MPM_OK;
}

void heartbeat_destroy(struct heartbeat *heartbeat)
{
    free(heartbeat->peers);
    heartbeat->peers = NULL;
}

void heartbeat_meet(struct heartbeat *heartbeat, unsigned node)
{
    struct heartbeat_peer *peer = &heartbeat->peers[node];

    if (!heartbeat->limit_ns || node == heartbeat->own || peer->is_watched || peer->has_left)
        return;
    *peer = (struct heartbeat_peer){
        .heard_ns = heartbeat->awake_ns, .said_ns = heartbeat->awake_ns, .is_watched = true};
}

void heartbeat_heard(struct heartbeat *heartbeat, unsigned node)
{
    heartbeat_meet(heartbeat, node);
    heartbeat->peers[node].heard_ns = heartbeat->awake_ns;
}

void heartbeat_said(struct heartbeat *heartbeat, unsigned node)
{
    heartbeat_meet(heartbeat, node);
    heartbeat->peers[node].said_ns = heartbeat->awake_ns;
}

void heartbeat_left(struct heartbeat *heartbeat, unsigned node)
{
    heartbeat->peers[node].is_watched = false;
    heartbeat->peers[node].has_left = true;
}

bool heartbeat_look(struct heartbeat *heartbeat, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - heartbeat->looked_ns, most_ns = heartbeat->limit_ns / STEPS_A_LIMIT;

    heartbeat->looked_ns = now_ns;
    heartbeat->awake_ns += passed_ns < most_ns ? passed_ns : most_ns;
    if (!heartbeat->limit_ns || heartbeat->awake_ns < heartbeat->turn_ns)
        return false;
    heartbeat->turn_ns = heartbeat->awake_ns + heartbeat->limit_ns / TURNS_A_LIMIT;
    return true;
}

enum heartbeat_order heartbeat_order(struct heartbeat *heartbeat, unsigned node)
{
    struct heartbeat_peer *peer = &heartbeat->peers[node];

    if (!peer->is_watched)
        return HEARTBEAT_NOTHING;
    if (heartbeat->awake_ns - peer->heard_ns >= heartbeat->limit_ns) {
        heartbeat_left(heartbeat, node);
        return HEARTBEAT_LOST;
    }
    if (heartbeat->awake_ns - peer->said_ns >= heartbeat->limit_ns / BEATS_A_LIMIT)
        return HEARTBEAT_BEAT;
    return HEARTBEAT_NOTHING;
}

bool heartbeat_watches(const struct heartbeat *heartbeat, unsigned node)
{
    return heartbeat->peers[node].is_watched;
}

bool heartbeat_has_left(const struct heartbeat *heartbeat, unsigned node)
{
    return heartbeat->peers[node].has_left;
}

bool heartbeat_knows(const struct heartbeat *heartbeat, unsigned node)
{
    return heartbeat->peers[node].is_watched || heartbeat->peers[node].has_left;
}
