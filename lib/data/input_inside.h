/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that make up an input share. All of it is called between hdf5_enter() and
 * hdf5_leave(). For data/input*.c and data/filters.c. */
#ifndef DATA_INPUT_INSIDE_H
#define DATA_INPUT_INSIDE_H

#include "data/input.h"

#define MAX_RANK (MPM_MAX_DIMENSIONS + 1)

/* Opens the data set in the open file, or says what stands in the way: MPM_ENOENT, MPM_ETYPE, MPM_EIO. */
int input_find(struct input *input);
/* Whether this HDF5 can undo what was done to the chunks. MPM_ENOENT with the filter, and how to come by it. */
int filters_check(const struct input *input);
/* Looks at what the other nodes are to have, too. */
void input_take_stamp(struct input *input);

#endif
