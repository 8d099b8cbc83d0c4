/* SPDX-License-Identifier: BSD-3-Clause */
/* The options --rows and --where of map and reduce. */
#ifndef MPMAP_ROWS_OPTION_H
#define MPMAP_ROWS_OPTION_H

#include <mpmap.h>

/* What they say of IN.h5:/SET. */
struct rows_request {
    const char *command;          /* "map" */
    const char *word;             /* --rows; NULL: not given */
    const char *where;            /* --where; NULL: not given */
    const char *input_file;       /* as the command line has it */
    const mpm_dataset_map *input; /* the same for the library, without a choice */
};

/* Makes the choice: A:B:STEP with any part left out, negative numbers counting from the end; or FILE.h5:/SET, or :/SET
 * of the input's file; of these, if there is a condition, those for which it holds. The list, or NULL, is to be freed
 * when the choice is not used any more. 0, or the exit status after saying what is wrong. */
int rows_choose(const struct rows_request *request, mpm_row_choice *choice, uint64_t **list);

#endif
