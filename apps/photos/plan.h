/* SPDX-License-Identifier: BSD-3-Clause */
/* What is left to do: what was found, beside what an earlier run has recorded. */
#ifndef MPMAP_PHOTOS_PLAN_H
#define MPMAP_PHOTOS_PLAN_H

#include <stdbool.h>

#include "photo.h"
#include "settings.h"

/* Marks as done those originals whose row of an earlier run is still true: same size and time of the original, all
 * outputs there; or, unless `retry_failed`, failed then. They get what is in the row, out of `earlier`. All others
 * get a name that no other has. Returns the number of those that are done, or -1 without memory. */
long long plan_make(const struct settings *settings, struct originals *originals, struct originals *earlier,
                    bool retry_failed);

#endif
