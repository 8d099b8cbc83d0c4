/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rows of a map over a data set cost, as its user says it: main's side. For data/ only. */
#ifndef DATA_COSTS_H
#define DATA_COSTS_H

#include <stddef.h>

#include "data/input.h"
#include "mpmap/dataset.h"

/* Whether there is one cost a row, or no costs. MPM_EINVAL with both counts. */
int costs_check(const mpm_dataset_map *map, const struct input *input);
/* The costs by which rows are ordered if so many consecutive ones are to stay together: each has the cost of all of
 * them. Of the rows in `left` only, `count` of them, unless that is NULL. NULL if the map has no costs. `made` is what
 * the caller frees. MPM_ENOMEM. */
int costs_of_groups(const mpm_dataset_map *map, size_t group, const uint64_t *left, uint64_t count,
                    const double **costs, double **made);

#endif
