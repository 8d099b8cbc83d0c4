/* SPDX-License-Identifier: BSD-3-Clause */
/* What a map over a data set was made from, as short texts: they are attributes of the result, and stand in the record
 * of a part, so that a later run can compare them with its own. For data/ only. */
#ifndef DATA_ORIGIN_H
#define DATA_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "data/input.h"
#include "mpmap/dataset.h"
#include "node/function.h"

#define ORIGIN_SIZE 16384 /* bytes of all texts together */

enum origin_field {
    ORIGIN_INPUT_FILE,
    ORIGIN_INPUT_DATASET,
    ORIGIN_INPUT_SHAPE,
    ORIGIN_INPUT_SIZE,
    ORIGIN_INPUT_CHANGED,
    ORIGIN_INPUT_SUM,
    ORIGIN_TASK,
    ORIGIN_TASK_FILE,
    ORIGIN_TASK_BUILD,
    ORIGIN_TASK_OFFSET,
    ORIGIN_CONTEXT,
    ORIGIN_RESULT_SHAPE,
    ORIGIN_RESULT_DATASET,
    ORIGIN_ROWS,
    ORIGIN_FIELDS
};

/* Plain bytes: the texts in the order of the fields, each ended by a null byte, then null bytes. */
struct origin {
    char text[ORIGIN_SIZE];
};

/* `result` says what a result is. MPM_EINVAL if names are too long. */
int origin_make(struct origin *origin, const mpm_dataset_map *map, const struct input *input,
                const struct function *task, const char *result);
/* Puts an origin together from texts, which must be as many as there are fields. False if they are too long. */
bool origin_put(struct origin *origin, const char *const *texts);
/* The text of a field; "" if there is none, whatever the bytes. */
const char *origin_text(const struct origin *origin, enum origin_field field);
/* The name of the attribute that a field is. */
const char *origin_attribute(enum origin_field field);
/* The first field from `from` on in which two differ; ORIGIN_FIELDS if there is none. */
enum origin_field origin_difference(const struct origin *was, const struct origin *is, unsigned from);
/* The same of a finished output and a map that follows its input: whether it may go on with what was finished. How many
 * rows there were, and what else of the file changes as it grows, makes no difference. */
enum origin_field origin_followed_difference(const struct origin *was, const struct origin *is);
/* Whether the file has another layout where it differs, so that nothing can be done with what is there. */
bool origin_is_layout(enum origin_field field);
/* "the input's size was 4000 bytes and is 5000 bytes now". Returns `text`. */
char *origin_describe(const struct origin *was, const struct origin *is, enum origin_field field, char *text,
                      size_t size);

#endif
