/* SPDX-License-Identifier: BSD-3-Clause */
/* What one element of a data set is in memory: numbers as the machine has them, whatever the file has. All of it is
 * called between hdf5_enter() and hdf5_leave(). For data/input.h, data/input.c and data/element*.c. */
#ifndef DATA_ELEMENT_H
#define DATA_ELEMENT_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>

#include "mpmap/type.h"
#include "mpmap/vlen.h"

/* An element in memory. A string of 8 bytes is u8[8], a complex number f64[2]; a struct is its bytes, u8[size]. */
struct element {
    mpm_shape shape;
    hid_t memory; /* HDF5's type of it, which element_end() closes */
};

#define ELEMENT_TEXT "text" /* a string of variable length, in a description */

/* Elements of a type of variable length. */
struct variable_type {
    bool is, is_text;
    size_t element_size;
};

/* A field of variable length in a struct in memory, with room for an mpm_span. HDF5 puts a char * or an hvl_t there. */
struct span_field {
    size_t offset;
    struct variable_type type;
};

/* Those of a struct; zero is none. */
struct span_fields {
    size_t size; /* of such a struct */
    unsigned count;
    struct span_field *field;
};

/* Finds out what elements of a type are; false if they are nothing that a task could work on, as references are. */
bool element_of_type(hid_t type, struct element *element);
/* Elements of one field of a compound: "x", or "position.x". False if there is no such field, or it is nothing. */
bool element_of_field(hid_t type, const char *field, struct element *element);
/* Elements of variable length, which are strings or arrays of others, or of a field of a compound if one is named:
 * their first extent is 0. False if they are none. */
bool element_of_variable(hid_t type, const char *field, struct element *element,
                         struct variable_type *variable);
/* The struct that a description says, "{f64 x, i32 n, text name}", of the fields of a compound, which must be as it
 * says. `name` is that of the data set in a sentence. `spans` become those of its fields that have a variable length,
 * which the caller ends, also after an error. MPM_ETYPE, MPM_EINVAL for a description that is none, MPM_ENOMEM. */
int element_of_struct(hid_t type, const char *name, const char *description, struct element *element,
                      struct span_fields *spans);
/* The description of a struct that has all fields of a compound that a task could work on, and whose names a
 * description can have; "" if there are none. Returns `text`. */
char *element_describe_struct(hid_t type, char *text, size_t size);
/* Whether a task could work on one of the fields of a compound, or on a field of a field. `depth` is 0. */
bool element_has_fields(hid_t type, unsigned depth);
/* A type like `memory`, an element's that is one number, with another number in its place: also in the compounds of one
 * field that HDF5 reads fields by. Negative if there is no memory. */
hid_t element_memory_of(hid_t memory, hid_t type);
void element_end(struct element *element);
/* MPM_ENOMEM. */
int spans_add(struct span_fields *spans, size_t offset, struct variable_type type);
void spans_end(struct span_fields *spans);
/* Makes spans of what HDF5 has put into so many structs. */
void spans_settle(const struct span_fields *spans, size_t count, void *structs);
/* What HDF5 has put at `raw`: a pointer that is null, in a file or in memory, is of no elements. */
mpm_span span_of(struct variable_type type, const void *raw);

#endif
