/* SPDX-License-Identifier: BSD-3-Clause */
/* One block of a file, from its bytes to a table: the task of the map. Its result is a struct block_head and the
 * table. */
#ifndef TALLY_BLOCK_H
#define TALLY_BLOCK_H

#include <mpmap.h>

#include "batch.h"
#include "frames.h"

/* Followed by where the file is, a byte of 0, what it is called, and a byte of 0. A block has the rows that begin before its limit and not
 * before its first byte; where that is within a row is found out by the next line end, which may be one of a
 * quoted field: whether it was, the end of the block before it says, and then it is read again, from where its
 * rows do begin. */
struct block_item {
    uint64_t first; /* of the file, decompressed */
    uint64_t limit;
    uint64_t is_row;    /* a row begins at the first byte */
    struct frame frame; /* by which a compressed file is entered; 0: at its beginning */
};

mpm_initializer block_worker_open;
mpm_finalizer block_worker_close;
mpm_task block_run;

#endif
