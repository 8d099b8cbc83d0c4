/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are there whole or not at all: written beside their place, and renamed. Nothing is printed: whoever calls
 * says what has failed, by errno. */
#ifndef MPMAP_SUPPORT_WHOLE_FILE_H
#define MPMAP_SUPPORT_WHOLE_FILE_H

#include <stddef.h>
#include <stdio.h>

/* A file that is being written. */
struct whole_file {
    FILE *stream; /* to be written to */
    char *path, *part;
};

/* Begins PATH.part. Returns 0, or -1 and errno. */
int whole_file_begin(struct whole_file *file, const char *path);

/* Puts the file on the disk and in its place, and frees what belongs to it. Returns 0, or -1 and errno, also of any
 * write before: then PATH is what it was, and PATH.part is gone. */
int whole_file_end(struct whole_file *file);

/* The same for a file that something else has written, as HDF5 does, and closed: puts `part` on the disk, and then in
 * place of `path`. Returns 0, or -1 and errno; then `part` is gone. */
int whole_file_place(const char *part, const char *path);

/* Writes bytes to `part` and renames that to `path`. It is whole for whoever looks, but may be lost if the machine
 * stops within seconds: for files of which there are many, and which can be made again. Returns 0, or -1 and errno;
 * then `part` is gone. */
int whole_file_put(const char *path, const char *part, const void *bytes, size_t size);

#endif
