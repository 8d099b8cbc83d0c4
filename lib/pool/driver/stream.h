/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams, as their pool sees them. For pool/ only. */
#ifndef POOL_DRIVER_STREAM_H
#define POOL_DRIVER_STREAM_H

struct mpm_pool;

/* The end of the pool has begun: streams that still pull end with MPM_ECANCELED, and use it no more. */
void stream_cut_off_all(struct mpm_pool *pool);

#endif
