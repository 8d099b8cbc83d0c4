/* SPDX-License-Identifier: BSD-3-Clause */
/** @file report.h  What a user sees while a map runs. */
#ifndef MPMAP_REPORT_H
#define MPMAP_REPORT_H

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** How a map's progress is shown. */
enum mpm_line_form {
    MPM_LINE_AUTO, /**< drawn in place on a terminal; plain lines elsewhere: in a log, under mpirun or srun */
    MPM_LINE_PLAIN, /**< plain lines everywhere */
    MPM_LINE_JSON,  /**< a JSON object a line, the last one when all items are done */
    MPM_LINE_OFF,   /**< nothing */
};

/** A progress line; start from zero, or from a form and an interval. It shows one map at a time. */
typedef struct mpm_line {
    enum mpm_line_form form; /**< how it is shown */
    double
        every_s; /**< seconds between plain or JSON lines; 0: plain lines after 10 s, then after pauses that double
                     * up to a minute, and JSON lines once a second */
    double next_s;  /**< the library's own: when it may be shown again, in the time of the map */
    double pause_s; /**< the library's own: the pause after that */
    int shown;      /**< the library's own: a line is drawn on the terminal */
} mpm_line;

/** Shows on stderr how far a map is: for `.progress` of mpm_map_options and mpm_dataset_map, with an mpm_line as
 * its `progress_argument`. On a terminal it draws after the first second, ten times a second at most, as wide as
 * the terminal is, and erases the line when all items are done; but a job in the background (`bg`) draws nothing.
 * Elsewhere (also where the variable TERM is "dumb") it prints a line now and then. Blocks as long as stderr does. Any
 * process.
 * @param now   how far the map is
 * @param line  an mpm_line, which stays the same for the whole map */
MPM_API void mpm_progress_line(const mpm_progress *now, void *line);

/** Erases the line if it is still there, as it is after a map that ended early. Keeps errno.
 * @param line  the line */
MPM_API void mpm_progress_line_end(mpm_line *line);

MPM_END

#endif
