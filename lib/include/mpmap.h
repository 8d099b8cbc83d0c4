/* SPDX-License-Identifier: BSD-3-Clause */
/** @file mpmap.h
 * Everything of libmpmap in one include. C11, and C++17 compiles it too.
 *
 * Rules that hold for every call, unless its own text says otherwise:
 * - A call that can fail returns `int`: 0 (MPM_OK), or a negative MPM_E… of status.h, and mpm_error() then
 *   gives this thread's last error as a sentence. A call that failed has changed nothing.
 * - Parameters come in one order: the handle, inputs, sizes, options, the time limit, outputs. Outputs are untouched when
 *   the call fails. Yes or no is an output, a `bool`.
 * - Options are structs whose zero is the default; NULL is all defaults.
 * - Times are seconds (`double`), sizes are bytes (`size_t`).
 * - No call prints, exits or aborts.
 */
#ifndef MPMAP_H
#define MPMAP_H

#include "mpmap/blobs.h"
#include "mpmap/dataset.h"
#include "mpmap/handle.h"
#include "mpmap/pipe.h"
#include "mpmap/plugin.h"
#include "mpmap/pool.h"
#include "mpmap/process.h"
#include "mpmap/queue.h"
#include "mpmap/report.h"
#include "mpmap/result.h"
#include "mpmap/runtime.h"
#include "mpmap/stats.h"
#include "mpmap/status.h"
#include "mpmap/stream.h"
#include "mpmap/sync.h"
#include "mpmap/type.h"
#include "mpmap/value.h"
#include "mpmap/version.h"
#include "mpmap/wait.h"

#endif
