/* SPDX-License-Identifier: BSD-3-Clause */
/* The data sets of an output, and their attributes. All of it is called between hdf5_enter() and hdf5_leave(). For
 * data/ only. */
#ifndef DATA_OUTPUT_LAYOUT_H
#define DATA_OUTPUT_LAYOUT_H

#include "data/grid.h"
#include "data/hdf5_call.h"
#include "data/output.h"

struct layout_set {
    const char *name;
    hid_t type;
    int rank;
    hsize_t extent[GRID_MAX_RANK], most[GRID_MAX_RANK];
    bool has_chunks; /* because each is a result (grid.h) */
    hsize_t chunk[GRID_MAX_RANK];
};

/* Makes an HDF5 file of the one that is open. MPM_EIO. */
int layout_create_file(const struct output *output, hid_t access, hid_t *file);
/* Makes all of it in an empty file, of a part, or of the last pass: there results may be in chunks that are compressed,
 * and those of variable length are HDF5's own. Notes where what is in one piece stands. MPM_EIO. */
int layout_make(hid_t file, struct output *output, bool is_last);
/* Whether the results are compressed in the end. */
bool layout_packs(const struct output *output);
/* Links with groups that do not exist yet; negative on failure. The caller closes it. */
hid_t layout_links(void);
/* HDF5's type of a result of variable length; negative on failure. The caller closes it. */
hid_t layout_vlen_type(const struct result_field *field);
int layout_make_set(hid_t place, const struct layout_set *set, hid_t creation, hid_t *dataset);

#endif
