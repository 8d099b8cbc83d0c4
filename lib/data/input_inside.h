/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that make up an input share. All of it is called between hdf5_enter() and
 * hdf5_leave(). For data/input*.c, data/tile_order.c,
 * data/filters.c, data/packing.c, data/scales_find.c and data/look.c. */
#ifndef DATA_INPUT_INSIDE_H
#define DATA_INPUT_INSIDE_H

#include "data/input.h"

#define MAX_RANK (MPM_MAX_DIMENSIONS + 1)

/* Where rows go that are read. */
struct input_target {
    unsigned char *rows;
    size_t row_size;
    hid_t transfer; /* the properties of the transfer */
};

/* Reads chosen rows, of whatever kind. To be called outside of hdf5_enter(). MPM_EIO. */
int input_read_into(struct input *input, uint64_t first, size_t count, const struct input_target *target);
/* Of what has a variable length in rows, and how: where that differs, rows of the same shape are not the same. */
uint64_t input_variable_sum(const struct input *input);
/* Frees what input_read_variable() has made, with all rows. */
void input_free_variable(struct variable *variable);
/* Reads rows of the open file: start, step, and how many. */
int input_read_run(const struct input *input, const hsize_t run[3], const struct input_target *target);
/* The same of several data sets that are read side by side, whose names are one, "/a,/b". */
bool input_is_zip(const char *dataset_name);
int input_open_zip(const struct input_source *source, struct input *input);
int input_read_zip(const struct input *input, const hsize_t run[3], const struct input_target *target);
void input_close_zip(struct zip *zip);
/* Frees what input_view() has made; NULL is nothing. */
void input_close_view(struct view *view);
/* The first of data sets that are read side by side; else the input itself. */
const struct input *input_first(const struct input *input);
/* Opens the file alone, as input_open() does: it takes no data set, and is closed by input_close(). To be called
 * outside of hdf5_enter(). */
/* An input of this source that nothing has been opened of. */
struct input input_unopened(const struct input_source *source);
int input_open_file(const struct input_source *source, struct input *input);
/* Opens the data set of a single file. */
int input_open_one(const struct input_source *source, struct input *input);
/* Opens the first of several files, with the table of all. */
int input_open_several(const struct input_source *source, struct input *input);
/* Has the file open in which that row stands, and tells where the file's own rows begin and end among all. */
int input_open_for_row(struct input *input, uint64_t row, uint64_t *first, uint64_t *end);
/* Whether a map can take the open data set, and what its rows are: MPM_ETYPE, MPM_ENOENT for a filter, MPM_EIO. */
int input_examine(struct input *input);
/* Closes the data set, and leaves the file open. */
void input_leave_dataset(struct input *input);
/* The rank of a chunk and its extents, rows first; 0 if the data set is stored in another way. */
int input_chunk_extents(hid_t dataset, hsize_t extent[MAX_RANK]);
/* Opens the data set in the open file, or says what stands in the way: MPM_ENOENT, MPM_ETYPE, MPM_EIO. */
int input_find(struct input *input);
/* Whether this HDF5 can undo what was done to the chunks. MPM_ENOENT with the filter, and how to come by it. */
int filters_check(const struct input *input);
/* The name of a filter, NULL if it is not known, and how to come by its plugin. Calls no HDF5. */
const char *filters_find(H5Z_filter_t number, char *how, size_t size);
/* Whether the files are there that have the values of a data set without being HDF5 files. MPM_ENOENT with the first
 * that is not. */
int external_check(const struct input *input);
/* Counts the data sets that an open one has its values from, if it is virtual, and those of them that are missing. */
void virtual_find_sources(hid_t dataset, mpm_dataset_sources *sources);
/* What was done to the chunks, in its order: "shuffle, gzip 4". */
void filters_describe(hid_t dataset, char *text, size_t size);
/* Takes the choice of the source, when file_rows are known. MPM_EINVAL if there are no such rows. */
int input_choose(struct input *input);
/* Whether the open data set has its values in other files. */
bool input_is_elsewhere(const struct input *input);
/* Looks at what the other nodes are to have, too. */
void input_take_stamp(struct input *input);

#endif
