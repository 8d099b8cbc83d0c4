/* SPDX-License-Identifier: BSD-3-Clause */
/* Turning structs into columns and back, a piece at a time. One field that is all of the struct needs no turning. */
#include "data/result_place.h"

#include <errno.h>
#include <string.h>

#include "data/part.h"

#define PIECE_SIZE ((size_t)64 << 10)

static bool is_whole(const struct result_places *places, const struct result_place *field)
{
    return field->size == places->size;
}

void result_gather(const struct result_places *places, unsigned field, const void *rows, uint64_t from,
                   size_t size, void *bytes)
{
    const struct result_place *place = &places->field[field];
    const char *at = (const char *)rows + place->offset;
    char *to = bytes;

    if (is_whole(places, place)) {
        memcpy(to, at + from, size);
        return;
    }
    while (size > 0) {
        uint64_t row = from / place->size, inside = from % place->size;
        size_t step = place->size - inside < size ? (size_t)(place->size - inside) : size;

        memcpy(to, at + row * places->size + inside, step);
        to += step;
        from += step;
        size -= step;
    }
}

/* The reverse. */
static void scatter(const struct result_places *places, const struct result_place *place, void *rows,
                    uint64_t from, size_t size, const char *bytes)
{
    char *to = (char *)rows + place->offset;

    while (size > 0) {
        uint64_t row = from / place->size, inside = from % place->size;
        size_t step = place->size - inside < size ? (size_t)(place->size - inside) : size;

        memcpy(to + row * places->size + inside, bytes, step);
        bytes += step;
        from += step;
        size -= step;
    }
}

static bool write_column(int fd, const struct result_places *places, unsigned field, uint64_t at,
                         uint64_t count, const void *rows)
{
    uint64_t size = count * places->field[field].size;
    char piece[PIECE_SIZE];

    for (uint64_t from = 0, step; from < size; from += step) {
        step = size - from < sizeof piece ? size - from : sizeof piece;
        result_gather(places, field, rows, from, step, piece);
        if (!write_at(fd, piece, step, at + from))
            return false;
    }
    return true;
}

bool result_write(int fd, const struct result_places *places, uint64_t first, uint64_t count,
                  const void *rows)
{
    bool is_written = true;

    for (unsigned i = 0; is_written && i < places->count; i++) {
        const struct result_place *field = &places->field[i];
        uint64_t at = field->at + first * field->size;

        is_written = is_whole(places, field) ? write_at(fd, rows, count * field->size, at)
                                             : write_column(fd, places, i, at, count, rows);
    }
    return is_written;
}

static bool read_all(int fd, void *bytes, uint64_t size, uint64_t at)
{
    ssize_t got = read_at(fd, bytes, size, at);

    if (got >= 0 && (uint64_t)got < size)
        errno = ENODATA;
    return got >= 0 && (uint64_t)got == size;
}

static bool read_column(int fd, const struct result_places *places, const struct result_place *field,
                        uint64_t at, uint64_t count, void *rows)
{
    uint64_t size = count * field->size;
    char piece[PIECE_SIZE];

    for (uint64_t from = 0, step; from < size; from += step) {
        step = size - from < sizeof piece ? size - from : sizeof piece;
        if (!read_all(fd, piece, step, at + from))
            return false;
        scatter(places, field, rows, from, step, piece);
    }
    return true;
}

bool result_read(int fd, const struct result_places *places, uint64_t first, uint64_t count, void *rows)
{
    bool is_read = true;

    if (places->count > 0 && !is_whole(places, &places->field[0]))
        memset(rows, 0, count * places->size);
    for (unsigned i = 0; is_read && i < places->count; i++) {
        const struct result_place *field = &places->field[i];
        uint64_t at = field->at + first * field->size;

        is_read = is_whole(places, field) ? read_all(fd, rows, count * field->size, at)
                                          : read_column(fd, places, field, at, count, rows);
    }
    return is_read;
}
