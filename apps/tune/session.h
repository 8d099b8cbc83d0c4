/* SPDX-License-Identifier: BSD-3-Clause */
/* A study from its data to its last file. */
#ifndef MPMAP_TUNE_SESSION_H
#define MPMAP_TUNE_SESSION_H

#include "request.h"

/* Returns the exit status. */
int session_run(struct request *request);

#endif
