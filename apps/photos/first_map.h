/* SPDX-License-Identifier: BSD-3-Clause */
/* The first map: every photograph that is not done goes through a worker, and into the journal as soon as it comes
 * out. */
#ifndef MPMAP_PHOTOS_FIRST_MAP_H
#define MPMAP_PHOTOS_FIRST_MAP_H

#include <stdint.h>

#include <mpmap.h>

#include "journal.h"
#include "photo.h"
#include "settings.h"

/* An initializer of the pool: starts libvips in each worker. */
int first_map_start_worker(mpm_call *call, const void *argument, size_t size, void **state);

/* What it is about, and how it went. */
struct first_map {
    mpm_pool *pool;
    const struct settings *settings;
    struct originals *originals; /* those with is_done 0 are done, and get their photo or their error */
    struct journal *journal;
    mpm_line line;     /* the progress line */
    bool is_quiet;     /* says nothing of a drain */
    uint64_t done_now; /* out: photographs of this run, failed ones included */
    bool is_drained;   /* out: it has ended early, as it was asked to */
};

/* Returns 0, also if photographs have failed or the map was drained; else the exit status, after saying what is wrong.
 */
int first_map_run(struct first_map *map);

/* Removes all outputs of a name, also those that were begun. */
void first_map_remove_outputs(const struct settings *settings, const char *name);

#endif
