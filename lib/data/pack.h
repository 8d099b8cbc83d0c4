/* SPDX-License-Identifier: BSD-3-Clause */
/* Compressing the results that stand in a part, chunk by chunk: workers compress, main writes. For data/ only. */
#ifndef DATA_PACK_H
#define DATA_PACK_H

#include "data/output.h"

/* Writes all chunks of a field into its new data set, which has the properties of packing_creation(). Blocks. MPM_EIO,
 * and what streams return. */
int pack_field(const struct output *output, unsigned index, hid_t dataset);

#endif
