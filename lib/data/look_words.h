/* SPDX-License-Identifier: BSD-3-Clause */
/* How a data set is stored and what its attributes say, in words. All of it is called between hdf5_enter() and
 * hdf5_leave(). For data/look.c. */
#ifndef DATA_LOOK_WORDS_H
#define DATA_LOOK_WORDS_H

#include <hdf5.h>
#include <stddef.h>

/* "contiguous", "chunked" … */
const char *look_storage(hid_t dataset);
/* "units: K; scale_factor: 0.1; scales: /time, /x". */
void look_attributes(hid_t dataset, char *text, size_t size);

#endif
