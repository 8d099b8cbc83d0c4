/* SPDX-License-Identifier: BSD-3-Clause */
/* Variables of HDF5 and netCDF-4 files: what all their values are together, and what becomes of each cell of a
 * grid along the first axis. */
#ifndef TALLY_GRID_H
#define TALLY_GRID_H

#include <mpmap.h>

#include "journal.h"
#include "support/files.h"

enum grid_form { GRID_TABLE, GRID_CSV, GRID_JSON };

struct grid_request {
    const char *word;   /* FILE.h5:/VARIABLE */
    const char *output; /* OUT.h5:/GROUP, or without `cells` OUT.csv or OUT.json; or NULL */
    bool cells;         /* each cell for itself */
    unsigned axis;      /* along which */
    bool overwrite, no_lock;
    enum journal_mode mode; /* with an output */
    uint64_t segment_bytes; /* that are recorded at once; 0: by the size */
    enum grid_form form;
    mpm_pool_options pool;
    mpm_line line;
};

/* Whether a word names a variable, and not a file. */
bool grid_is_variable(const char *word);

/* Returns the exit status. */
int grid_run(const struct grid_request *request);

#endif
