/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run begins with in this layer. For sync/ and run/layers.c. */
#ifndef SYNC_LAYER_H
#define SYNC_LAYER_H

/* In every rank, before it forks anything: what all processes of the run must know. */
void sync_begin(void);

/* In every leader, before its courier starts. */
void sync_announce(void);

#endif
