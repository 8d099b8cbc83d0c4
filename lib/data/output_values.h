/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of variable length between a part, which has references to them (values.h), and HDF5's own heaps. For
 * data/output_last.c and data/output_finished.c. */
#ifndef DATA_OUTPUT_VALUES_H
#define DATA_OUTPUT_VALUES_H

#include "data/hdf5_call.h"
#include "data/output.h"

/* Writes the values of all rows of a field into its data set, in their order. MPM_EIO, MPM_ENOMEM. */
int output_write_values(const struct output *output, unsigned index, hid_t dataset);
/* Puts the values that a finished output has into the folder of a new part, and the references into that, which has no
 * marks yet. MPM_EIO, MPM_ENOMEM. */
int output_take_values(const struct output *output, unsigned index, int to);

#endif
