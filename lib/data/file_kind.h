/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are no HDF5 files, and are called by their names. For data/input.c and
 * data/output_into.c. */
#ifndef DATA_FILE_KIND_H
#define DATA_FILE_KIND_H

/* MPM_EIO with a sentence that says what the file is, as far as its first bytes tell, and how it becomes HDF5. */
int file_kind_is_other(const char *file_name);

#endif
