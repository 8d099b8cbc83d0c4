/* SPDX-License-Identifier: BSD-3-Clause */
/* An HDF5 data set that rows are read from, one process at a time: main looks at it, and each worker opens
 * it for itself. For data/ only. */
#ifndef DATA_INPUT_H
#define DATA_INPUT_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/type.h"

/* An open data set. The names are the caller's, who keeps them until input_close(). */
struct input {
    const char *file_name;
    const char *dataset_name;
    hid_t file;
    hid_t dataset;
    uint64_t rows;
    mpm_shape row;
    uint64_t chunk_rows; /* rows that are stored, and compressed, together; 1 if the layout is not chunked */
};

/* Opens it for reading. On failure nothing is open: MPM_ENOENT, MPM_ETYPE, MPM_EIO. */
int input_open(const char *file_name, const char *dataset_name, struct input *input);
/* Reads rows [first, first + count) into `rows`, in this machine's own types, C order. MPM_EIO. */
int input_read(const struct input *input, uint64_t first, size_t count, void *rows);
void input_close(struct input *input);

#endif
