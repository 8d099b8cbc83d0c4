/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of tests that processes on all nodes run, and main as well. For tests/ only.
 *
 * A body says by EXPECT what must be so; what is not is printed, and makes its process end with 1. */
#ifndef SUPPORT_EVERYWHERE_H
#define SUPPORT_EVERYWHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpmap.h>

#define EXPECT(condition) everywhere_expect(condition, #condition, __FILE__, __LINE__)

void everywhere_expect(bool is_so, const char *condition, const char *file, int line);
/* What a body returns: 1 if something was not as expected in this process, else 0. Forgets it. */
int everywhere_end(void);
/* The same in main, where it is an assertion. */
void everywhere_assert(void);

/* Starts a body on a node. */
mpm_process start_on(unsigned node, mpm_target *body, const void *args, size_t size);
/* Waits until it has ended, with this exit code, and closes it. */
void expect_end(mpm_process process, int exitcode);
/* Runs a body on each node, one after the other, each of which must return 0. */
void run_on_each_node(mpm_target *body, const void *args, size_t size);

/* In a process of the object's node: how many wait for a lock, semaphore, condition or barrier. */
uint64_t count_waiters(const mpm_handle *handle);
/* In a process of the object's node: how many sleep for it, here or elsewhere. */
uint64_t count_sleepers(const mpm_handle *handle);
/* In a process of the object's node: returns when somebody sleeps for it, here or elsewhere. */
void await_sleepers(const mpm_handle *handle);
/* Whether that many seconds have passed since then, and not five more. */
bool took(uint64_t start_ns, double least_s);

#endif
