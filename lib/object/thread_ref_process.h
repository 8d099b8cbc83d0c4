/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes as thread references of objects: those that they get in their args, and those that are to know of their
 * death. For process/ only. */
#ifndef OBJECT_THREAD_REF_PROCESS_H
#define OBJECT_THREAD_REF_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "object/thread_ref.h"

/* Whether a handle of a kind that takes them (thread_ref_take) stands in the args. */
bool thread_ref_is_in_args(const void *args, size_t size);
/* Has all kinds take the process that is started with these. */
void thread_ref_take_args(const void *args, size_t size, const struct thread_ref *process);

/* In the fork server: a process of this node that had been a thread reference somewhere has died, and its record says
 * so: wakes whoever sleeps on an object, to look again. */
void thread_ref_died_local(void);
/* In the courier: marks it in all objects of this node. */
void thread_ref_died_remote(const struct thread_ref_death *death);

#endif
