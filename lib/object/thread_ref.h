/* SPDX-License-Identifier: BSD-3-Clause */
/* Thread references: which process, and which thread of it, has something of an object: holds a lock, waits for a
 * condition, is at a barrier, has the end of a pipe. A thread reference is a plain value that stands in the object, and
 * tells at any later time whether its process is still there.
 *
 * A process of the object's node is dead when its record says that it has ended or is another generation. Of
 * one of another node the home learns by a message that its courier sends, behind everything that the dead
 * one had asked for: thread_ref_mark_dead() is called for it, and every object that names the thread reference is to be
 * marked. thread_ref_own() raises a flag in the record of the calling process before the thread reference is anywhere,
 * so that its reaper knows that it has to tell. Of a node that is lost, and without which the run goes on, the home's
 * courier marks all processes. Of ranks main alone uses objects, and its death ends the run: ranks never die here.
 *
 * For object/ and the layers above it. */
#ifndef OBJECT_THREAD_REF_H
#define OBJECT_THREAD_REF_H

#include <stdbool.h>
#include <stdint.h>

#include "object/object.h"

struct thread_ref {
    uint16_t node;
    uint16_t is_dead;    /* it is known to be; only of other nodes' */
    uint32_t number;     /* of the process on its node; 0: nobody */
    uint32_t generation; /* of its record; 0 for a rank */
    uint32_t thread;     /* in its process, from 1 */
};

/* The calling thread. */
struct thread_ref thread_ref_own(void);

/* What the calling process and thread have learned of themselves: generation << 32 and number of the process, which is
 * another one's if it was forked since; and the thread's number, or 0. */
extern _Atomic uint64_t thread_ref_process;
extern __attribute__((tls_model("initial-exec"))) _Thread_local uint32_t thread_ref_thread;

/* The same process (and thread)? */
bool thread_ref_is_same_process(const struct thread_ref *one, const struct thread_ref *other);
bool thread_ref_is_same_thread(const struct thread_ref *one, const struct thread_ref *other);

/* Whether the process of a thread reference in an object of this node has died. */
bool thread_ref_is_dead(const struct thread_ref *thread_ref);

/* Processes of another node that have died: those of this record number, up to a generation, or, with 0, all of a
 * node. */
struct thread_ref_death {
    uint16_t node;
    uint32_t number;
    uint32_t generation;
};

/* Marks a thread reference if it is meant; true if it was, and was not marked yet. */
bool thread_ref_mark_dead(struct thread_ref *thread_ref, const struct thread_ref_death *death);

/* Of a kind (method.h): called for every object of it when a process of another node has died. Marks the
 * object's thread references, under its lock, and wakes who waits. In the courier. */
typedef void thread_ref_mark(struct object *object, const struct thread_ref_death *death);

/* Of a kind: called for every handle of it that stands in the args of a process that is started, at a
 * distance of a multiple of 8 bytes: with the process, by itself before its target begins, and by its starter
 * once it was forked, so that one that dies before is taken, too (twice then: is_dead, if it had died). What
 * looks like a handle may be none. */
typedef void thread_ref_take(const mpm_handle *handle, const struct thread_ref *process);

#endif
