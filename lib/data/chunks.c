/* SPDX-License-Identifier: BSD-3-Clause */
/* A chunk goes through three places: its bytes as they are stored; its elements as they are in memory, in a slot;
 * and what is wanted of them, where the caller wants it. A chunk that has whole rows which are all wanted skips the
 * slot.
 *
 * Each chunk has one slot that it may be in. As many neighbours as are best kept, along each dimension, have
 * different ones: a row's, or those that a block of tiles shares. So rows that are read in rising order, however
 * few at a time, have each chunk decompressed once. Slots get their memory when they are first used. */
#include "data/chunks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "data/hdf5_call.h"
#include "data/pipeline.h"
#include "mpmap/type.h"

#define MOST_RANK (MPM_MAX_DIMENSIONS + 1)

struct slot {
    bool is_full;
    hsize_t place[MOST_RANK]; /* of its chunk, counted in chunks */
    unsigned char *elements;
};

struct chunks {
    struct chunked of;
    hsize_t extent[MOST_RANK], chunk[MOST_RANK], kept[MOST_RANK];
    hid_t type;                     /* in the file, if it is to be converted; else -1 */
    hid_t file_space, memory_space; /* of what HDF5 reads, once it does; or -1 */
    struct pipeline pipeline;
    size_t count, element, slot_size;
    bool has_whole_rows;
    unsigned char *stored, *spare, *background;
    size_t stored_size;
    size_t slot_count;
    struct slot *slot;
};

/* The part of a box that is in one chunk. */
struct part {
    hsize_t place[MOST_RANK]; /* of the chunk, counted in chunks */
    hsize_t from[MOST_RANK];  /* in the data set */
    hsize_t to[MOST_RANK];    /* in the box */
    hsize_t count[MOST_RANK];
};

/* ---- Opening ---- */

static bool take_creation(struct chunks *chunks, hid_t creation, size_t stored_element)
{
    unsigned options = 0;
    size_t size;

    if (hdf5.H5Pget_layout(creation) != H5D_CHUNKED ||
        hdf5.H5Pget_chunk(creation, MOST_RANK, chunks->chunk) != (int)chunks->of.rank ||
        hdf5.H5Pget_chunk_opts(creation, &options) < 0 || options)
        return false;
    chunks->count = 1;
    for (unsigned i = 0; i < chunks->of.rank; i++) {
        if (__builtin_mul_overflow(chunks->count, chunks->chunk[i], &chunks->count))
            return false;
    }
    size = stored_element > chunks->element ? stored_element : chunks->element;
    if (__builtin_mul_overflow(chunks->count, size, &size) || size > SIZE_MAX - PIPELINE_MARGIN)
        return false;
    chunks->slot_size = size + PIPELINE_MARGIN;
    size = chunks->count * stored_element;
    return pipeline_take(creation, size, &chunks->pipeline);
}

/* Elements that are the same in memory are copied, as HDF5 would copy them. */
static bool take_type(struct chunks *chunks)
{
    hid_t type = hdf5.H5Dget_type(chunks->of.dataset);
    hid_t creation = hdf5.H5Dget_create_plist(chunks->of.dataset);
    unsigned char nothing[1] = {0};
    bool is_taken = type >= 0 && creation >= 0;

    chunks->element = hdf5.H5Tget_size(chunks->of.memory);
    if (is_taken)
        is_taken = take_creation(chunks, creation, hdf5.H5Tget_size(type));
    if (creation >= 0)
        hdf5.H5Pclose(creation);
    if (is_taken && hdf5.H5Tequal(type, chunks->of.memory) <= 0) {
        is_taken = hdf5.H5Tconvert(type, chunks->of.memory, 0, nothing, nothing, H5P_DEFAULT) >= 0;
        chunks->type = type;
    } else if (type >= 0) {
        hdf5.H5Tclose(type);
    }
    return is_taken;
}

/* As many slots as chunks are best kept; false if these take too much. */
static bool take_slots(struct chunks *chunks)
{
    double count = 1, most = (double)(chunks->of.most_kept / (chunks->slot_size + sizeof(struct slot)));

    chunks->slot_count = 1;
    chunks->has_whole_rows = chunks->type < 0;
    for (unsigned i = 0; i < chunks->of.rank; i++) {
        chunks->kept[i] = chunks->of.together[i] ? chunks->of.together[i] : 1;
        count *= (double)chunks->kept[i];
        if (count > 1 && count > most)
            return false;
        chunks->slot_count *= (size_t)chunks->kept[i];
        chunks->has_whole_rows &= !i || chunks->chunk[i] == chunks->extent[i];
    }
    return true;
}

static bool get_memory(struct chunks *chunks)
{
    chunks->slot = calloc(chunks->slot_count, sizeof *chunks->slot);
    chunks->spare = malloc(chunks->pipeline.size + PIPELINE_MARGIN);
    if (chunks->type >= 0)
        chunks->background = malloc(chunks->count * chunks->element);
    return chunks->slot && chunks->spare && (chunks->type < 0 || chunks->background);
}

