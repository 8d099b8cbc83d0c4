/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts the rows that a reader has found into one block. */
#include "data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hash.h"
#include "support/command.h"

#define MOST_NAMES   10000
#define ENDS_PER_ROW 2 /* room for a bias, and for the end */

static const void *at(const struct data *data, uint64_t offset)
{
    return (const char *)data + offset;
}

const double *data_targets(const struct data *data)
{
    return at(data, data->targets_at);
}

const uint32_t *data_classes(const struct data *data)
{
    return at(data, data->classes_at);
}

const double *data_labels(const struct data *data)
{
    return at(data, data->labels_at);
}

const char *data_class_name(const struct data *data, size_t class_number)
{
    return (const char *)at(data, data->names_at) +
           ((const uint64_t *)at(data, data->names_at))[class_number];
}

const struct data_node *data_row(const struct data *data, size_t row)
{
    return (const struct data_node *)at(data, data->nodes_at) +
           ((const uint64_t *)at(data, data->first_nodes_at))[row];
}

static int grow(void *array, uint64_t count, uint64_t *room, size_t size)
{
    void *more;

    if (count < *room)
        return 0;
    *room = *room ? *room * 2 : 1024;
    if (!(more = realloc(*(void **)array, *room * size)))
        return failure("out of memory: the data has more than %llu values", (unsigned long long)count);
    *(void **)array = more;
    return 0;
}

int builder_row(struct data_builder *builder, double target)
{
    uint64_t room = builder->row_room;

    if (grow(&builder->first_nodes, builder->rows, &room, sizeof *builder->first_nodes) ||
        grow(&builder->targets, builder->rows, &builder->row_room, sizeof *builder->targets))
        return EXIT_FAILURE;
    builder->first_nodes[builder->rows] = builder->node_count;
    builder->targets[builder->rows++] = target;
    return 0;
}

int builder_value(struct data_builder *builder, uint64_t index, double value)
{
    if (index > builder->features)
        builder->features = index;
    if (value == 0)
        return 0;
    if (grow(&builder->nodes, builder->node_count, &builder->node_room, sizeof *builder->nodes))
        return EXIT_FAILURE;
    builder->nodes[builder->node_count++] = (struct data_node){.index = (int)index, .value = value};
    return 0;
}

int builder_name(struct data_builder *builder, const char *name, double *target)
{
    char **names;

    for (uint64_t i = 0; i < builder->name_count; i++) {
        if (!strcmp(builder->names[i], name)) {
            *target = (double)i;
            return 0;
        }
    }
    if (builder->name_count == MOST_NAMES)
        return failure("there are more than %d labels that differ, as '%.40s': is that the label's column?",
                       MOST_NAMES, name);
    if (!(names = realloc(builder->names, (builder->name_count + 1) * sizeof *names)))
        return failure("out of memory");
    builder->names = names;
    if (!(names[builder->name_count] = strdup(name)))
        return failure("out of memory");
    *target = (double)builder->name_count++;
    return 0;
}

void builder_free(struct data_builder *builder)
{
    for (uint64_t i = 0; i < builder->name_count; i++)
        free(builder->names[i]);
    free(builder->names);
    free(builder->nodes);
    free(builder->first_nodes);
    free(builder->targets);
}

static int compare_numbers(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return (one > other) - (one < other);
}

/* The labels, rising. libsvm and liblinear keep a label as an int. */
static int find_labels(const struct data_builder *builder, const char *path, double **labels, uint64_t *count)
{
    uint64_t kept = 0;

    if (!(*labels = malloc(builder->rows * sizeof **labels)))
        return failure("out of memory");
    memcpy(*labels, builder->targets, builder->rows * sizeof **labels);
    qsort(*labels, builder->rows, sizeof **labels, compare_numbers);
    for (uint64_t i = 0; i < builder->rows; i++) {
        double label = (*labels)[i];

        if (label != floor(label) || fabs(label) > 1e9)
            return failure(
                "'%s': the label %.15g is no whole number from -1e9 to 1e9; a regression takes any "
                "number: --learner eps-svr-rbf, linear-svr or trees-regression",
                path, label);
        if (!kept || label != (*labels)[kept - 1])
            (*labels)[kept++] = label;
    }
    if (kept < 2 && builder->name_count)
        return failure("'%s': all %llu rows have the label '%.40s', but a classifier needs two at least",
                       path, (unsigned long long)builder->rows, builder->names[0]);
    if (kept < 2)
        return failure("'%s': all %llu rows have the label %g, but a classifier needs two at least", path,
                       (unsigned long long)builder->rows, (*labels)[0]);
    *count = kept;
    return 0;
}

struct layout {
    const struct data_builder *builder;
    const double *labels;
    uint64_t classes;
};

static size_t names_size(const struct layout *layout)
{
    size_t size = layout->classes * (sizeof(uint64_t) + 32);

    for (uint64_t i = 0; i < layout->builder->name_count; i++)
        size += strlen(layout->builder->names[i]) + 1;
    return size;
}

static uint64_t take(uint64_t *size, uint64_t bytes)
{
    uint64_t place = *size;

    *size = (place + bytes + 63) / 64 * 64;
    return place;
}

