/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has joined a map, read by somebody who has no part in it. For data/ only. */
#ifndef DATA_JOIN_RUNS_H
#define DATA_JOIN_RUNS_H

#include <stddef.h>

#include "mpmap/dataset.h"

/* Lists the runs whose files are in a folder of claims: none if there is no such folder. MPM_EIO, MPM_ENOMEM. */
int join_runs_read(const char *claims, mpm_map_run **runs, size_t *count);

#endif