struct chunks *chunks_open(const struct chunked *chunked)
{
    struct chunks *chunks = calloc(1, sizeof *chunks);

    if (!chunks)
        return NULL;
    chunks->of = *chunked;
    chunks->of.extent = NULL;
    memcpy(chunks->extent, chunked->extent, chunked->rank * sizeof *chunked->extent);
    chunks->type = chunks->file_space = chunks->memory_space = -1;
    if (take_type(chunks) && take_slots(chunks) && get_memory(chunks))
        return chunks;
    chunks_close(chunks);
    return NULL;
}

void chunks_close(struct chunks *chunks)
{
    if (!chunks)
        return;
    for (size_t i = 0; chunks->slot && i < chunks->slot_count; i++)
        free(chunks->slot[i].elements);
    if (chunks->type >= 0)
        hdf5.H5Tclose(chunks->type);
    if (chunks->file_space >= 0)
        hdf5.H5Sclose(chunks->file_space);
    if (chunks->memory_space >= 0)
        hdf5.H5Sclose(chunks->memory_space);
    free(chunks->slot);
    free(chunks->stored);
    free(chunks->spare);
    free(chunks->background);
    free(chunks);
}

/* ---- A chunk ---- */

static bool make_room(struct chunks *chunks, size_t size)
{
    unsigned char *more;

    if (size <= chunks->stored_size)
        return true;
    if (!(more = realloc(chunks->stored, size)))
        return false;
    chunks->stored = more;
    chunks->stored_size = size;
    return true;
}

/* What is much larger than the elements is not as usual. */
static bool read_stored(struct chunks *chunks, const struct part *part, uint32_t *mask, size_t *size)
{
    hsize_t offset[MOST_RANK], stored = 0;

    for (unsigned i = 0; i < chunks->of.rank; i++)
        offset[i] = part->place[i] * chunks->chunk[i];
    if (hdf5.H5Dget_chunk_storage_size(chunks->of.dataset, offset, &stored) < 0 || !stored ||
        stored > chunks->pipeline.size + chunks->pipeline.size / 8 + 4096 ||
        !make_room(chunks, (size_t)stored))
        return false;
    *size = (size_t)stored;
    return hdf5.H5Dread_chunk(chunks->of.dataset, H5P_DEFAULT, offset, mask, chunks->stored) >= 0;
}

/* Fills elements, which have room for a slot's. What lies between the fields of a struct is zero. */
static bool unpack(struct chunks *chunks, const struct part *part, unsigned char *elements)
{
    uint32_t mask = 0;
    size_t size;

    if (!read_stored(chunks, part, &mask, &size) ||
        !pipeline_undo(&chunks->pipeline, mask, chunks->stored, size, chunks->spare, elements))
        return false;
    if (chunks->type < 0)
        return true;
    memset(chunks->background, 0, chunks->count * chunks->element);
    return hdf5.H5Tconvert(chunks->type, chunks->of.memory, chunks->count, elements, chunks->background,
                           H5P_DEFAULT) >= 0;
}

static struct slot *slot_of(struct chunks *chunks, const struct part *part)
{
    size_t number = 0;

    for (unsigned i = 0; i < chunks->of.rank; i++)
        number = number * (size_t)chunks->kept[i] + (size_t)(part->place[i] % chunks->kept[i]);
    return &chunks->slot[number];
}

static const unsigned char *find_elements(struct chunks *chunks, const struct part *part)
{
    struct slot *slot = slot_of(chunks, part);
    size_t place_size = chunks->of.rank * sizeof *part->place;

    if (slot->is_full && !memcmp(slot->place, part->place, place_size))
        return slot->elements;
    slot->is_full = false;
    if (!slot->elements && !(slot->elements = malloc(chunks->slot_size)))
        return NULL;
    if (!unpack(chunks, part, slot->elements))
        return NULL;
    memcpy(slot->place, part->place, place_size);
    slot->is_full = true;
    return slot->elements;
}

/* ---- From a chunk to where its elements are wanted ---- */

/* Pieces of so many bytes, at equal distances. */
struct pieces {
    hsize_t count;
    size_t from, to; /* how far each is from the next */
};

#define COPY_PIECES(bytes)                                                              \
    for (hsize_t i = 0; i < pieces->count; i++, from += pieces->from, to += pieces->to) \
    memcpy(to, from, (bytes))

static void copy_pieces(const struct pieces *pieces, size_t size, const unsigned char *from,
                        unsigned char *to)
{
    switch (size) {
    case 1:
        COPY_PIECES(1);
        break;
    case 2:
        COPY_PIECES(2);
        break;
    case 4:
        COPY_PIECES(4);
        break;
    case 8:
        COPY_PIECES(8);
        break;
    default:
        COPY_PIECES(size);
    }
}

static void copy_all(const struct pieces *pieces, unsigned rank, size_t size, const unsigned char *from,
                     unsigned char *to)
{
    if (rank == 1) {
        copy_pieces(pieces, size, from, to);
        return;
    }
    for (hsize_t i = 0; i < pieces->count; i++, from += pieces->from, to += pieces->to)
        copy_all(pieces + 1, rank - 1, size, from, to);
}

