/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of variable length in a worker: what its task makes, row by row (values.h). For data/rows.c. */
#ifndef DATA_ROWS_VLEN_H
#define DATA_ROWS_VLEN_H

#include <stdbool.h>

#include "mpmap/pool.h"

/* Takes them for results that `text` says, and puts them into the folder. MPM_ENOMEM, MPM_EIO, MPM_EINVAL. */
int rows_vlen_open(const char *text, const char *folder);
void rows_vlen_close(void);
/* The task of a call begins with its rows. */
void rows_vlen_begin(const mpm_call *call);
/* It has ended well: whether each of its `count` results, one behind the other, is a value of this call that is what
 * the result says. `row` is then the first that is not, with what is wrong said by mpm_fail(). */
bool rows_vlen_accept(mpm_call *call, void *results, size_t count, size_t *row);
/* It has not: what it has made is forgotten. */
void rows_vlen_drop(void);
/* Writes what is in memory, if that is much. A failure shows in rows_vlen_write(). */
void rows_vlen_spill(void);
/* Writes all of it, and has it on the disk, or the server, if `flushes`. False and errno. */
bool rows_vlen_write(bool flushes);

#endif
