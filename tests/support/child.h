/* SPDX-License-Identifier: BSD-3-Clause */
/* Forked children of a test, and memory that they share with it. For tests/ only.
 *
 * An assertion of CUnit in a child is lost with it: what a child finds, it says by its exit status. */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a child runs; true is exit status 0, false is 1. */
typedef bool child_body(void *argument);

/* Memory that later children share, zeroed. Never NULL: without memory the test program ends. */
void *child_memory(size_t size);
void child_memory_free(void *memory, size_t size);

/* Forks a child. It dies with the test program. Never fails: without it the test program ends. */
pid_t child_start(child_body *body, void *argument);
/* Waits until it has ended. Its status as waitpid tells it. */
int child_wait(pid_t child);
/* Kills it by SIGKILL, and waits for it. */
void child_kill(pid_t child);

/* Both: true if the body said true. A child that a signal killed, or that says false, is told of on stderr.
 */
bool child_succeeds(child_body *body, void *argument);
/* Whether a status of waitpid is death by SIGKILL. */
bool child_was_killed(int wait_status);

/* Waits until `*word` is at least `least`, or 30 s have passed: false then. */
bool child_reached(const _Atomic unsigned *word, unsigned least);

#endif
