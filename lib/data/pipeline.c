/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/pipeline.h"

#include <stdint.h>
#include <string.h>

#include "data/deflate.h"
#include "data/shuffle.h"

#define CHECKSUM_SIZE    ((size_t)PIPELINE_MARGIN)
#define CHECKED_TOGETHER ((size_t)360) /* words whose sums do not overflow */

/* ---- What a data set has ---- */

static bool take_step(hid_t creation, unsigned position, struct pipeline_step *step)
{
    unsigned flags = 0, config, values[8] = {0};
    size_t count = sizeof values / sizeof *values;

    step->filter = hdf5.H5Pget_filter2(creation, position, &flags, &count, values, 0, NULL, &config);
    step->value = values[0];
    return step->filter == H5Z_FILTER_FLETCHER32 ||
           (step->filter == H5Z_FILTER_SHUFFLE && count == 1 && step->value > 0) ||
           (step->filter == H5Z_FILTER_DEFLATE && count == 1);
}

/* Each once, shuffle before gzip. */
static bool is_usual(struct pipeline *pipeline)
{
    unsigned shuffles = 0, gzips = 0;

    for (unsigned i = 0; i < pipeline->count; i++) {
        if (pipeline->step[i].filter == H5Z_FILTER_SHUFFLE && gzips)
            return false;
        if (pipeline->step[i].filter == H5Z_FILTER_FLETCHER32 && !gzips)
            pipeline->has_margin = true;
        shuffles += pipeline->step[i].filter == H5Z_FILTER_SHUFFLE;
        gzips += pipeline->step[i].filter == H5Z_FILTER_DEFLATE;
    }
    return gzips == 1 && shuffles <= 1 && pipeline->count <= shuffles + gzips + 1;
}

bool pipeline_take(hid_t creation, size_t size, struct pipeline *pipeline)
{
    int count = hdf5.H5Pget_nfilters(creation);

    *pipeline = (struct pipeline){.size = size};
    if (count < 1 || count > PIPELINE_MOST_STEPS)
        return false;
    for (; pipeline->count < (unsigned)count; pipeline->count++) {
        if (!take_step(creation, pipeline->count, &pipeline->step[pipeline->count]))
            return false;
    }
    return is_usual(pipeline) && deflate_load();
}

/* ---- A chunk ---- */

/* As HDF5 has it: over 16-bit words, the first byte the higher one. */
static uint32_t fletcher32(const unsigned char *bytes, size_t size)
{
    uint32_t low = 0, high = 0;

    for (size_t at = 0, end; at + 1 < size;) {
        end = size - at > 2 * CHECKED_TOGETHER ? at + 2 * CHECKED_TOGETHER : at + (size - at) / 2 * 2;
        for (; at < end; at += 2)
            high += low += (uint32_t)bytes[at] << 8 | bytes[at + 1];
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    if (size % 2) {
        high += low += (uint32_t)bytes[size - 1] << 8;
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    low = (low & 0xffff) + (low >> 16);
    high = (high & 0xffff) + (high >> 16);
    return high << 16 | low;
}

/* The checksum stands behind what it is of, its lowest byte first. */
static bool is_right(const unsigned char *bytes, size_t size)
{
    const unsigned char *at = bytes + size;

    return fletcher32(bytes, size) ==
           ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}

/* What is being undone. */
struct undoing {
    const unsigned char *at;
    size_t size;
    unsigned char *next, *last; /* where the next result goes, and the one after it */
};

/* Of a step that makes `size` bytes, or is right only if it finds as many. */
static bool undo_step(const struct pipeline_step *step, size_t size, struct undoing *undoing)
{
    unsigned char *to = undoing->next;

    if (step->filter == H5Z_FILTER_FLETCHER32) {
        if (undoing->size < CHECKSUM_SIZE || !is_right(undoing->at, undoing->size - CHECKSUM_SIZE))
            return false;
        undoing->size -= CHECKSUM_SIZE;
        return true;
    }
    if (step->filter == H5Z_FILTER_DEFLATE) {
        if (!deflate_unpack(undoing->at, undoing->size, to, size))
            return false;
    } else {
        if (undoing->size != size)
            return false;
        unshuffle(step->value, undoing->at, size, to);
    }
    *undoing = (struct undoing){to, size, undoing->last, to};
    return true;
}

bool pipeline_undo(const struct pipeline *pipeline, unsigned mask, const unsigned char *stored, size_t size,
                   unsigned char *spare, unsigned char *chunk)
{
    struct undoing undoing = {stored, size, chunk, spare};
    size_t before[PIPELINE_MOST_STEPS], at = pipeline->size;
    unsigned copies = 0;

    for (unsigned i = 0; i < pipeline->count; i++) {
        bool checks = pipeline->step[i].filter == H5Z_FILTER_FLETCHER32, is_done = !(mask >> i & 1);

        before[i] = at;
        at += checks && is_done ? CHECKSUM_SIZE : 0;
        copies += !checks && is_done;
    }
    if (copies == 2) {
        undoing.next = spare;
        undoing.last = chunk;
    }
    for (unsigned i = pipeline->count; i-- > 0;) {
        if (!(mask >> i & 1) && !undo_step(&pipeline->step[i], before[i], &undoing))
            return false;
    }
    if (undoing.size != pipeline->size)
        return false;
    if (!copies)
        memcpy(chunk, undoing.at, undoing.size);
    return true;
}

size_t pipeline_apply(const struct pipeline *pipeline, const unsigned char *chunk, unsigned char *spare,
                      unsigned char *stored, size_t most)
{
    size_t element_size = 1;

    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_step *step = &pipeline->step[i];

        if (step->filter == H5Z_FILTER_DEFLATE)
            return deflate_pack(step->value, element_size, chunk, pipeline->size, stored, most);
        if (step->filter != H5Z_FILTER_SHUFFLE)
            return 0;
        element_size = step->value;
        shuffle(element_size, chunk, pipeline->size, spare);
        chunk = spare;
    }
    return 0;
}
