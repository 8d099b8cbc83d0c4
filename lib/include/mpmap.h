/* SPDX-License-Identifier: BSD-3-Clause */
/** @file mpmap.h  Everything of libmpmap in one include. C11, and C++17 compiles it too.
 *
 * Rules that hold for every function, unless its own text says otherwise:
 * - A function that can fail returns `int`: 0 (MPM_OK), or a negative MPM_E… of status.h, and then mpm_error()
 *   gives the calling thread's last failure as a sentence. A call that failed has changed nothing.
 * - Parameters come in one order: the handle, inputs, sizes, options, the time limit, outputs. Outputs are
 *   untouched when the call fails. Yes or no is an output, a `bool`, but for mpm_draining() and
 *   mpm_survives_node_loss(), which cannot fail.
 * - Options are structs whose zero is the default; NULL is all defaults.
 * - Times are seconds (`double`), sizes are bytes (`size_t`). A time limit that is not a number (NaN) is MPM_EINVAL,
 *   also where the call would not have to wait. A negative one is 0.
 * - No function prints, but for mpm_report_error(), mpm_progress_line() and what mpm_log_to_stderr() has chosen.
 *   None ends the process, but for mpm_exit(), and mpm_init() in ranks other than main's. */
#ifndef MPMAP_H
#define MPMAP_H

#include "mpmap/blobs.h"
#include "mpmap/dataset.h"
#include "mpmap/handle.h"
#include "mpmap/look.h"
#include "mpmap/message.h"
#include "mpmap/pipe.h"
#include "mpmap/plugin.h"
#include "mpmap/pool.h"
#include "mpmap/process.h"
#include "mpmap/queue.h"
#include "mpmap/reduce.h"
#include "mpmap/report.h"
#include "mpmap/result.h"
#include "mpmap/runtime.h"
#include "mpmap/stats.h"
#include "mpmap/status.h"
#include "mpmap/stream.h"
#include "mpmap/sync.h"
#include "mpmap/tile.h"
#include "mpmap/type.h"
#include "mpmap/value.h"
#include "mpmap/version.h"
#include "mpmap/vlen.h"
#include "mpmap/wait.h"

#endif
