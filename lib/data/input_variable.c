/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of variable length: strings, arrays, and structs that have fields of these. HDF5 takes memory for each of
 * them, which it gets from here, and all of it goes back together. Nobody knows how long rows are before they are
 * read. So a few are read at first, then more at once as long as they are small; where together they want more memory
 * than they may have, fewer are read. A single row may have any length. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input.h"
#include "data/input_inside.h"
#include "data/sum.h"

#define MOST_BYTES     ((size_t)8 << 20) /* of several rows together */
#define MOST_ROWS      4096
#define FEW_ROWS       16
#define BLOCK_SIZE     ((size_t)64 << 10)
#define ITEM_ALIGNMENT 16

/* Memory that HDF5 has got: a list of blocks, of which the first has room. */
struct block {
    struct block *next;
    size_t used, size;
    _Alignas(ITEM_ALIGNMENT) unsigned char bytes[];
};

struct variable {
    hid_t transfer;
    struct block *blocks;
    size_t used, most; /* bytes of the rows that are read together */
    bool is_full;
    size_t together; /* rows that are read next */
    size_t row_size; /* of a row as HDF5 puts it */
    size_t most_rows;
    unsigned char *raw;
};

static void forget(struct variable *variable)
{
    for (struct block *block = variable->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    variable->blocks = NULL;
    variable->used = 0;
    variable->is_full = false;
}

static struct block *add_block(struct variable *variable, size_t size)
{
    size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    struct block *block = room < SIZE_MAX - sizeof *block ? malloc(sizeof *block + room) : NULL;

    if (!block)
        return NULL;
    block->next = variable->blocks;
    block->used = 0;
    block->size = room;
    return variable->blocks = block;
}

/* HDF5's malloc(). */
static void *take(size_t size, void *info)
{
    struct variable *variable = info;
    struct block *block = variable->blocks;
    void *taken;

    size = (size + ITEM_ALIGNMENT - 1) / ITEM_ALIGNMENT * ITEM_ALIGNMENT;
    if (size > variable->most || variable->used > variable->most - size) {
        variable->is_full = true;
        return NULL;
    }
    if (!block || block->size - block->used < size)
        block = add_block(variable, size);
    if (!block)
        return NULL;
    taken = block->bytes + block->used;
    block->used += size;
    variable->used += size;
    return taken;
}

/* And its free(): all goes back together. */
static void give_back(void *memory, void *info)
{
    (void)memory;
    (void)info;
}

static uint64_t add_type(uint64_t sum, size_t offset, const struct variable_type *type)
{
    sum = sum_add_word(sum, offset);
    sum = sum_add_word(sum, (uint64_t)type->is << 1 | type->is_text);
    return sum_add_word(sum, type->element_size);
}

uint64_t input_variable_sum(const struct input *input)
{
    uint64_t sum = add_type(SUM_EMPTY, 0, &input->variable_type);

    for (unsigned i = 0; i < input->spans.count; i++)
        sum = add_type(sum, input->spans.field[i].offset, &input->spans.field[i].type);
    return sum;
}

static size_t raw_size(const struct input *input)
{
    if (!input->variable_type.is)
        return mpm_shape_size(&input->row);
    return input->variable_type.is_text ? sizeof(char *) : sizeof(hvl_t);
}

static struct variable *allocate(const struct input *input)
{
    struct variable *variable = calloc(1, sizeof *variable);
    size_t size = raw_size(input), most = MOST_BYTES / size;

    if (!variable)
        return NULL;
    variable->row_size = size;
    variable->most_rows = most > MOST_ROWS ? MOST_ROWS : most ? most : 1;
    variable->together = variable->most_rows < FEW_ROWS ? variable->most_rows : FEW_ROWS;
    if ((variable->raw = calloc(variable->most_rows, size)))
        return variable;
    free(variable);
    return NULL;
}

static int make(struct input *input)
{
    struct variable *variable = allocate(input);
    struct hdf5_guard guard;
    bool is;

    if (!variable)
        return error_set(MPM_ENOMEM, "no memory to read rows of variable length");
    hdf5_enter(&guard);
    variable->transfer = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_XFER_ID_g);
    is = variable->transfer >= 0 &&
         hdf5.H5Pset_vlen_mem_manager(variable->transfer, take, variable, give_back, variable) >= 0;
    hdf5_leave(&guard);
    input->variable = variable;
    return is ? 0 : error_set(MPM_EIO, "HDF5 cannot be told where rows of variable length go");
}

void input_free_variable(struct variable *variable)
{
    struct hdf5_guard guard;

    if (!variable)
        return;
    forget(variable);
    if (variable->transfer >= 0) {
        hdf5_enter(&guard);
        hdf5.H5Pclose(variable->transfer);
        hdf5_leave(&guard);
    }
    free(variable->raw);
    free(variable);
}

static void take_items(const struct input *input, size_t count, struct item *items)
{
    const struct variable *variable = input->variable;

    for (size_t i = 0; i < count; i++) {
        const mpm_span span = span_of(input->variable_type, variable->raw + i * variable->row_size);

        items[i] = (struct item){span.at, span.size};
    }
}

/* A row has several structs if the data set has more than one dimension. */
static void take_structs(const struct input *input, size_t count, struct item *items)
{
    const struct variable *variable = input->variable;

    spans_settle(&input->spans, count * (variable->row_size / input->spans.size), variable->raw);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct item){variable->raw + i * variable->row_size, variable->row_size};
}

static int try_rows(struct input *input, uint64_t first, size_t count)
{
    struct variable *variable = input->variable;
    const struct input_target target = {
        .rows = variable->raw, .row_size = variable->row_size, .transfer = variable->transfer};

    forget(variable);
    variable->most = count > 1 ? MOST_BYTES : SIZE_MAX;
    memset(variable->raw, 0, count * target.row_size);
    return input_read_into(input, first, count, &target);
}

int input_read_variable(struct input *input, uint64_t first, size_t *count, struct item *items)
{
    struct variable *variable;
    int status = input->variable ? 0 : make(input);

    if (status)
        return status;
    variable = input->variable;
    if (*count > variable->together)
        *count = variable->together;
    while ((status = try_rows(input, first, *count)) && variable->is_full && *count > 1)
        variable->together = *count /= 2;
    if (status)
        return status;
    if (input->variable_type.is)
        take_items(input, *count, items);
    else
        take_structs(input, *count, items);
    if (variable->used < MOST_BYTES / 4 && *count == variable->together && 2 * *count <= variable->most_rows)
        variable->together *= 2;
    return 0;
}
