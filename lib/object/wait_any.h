/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for several objects at once (mpm_wait_any). For run/layers.c. */
#ifndef OBJECT_WAIT_ANY_H
#define OBJECT_WAIT_ANY_H

/* In every rank, before it forks anything. */
void wait_any_begin(void);

#endif
