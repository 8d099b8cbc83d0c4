/* SPDX-License-Identifier: BSD-3-Clause */
/* An output file that is to be replaced. For data/ only. */
#ifndef DATA_OUTPUT_OLD_H
#define DATA_OUTPUT_OLD_H

#include "data/output.h"

/* Whether the file that has the output's name holds nothing but what such a map has made: else MPM_EEXIST, which names
 * it. MPM_ENOENT without HDF5. */
int old_check_holds_only_result(const struct output *output);

#endif
