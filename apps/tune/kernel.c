/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in a node's memory, and who writes it.
 *
 *   products    x·y of all pairs of rows, a triangle
 *   distances   |x - y|² as libsvm's prediction computes it, a triangle
 *   slot[]      the values of predictions; then the matrix, a row as libsvm's nodes
 *
 * Distances and values of predictions are there for RBF only, and only if the data's sums are rounded: of whole
 * numbers, say, both ways of computing a distance give the same bits.
 *
 * Each of these parts (products and distances are one) has a head: `claim`, which says for which number blocks are
 * claimed, and up to which; and `done[]`, the number that a block was last computed for. Whoever wants the part claims
 * one block after the other by compare-and-exchange, which also begins a new number: there is no moment in which the
 * head is neither that of the old number nor of the new one. It computes the block, and then stores the number into
 * done[], with release; who reads it, with acquire, sees the block. When all are claimed, it computes those that are
 * not done itself.
 *
 * So nobody waits, and nobody's death matters. A worker that dies with a claim leaves a block that is not done, and
 * that all others will compute at the end. One that is only slow may write a block while another one does: both
 * write the same bytes. It has not returned from its fit by then, so main has not given the slot to another number. */
#include "kernel.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS 32
#define LINE       64
#define LANES      8 /* rows of a block that are computed at once */

/* Sums of as many pairs of rows side by side. Each is added up in the order that libsvm has, so it has the same
 * bits. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double))));

struct head {
    _Atomic uint64_t claim;  /* number << 32 | blocks that are claimed */
    _Atomic uint32_t done[]; /* by block */
};

