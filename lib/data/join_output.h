/* SPDX-License-Identifier: BSD-3-Clause */
/* The output of runs that have joined: how one of them makes it and the others find it, and how one finishes it. For
 * data/ only. */
#ifndef DATA_JOIN_OUTPUT_H
#define DATA_JOIN_OUTPUT_H

#include <stdbool.h>

#include "data/output.h"

/* What has become of the part that a run has open. */
enum join_part {
    JOIN_PART_IS_THERE,
    JOIN_PART_IS_FINISHED, /* it has the output's name, or had it */
    JOIN_PART_IS_REMOVED,
};

/* Opens the part, its folder of claims and its file of checks; makes what is not there. `*is_again` if it has been
 * finished or removed just now, so the output is to be planned once more. MPM_EEXIST, as output_begin(); MPM_EIO. */
int join_output_begin(struct output *output, bool *is_again);
/* Closes it, and leaves it as it is. */
void join_output_close(struct output *output);
enum join_part join_output_look(const struct output *output);

/* What is known of rows [first, end), a byte a row: checks_find(). What other machines have written is seen.
 * MPM_EIO. */
int join_output_find(const struct output *output, uint64_t first, uint64_t end, unsigned char *found);
/* All that this machine has written is where all others see it. MPM_EIO. */
int join_output_flush(const struct output *output);
/* A row has failed. MPM_EIO. */
int join_output_fail_row(const struct output *output, uint64_t row);
/* Gives the file its name, by whoever has claimed the end, and has `found` no row that is not done. 0 also if another
 * one was faster. MPM_EIO, MPM_EEXIST. */
int join_output_finish(struct output *output, const unsigned char *found);
/* Removes what runs have left that died after the output was finished. */
void join_output_tidy(const struct output *output);
/* Counts marks, of the file that is open, whatever its name. MPM_EIO. */
int join_output_count(const struct output *output, struct mark_count *count);

#endif
