/* SPDX-License-Identifier: BSD-3-Clause */
/* The result as a table for people, CSV, JSON, or HDF5. */
#ifndef TALLY_OUTPUT_H
#define TALLY_OUTPUT_H

#include <stdio.h>

#include "result.h"

void output_table(FILE *file, const struct result *result);
void output_csv(FILE *file, const struct result *result);
void output_json(FILE *file, const struct result *result);

/* Writes to a file that gets its name when it is whole: CSV, JSON if the name ends in .json, HDF5 if it is
 * FILE.h5:/GROUP. 0, or the exit status after saying what is wrong. */
int output_file(const char *name, const struct result *result);

/* The file of FILE.h5:/GROUP or FILE; the caller frees it with free(). `group` is in the same memory, or NULL. */
char *output_path(const char *name, char **group);

/* Makes the HDF5 file. */
int output_hdf5(const char *path, const char *group, const struct result *result);

#endif
