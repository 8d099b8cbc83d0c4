/* SPDX-License-Identifier: BSD-3-Clause */
/* The option --follow, and what goes with it. */
#ifndef MPMAP_FOLLOWING_H
#define MPMAP_FOLLOWING_H

#include <mpmap.h>

/* What the command line says. */
struct following_request {
    const char *follow; /* NULL: not given; "": without a value */
    const char *end;    /* --follow-end; or NULL */
    double poll_s, idle_s;
};

/* Reads them. 0, or the exit status after saying what is wrong. */
int following_choose(const struct following_request *request, mpm_follow_options *follow);
/* Where a map follows its input, it is looked for again and again, by input_try(), until there are such a file and data
 * set, which nobody else has open for writing. 0, or the exit status. */
int following_wait(const char *file, const mpm_dataset_map *input);

#endif
