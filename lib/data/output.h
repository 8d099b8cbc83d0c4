/* SPDX-License-Identifier: BSD-3-Clause */
/* The HDF5 file that a map over a data set makes. For data/ only.
 *
 * It is made whole beside its final name, as OUTPUT.part: the result data set and its `.done` data set (one
 * mark a row) are contiguous and have their place on the disk before the first row is worked on. From then
 * on nobody uses HDF5 on it: results and marks are written at their offsets in the file, so that no metadata
 * is ever in flight, and what a killed run leaves is a readable file. When all rows are there it is flushed
 * to the disk and renamed. The name OUTPUT.part is always the same, so that a later run finds what a killed
 * one has left; today it begins anew. Main holds a lock on the file: two runs never write the same one. part.h says
 * how everybody is sure to write into the same file. Once a row is good, the part is never removed. */
#ifndef DATA_OUTPUT_H
#define DATA_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/input.h"
#include "data/part.h"
#include "mpmap/dataset.h"
#include "node/function.h"

/* A byte of the `.done` data set. It is written after its row's result. */
enum row_mark { ROW_NOT_DONE, ROW_DONE, ROW_FAILED };

struct output {
    const char *name;    /* as the caller of the map calls the file */
    const char *dataset; /* the result's name in it */
    char path[PATH_MAX]; /* absolute */
    char part[PATH_MAX]; /* the file while it is being made */
    int overwrite;       /* an enum mpm_overwrite */
    bool replaces;       /* there is an old file of that name, */
    struct stat old;     /* which is this */
    int fd;              /* of the part: locked; -1 if there is none */
    uint64_t rows;
    size_t result_size;
    uint64_t results_at; /* offsets in the file */
    uint64_t marks_at;
    uint64_t token_at; /* the end of what HDF5 has made */
    struct part_token token;
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
/* Checks that every row has been written, and gives the file its name. `map_status` is what the map has come to: 0, or
 * MPM_ETASK with its sentence, which stays. Then no file of which some rows were good is replaced by one in which none
 * is. When it fails: as output_keep(), MPM_EIO, or MPM_EEXIST if the name has been taken meanwhile. */
int output_finish(struct output *output, int map_status);
/* Leaves the part where it is, with a sentence behind that of `status` on where it is and how many rows are good; if none
 * is, it is removed. Returns `status`. */
int output_keep(struct output *output, int status);

#endif
