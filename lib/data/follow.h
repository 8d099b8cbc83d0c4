/* SPDX-License-Identifier: BSD-3-Clause */
/* A map that goes on with rows that are added to its input. For data/ only. */
#ifndef DATA_FOLLOW_H
#define DATA_FOLLOW_H

#include "data/map_run.h"

/* Whether that can be done, and the options are numbers. MPM_EINVAL. */
int follow_check(const mpm_dataset_map *map);
/* Maps what is there, and what comes, into an output that is planned. The input is open, and is closed then. Statuses
 * as mpm_pool_map_dataset(). */
int follow_run(const struct map_run *run);

#endif
