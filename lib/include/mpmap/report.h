/* SPDX-License-Identifier: BSD-3-Clause */
/** @file report.h  What a user sees while a map runs. */
#ifndef MPMAP_REPORT_H
#define MPMAP_REPORT_H

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** A line on a terminal; start from zero. It shows one map at a time. The fields are the library's own. */
typedef struct mpm_line {
    double next_s; /**< when it may be drawn again, in the time of the map */
    int shown;     /**< it stands on the terminal */
} mpm_line;

/** Shows on stderr where a map stands: for `.progress` of mpm_map_options and mpm_dataset_map, with an
 * mpm_line as its `progress_argument`. Draws if the map has run for a second or more, ten times a second at
 * most, as wide as the terminal is; erases the line when all items are done. Does nothing if stderr is no
 * terminal, or the variable TERM is "dumb". Blocks as long as the terminal does. Any process. */
MPM_API void mpm_progress_line(const mpm_progress *now, void *line);

/** Erases the line if it still stands there, as it does after a map that ended early. Keeps errno. */
MPM_API void mpm_progress_line_end(mpm_line *line);

MPM_END

#endif
