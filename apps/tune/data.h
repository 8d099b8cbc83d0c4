/* SPDX-License-Identifier: BSD-3-Clause */
/* The data: one block of memory without pointers, which main makes and every node has one copy of. A row is a list of
 * its values that are not 0, in the form that both libsvm and liblinear take, so no worker makes a copy of its own. */
#ifndef MPMAP_TUNE_DATA_H
#define MPMAP_TUNE_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same as svm_node and feature_node. A row ends with an index of -1. */
struct data_node {
    int index; /* from 1 */
    double value;
};

/* Begins the block; offsets are bytes from here. */
struct data {
    uint64_t size; /* of the block */
    uint64_t hash; /* of all that it says */
    uint64_t rows;
    uint64_t nodes;    /* values that are not 0, in all rows */
    uint64_t features; /* the largest index */
    uint64_t classes;  /* labels that differ; 0 for a regression */
    double bias;       /* of a last feature that each row has; below 0: none */
    uint64_t targets_at, first_nodes_at, nodes_at, classes_at, labels_at, names_at;
};

/* What is to be predicted, a number a row. */
const double *data_targets(const struct data *data);
/* The class of each row, from 0, in the order of the labels; all 0 for a regression. */
const uint32_t *data_classes(const struct data *data);
/* The label of each class. */
const double *data_labels(const struct data *data);
/* The name of a class, as it was in the data. */
const char *data_class_name(const struct data *data, size_t class_number);
const struct data_node *data_row(const struct data *data, size_t row);

/* Rows as they are read. Zero is an empty one. */
struct data_builder {
    struct data_node *nodes;
    uint64_t node_count, node_room;
    uint64_t *first_nodes; /* of each row */
    double *targets;
    uint64_t rows, row_room, features;
    char **names; /* of labels that are no numbers: their target is their place in this list */
    uint64_t name_count;
};

/* All return 0, or a status of the program after saying what is wrong. */
int builder_row(struct data_builder *builder, double target);
/* Of the row that was begun last, in rising order of `index`. */
int builder_value(struct data_builder *builder, uint64_t index, double value);
/* Gives the target of a label that is no number. */
int builder_name(struct data_builder *builder, const char *name, double *target);
void builder_free(struct data_builder *builder);

struct data_wish {
    const char *path;   /* FILE, or FILE.h5:/DATASET */
    const char *format; /* NULL: by the name */
    const char *label;  /* column or data set of what is to be predicted; NULL: the last, or /y */
    bool is_regression;
    double bias;
};

/* Reads a file whole. The caller frees the data with free(). */
int data_read(const struct data_wish *wish, struct data **data);

/* One for each format. */
int data_read_svm(const struct data_wish *wish, struct data_builder *builder);
int data_read_csv(const struct data_wish *wish, struct data_builder *builder);
int data_read_hdf5(const struct data_wish *wish, struct data_builder *builder);

#endif
