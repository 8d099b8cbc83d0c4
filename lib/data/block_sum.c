/* SPDX-License-Identifier: BSD-3-Clause */
/* A checksum goes over pieces of fixed length, so that whoever reads a block needs no memory for all of it. */
#include "data/block_sum.h"

#include <errno.h>
#include <fcntl.h>

#include "data/part.h"
#include "data/sum.h"
#include "data/values.h"

#define PIECE_SIZE ((uint64_t)128 << 10)
#define AHEAD_SIZE ((uint64_t)16 << 20)

/* Marks, or a field of results: in memory, or if that is NULL at an offset of a file. */
struct source {
    const void *bytes;
    const struct result_places *places; /* of results in memory; NULL: marks */
    unsigned field;
    int fd;
    uint64_t at;
};

/* Bytes [from, from + size), which may be put into `piece`; NULL if they cannot be read. */
static const char *take_piece(const struct source *source, uint64_t from, uint64_t size, char *piece)
{
    if (!source->bytes)
        return read_at(source->fd, piece, size, source->at + from) == (ssize_t)size ? piece : NULL;
    if (!source->places || source->places->field[source->field].size == source->places->size)
        return (const char *)source->bytes + from;
    result_gather(source->places, source->field, source->bytes, from, size, piece);
    return piece;
}

static bool add_pieces(uint64_t *sum, const struct source *source, uint64_t size)
{
    char piece[PIECE_SIZE];
    const char *bytes;

    for (uint64_t from = 0, step; from < size; from += step) {
        step = size - from < PIECE_SIZE ? size - from : PIECE_SIZE;
        if (!(bytes = take_piece(source, from, step, piece)))
            return false;
        *sum = sum_add(*sum, bytes, step);
    }
    return true;
}

/* Completes a block whose rows are known: in memory, or if `marks` is NULL in a file. */
static bool sum_up(int fd, const struct part_places *places, const unsigned char *marks, const void *results,
                   struct block_sum *block)
{
    uint64_t sum = sum_add_word(sum_add_word(SUM_EMPTY, block->first), block->rows);
    const struct result_places *fields = &places->results;
    struct source source = {.bytes = marks, .fd = fd, .at = places->marks_at + block->first};

    if (!add_pieces(&sum, &source, block->rows))
        return false;
    source.bytes = results;
    source.places = fields;
    for (unsigned i = 0; i < fields->count; i++) {
        source.field = i;
        source.at = fields->field[i].at + block->first * fields->field[i].size;
        if (!add_pieces(&sum, &source, block->rows * fields->field[i].size))
            return false;
    }
    block->sum = (uint32_t)(sum ^ sum >> 32);
    return true;
}

struct block_sum block_sum_of(const struct part_places *places, uint64_t first, uint64_t rows,
                              const unsigned char *marks, const void *results)
{
    struct block_sum block = {first, (uint32_t)rows, 0};

    sum_up(-1, places, marks, results, &block);
    return block;
}

/* In the place of a row: what is known of its block there. 0 rows: none begins here. */
struct small_sum {
    uint32_t rows;
    uint32_t sum;
};

_Static_assert(sizeof(struct small_sum) == PART_SUM_SIZE, "it fits into its place");
_Static_assert(sizeof(struct block_sum) == PART_GROUP_SIZE, "it fits into its place");

static uint64_t groups_at(const struct part_places *places)
{
    return places->sums_at + places->capacity * PART_SUM_SIZE;
}

bool block_sum_write(int fd, const struct part_places *places, const struct block_sum *block)
{
    const struct small_sum small = {block->rows, block->sum};

    if (block->rows >= PART_GROUP_ROWS)
        return write_at(fd, block, sizeof *block,
                        groups_at(places) + block->first / PART_GROUP_ROWS * sizeof *block);
    return write_at(fd, &small, sizeof small, places->sums_at + block->first * sizeof small);
}

/* Blocks are looked at in the order in which their results stand in the file. */
struct look {
    const struct block_search *search;
    struct value_reader *values;
    uint64_t asked_to; /* the kernel has been asked to read what stands before that */
    block_proved *proved;
    void *argument;
};

/* Has the disk read on while checksums are made of what it has read. The kernel would not by itself, since there are
 * marks to be read in between. It makes no difference where it can't. */
