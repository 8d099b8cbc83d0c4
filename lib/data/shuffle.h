/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5's filter shuffle, which puts all first bytes of the elements of a chunk before all second ones, and so on;
 * what is left behind whole elements stays where it is. For data/pipeline.c. */
#ifndef DATA_SHUFFLE_H
#define DATA_SHUFFLE_H

#include <stddef.h>

void shuffle(size_t element_size, const unsigned char *from, size_t size, unsigned char *to);
void unshuffle(size_t element_size, const unsigned char *from, size_t size, unsigned char *to);

#endif
