/* SPDX-License-Identifier: BSD-3-Clause */
/* Why rows have failed: a file beside the part, to which workers add a record for each row whose task has failed, and
 * main one for each failure that it is told of, which says more: how often a row was run, and of what a worker died. It
 * is a help for people: that a row has failed is said by its mark. A record is appended in one go, begins with a word
 * that others are found by, and has a checksum: so what a killed run leaves, or two machines that write at once, is
 * read but for the records that are not whole. For data/ only. */
#ifndef DATA_FAILED_LOG_H
#define DATA_FAILED_LOG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#define FAILED_MOST ((size_t)100000) /* rows of which more is known than that they have failed */

struct failed_row {
    uint64_t row;
    int cause; /* an enum mpm_cause */
    int code;
    unsigned attempts;
    char *text;
    size_t order; /* among the records */
};

/* A log that is written. */
struct failed_log {
    char path[PATH_MAX];
    int fd;       /* -1: it is not open yet */
    size_t count; /* of records that this run has added */
};

/* Adds one, to a file that is made if there is none. What cannot be written is not. */
void failed_log_add(struct failed_log *log, const mpm_failure *failure);
/* Adds all that another log has. */
void failed_log_append(struct failed_log *log, const char *path);
void failed_log_close(struct failed_log *log);

/* What a log says, by rows. */
struct failed_list {
    struct failed_row *rows;
    size_t count, room;
};

/* Adds what a log says, if it is there, to a list. Nothing fails: without memory the rest is left out. */
void failed_log_read(const char *path, struct failed_list *list);
/* Before anything is found: of a row that has failed several times the last failure stays. */
void failed_list_sort(struct failed_list *list);
void failed_list_free(struct failed_list *list);
/* What is known of a row; NULL: nothing. */
const struct failed_row *failed_list_find(const struct failed_list *list, uint64_t row);

#endif
