/* SPDX-License-Identifier: BSD-3-Clause */
/* Perceptual hash, sharpness and colours. Averages are exact: a pixel that lies across the border of two cells counts
 * in both, by its parts, so that a mirrored picture has mirrored averages. */
#include "look.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GRID        32 /* mean luminances a side, of which the hash is made */
#define FREQUENCIES 8
#define FLAT        0.25f /* a wave of a smaller amplitude, in grey levels, is noise of the encoder: its bit is 0 */

/* Adds `count` values, `stride` apart, into `cells` means, each of which covers count / cells values. */
static void average_line(const float *values, size_t count, size_t stride, size_t cells, float *means)
{
    double width = (double)count / (double)cells;

    for (size_t cell = 0; cell < cells; cell++) {
        double begin = (double)cell * width, end = begin + width, sum = 0;

        for (size_t at = (size_t)begin; at < count && (double)at < end; at++) {
            double from = fmax(begin, (double)at), to = fmin(end, (double)at + 1);

            sum += (to - from) * values[at * stride];
        }
        means[cell] = (float)(sum / width);
    }
}

/* Means of cells x cells parts of a plane. `lines` has room for height * cells values. */
static void average_plane(const float *plane, size_t width, size_t height, size_t cells, float *lines,
                          float *means)
{
    float column[GRID];

    for (size_t y = 0; y < height; y++)
        average_line(plane + y * width, width, 1, cells, lines + y * cells);
    for (size_t x = 0; x < cells; x++) {
        average_line(lines + x, height, cells, cells, column);
        for (size_t y = 0; y < cells; y++)
            means[y * cells + x] = column[y];
    }
}

static float find_sharpness(const float *grey, size_t width, size_t height)
{
    double sum = 0, squares = 0, count;

    if (width < 3 || height < 3)
        return 0;
    for (size_t y = 1; y + 1 < height; y++) {
        for (size_t x = 1; x + 1 < width; x++) {
            const float *at = grey + y * width + x;
            double wave = (double)at[-1] + at[1] + at[-(ptrdiff_t)width] + at[width] - 4 * (double)at[0];

            sum += wave;
            squares += wave * wave;
        }
    }
    count = (double)(width - 2) * (double)(height - 2);
    return (float)(squares / count - (sum / count) * (sum / count));
}

static void fill_cosines(float cosines[FREQUENCIES][GRID])
{
    for (int u = 0; u < FREQUENCIES; u++) {
        for (int x = 0; x < GRID; x++)
            cosines[u][x] = (float)(cos(M_PI * (x + 0.5) * u / GRID) / GRID);
    }
}

static void find_waves(const float grid[GRID * GRID], float waves[FREQUENCIES][FREQUENCIES])
{
    float cosines[FREQUENCIES][GRID], across[GRID][FREQUENCIES];

    fill_cosines(cosines);
    for (int y = 0; y < GRID; y++) {
        for (int u = 0; u < FREQUENCIES; u++) {
            across[y][u] = 0;
            for (int x = 0; x < GRID; x++)
                across[y][u] += grid[y * GRID + x] * cosines[u][x];
        }
    }
    for (int v = 0; v < FREQUENCIES; v++) {
        for (int u = 0; u < FREQUENCIES; u++) {
            waves[v][u] = 0;
            for (int y = 0; y < GRID; y++)
                waves[v][u] += across[y][u] * cosines[v][y];
        }
    }
}

/* A mirrored picture has the same waves, but those of odd frequencies begin the other way round. */
static uint64_t find_hash(float waves[FREQUENCIES][FREQUENCIES], unsigned turn)
{
    uint64_t hash = waves[0][0] > 127.5f;

    for (unsigned bit = 1; bit < FREQUENCIES * FREQUENCIES; bit++) {
        unsigned v = bit / FREQUENCIES, u = bit % FREQUENCIES;
        float wave = turn & 4 ? waves[u][v] : waves[v][u];
        bool is_mirrored = ((turn & 1) && u % 2) != ((turn & 2) && v % 2);

        if ((is_mirrored ? -wave : wave) > FLAT)
            hash |= UINT64_C(1) << bit;
    }
    return hash;
}

static void find_hashes(const float grid[GRID * GRID], struct look *look)
{
    float waves[FREQUENCIES][FREQUENCIES];

    find_waves(grid, waves);
    for (unsigned turn = 0; turn < TURNS; turn++)
        look->hashes[turn] = find_hash(waves, turn);
    for (unsigned bit = 1; bit < FREQUENCIES * FREQUENCIES; bit++)
        look->waves += fabsf(waves[bit / FREQUENCIES][bit % FREQUENCIES]) > FLAT;
}

static uint8_t to_byte(float value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value + 0.5f);
}

static void find_colours(const float *means, unsigned colour, struct look *look)
{
    float sum = 0;

    for (size_t cell = 0; cell < COLOUR_CELLS * COLOUR_CELLS; cell++) {
        look->colours[3 * cell + colour] = to_byte(means[cell]);
        sum += means[cell];
    }
    look->mean[colour] = to_byte(sum / (COLOUR_CELLS * COLOUR_CELLS));
}

int look_find(const uint8_t *pixels, size_t width, size_t height, struct look *look)
{
    size_t count = width * height;
    float *plane = malloc((count + height * GRID) * sizeof *plane), *lines = plane + count;
    float means[GRID * GRID];

    if (!plane)
        return -1;
    memset(look, 0, sizeof *look);
    for (unsigned colour = 0; colour < 3; colour++) {
        for (size_t i = 0; i < count; i++)
            plane[i] = pixels[3 * i + colour];
        average_plane(plane, width, height, COLOUR_CELLS, lines, means);
        find_colours(means, colour, look);
    }
    for (size_t i = 0; i < count; i++)
        plane[i] = 0.299f * pixels[3 * i] + 0.587f * pixels[3 * i + 1] + 0.114f * pixels[3 * i + 2];
    look->sharpness = find_sharpness(plane, width, height);
    average_plane(plane, width, height, GRID, lines, means);
    find_hashes(means, look);
    free(plane);
    return 0;
}

void look_turn_colours(const uint8_t colours[COLOUR_SIZE], unsigned turn, uint8_t turned[COLOUR_SIZE])
{
    for (size_t y = 0; y < COLOUR_CELLS; y++) {
        for (size_t x = 0; x < COLOUR_CELLS; x++) {
            size_t from_x = turn & 1 ? COLOUR_CELLS - 1 - x : x, from_y = turn & 2 ? COLOUR_CELLS - 1 - y : y;
            size_t from = turn & 4 ? from_x * COLOUR_CELLS + from_y : from_y * COLOUR_CELLS + from_x;

            memcpy(turned + 3 * (y * COLOUR_CELLS + x), colours + 3 * from, 3);
        }
    }
}
