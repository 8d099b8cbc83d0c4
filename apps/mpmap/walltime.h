/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a batch job has left. */
#ifndef MPMAP_WALLTIME_H
#define MPMAP_WALLTIME_H

#include <stdbool.h>

/* Seconds that the Slurm job has left in which this process runs: by SLURM_JOB_END_TIME, which Slurm sets from 23 on,
 * or by squeue. 0 if it is in no job, the job has no limit, or Slurm does not answer. */
double walltime_left_s(void);
/* Reads a time as squeue prints it: [DAYS-][[HOURS:]MINUTES:]SECONDS, but DAYS-HOURS[:MINUTES[:SECONDS]]. false for
 * UNLIMITED and whatever else is no time. */
bool walltime_parse(const char *text, double *seconds);

#endif
