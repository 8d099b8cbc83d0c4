/* SPDX-License-Identifier: BSD-3-Clause */
/* The drain of a run: see mpm_drain(). For run/layers.c. */
#ifndef NODE_DRAIN_H
#define NODE_DRAIN_H

/* Before the courier starts: how nodes tell each other. */
void drain_announce(void);

#endif
