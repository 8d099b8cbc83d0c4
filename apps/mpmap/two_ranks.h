/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs that stand beside this one, started with two ranks as two nodes. For bench_wire.c and bench_step.c. */
#ifndef MPMAP_TWO_RANKS_H
#define MPMAP_TWO_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#define TWO_RANKS_LAUNCHER "mpirun -n 2"

/* Where this program is; false, after saying so, if that cannot be known. */
bool find_own_folder(char *folder, size_t size);
/* What Open MPI needs for two nodes on one machine, with TCP between them; what the user has set stays. */
void set_two_ranks(void);

#endif