static struct data *make_block(const struct layout *layout)
{
    const struct data_builder *builder = layout->builder;
    struct data head = {.rows = builder->rows, .nodes = builder->node_count, .classes = layout->classes};
    uint64_t size = sizeof head;
    struct data *data;

    take(&size, 0);
    head.targets_at = take(&size, head.rows * sizeof(double));
    head.first_nodes_at = take(&size, (head.rows + 1) * sizeof(uint64_t));
    head.classes_at = take(&size, head.rows * sizeof(uint32_t));
    head.labels_at = take(&size, head.classes * sizeof(double));
    head.names_at = take(&size, names_size(layout));
    head.nodes_at = take(&size, (head.nodes + ENDS_PER_ROW * head.rows) * sizeof(struct data_node));
    head.size = size;
    if ((data = calloc(1, size)))
        *data = head;
    return data;
}

static void put_rows(const struct data_builder *builder, double bias, struct data *data)
{
    uint64_t *first = (uint64_t *)((char *)data + data->first_nodes_at);
    struct data_node *nodes = (struct data_node *)((char *)data + data->nodes_at);
    uint64_t place = 0;

    data->features = builder->features;
    data->bias = bias;
    memcpy((char *)data + data->targets_at, builder->targets, data->rows * sizeof(double));
    for (uint64_t row = 0; row < data->rows; row++) {
        uint64_t from = builder->first_nodes[row],
                 to = row + 1 < data->rows ? builder->first_nodes[row + 1] : builder->node_count;

        first[row] = place;
        for (; from < to; from++)
            nodes[place++] = builder->nodes[from];
        if (bias >= 0)
            nodes[place++] = (struct data_node){.index = (int)data->features + 1, .value = bias};
        nodes[place++].index = -1;
    }
    first[data->rows] = place;
}

static void put_classes(const struct layout *layout, struct data *data)
{
    double *labels = (double *)((char *)data + data->labels_at);
    uint32_t *classes = (uint32_t *)((char *)data + data->classes_at);
    char *names = (char *)data + data->names_at;
    size_t place = layout->classes * sizeof(uint64_t);

    if (layout->classes)
        memcpy(labels, layout->labels, layout->classes * sizeof *labels);
    for (uint64_t row = 0; layout->classes && row < data->rows; row++) {
        const double *found = bsearch(&layout->builder->targets[row], labels, layout->classes, sizeof *labels,
                                      compare_numbers);

        classes[row] = (uint32_t)(found - labels);
    }
    for (uint64_t i = 0; i < layout->classes; i++) {
        ((uint64_t *)names)[i] = place;
        if (layout->builder->name_count)
            place += (size_t)sprintf(names + place, "%s", layout->builder->names[(size_t)labels[i]]) + 1;
        else
            place += (size_t)sprintf(names + place, "%.17g", labels[i]) + 1;
    }
}

static int pack(const struct data_wish *wish, const struct data_builder *builder, struct data **data)
{
    struct layout layout = {.builder = builder};
    double *labels = NULL;
    int exit_status = 0;

    if (builder->rows < 2 || builder->rows > INT32_MAX / 2)
        return failure("'%s' has %llu rows: it must have 2 at least, and %d at most", wish->path,
                       (unsigned long long)builder->rows, INT32_MAX / 2);
    if (wish->is_regression && builder->name_count)
        return failure("'%s': the target '%s' is no number, and a regression needs one", wish->path,
                       builder->names[0]);
    if (!wish->is_regression)
        exit_status = find_labels(builder, wish->path, &labels, &layout.classes);
    layout.labels = labels;
    if (!exit_status && !(*data = make_block(&layout)))
        exit_status = failure("out of memory: '%s' has %llu values", wish->path,
                              (unsigned long long)builder->node_count);
    if (!exit_status) {
        put_rows(builder, wish->bias, *data);
        put_classes(&layout, *data);
        (*data)->hash = hash_bytes(0, *data, (*data)->size);
    }
    free(labels);
    return exit_status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);

    return length >= end_length && !strcasecmp(text + length - end_length, end);
}

static const char *format_of(const struct data_wish *wish)
{
    const char *path = wish->path;

    if (wish->format)
        return wish->format;
    if (ends_with(path, ".h5") || ends_with(path, ".hdf5") || strstr(path, ".h5:") || strstr(path, ".hdf5:"))
        return "hdf5";
    return ends_with(path, ".csv") ? "csv" : "svm";
}

int data_read(const struct data_wish *wish, struct data **data)
{
    static const char *const names[] = {"svm", "csv", "hdf5"};
    static int (*const readers[])(const struct data_wish *,
                                  struct data_builder *) = {data_read_svm, data_read_csv, data_read_hdf5};
    const char *format = format_of(wish);
    struct data_builder builder = {0};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int exit_status;

        if (strcmp(format, names[i]))
            continue;
        if (!(exit_status = readers[i](wish, &builder)))
            exit_status = pack(wish, &builder, data);
        builder_free(&builder);
        return exit_status;
    }
    return unknown_word("", "format", format, names, sizeof names / sizeof *names);
}
