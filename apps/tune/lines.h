/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines of a text, one after the other. */
#ifndef MPMAP_TUNE_LINES_H
#define MPMAP_TUNE_LINES_H

#include <stddef.h>

/* Has each line taken, which may be changed; lines count from 1. Ends at the first that does not return 0. Returns
 * that, or EXIT_FAILURE after saying what is wrong with the file. */
int lines_read(const char *path, int (*take)(void *argument, char *line, size_t number), void *argument);

#endif
