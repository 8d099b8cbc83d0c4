/* SPDX-License-Identifier: BSD-3-Clause */
/* Paints a photograph, tile by tile: a plugin to copy and change. Build and run it:
 *
 *     cc -O2 -shared -fPIC -o paint.so paint.c -lm
 *     mpmap map ./paint.so:paint tiles.h5:/tiles painted.h5:/tiles
 *
 * Each pixel takes the mean colour of the calmest of many brush strokes that cover it (after Kuwahara), so
 * flat parts run together like paint and edges stay sharp. A tile is 32x32 pixels and 16 more on each side,
 * which strokes reach into: rows know nothing of each other. */
#include <math.h>
#include <mpmap.h>

enum { TILE = 64, CORE = 32, MARGIN = 16, COLOURS = 3 };
enum { DIRECTIONS = 12, HALF_LENGTH = 7, HALF_WIDTH = 3 };

const mpm_task_description paint_description = {
    .result = "u8[32,32,3]", .row = "u8[64,64,3]", .help = "paints the middle of a 64x64 tile"};

/* Mean colour under a stroke with its middle at (y, x), along the angle; returns its unrest, the variance. */
static float stroke_colour(const uint8_t (*tile)[TILE][COLOURS], float y, float x, float angle, float *mean)
{
    float cosine = cosf(angle), sine = sinf(angle), squares = 0, sum[COLOURS] = {0}, unrest;
    const float count = (2 * HALF_LENGTH + 1) * (2 * HALF_WIDTH + 1);

    for (float along = -HALF_LENGTH; along <= HALF_LENGTH; along++)
        for (float across = -HALF_WIDTH; across <= HALF_WIDTH; across++) {
            const uint8_t *pixel = tile[(int)(y + along * sine + across * cosine + 0.5f)]
                                       [(int)(x + along * cosine - across * sine + 0.5f)];
            for (int c = 0; c < COLOURS; c++) {
                sum[c] += pixel[c];
                squares += (float)(pixel[c] * pixel[c]);
            }
        }
    unrest = squares / count;
    for (int c = 0; c < COLOURS; c++) {
        mean[c] = sum[c] / count;
        unrest -= mean[c] * mean[c];
    }
    return unrest;
}

/* Half of the strokes begin at the pixel and half of them have it in their middle. */
static void paint_pixel(const uint8_t (*tile)[TILE][COLOURS], int y, int x, uint8_t *painted)
{
    float calmest = INFINITY, mean[COLOURS];

    for (int stroke = 0; stroke < 2 * DIRECTIONS; stroke++) {
        float angle = (float)M_PI * (float)(stroke % DIRECTIONS) * 2 / DIRECTIONS;
        float ahead = stroke < DIRECTIONS ? HALF_LENGTH : HALF_LENGTH / 2.0f;
        float unrest = stroke_colour(tile, (float)y + ahead * sinf(angle), (float)x + ahead * cosf(angle),
                                     angle, mean);

        if (unrest < calmest) {
            calmest = unrest;
            for (int c = 0; c < COLOURS; c++)
                painted[c] = (uint8_t)(mean[c] + 0.5f);
        }
    }
}

int paint(mpm_call *call, const void *item, void *result)
{
    const uint8_t(*tile)[TILE][COLOURS] = item;
    uint8_t(*painted)[CORE][COLOURS] = result;

    (void)call;
    for (int y = 0; y < CORE; y++)
        for (int x = 0; x < CORE; x++)
            paint_pixel(tile, MARGIN + y, MARGIN + x, painted[y][x]);
    return 0;
}
