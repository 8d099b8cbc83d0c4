/* SPDX-License-Identifier: BSD-3-Clause */
/* What the command line asks for. */
#ifndef MPMAP_TUNE_REQUEST_H
#define MPMAP_TUNE_REQUEST_H

#include "data.h"
#include "space.h"
#include "study.h"
#include "support/command.h"

struct request {
    struct data_wish data;
    const char *out, *learner_name, *search_name, *score_name, *progress, *bias, *folds_out;
    struct text_list parameters; /* --param */
    struct space space;
    struct learner_settings learner;
    struct study_settings study;
    size_t folds, outer_folds, repeats, seed, trials, eta, least_rows, solver;
    size_t workers, attempts, memory, kernel_memory;
    double timeout_s, grace_s, eps;
    bool resume, restart, retry_failed, no_model, json, quiet;
    mpm_line line;
};

/* Reads the arguments behind argv[0]. Returns false if the program is over; the exit status says why. */
bool request_read(struct request *request, int argc, char **argv, int *exit_status);
void request_free(struct request *request);

#endif
