/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts in memory that the processes of a test share: who has arrived, and a gate that is open from 1 on. For
 * tests/ only. */
#ifndef SUPPORT_GATE_H
#define SUPPORT_GATE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Waits until a count is reached; false if it is not within 100 s. Any process. */
bool gate_reached(const _Atomic int *count, int least);

#endif
