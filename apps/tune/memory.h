/* SPDX-License-Identifier: BSD-3-Clause */
/* The most memory of its own that this process has had since it last asked. */
#ifndef MPMAP_TUNE_MEMORY_H
#define MPMAP_TUNE_MEMORY_H

#include <stdint.h>

void memory_peak_reset(void);
/* Bytes; 0 where the kernel does not say. What is shared is not counted. */
uint64_t memory_peak(void);

#endif
