/* SPDX-License-Identifier: BSD-3-Clause */
/* The result as a table for people, CSV, JSON, or HDF5. */
#ifndef TALLY_OUTPUT_H
#define TALLY_OUTPUT_H

#include <hdf5.h>
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

/* A file that is being written, beside the one that it is to become. Its name is always the same, so what a killed run
 * has left is taken by the next one; a lock, which ends with the process, keeps two runs apart. */
struct draft {
    char *path;
    int lock;
};

/* 0, or the exit status after saying what is wrong: then there is nothing to end. */
int draft_begin(const char *path, struct draft *draft);
/* Gives it its own name, if all went well; else it is removed. The exit status. */
int draft_end(struct draft *draft, const char *path, int exit_status);

/* An HDF5 file with a group, in which a function writes what is to be in it. It has its name only when it is
 * whole. */
typedef bool output_write_group(hid_t group, const void *argument);
int output_group(const char *path, const char *group, output_write_group *write, const void *argument);

/* Creates a data set of an array, a scalar if it has no dimensions, with the same bytes whenever it is. */
bool output_set(hid_t group, const char *name, hid_t type, unsigned rank, const hsize_t *extent,
                const void *values);

/* The same for a text, in JSON if the name of the file says so, else in CSV. */
typedef void output_write_text(FILE *file, bool is_json, const void *argument);
int output_text(const char *path, output_write_text *write, const void *argument);

/* Writes the data sets of a result. */
output_write_group output_result_sets;

#endif
