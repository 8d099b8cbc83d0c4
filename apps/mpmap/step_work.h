/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of an iterative program: in each, a loop of some width runs over items, and the next step begins when all of
 * them are done. What mpmap bench step and mpmap-step, which does the same by OpenMP and by MPI, have in common. */
#ifndef MPMAP_STEP_WORK_H
#define MPMAP_STEP_WORK_H

#include <stddef.h>
#include <stdint.h>

#define STEP_KINDS 16

/* A kind of step. */
struct step_kind {
    unsigned width; /* items */
    double item_s;  /* how long one takes; 0: it is empty */
    const char *name;
};

extern const struct step_kind step_kinds[STEP_KINDS];

/* Over two nodes: by a map, by ranks of MPI that spin, and by ranks that nap. */
#define NODE_STEP_KINDS 8
#define NODE_STEP_WAYS  3

extern const struct step_kind node_step_kinds[NODE_STEP_KINDS];

/* An item: a chain of so many dependent multiplications and additions. */
void step_work(unsigned rounds);
double step_time_round(void);
unsigned step_rounds(const struct step_kind *kind, double round_s);
/* How many steps take about so long with that many workers, if little but the items takes time: the same number for
 * all who measure. */
uint64_t step_count(const struct step_kind *kind, unsigned workers, double seconds);

/* A step of the stencil: the heat in a square plate whose edges keep theirs, by Jacobi. A block is some of its rows,
 * and is computed from the plate as it was a step before. */
#define STENCIL_SIDE   256u /* with the edges */
#define STENCIL_BLOCKS 16u
#define STENCIL_NAME   "a stencil of 254 x 254, 16 blocks"

size_t stencil_bytes(void); /* of a plate */
void stencil_begin(double *plate);
void stencil_block(const double *before, double *after, unsigned block);
uint64_t stencil_count(double seconds);

#endif
