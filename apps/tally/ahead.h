/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads on in a thread of its own while what was read is worked on: what is compressed takes as long to inflate as to
 * tally. */
#ifndef TALLY_AHEAD_H
#define TALLY_AHEAD_H

#include <stddef.h>
#include <sys/types.h>

/* Reads up to `size` bytes; fewer only at the end. Returns how many, or -1 with an error. Called by the thread
 * alone. */
typedef ssize_t ahead_read_on(void *source, char *bytes, size_t size, char *error);

struct ahead;

/* NULL if there is no memory for it, or no thread: then the source is to be read without. */
struct ahead *ahead_begin(ahead_read_on *read_on, void *source);

/* The next bytes, as the function reads them. */
ssize_t ahead_read(struct ahead *ahead, char *bytes, size_t size, char *error);

/* Ends the thread; nothing uses the source then. NULL is fine. */
void ahead_end(struct ahead *ahead);

#endif