static void read_ahead(struct look *look, uint64_t at)
{
    uint64_t from = at > look->asked_to ? at : look->asked_to;

    if (from > at + AHEAD_SIZE / 2)
        return;
    posix_fadvise(look->search->fd, (off_t)from, (off_t)AHEAD_SIZE, POSIX_FADV_WILLNEED);
    look->asked_to = from + AHEAD_SIZE;
}

/* Whether each value of a field of a block is what its reference says. */
static bool values_of_field_are_right(struct look *look, const struct block_sum *block,
                                      const struct result_place *field)
{
    struct value_ref refs[PIECE_SIZE / sizeof(struct value_ref)];
    const uint64_t most = sizeof refs / sizeof *refs;

    for (uint64_t row = 0, count; row < block->rows; row += count) {
        count = block->rows - row < most ? block->rows - row : most;
        if (read_at(look->search->fd, refs, count * sizeof *refs,
                    field->at + (block->first + row) * sizeof *refs) != (ssize_t)(count * sizeof *refs))
            return false;
        for (uint64_t i = 0; i < count; i++) {
            if (!values_are_right(look->values, &refs[i]))
                return false;
        }
    }
    return true;
}

static bool values_of_block_are_right(struct look *look, const struct block_sum *block)
{
    const struct result_places *results = &look->search->places.results;
    bool are = true;

    for (unsigned i = 0; are && i < results->count; i++)
        are = !results->field[i].is_vlen || values_of_field_are_right(look, block, &results->field[i]);
    return are;
}

/* What cannot be read counts as no. */
static bool is_right(struct look *look, const struct block_sum *block)
{
    const struct part_places *places = &look->search->places;
    const struct result_place *results = &places->results.field[0];
    struct block_sum found = *block;

    if (!block->rows || block->first >= places->rows || block->rows > places->rows - block->first)
        return false;
    if (places->results.count == 1)
        read_ahead(look, results->at + block->first * results->size);
    return sum_up(look->search->fd, places, NULL, NULL, &found) && found.sum == block->sum &&
           values_of_block_are_right(look, block);
}

/* Reads so many bytes, all of them. */
static bool read_all(int fd, void *bytes, uint64_t size, uint64_t at)
{
    ssize_t got = read_at(fd, bytes, size, at);

    if (got >= 0 && (uint64_t)got < size)
        errno = ENODATA;
    return got >= 0 && (uint64_t)got == size;
}

static bool find_small(struct look look)
{
    struct small_sum sums[PIECE_SIZE / sizeof(struct small_sum)];
    const struct block_search *search = look.search;
    const uint64_t most = sizeof sums / sizeof *sums;

    for (uint64_t first = search->first, count; first < search->end; first += count) {
        count = search->end - first < most ? search->end - first : most;
        if (!read_all(search->sums, sums, count * sizeof *sums,
                      search->places.sums_at + first * sizeof *sums))
            return false;
        for (uint64_t i = 0; i < count; i++) {
            const struct block_sum block = {first + i, sums[i].rows, sums[i].sum};

            if (is_right(&look, &block))
                look.proved(&block, look.argument);
        }
    }
    return true;
}

static bool find_large(struct look look)
{
    const struct block_search *search = look.search;
    struct block_sum block;

    for (uint64_t group = search->first / PART_GROUP_ROWS; group * PART_GROUP_ROWS < search->end; group++) {
        if (!read_all(search->sums, &block, sizeof block, groups_at(&search->places) + group * sizeof block))
            return false;
        if (block.first >= search->first && block.first < search->end && is_right(&look, &block))
            look.proved(&block, look.argument);
    }
    return true;
}

bool block_sums_search(const struct block_search *search, block_proved *proved, void *argument)
{
    struct value_reader values;
    const struct look look = {.search = search, .values = &values, .proved = proved, .argument = argument};
    bool is_searched;

    values_open(&values, search->values);
    is_searched = find_small(look) && find_large(look);
    values_end(&values);
    return is_searched;
}

bool block_sums_find(int fd, const struct part_places *places, const char *values, block_proved *proved,
                     void *argument)
{
    const struct block_search all = {fd, fd, *places, 0, places->rows, values};

    return block_sums_search(&all, proved, argument);
}