/* Dimensions within which elements follow one another on both sides are one piece. */
static void copy_part(const struct chunks *chunks, const struct box *box, const struct part *part,
                      const unsigned char *elements, unsigned char *to)
{
    struct pieces pieces[MOST_RANK + 1];
    size_t chunk_stride = chunks->element, box_stride = chunks->element, size = chunks->element;
    unsigned first = MOST_RANK + 1;

    for (unsigned i = chunks->of.rank; i-- > 0;) {
        size_t step = chunk_stride * (size_t)(i ? 1 : box->step);

        elements += (size_t)(part->from[i] - part->place[i] * chunks->chunk[i]) * chunk_stride;
        to += (size_t)part->to[i] * box_stride;
        if (first == MOST_RANK + 1 && step == size && box_stride == size)
            size *= (size_t)part->count[i];
        else
            pieces[--first] = (struct pieces){part->count[i], step, box_stride};
        chunk_stride *= (size_t)chunks->chunk[i];
        box_stride *= (size_t)box->count[i];
    }
    if (first == MOST_RANK + 1)
        memcpy(to, elements, size);
    else
        copy_all(pieces + first, MOST_RANK + 1 - first, size, elements, to);
}

/* ---- A box ---- */

/* By HDF5, whatever is the matter. The spaces stay open, since closing them would wipe out HDF5's error. */
static herr_t read_by_hdf5(struct chunks *chunks, const struct box *box, const struct part *part,
                           void *elements)
{
    hsize_t step[MOST_RANK];

    for (unsigned i = 0; i < chunks->of.rank; i++)
        step[i] = i ? 1 : box->step;
    if (chunks->file_space < 0)
        chunks->file_space = hdf5.H5Dget_space(chunks->of.dataset);
    if (chunks->memory_space < 0)
        chunks->memory_space = hdf5.H5Screate(H5S_SIMPLE);
    if (hdf5.H5Sset_extent_simple(chunks->memory_space, (int)chunks->of.rank, box->count, NULL) < 0 ||
        hdf5.H5Sselect_hyperslab(chunks->file_space, H5S_SELECT_SET, part->from, step, part->count, NULL) <
            0 ||
        hdf5.H5Sselect_hyperslab(chunks->memory_space, H5S_SELECT_SET, part->to, NULL, part->count, NULL) < 0)
        return -1;
    return hdf5.H5Dread(chunks->of.dataset, chunks->of.memory, chunks->memory_space, chunks->file_space,
                        H5P_DEFAULT, elements);
}

/* Whether a chunk has nothing but rows that are wanted, one after the other. */
static bool is_all_wanted(const struct chunks *chunks, const struct box *box, const struct part *part)
{
    if (!chunks->has_whole_rows || chunks->pipeline.has_margin || box->step != 1 ||
        part->count[0] != chunks->chunk[0])
        return false;
    for (unsigned i = 1; i < chunks->of.rank; i++) {
        if (part->count[i] != chunks->chunk[i] || box->count[i] != chunks->chunk[i])
            return false;
    }
    return true;
}

static herr_t read_part(struct chunks *chunks, const struct box *box, const struct part *part, void *elements)
{
    unsigned char *to = elements;
    const unsigned char *found;

    if (is_all_wanted(chunks, box, part)) {
        if (unpack(chunks, part,
                   to + (size_t)part->to[0] * (chunks->count / (size_t)chunks->chunk[0]) * chunks->element))
            return 0;
    } else if ((found = find_elements(chunks, part))) {
        copy_part(chunks, box, part, found, to);
        return 0;
    }
    return read_by_hdf5(chunks, box, part, elements);
}

/* How many places of the box, along one dimension, are in the same chunk as the one at `at`. */
static void find_range(const struct chunks *chunks, const struct box *box, unsigned i, hsize_t at,
                       struct part *part)
{
    hsize_t step = i ? 1 : box->step, from = box->start[i] + at * step;
    hsize_t left = chunks->chunk[i] - from % chunks->chunk[i];

    part->place[i] = from / chunks->chunk[i];
    part->from[i] = from;
    part->to[i] = at;
    part->count[i] = (left - 1) / step + 1;
    if (part->count[i] > box->count[i] - at)
        part->count[i] = box->count[i] - at;
}

static herr_t read_along(struct chunks *chunks, const struct box *box, unsigned i, struct part *part,
                         void *elements)
{
    herr_t status = 0;

    if (i == chunks->of.rank)
        return read_part(chunks, box, part, elements);
    for (hsize_t at = 0; status >= 0 && at < box->count[i]; at += part->count[i]) {
        find_range(chunks, box, i, at, part);
        status = read_along(chunks, box, i + 1, part, elements);
    }
    return status;
}

herr_t chunks_read(struct chunks *chunks, const struct box *box, void *elements)
{
    struct part part;

    return read_along(chunks, box, 0, &part, elements);
}
