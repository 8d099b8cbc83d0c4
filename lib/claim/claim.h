/* SPDX-License-Identifier: BSD-3-Clause */
/* A claim table: who works on which range of items, among any number of runs that share nothing but a folder. For data/
 * and its tests. The argument why it stays true is in claim.c.
 *
 * Whoever works on items takes a claim, a range that nobody else works on unless this run is taken for dead, and ends
 * it when what it has done is where everybody sees it, or gives it back. Work must be such that doing it twice is
 * harmless, since a run that was only slow may come back. When no range is left, the end is claimed in the same way, by
 * one run, which proves that everything has been done: it adds what has not.
 *
 * Not thread-safe: its caller has a lock. Calls that use files block as these do. They return 0 or an errno; ENOENT or
 * ESTALE if the folder is gone, as it is when everything has been done. */
#ifndef CLAIM_CLAIM_H
#define CLAIM_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "claim/claim_files.h"

struct claim_table;

struct claim {
    uint64_t first, end; /* items [first, end), some of which may be done: others may have had it */
    bool is_end;         /* it is the end: all is to be proved */
};

struct claim_options {
    uint64_t count;   /* of items */
    uint64_t id;      /* of this run: random */
    unsigned workers; /* items that it works on at a time */
    double silent_s;  /* after so long without a beat a run's claims are free to take */
    const char *text; /* what its file says of it; nothing depends on it */
};

/* Puts the claims of a new table into a folder that nobody uses yet: all items, in some pieces. */
int claim_fill(const struct claim_files *files, uint64_t count);

/* Joins. ENOMEM. */
int claim_open(const struct claim_options *options, const struct claim_files *files,
               struct claim_table **table);
/* Leaves: what it has claimed is free. */
void claim_close(struct claim_table *table);

/* Beats: shows the others that it lives. */
int claim_beat(struct claim_table *table);
/* Beats, then looks who has claimed what, and who has been silent. */
int claim_look(struct claim_table *table);
/* Claims some items, by what the last look has seen. `*taken` is false if nothing could be had: look again later. */
int claim_take(struct claim_table *table, struct claim *claim, bool *taken);
/* Its items are done. */
int claim_end(struct claim_table *table, const struct claim *claim);
/* Its items are not all done, and are free. */
int claim_give_back(struct claim_table *table, const struct claim *claim);
/* Items that were thought to be done are free: by who has claimed the end. */
int claim_add(struct claim_table *table, uint64_t first, uint64_t end);

/* How much it has done since it joined: what others see, and what sizes of claims follow. */
void claim_note(struct claim_table *table, uint64_t done, uint64_t failed, double busy_s);

/* How long to wait before the next look, so that all runs together do not ask too much of the file system: after a
 * claim, perhaps not at all; and when nothing could be had. And how long at most before the next beat. */
double claim_wait_s(const struct claim_table *table);
double claim_pause_s(const struct claim_table *table);
double claim_beat_s(const struct claim_table *table);
/* By the last look: runs that are not silent, this one included; items that are not done, those at work included. */
unsigned claim_run_count(const struct claim_table *table);
uint64_t claim_items_left(const struct claim_table *table);

/* A run, as its file tells of it. */
struct claim_run {
    uint64_t id;
    uint64_t beat;
    uint64_t done, failed; /* items since it joined */
    uint64_t ms;           /* since it joined */
};

/* Names of files: whether this is one of a run, or of a claim (`owner` 0: free). */
bool claim_parse_run(const char *name, struct claim_run *run);
bool claim_parse_range(const char *name, struct claim *claim, uint64_t *owner);

#endif
