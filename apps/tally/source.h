/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of a file, from some place on: as they are, or decompressed, as the file's first bytes say. */
#ifndef TALLY_SOURCE_H
#define TALLY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum source_kind { SOURCE_PLAIN, SOURCE_GZIP, SOURCE_ZSTD };

struct source;

/* Opens a file, which is called `name` in errors. Returns false, with a sentence in `error`, which has room for SOURCE_ERROR bytes. */
#define SOURCE_ERROR 512
bool source_open(const char *path, const char *name, struct source **source, char *error);
void source_close(struct source *source);

enum source_kind source_kind(const struct source *source);
/* Of the file as it lies on the disk. */
uint64_t source_size(const struct source *source);

/* Reads bytes of the file as they are; returns how many, or -1. */
ssize_t source_peek(const struct source *source, uint64_t place, void *bytes, size_t size);

/* Goes on at this place of the file, where a compressed part begins, the first byte of which is `first` of the text.
 * Before anything was read. */
void source_enter(struct source *source, uint64_t place, uint64_t first);

/* Has what is compressed inflated by a thread from now on, ahead of the reader, where one can be had. */
void source_read_ahead(struct source *source);

/* Goes on at the offset, which counts decompressed bytes. Compressed files can be read from a place behind the
 * present one only. Returns false with an error. */
bool source_seek(struct source *source, uint64_t offset, char *error);

/* Reads up to `size` bytes; fewer only at the end. Returns how many, or -1 with an error. */
ssize_t source_read(struct source *source, char *bytes, size_t size, char *error);

#endif
