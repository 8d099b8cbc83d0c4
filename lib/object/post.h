/* SPDX-License-Identifier: BSD-3-Clause */
/* Posted operations: what a process asks of an object of another node without waiting for a reply, because
 * its node holds a *delegation* for the object: the home's word that it will carry out whatever comes by it. Each
 * node has a send buffer (shm/send_buffer.h) for every other one; its courier carries what gathers there to the home,
 * many operations in a message, and the home's courier carries them out in order. What is under way is bounded by
 * the send buffer. See post.c for the order of things, and for who writes what. For object/ and the layers above it.
 */
#ifndef OBJECT_POST_H
#define OBJECT_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "object/object.h"
#include "shm/arena.h"

#define POST_LIMIT ((size_t)1 << 13) /* bytes of one operation at most */

/* Asks for `count` things of `size` bytes each that stand one behind the other, at `index` of the object.
 * true if it is accepted: it will be done, whatever happens to the caller. false if it is to be done by a
 * call: this node has no delegation for it, it is of another kind, it is too large, or the home is far behind. Waits
 * for room in the send buffer for a moment. Any process but couriers. */
bool post_operation(const mpm_handle *handle, enum object_kind kind, uint64_t index, const void *bytes,
                    size_t size, size_t count);

/* The home. All of it in the courier, but for post_is_delegated(). */

/* Gives a delegation for indices below `limit` to the node whose call is being tried; `handle` as the caller has
 * it. Under the lock by which the object's end looks at post_is_delegated(). */
void post_grant(struct object *object, const mpm_handle *handle, uint64_t limit);

/* Whether a node may have a delegation. The object must not be closed or destroyed then: that is to be done by a
 * call to the home itself, in whose try post_recall() comes first. */
static inline bool post_is_delegated(const struct object *object)
{
    return atomic_load(&object->delegated) & ~OBJECT_NOT_DELEGATED_AGAIN;
}

/* Has all nodes give their delegations back, once; they come back behind all that was posted by them, and the
 * object is delegated to nobody any more. CALL_MUST_WAIT. */
int post_recall(struct object *object, const mpm_handle *handle);

/* Whether something that was posted waits for memory. */
bool post_is_behind(const mpm_handle *handle);
/* The object is to be destroyed: if all delegations are back, but for what waits, forgets that. */
void post_forget(const mpm_handle *handle);

/* Between post.c and post_home.c. */
void post_announce_home(void);
void post_lose_node_home(unsigned node);
bool post_try_waiting(void);

/* The run. */

/* Makes what a node needs for this, in a new arena. By the leader, once. MPM_ENOMEM. */
int post_table_create(struct arena *arena);
/* Has the courier do its part. Before it starts. */
void post_announce(void);
/* In the courier: a node is lost, and what was posted to its objects with it. Objects of this node get back what they
 * have delegated to it. */
void post_lose_node(unsigned node);
/* A process has died: the courier is to look at what it may have left. In the fork server. */
void post_owner_died(struct arena *arena);

#endif
