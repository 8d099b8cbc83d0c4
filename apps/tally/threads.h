/* SPDX-License-Identifier: BSD-3-Clause */
/* Main's own CPUs, for what is cut into parts that have nothing to do with each other. */
#ifndef TALLY_THREADS_H
#define TALLY_THREADS_H

#include <stddef.h>

#define MOST_THREADS 8

/* How many threads work of so many bytes is worth: one a CPU where it is much. */
unsigned threads_worth(size_t bytes);

/* Calls a function for each of `count` arguments of `size` bytes, in threads as far as there are any, and returns when
 * all are done. At most MOST_THREADS. */
void threads_run(void *(*run)(void *), void *arguments, size_t size, unsigned count);

#endif
