/* SPDX-License-Identifier: BSD-3-Clause */
/* Who answers. A pure state machine: times go in, and out comes whom to send a beat, and who has been silent for
 * too long. It has no clock and no transport, so tests drive it by simulated time. For net/courier.c.
 *
 * Nodes that watch each other are main and every other node, and any two that have ever sent each other anything. A
 * node that has said nothing to a peer for a fifth of the time limit sends it a beat; one from which nothing has come
 * for the whole limit is lost. Whatever comes counts, beats or not.
 *
 * Time is the observer's own, awake: it moves from look to look, by a tenth of the limit at most. Whoever was
 * stopped, swapped out or busy for long has not listened, and so does not blame others for it: what they have
 * sent meanwhile is received before time moves on by more than such a step. */
#ifndef NET_HEARTBEAT_H
#define NET_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

struct heartbeat_peer {
    uint64_t heard_ns, said_ns; /* last, in awake time */
    bool is_watched;
    bool has_left; /* for good: it says no more */
};

struct heartbeat {
    uint64_t limit_ns;  /* 0: nobody is watched, and no beats are sent */
    uint64_t awake_ns;  /* the observer's own time */
    uint64_t looked_ns; /* when it looked last, by the clock */
    uint64_t turn_ns;   /* awake time of the next round over all peers */
    unsigned own, count;
    struct heartbeat_peer *peers; /* by node */
};

/* What is to be done about a peer. */
enum heartbeat_order { HEARTBEAT_NOTHING, HEARTBEAT_BEAT, HEARTBEAT_LOST };

/* Of node `own` of so many. MPM_ENOMEM. */
int heartbeat_create(struct heartbeat *heartbeat, unsigned own, unsigned count, uint64_t limit_ns,
                     uint64_t now_ns);
void heartbeat_destroy(struct heartbeat *heartbeat);

/* From here on another node is watched. Again: no change. */
void heartbeat_meet(struct heartbeat *heartbeat, unsigned node);
/* Something came from a node, or was sent to it: both watch each other from here on. */
void heartbeat_heard(struct heartbeat *heartbeat, unsigned node);
void heartbeat_said(struct heartbeat *heartbeat, unsigned node);
/* A node says no more, and is not asked any more: it has said so, or is lost. */
void heartbeat_left(struct heartbeat *heartbeat, unsigned node);

/* Moves awake time on. true if it is time to go over all peers by heartbeat_order(). */
bool heartbeat_look(struct heartbeat *heartbeat, uint64_t now_ns);
/* What is to be done about a node now. It is said once that a node is lost. */
enum heartbeat_order heartbeat_order(struct heartbeat *heartbeat, unsigned node);

/* Whether a node is watched, whether it has left, and whether it is, or was, watched. */
bool heartbeat_watches(const struct heartbeat *heartbeat, unsigned node);
bool heartbeat_has_left(const struct heartbeat *heartbeat, unsigned node);
bool heartbeat_knows(const struct heartbeat *heartbeat, unsigned node);

#endif
