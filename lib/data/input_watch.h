/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking whether an input has grown. For data/ only.
 *
 * Between two looks nobody holds the file open with a lock, so that whoever appends to it may open it. A look is a
 * stat(); only where the file has changed since the last one, or may have within the grain of its times, it is opened.
 * A virtual data set is opened at each. A file that is not there, or that another program has open for writing, is
 * looked at again.
 *
 * That a writer has closed the file, or that the mark of the end is set, is found out before rows are counted: so the
 * count is the last one. */
#ifndef DATA_INPUT_WATCH_H
#define DATA_INPUT_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "data/input.h"
#include "mpmap/dataset.h"

struct watch {
    struct input_source source;
    mpm_follow_options how;
    uint64_t rows; /* that it has seen */
    double seen_s; /* when it saw the last ones come, or began to look */
    bool has_seen_writer, is_ended;
    bool grows_elsewhere; /* rows come as other files do, or as these grow, and this one stays as it is */
    bool is_known;        /* the file was as `last` says, and no later change can have the same time */
    struct stat last;
};

/* Begins with what an open input has. */
void watch_begin(struct watch *watch, const mpm_dataset_map *map, const struct input *input);
/* Looks. If there are more rows than `known`, the input is open, and `*is_open`. `is_ended` says that there will be no
 * more. MPM_EIO if there are fewer; as input_open() but for MPM_EBUSY and MPM_ENOENT. */
int watch_look(struct watch *watch, uint64_t known, struct input *input, bool *is_open);
/* Whether it has waited for new rows for as long as it may. */
bool watch_is_idle(const struct watch *watch);

#endif
