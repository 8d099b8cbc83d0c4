/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run says at its end, and its exit status. */
#ifndef MPMAP_PHOTOS_SUMMARY_H
#define MPMAP_PHOTOS_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "photo.h"
#include "settings.h"
#include "walk.h"

struct summary {
    const struct settings *settings;
    struct walk_report walked;
    uint64_t earlier;  /* photographs whose row an earlier run has recorded */
    uint64_t done_now; /* of this run, failed ones included */
    size_t groups, members;
    unsigned workers;
    double start_s, first_s, seconds; /* when it began; until all were done; until the end */
    bool is_drained;
};

/* Lists those that have failed, up to some, and says how it went: for people on stderr, unless it is quiet, and as a
 * JSON object on stdout if that is wanted. Returns the exit status. */
int summary_tell(const struct summary *summary, const struct originals *originals, bool is_json,
                 bool is_quiet);

#endif
