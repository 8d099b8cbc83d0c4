/* SPDX-License-Identifier: BSD-3-Clause */
/* The HDF5 file that a map over a data set makes. For data/ only.
 *
 * It is made whole beside its final name, as OUTPUT.part: the result data set and its `.done` data set (one
 * mark a row) are contiguous and have their place on the disk before the first row is worked on. From then
 * on nobody uses HDF5 on it: results and marks are written at their offsets in the file, so that no metadata
 * is ever in flight, and what a killed run leaves is a readable file. When all rows are there it is flushed
 * to the disk and renamed. The name OUTPUT.part is always the same, so that a later run finds what a killed
 * one has left; today it begins anew. Main holds a lock on the file: two runs never write the same one. */
#ifndef DATA_OUTPUT_H
#define DATA_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/function.h"
#include "data/input.h"
#include "mpmap/dataset.h"

/* A byte of the `.done` data set. It is written after its row's result. */
enum row_mark { ROW_NOT_DONE, ROW_DONE, ROW_FAILED };

struct output {
    const char *name;    /* as the caller of the map calls the file */
    const char *dataset; /* the result's name in it */
    char path[PATH_MAX]; /* absolute */
    char part[PATH_MAX]; /* the file while it is being made */
    bool overwrite;
    int fd; /* of the part: locked; -1 if there is none */
    uint64_t rows;
    size_t result_size;
    uint64_t results_at; /* offsets in the file */
    uint64_t marks_at;
};

/* Finds out whether the output can be made where the map wants it, and makes nothing.
 * MPM_EINVAL, MPM_EEXIST, MPM_ENOENT, MPM_EIO. */
int output_plan(const mpm_dataset_map *map, const struct input *input, struct output *output);
/* Makes the part, with room for all results. On failure there is none. MPM_EEXIST if another run is making
 * it, MPM_EIO. */
int output_create(struct output *output, const mpm_dataset_map *map, const struct input *input,
                  const struct function *task);
/* Marks a row as failed, and its result zero, whatever a worker has written. MPM_EIO. */
int output_fail_row(const struct output *output, uint64_t row);
/* Checks that every row has been written, and gives the file its name. When it fails the file is gone, except
 * if its name is taken meanwhile (MPM_EEXIST): then the sentence says where the results are. MPM_EIO. */
int output_finish(struct output *output);
/* Removes what was made. Keeps mpm_error(). */
void output_discard(struct output *output);

/* Writes all bytes at an offset. False and errno if it can't. */
bool write_at(int fd, const void *bytes, size_t size, uint64_t offset);

#endif
