/* SPDX-License-Identifier: BSD-3-Clause */
/* Single calls. For run/layers.c. */
#ifndef POOL_DRIVER_APPLY_H
#define POOL_DRIVER_APPLY_H

/* In every rank, before it forks anything. */
void apply_begin(void);

#endif
