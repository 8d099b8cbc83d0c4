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

/* The parts of output_lay_out(), for whoever makes them in another way. Links with groups that do not exist yet; negative on
 * failure. The caller closes what it gets. */
hid_t layout_links(void);
int layout_make_set(hid_t place, const struct layout_set *set, hid_t creation, hid_t *dataset);
void layout_describe_field(const struct output *output, unsigned index, struct layout_set *set);
/* Makes the data set of a field, with its own attributes, in the file or in the group of a struct. */
int layout_make_field(hid_t place, const struct output *output, unsigned index, hid_t creation,
                      hid_t *dataset);
int layout_make_group(hid_t file, const struct output *output, hid_t *group);
/* What is said of the result as a whole. */
int layout_describe_result(hid_t result, const struct output *output);

#endif
