/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands behind the HDF5 file in a part, from `sums_at` on: places for checksums (block_sum.h), then the record,
 * with which the file ends. HDF5 does not look at them, and they are cut off once the file has its name. For data/
 * only.
 *
 *     0 … what HDF5 has made, with the results and the marks in it … sums_at … record_at … end
 *
 * The record is written before the part gets its name, and only its token changes after that, and `begun` of a live
 * part. It has a checksum over itself, and one over all that HDF5 has made but the results and marks, so nothing that
 * is wrong in a part is ever shown to HDF5. What HDF5 has made of a live part changes, and has no checksum: HDF5 is
 * never shown it. */
#ifndef DATA_PART_RECORD_H
#define DATA_PART_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/origin.h"
#include "data/part.h"
#include "data/result_place.h"

#define PART_FORMAT 3u

/* Places for the checksums of blocks: one for each row, and behind those one for each group of so many rows. */
#define PART_SUM_SIZE   8u
#define PART_GROUP_ROWS 512u
#define PART_GROUP_SIZE 16u

struct part_record {
    struct part_token token; /* of the run that is at work: not in the checksum */
    uint64_t begun;          /* rows of a live part that a pass has begun: not in the checksum either */
    uint64_t sum;            /* of all that follows */
    uint64_t format;
    uint64_t rows;     /* of a live part as it is read: `begun` */
    uint64_t capacity; /* rows that it has places for: as many as `rows`, but in a live part */
    uint64_t is_live;  /* its input grows (output_live.c) */
    struct result_places results;
    uint64_t marks_at; /* offsets in the file */
    uint64_t sums_at;
    uint64_t record_at;
    uint64_t layout_sum; /* of what HDF5 has made but results and marks */
    uint64_t values;     /* the number in the name of the folder of values (values.h); 0: there are none */
    struct origin origin;
};

/* The length of the places for the checksums of so many rows. */
uint64_t part_sums_size(uint64_t rows);
/* The length of a part of so many rows of which HDF5 has made `size` bytes. */
uint64_t part_size(uint64_t size, uint64_t rows);
/* Fills in record_at, layout_sum and the checksum, and writes it, on every node's file system. MPM_EIO. */
int part_write_record(int fd, const char *path, struct part_record *record);
/* Takes note that rows of a live part are begun. False and errno. */
bool part_write_begun(int fd, const struct part_record *record);
/* Reads the record of a whole part, and checks all of it but the rows. False with the reason if it is no whole part. */
bool part_read_record(int fd, struct part_record *record, char *why, size_t size);

#endif
