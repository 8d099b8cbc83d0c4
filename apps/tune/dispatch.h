/* SPDX-License-Identifier: BSD-3-Clause */
/* Gives the fits of a study to the workers of a pool, until it has ended. */
#ifndef MPMAP_TUNE_DISPATCH_H
#define MPMAP_TUNE_DISPATCH_H

#include <mpmap.h>

#include "journal.h"
#include "study.h"

struct dispatch_settings {
    double grace_s; /* that fits have to end which run when a drain begins */
    bool retry_failed;
    mpm_line line; /* of the progress */
};

/* Returns 0 when the study has ended; EXIT_DRAINED; EXIT_FAILURE after saying what is wrong. Fits that fail are no
 * failure of this. */
int dispatch_run(mpm_pool *pool, struct study *study, struct journal *journal,
                 const struct dispatch_settings *settings);

#endif
