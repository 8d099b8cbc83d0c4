/* SPDX-License-Identifier: BSD-3-Clause */
/* Drawings of the report, as SVG within the page. */
#ifndef MPMAP_TUNE_PLOTS_H
#define MPMAP_TUNE_PLOTS_H

#include <stdio.h>

#include "output.h"

/* What is drawn of a candidate. */
struct point {
    struct candidate candidate;
    struct trial_summary summary; /* values: larger is better */
    enum trial_state state;
    size_t number;
};

struct plot {
    const struct report *report;
    const struct point *points; /* by number */
    size_t count;
    size_t best; /* in points; NO_TRIAL if there is none */
};

/* The scores over two parameters, in colours: cells of a grid, or dots. Where there are more parameters, a cell is the
 * best of all that are there. */
void plot_surface(FILE *file, const struct plot *plot, const struct axis *across, const struct axis *up);
/* The best score for each value of a parameter, with its spread; or dots. */
void plot_profile(FILE *file, const struct plot *plot, const struct axis *axis);

#endif
