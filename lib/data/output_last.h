/* SPDX-License-Identifier: BSD-3-Clause */
/* The last pass of a map: a new file from a part in which all rows are done, where the part itself is not what the
 * output is to be. For data/ only. */
#ifndef DATA_OUTPUT_LAST_H
#define DATA_OUTPUT_LAST_H

#include "data/failed_set.h"
#include "data/output.h"

/* Whether there is one: to compress results, to make those of variable length, or to list rows that have failed. */
bool last_is_needed(const struct output *output, const struct failed_set *failed);
/* Makes the file of that name, whole and on the disk; `fd` is locked until it is closed. The part stays as it is. When
 * it fails there is no such file. MPM_EIO, MPM_ENOMEM; what streams return. */
int last_make(const struct output *output, const struct failed_set *failed, const char *path, int *fd);

#endif
