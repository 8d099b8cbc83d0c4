/* SPDX-License-Identifier: BSD-3-Clause */
/* An output that has its name already. For data/ only. */
#ifndef DATA_OUTPUT_FINISHED_H
#define DATA_OUTPUT_FINISHED_H

#include "data/marks.h"
#include "data/part_record.h"

/* Reads what a finished output was made from, where its rows stand, and how many are good. Of the record nothing but
 * that is set. `dataset` is the name of its result; NULL: the one that the file says. MPM_ETYPE if it is not the output
 * of a map, MPM_EIO, and MPM_ENOENT without HDF5. */
int finished_read(const char *path, const char *dataset, struct part_record *record,
                  struct mark_count *count);

#endif
