/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of an output that have failed, as its users see them: in the file, as the group RESULT.failed, and in a
 * sentence. For data/ only. */
#ifndef DATA_FAILED_SET_H
#define DATA_FAILED_SET_H

#include "data/failed_log.h"
#include "data/hdf5_call.h"
#include "data/output.h"

struct failed_set {
    uint64_t count; /* of all */
    uint64_t *rows; /* the first of them, in rising order */
    size_t listed;
    struct failed_list known; /* what is known of them */
};

/* Finds them by the marks in the part, and in the logs of this run, of earlier ones, and of others that have joined.
 * Without memory, or if the marks cannot be read, fewer are listed. */
void failed_set_find(const struct output *output, uint64_t count, struct failed_set *set);
/* Makes the group. Between hdf5_enter() and hdf5_leave(). MPM_EIO. */
int failed_set_write(hid_t file, const struct output *output, const struct failed_set *set);
/* Some of them behind the first one, a line each, and how many more there are; the caller frees it. NULL if there are
 * no more, or no memory. */
char *failed_set_describe(const struct output *output, const struct failed_set *set, bool is_listed);
void failed_set_free(struct failed_set *set);

#endif
