/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of how runs begin and end: what a process has, and a map to see that a run is right. For tests/ only. */
#ifndef SUPPORT_WHOLE_RUN_H
#define SUPPORT_WHOLE_RUN_H

#include <stdbool.h>

/* What a run may leave in a process. */
struct belongings {
    unsigned descriptors, threads;
    unsigned mappings; /* that are shared: an arena is one, heaps are none */
    bool has_children, is_subreaper;
};
struct belongings own_belongings(void);

/* Asserts that it has as many threads, descriptors and children as then, and is no subreaper. */
void assert_the_same_as(const struct belongings *before);

/* Asserts that a map over all workers of the run is right. In main. */
void assert_that_a_map_is_right(void);

#endif
