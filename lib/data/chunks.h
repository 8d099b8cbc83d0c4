/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks of a data set that are decompressed here instead of by HDF5, which takes a third of the time where they
 * have gzip: HDF5 finds a chunk and reads its bytes. What isn't as usual is read by HDF5, chunk by chunk: those
 * that were never written, and those that are damaged, whose errors are HDF5's then. All of it is called between
 * hdf5_enter() and hdf5_leave(). For data/input.c and data/tiles.c. */
#ifndef DATA_CHUNKS_H
#define DATA_CHUNKS_H

#include <hdf5.h>
#include <stdint.h>

struct chunks;

/* A data set whose elements become `memory` in memory. */
struct chunked {
    hid_t dataset, memory;
    unsigned rank;
    const hsize_t *extent;
    const uint64_t *together; /* chunks along each dimension that are best kept for a while */
    size_t most_kept;         /* bytes of them */
};

/* Places of a data set, in C order. */
struct box {
    hsize_t *start, *count;
    hsize_t step; /* along the first dimension */
};

/* NULL if HDF5 is to read it: its chunks have other filters, none, or libdeflate is not there. Both types and the
 * data set stay the caller's, and stay open. */
struct chunks *chunks_open(const struct chunked *chunked);
void chunks_close(struct chunks *chunks); /* NULL is nothing */
/* Reads a box that has some elements. Negative on failure, as calls of HDF5 are, and HDF5 has an error then. */
herr_t chunks_read(struct chunks *chunks, const struct box *box, void *elements);

#endif
