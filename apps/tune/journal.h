/* SPDX-License-Identifier: BSD-3-Clause */
/* What was fitted, a line each, in a file that is only ever added to. A run that was killed at any instant goes on from
 * it. */
#ifndef MPMAP_TUNE_JOURNAL_H
#define MPMAP_TUNE_JOURNAL_H

#include "fit.h"

/* Names a fit: by data, code, learner, parameters and split. */
struct fit_key {
    uint64_t words[2];
};

/* What came of it. */
struct fit_record {
    struct fit_key key;
    bool is_good;
    uint32_t attempts;
    struct fit_result result;
    char *why; /* what went wrong; NULL if nothing did */
};

struct journal {
    char *path;
    int file;
    struct fit_record *records; /* those of earlier runs, by key */
    size_t count, room;
    size_t damaged; /* lines that say nothing */
};

/* Opens it and locks it, and reads what there is. Returns 0, or EXIT_FAILURE after saying what is wrong. */
int journal_open(const char *path, struct journal *journal);
/* The record of a fit of an earlier run; NULL if there is none. */
const struct fit_record *journal_find(const struct journal *journal, const struct fit_key *key);
/* Adds a line: when this returns 0, the record outlives this process, however it ends. */
int journal_add(struct journal *journal, const struct fit_record *record);
/* Forgets all of it, and empties the file. */
int journal_clear(struct journal *journal);
void journal_close(struct journal *journal);

#endif
