/* SPDX-License-Identifier: BSD-3-Clause */
/* Results that go into a file which exists, beside all that it holds. For data/ only. */
#ifndef DATA_OUTPUT_INTO_H
#define DATA_OUTPUT_INTO_H

#include "data/hdf5_call.h"
#include "data/output.h"

/* Whether the file can take the results: MPM_EEXIST if it has such an object already, and that is not to be replaced,
 * or is no readable HDF5 file; MPM_EBUSY if another program has it open for writing; MPM_EIO, MPM_ENOENT. */
int into_check(const struct output *output);
/* Holds the file as it is now, for as long as it is copied and replaced: nobody may open it for writing meanwhile by
 * HDF5. MPM_EBUSY, MPM_ENOENT, MPM_EIO. */
int into_hold(struct output *output, int *fd);
/* Copies it: an instant where the file system can share blocks of two files. MPM_EIO. */
int into_copy(const struct output *output, int from, int to, const char *path);
/* Opens the copy, without the results that are to be replaced. Between hdf5_enter() and hdf5_leave(). MPM_EIO,
 * MPM_EEXIST. */
int into_open(const struct output *output, int fd, hid_t *file);

#endif
