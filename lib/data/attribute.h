/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes that are texts: strings of variable length in UTF-8, which h5py, netCDF4 and others give as strings. All
 * of it is called between hdf5_enter() and hdf5_leave(). For data/ only. */
#ifndef DATA_ATTRIBUTE_H
#define DATA_ATTRIBUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "data/hdf5_call.h"

/* Writes one that the object does not have yet. MPM_EIO. */
int attribute_write_text(hid_t object, const char *name, const char *text);
/* Reads one, of a fixed or a variable length. False if there is none, or it is no single text, or is too long. */
bool attribute_read_text(hid_t object, const char *name, char *text, size_t size);

#endif
