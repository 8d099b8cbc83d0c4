/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of map and reduce that say what the items are: --tile, --halo, --edge, --stitch and --axis. */
#ifndef MPMAP_TILING_OPTION_H
#define MPMAP_TILING_OPTION_H

#include <mpmap.h>
#include <stdbool.h>

/* As the command line has them; NULL: not given. */
struct tiling_request {
    const char *tile, *halo, *edge, *axis;
    bool stitch;
};

/* What they come to. 0, or the exit status after saying what is wrong. */
int tiling_choose(const char *command, const struct tiling_request *request, mpm_tiling *tiling,
                  unsigned *axis);

#endif
