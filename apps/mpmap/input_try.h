/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether HDF5 survives an input. */
#ifndef MPMAP_INPUT_TRY_H
#define MPMAP_INPUT_TRY_H

#include <mpmap.h>

/* Has a process of its own open IN.h5:/DATA, as the command line has it, as main will do it: a hostile file, or a
 * filter that crashes, costs that process only. Returns 0 if main may go on, which hears then of any error that is no
 * crash; else the exit status, after saying what has happened. */
int input_try(const char *file, const mpm_dataset_map *input);

#endif
