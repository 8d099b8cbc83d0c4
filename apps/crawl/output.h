/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the output folder, which are there whole or not at all. */
#ifndef MPMAP_CRAWL_OUTPUT_H
#define MPMAP_CRAWL_OUTPUT_H

#include "support/whole_file.h"

/* Begins FOLDER/NAME. Returns 0, or 1 after saying what is wrong. */
int output_begin(struct whole_file *output, const char *folder, const char *name);
/* Puts it in its place. Returns 0, or 1 after saying what is wrong. */
int output_end(struct whole_file *output);

#endif