static uint64_t round_up(uint64_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

static uint64_t triangle_size(uint64_t rows)
{
    return round_up(rows * (rows + 1) / 2 * sizeof(double));
}

static double *triangle_row(double *triangle, uint64_t position)
{
    return triangle + position * (position + 1) / 2;
}

/* The place of the last binary digit that is not 0. */
static int last_digit(double value)
{
    int exponent;
    uint64_t digits = (uint64_t)ldexp(fabs(frexp(value, &exponent)), 53);

    return exponent - 53 + __builtin_ctzll(digits);
}

/* Whether no sum of products or of squared differences of two rows is rounded: all numbers are multiples of one power
 * of two, and sums of their squares have fewer digits than a double. Four times the largest sum bounds (|x| + |y|)². */
static bool sums_are_exact(const struct data *data)
{
    int last = INT_MAX;
    double largest = 0;

    for (size_t row = 0; row < data->rows; row++) {
        double sum = 0;

        for (const struct data_node *node = data_row(data, row); node->index >= 0; node++) {
            int place = node->value != 0 ? last_digit(node->value) : INT_MAX;

            last = place < last ? place : last;
            sum += node->value * node->value;
        }
        largest = sum > largest ? sum : largest;
    }
    return last == INT_MAX || 4 * largest < ldexp(1, 52 + 2 * last);
}

struct kernel_plan kernel_plan_make(enum kernel kernel, const struct data *data, uint32_t wanted,
                                    uint64_t budget)
{
    struct kernel_plan plan = {.kernel = kernel, .rows = (uint32_t)data->rows};
    uint64_t head, slots;

    plan.has_predicted = kernel == KERNEL_RBF && !sums_are_exact(data);
    if (kernel == KERNEL_NONE || data->rows > 200000)
        return plan;
    plan.blocks = (plan.rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    head = round_up(sizeof(struct head) + plan.blocks * sizeof(uint32_t));
    /* An odd number of cache lines: the first nodes of all rows are read one after the other, and would else fall into
     * few sets of the cache. */
    plan.pitch = (plan.rows + 1 + 3) / 4 * 4;
    plan.pitch += plan.pitch / 4 % 2 ? 0 : 4;
    plan.products_at = head;
    plan.distances_at = plan.products_at + triangle_size(plan.rows);
    plan.first_slot_at = plan.distances_at + (plan.has_predicted ? triangle_size(plan.rows) : 0);
    plan.matrix_at = head +
                     (plan.has_predicted ? round_up((uint64_t)plan.rows * plan.rows * sizeof(double)) : 0);
    plan.slot_size = plan.matrix_at + round_up(plan.rows * plan.pitch * sizeof(struct data_node));
    if (plan.first_slot_at + plan.slot_size > budget)
        return plan;
    slots = (budget - plan.first_slot_at) / plan.slot_size;
    plan.slots = slots < wanted ? (uint32_t)slots : wanted;
    plan.size = plan.first_slot_at + plan.slots * plan.slot_size;
    return plan;
}

/* Rows of a class next to each other: a classifier of two classes reads only their parts of a row. */
static void place_rows(struct kernel_view *view)
{
    const uint32_t *classes = data_classes(view->data);
    uint32_t place = 0, class_count = view->data->classes ? (uint32_t)view->data->classes : 1;

    for (uint32_t c = 0; c < class_count; c++) {
        for (uint32_t row = 0; row < view->plan->rows; row++) {
            if (classes[row] != c)
                continue;
            view->position_of[row] = place;
            view->row_at[place++] = row;
        }
    }
}

/* The most features that the rows of a block may have. */
static size_t most_features(const struct kernel_plan *plan, const struct data *data)
{
    size_t most = 0;

    for (uint32_t row = 0; row < plan->rows; row++) {
        size_t count = (size_t)(data_row(data, row + 1) - data_row(data, row));

        most = count > most ? count : most;
    }
    return most * BLOCK_ROWS < data->features + 1 ? most * BLOCK_ROWS : data->features + 1;
}

bool kernel_view_open(const struct kernel_plan *plan, const struct data *data, void *memory,
                      struct kernel_view *view)
{
    size_t most;

    *view = (struct kernel_view){.plan = plan, .data = data, .memory = memory};
    if (!plan->slots)
        return true;
    most = most_features(plan, data);
    view->position_of = malloc(plan->rows * sizeof(uint32_t));
    view->row_at = malloc(plan->rows * sizeof(uint32_t));
    view->slot_of = calloc(data->features + 2, sizeof *view->slot_of);
    view->features = malloc(most * sizeof *view->features);
    view->values = malloc(most * BLOCK_ROWS * sizeof *view->values);
    if (!view->position_of || !view->row_at || !view->slot_of || !view->features || !view->values) {
        kernel_view_close(view);
        return false;
    }
    place_rows(view);
    return true;
}

void kernel_view_close(struct kernel_view *view)
{
    free(view->position_of);
    free(view->row_at);
    free(view->slot_of);
    free(view->features);
    free(view->values);
    *view = (struct kernel_view){0};
}

/* The block of that number that nobody has claimed; `blocks` if there is none. */
static uint32_t claim_block(struct head *head, uint32_t number, uint32_t blocks)
{
    uint64_t claim = atomic_load_explicit(&head->claim, memory_order_relaxed), next;
    uint32_t block;

    do {
        block = claim >> 32 == number ? (uint32_t)claim : 0;
        if (block >= blocks)
            return blocks;
        next = (uint64_t)number << 32 | (block + 1);
        /* Relaxed: done[] is what says that something can be read. */
    } while (!atomic_compare_exchange_weak_explicit(&head->claim, &claim, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return block;
}

/* What computes a block, and for which matrix. */
struct making {
    struct kernel_view *view;
    void (*make)(const struct making *making, uint32_t first, uint32_t end); /* positions */
    struct kernel_parameters parameters;
    char *part;
    uint32_t number;
};

static void make_block(const struct making *making, uint32_t block)
{
    const struct kernel_plan *plan = making->view->plan;
    uint32_t first = block * BLOCK_ROWS,
             end = first + BLOCK_ROWS < plan->rows ? first + BLOCK_ROWS : plan->rows;

    making->make(making, first, end);
    /* Pairs with the loads in make_part(). */
    atomic_store_explicit(&((struct head *)making->part)->done[block], making->number, memory_order_release);
}

static void make_part(const struct making *making)
{
    struct head *head = (struct head *)making->part;
    uint32_t blocks = making->view->plan->blocks;
    uint32_t block;

    while ((block = claim_block(head, making->number, blocks)) < blocks)
        make_block(making, block);
    for (block = 0; block < blocks; block++) {
        if (atomic_load_explicit(&head->done[block], memory_order_acquire) != making->number)
            make_block(making, block);
    }
}

static const struct data_node *row_at(const struct kernel_view *view, uint32_t position)
{
    return data_row(view->data, view->row_at[position]);
}

static int compare_features(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Finds the features that the rows of a block have, rising, and gives each a slot, from 1. */
static void take_features(struct kernel_view *view, uint32_t first, uint32_t end)
{
    view->feature_count = 0;
    for (uint32_t i = first; i < end; i++) {
        for (const struct data_node *node = row_at(view, i); node->index >= 0; node++) {
            if (view->slot_of[node->index])
                continue;
            view->slot_of[node->index] = 1;
            view->features[view->feature_count++] = node->index;
        }
    }
    qsort(view->features, view->feature_count, sizeof *view->features, compare_features);
    for (uint32_t slot = 0; slot < view->feature_count; slot++)
        view->slot_of[view->features[slot]] = slot + 1;
}

/* The values of LANES rows of the block at the features, one feature after the other; then those of the next ones. */
static void take_values(struct kernel_view *view, uint32_t first, uint32_t end)
{
    memset(view->values, 0, (size_t)view->feature_count * BLOCK_ROWS * sizeof *view->values);
    for (uint32_t i = first; i < end; i++) {
        uint32_t group = (i - first) / LANES, lane = (i - first) % LANES;
        double *values = view->values + (size_t)group * view->feature_count * LANES;

        for (const struct data_node *node = row_at(view, i); node->index >= 0; node++)
            values[(size_t)(view->slot_of[node->index] - 1) * LANES + lane] = node->value;
    }
}

static void forget_features(struct kernel_view *view)
{
    for (uint32_t slot = 0; slot < view->feature_count; slot++)
        view->slot_of[view->features[slot]] = 0;
}

/* libsvm adds up what two rows have in common, in the order of the indexes. What the zeros of one row add does not
 * change the sum. */
static void add_products(const struct kernel_view *view, const lanes *values, const struct data_node *row,
                         double *sums)
{
    lanes sum = {0};

    for (; row->index >= 0; row++) {
        uint32_t slot = view->slot_of[row->index];

        if (slot)
            sum += values[slot - 1] * row->value;
    }
    memcpy(sums, &sum, sizeof sum);
}

/* As libsvm's prediction does it: in the order of all indexes that one of both has. */
static void add_distances(const struct kernel_view *view, const lanes *values, const struct data_node *row,
                          double *sums)
{
    lanes sum = {0};

    for (uint32_t slot = 0; slot < view->feature_count; slot++) {
        lanes difference = values[slot];

        for (; row->index >= 0 && row->index < view->features[slot]; row++)
            sum += row->value * row->value;
        if (row->index == view->features[slot])
            difference -= row++->value;
        sum += difference * difference;
    }
    for (; row->index >= 0; row++)
        sum += row->value * row->value;
    memcpy(sums, &sum, sizeof sum);
}

/* Of LANES rows from `first` on, before `end`, with all rows before them. */
static void make_lanes(const struct making *making, const lanes *values, uint32_t first, uint32_t end)
{
    const struct kernel_view *view = making->view;
    double *products = (double *)(view->memory + view->plan->products_at),
           *distances = (double *)(view->memory + view->plan->distances_at), sums[LANES], squares[LANES];

    for (uint32_t j = 0; j < end; j++) {
        const struct data_node *row = row_at(view, j);

        add_products(view, values, row, sums);
        if (view->plan->has_predicted)
            add_distances(view, values, row, squares);
        for (uint32_t i = first > j ? first : j; i < end; i++) {
            triangle_row(products, i)[j] = sums[i - first];
            if (view->plan->has_predicted)
                triangle_row(distances, i)[j] = squares[i - first];
        }
    }
}

static void make_products(const struct making *making, uint32_t first, uint32_t end)
{
    struct kernel_view *view = making->view;
    const lanes *values = (const lanes *)view->values;

    take_features(view, first, end);
    take_values(view, first, end);
    for (uint32_t i = first; i < end; i += LANES, values += view->feature_count)
        make_lanes(making, values, i, i + LANES < end ? i + LANES : end);
    forget_features(view);
}

/* As libsvm raises to a power. */
static double power(double base, int times)
{
    double result = 1;

    for (int t = times; t > 0; t /= 2) {
        if (t % 2 == 1)
            result *= base;
        base = base * base;
    }
    return result;
}

/* Of two rows, with their products with themselves and with each other. */
static inline double trained_value(const struct making *making, double ii, double jj, double ij)
{
    if (making->view->plan->kernel == KERNEL_LINEAR)
        return ij;
    if (making->view->plan->kernel == KERNEL_POLY)
        return power(making->parameters.gamma * ij + making->parameters.coef0, making->parameters.degree);
    return exp(-making->parameters.gamma * (ii + jj - 2 * ij));
}

static struct data_node *matrix_row(const struct making *making, uint32_t position)
{
    const struct kernel_plan *plan = making->view->plan;

    return (struct data_node *)(making->part + plan->matrix_at) + position * plan->pitch;
}

static double *predicted_row(const struct kernel_plan *plan, char *slot, uint32_t position)
{
    return (double *)(slot + plan->products_at) + position * (uint64_t)plan->rows;
}

static void make_predicted(const struct making *making, uint32_t first, uint32_t end)
{
    const struct kernel_plan *plan = making->view->plan;
    double *distances = (double *)(making->view->memory + plan->distances_at);

    for (uint32_t j = 0; j < end; j++) {
        double *column = predicted_row(plan, making->part, j);

        for (uint32_t i = first > j ? first : j; i < end; i++) {
            double value = exp(-making->parameters.gamma * triangle_row(distances, i)[j]);

            predicted_row(plan, making->part, i)[j] = value;
            column[i] = value;
        }
    }
}

/* The values left of the diagonal, and the same ones above it: they are of this block alone. */
static void make_matrix(const struct making *making, uint32_t first, uint32_t end)
{
    const struct kernel_view *view = making->view;
    double *products = (double *)(view->memory + view->plan->products_at), *rows[BLOCK_ROWS];

    for (uint32_t i = first; i < end; i++) {
        matrix_row(making, i)[0] = (struct data_node){.index = 0, .value = i + 1};
        rows[i - first] = triangle_row(products, i);
    }
    for (uint32_t j = 0; j < end; j++) {
        struct data_node *column = matrix_row(making, j);
        double jj = triangle_row(products, j)[j];

        for (uint32_t i = first > j ? first : j; i < end; i++) {
            const double *row = rows[i - first];
            double value = trained_value(making, row[i], jj, row[j]);

            matrix_row(making, i)[j + 1] = (struct data_node){.index = (int)j + 1, .value = value};
            column[i + 1] = (struct data_node){.index = (int)i + 1, .value = value};
        }
    }
    if (view->plan->has_predicted)
        make_predicted(making, first, end);
}

static char *slot_memory(const struct kernel_view *view, const struct kernel_slot *slot)
{
    return view->memory + view->plan->first_slot_at + slot->slot * view->plan->slot_size;
}

void kernel_make(struct kernel_view *view, const struct kernel_slot *slot,
                 const struct kernel_parameters *parameters)
{
    struct making products = {.view = view, .make = make_products, .part = view->memory, .number = 1},
                  matrix = {.view = view,
                            .make = make_matrix,
                            .parameters = *parameters,
                            .part = slot_memory(view, slot),
                            .number = slot->number};

    make_part(&products);
    make_part(&matrix);
}

struct data_node *kernel_row(const struct kernel_view *view, const struct kernel_slot *slot, uint32_t row)
{
    return (struct data_node *)(slot_memory(view, slot) + view->plan->matrix_at) +
           view->position_of[row] * view->plan->pitch;
}

const double *kernel_predicted(const struct kernel_view *view, const struct kernel_slot *slot, uint32_t row)
{
    return predicted_row(view->plan, slot_memory(view, slot), view->position_of[row]);
}
