/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes of an object of one file, kept in memory for objects of another. All of it is called between hdf5_enter()
 * and hdf5_leave(). For data/ only. */
#ifndef DATA_ATTRIBUTE_COPY_H
#define DATA_ATTRIBUTE_COPY_H

#include <stdbool.h>

#include "data/hdf5_call.h"

struct attribute_value {
    char *name;
    hid_t type, space;
    void *values;
};

struct attribute_values {
    struct attribute_value *list;
    unsigned count;
};

/* Whether an attribute of that name is wanted. */
typedef bool attribute_is_wanted(const char *name);

/* All are. */
attribute_is_wanted attribute_is_any;
/* Adds those of an object that are wanted. What cannot be read, is larger than HDF5 has them everywhere, or refers to
 * objects of its own file is left out. False without memory. */
bool attribute_values_take(hid_t object, attribute_is_wanted *is_wanted, struct attribute_values *values);
/* Gives them to an object, but for those that it has already. MPM_EIO. */
int attribute_values_write(hid_t object, const struct attribute_values *values);
/* Whether both have an attribute of that name with the same bytes, or neither has one. */
bool attribute_values_agree(const struct attribute_values *a, const struct attribute_values *b,
                            const char *name);
void attribute_values_free(struct attribute_values *values);

#endif
