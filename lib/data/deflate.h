/* SPDX-License-Identifier: BSD-3-Clause */
/* What gzip is in HDF5, a zlib stream, by libdeflate where that is: it takes a half to a third of zlib's time.
 * Without it HDF5 goes on by zlib. It is called between hdf5_enter() and hdf5_leave(), which is why one of each
 * tool is enough for a process. For data/pipeline.c. */
#ifndef DATA_DEFLATE_H
#define DATA_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether libdeflate is there; loads it at the first call. */
bool deflate_load(void);
/* Makes exactly `size` bytes of a stream, behind which other bytes may stand. False if it is damaged, makes more or
 * fewer, or memory is short. */
bool deflate_unpack(const void *packed, size_t packed_size, void *bytes, size_t size);
/* What zlib would make at `level`, 1 to 9: a stream of about that size, and not larger by more than some 3 %.
 * Elements have so many bytes, which says what such bytes are like. Returns its size; 0 if it does not fit into
 * `most`, memory is short, or zlib makes it smaller. */
size_t deflate_pack(unsigned level, size_t element_size, const void *bytes, size_t size, void *packed,
                    size_t most);

#endif
