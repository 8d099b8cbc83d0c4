/* SPDX-License-Identifier: BSD-3-Clause */
/* What a row gives: one result, or a struct of several with names. In memory a result is the struct, as C lays it out;
 * in a file each of its fields is a data set of its own. For data/ only. */
#ifndef DATA_RESULT_H
#define DATA_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/result_place.h"
#include "mpmap/dataset.h"
#include "mpmap/type.h"

#define RESULT_NAME_SIZE 64
#define RESULT_TEXT_SIZE 4096
#define RESULT_FILL      " filled with " /* between what a result is and its fill value, in a text */

struct result_field {
    char name[RESULT_NAME_SIZE]; /* "" if there is but one result, which has no name */
    mpm_shape shape;             /* of one of variable length: that of a reference (values.h) */
    size_t offset;               /* in the struct */
    size_t size;
    mpm_type vlen; /* of its elements, if it has a variable length; else MPM_NO_TYPE */
    bool is_text;  /* then */
};

struct result {
    bool is_struct, has_vlen;
    unsigned count;
    size_t size; /* of all of it */
    struct result_field field[RESULT_MOST_FIELDS];
    char text[RESULT_TEXT_SIZE]; /* what it is: "f64[3]", "{f64 mean, text name}" */
};

/* The one of a map, which it checks. MPM_EINVAL. */
int result_of_map(const mpm_dataset_map *map, struct result *result);
/* Only checks it. */
int result_check(const mpm_dataset_map *map);
/* Reads what `text` of another one was, which may have RESULT_FILL and a fill value behind it. MPM_EINVAL. */
int result_parse(const char *text, struct result *result);
/* The field of that name, `length` bytes long; NULL if there is none. */
const struct result_field *result_find(const struct result *result, const char *name, size_t length);

/* An attribute of the result, or of one of its fields, in the text of a map: a line is "units = K" or
 * "mean.units = K". */
struct result_attribute {
    const struct result_field *field; /* NULL: of all of it */
    char name[RESULT_NAME_SIZE];
    const char *value; /* not terminated */
    size_t length;
};

/* Takes the next one off `*text`; false at the end. MPM_EINVAL in `*status` for a line that is none. */
bool result_next_attribute(const struct result *result, const char **text, struct result_attribute *attribute,
                           int *status);
/* Puts numbers into the result `row`, whose other bytes stay: "nan" into all fields, or "mean=nan, count=-1". NULL:
 * only checks them. MPM_EINVAL. */
int result_parse_fill(const struct result *result, const char *text, unsigned char *row);
/* Puts a number into an element: false if it has no such value. */
bool result_put_number(mpm_type type, const char *word, void *element);
/* Whether all lines are right. MPM_EINVAL. */
int result_check_attributes(const struct result *result, const char *text);

#endif
