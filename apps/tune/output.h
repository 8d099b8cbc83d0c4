/* SPDX-License-Identifier: BSD-3-Clause */
/* What a study leaves: each writes one file, whole or not at all. */
#ifndef MPMAP_TUNE_OUTPUT_H
#define MPMAP_TUNE_OUTPUT_H

#include "request.h"
#include "study.h"

/* What all of them tell. */
struct report {
    const struct request *request;
    const struct study *study;
    const struct data *data;
    const struct learner *learner;
    double wall_s;
    unsigned workers, nodes;
    const char *model_path; /* NULL if there is none */
};

/* All return 0, or EXIT_FAILURE after saying what is wrong. */
int scores_write(const struct report *report, const char *path);
int report_write(const struct report *report, const char *path);
int folds_write(const struct request *request, const struct data *data, const struct plan *plan);

/* To stdout, or stderr. */
void summary_print(const struct report *report);
void summary_print_json(const struct report *report);
/* Fits that have failed, some of them, with the cause of each, on stderr. */
void failures_print(const struct report *report);

#endif
