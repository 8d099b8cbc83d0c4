/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel matrices that all workers of a node share. Each is computed once on a node, by all workers that want it at
 * that moment, and has the very bits that libsvm computes: those of training and, for RBF, which libsvm computes in
 * another way there, those of prediction. */
#ifndef MPMAP_TUNE_KERNEL_H
#define MPMAP_TUNE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data.h"

enum kernel { KERNEL_NONE, KERNEL_LINEAR, KERNEL_POLY, KERNEL_RBF };

/* One matrix. */
struct kernel_parameters {
    double gamma, coef0;
    int degree;
};

/* How the memory of a node is laid out; offsets are bytes. The same on all nodes. */
struct kernel_plan {
    enum kernel kernel;
    uint32_t slots; /* matrices that there is room for at once; 0: nothing is shared */
    uint32_t rows, blocks;
    bool has_predicted; /* values of predictions are not those of training */
    uint64_t pitch;     /* nodes from one row of a matrix to the next */
    uint64_t products_at, distances_at, first_slot_at, slot_size, matrix_at, size;
};

/* Which slot has the matrix, and the number of the matrix: whoever finds another number there computes it. Main gives a
 * slot to another matrix only when no fit that uses the old one is under way. */
struct kernel_slot {
    uint32_t slot, number; /* number: from 1 */
};

/* What a worker knows of the matrices. */
struct kernel_view {
    const struct kernel_plan *plan;
    const struct data *data;
    char *memory;          /* the node's */
    uint32_t *position_of; /* of a row of the data in the matrices: rows of a class are next to each other */
    uint32_t *row_at;      /* of a position */
    /* Of the block that is computed: its features, the slot of each, or 0, and the values of its rows by slot. */
    int *features;
    uint32_t feature_count, *slot_of;
    double *values;
};

/* Plans for as many matrices as `budget` bytes have room for, and at most `wanted`. */
struct kernel_plan kernel_plan_make(enum kernel kernel, const struct data *data, uint32_t wanted,
                                    uint64_t budget);

/* Returns false if there is no memory. */
bool kernel_view_open(const struct kernel_plan *plan, const struct data *data, void *memory,
                      struct kernel_view *view);
void kernel_view_close(struct kernel_view *view);

/* Returns when the matrix is in its slot. */
void kernel_make(struct kernel_view *view, const struct kernel_slot *slot,
                 const struct kernel_parameters *parameters);
/* Row of the matrix for training, as libsvm wants a precomputed one: first its own number, from 1, then the values at
 * the numbers of the rows. */
struct data_node *kernel_row(const struct kernel_view *view, const struct kernel_slot *slot, uint32_t row);
/* The values that libsvm computes for a prediction of the row, by the numbers of the rows; the first is that of number
 * 1. If the plan has none, they are those of training. */
const double *kernel_predicted(const struct kernel_view *view, const struct kernel_slot *slot, uint32_t row);

#endif
