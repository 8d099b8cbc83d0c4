/* SPDX-License-Identifier: BSD-3-Clause */
/* How results are stored in chunks, through filters. For data/ only. */
#ifndef DATA_PACKING_H
#define DATA_PACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "data/hdf5_call.h"
#include "data/result.h"

#define PACKING_MOST_VALUES 16

/* Plain bytes. */
struct packing {
    bool is_wanted;
    int filter; /* its number in HDF5 */
    unsigned value_count;
    unsigned values[PACKING_MOST_VALUES];
    uint64_t rows; /* that are stored together; 0: as many as make some hundred KiB */
};

/* "gzip", "gzip:9", or any filter that HDF5 has by its number, "filter:32015:3". NULL: results are not packed.
 * MPM_EINVAL; MPM_ENOENT if HDF5 lacks the filter. */
int packing_parse(const char *text, uint64_t rows, struct packing *packing);
/* How many rows of a field make a chunk, of `rows` in all, at least 1. */
uint64_t packing_chunk_rows(const struct packing *packing, const struct result_field *field, uint64_t rows);
/* The properties of a data set of such chunks; negative on failure. Between hdf5_enter() and hdf5_leave(). */
hid_t packing_creation(const struct packing *packing, mpm_type type, int rank, const hsize_t *extent);

#endif
