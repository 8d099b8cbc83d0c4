/* SPDX-License-Identifier: BSD-3-Clause */
/* A map that any number of runs work on: the loop of one of them, from claim to claim, until one has finished the file.
 * For data/ only. */
#ifndef DATA_JOIN_H
#define DATA_JOIN_H

#include "data/output.h"
#include "mpmap/dataset.h"

struct join_map {
    const mpm_dataset_map *map;
    unsigned workers;
    /* Runs the rows in output->left. As pool_map_batches(). `left_s`: see mpm_drain_options.time_s. */
    int (*run)(void *argument, double left_s, void (*progress)(const mpm_progress *now, void *argument),
               void *progress_argument);
    void *argument;
};

/* Works on the output that join_output_begin() has opened, until it is finished by this run or another one. Closes it.
 * 0; MPM_ETASK if rows have failed, in whatever run; MPM_EDRAINED; MPM_EIO; what `run` returns. */
int join_run(struct output *output, const struct join_map *map);

#endif
