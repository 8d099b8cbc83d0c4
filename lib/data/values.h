/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of variable length while a map runs. HDF5 keeps such values in heaps, which are metadata: nobody may write
 * them before the end. So they stand in files beside the part, OUTPUT.part.values-NUMBER/NUMBER, each of which one
 * worker makes and appends to; in the part is a reference of fixed length to each, a result like any other. The last
 * pass (output_values.c) makes HDF5's own of them.
 *
 * What is on the disk, in this order, and what is true if the worker dies, or the machine does, at each step:
 *   1. The folder is made before the part has its name, by whoever makes the part, whose record has its number.
 *   2. A worker appends the values of some rows to its file. Nothing refers to them: they are lost room.
 *   3. It writes the results of these rows, with references, then their checksum, then their marks: see output.h. A
 *      reference has a checksum of the value. A row is proved if the checksum of its block is right and that of
 *      each value is, so it does not matter in which order all this comes to the disk: what was lost is run again.
 *   4. All rows are done: the last pass reads each value, compares its checksum, and writes it into the new file.
 *   5. That has its name, and the folder is removed. Who dies before leaves a folder that the next run removes.
 * No value is ever overwritten, and no file has two writers. Runs that have joined may write a reference twice, each to
 * a value of its own, of the same bytes: both are right, and one that is half of each shows by its own checksum.
 * For data/ only. */
#ifndef DATA_VALUES_H
#define DATA_VALUES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUES_OPEN_FILES 16

/* A value, by where it stands: plain bytes, what an mpm_vlen is. Zero: an empty one. */
struct value_ref {
    uint64_t file; /* the number that is its name */
    uint64_t at;
    uint64_t size;
    uint32_t sum;   /* of the value */
    uint32_t check; /* of all that stands before */
};

/* Appends to a file of its own. */
struct value_writer {
    char folder[PATH_MAX];
    uint64_t file;
    int fd;      /* -1: nothing was written yet */
    uint64_t at; /* where in the file the buffer begins */
    unsigned char *bytes;
    size_t used, room;
};

struct value_reader {
    const char *folder;
    uint64_t file[VALUES_OPEN_FILES];
    int fd[VALUES_OPEN_FILES];
    unsigned count; /* of files that were opened until now: the oldest makes place */
};

/* Names the folder of a part. */
void values_name_folder(const char *part, uint64_t number, char folder[PATH_MAX]);
/* For this user only. MPM_EIO. */
int values_make_folder(const char *folder);
void values_remove_folder(const char *folder);
/* All of a part but one: `kept`, or NULL. */
void values_remove_folders(const char *part, const char *kept);

/* Nothing is made before a value is. MPM_EIO without random bytes. */
int values_begin(struct value_writer *writer, const char *folder);
/* Room for a value behind those that are there, and a reference without its checksums. NULL without memory. */
void *values_take(struct value_writer *writer, size_t size, struct value_ref *ref);
/* Whether a reference is to a value that was taken when `from` bytes were in use, or later. */
bool values_has(const struct value_writer *writer, const struct value_ref *ref, size_t from);
const void *values_bytes(const struct value_writer *writer, const struct value_ref *ref);
/* Fills in the checksums. */
void values_seal(const struct value_writer *writer, struct value_ref *ref);
/* Writes what is in memory. False and errno. */
bool values_write(struct value_writer *writer);
bool values_flush(const struct value_writer *writer);
void values_close(struct value_writer *writer);

void values_open(struct value_reader *reader, const char *folder);
/* Whether a reference is what a writer has made. */
bool values_is_ref(const struct value_ref *ref);
/* Reads a value, which must be right. False and errno. */
bool values_read(struct value_reader *reader, const struct value_ref *ref, void *bytes);
/* Whether it is right. */
bool values_are_right(struct value_reader *reader, const struct value_ref *ref);
void values_end(struct value_reader *reader);

#endif
