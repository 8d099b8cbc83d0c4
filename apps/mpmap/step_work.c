/* SPDX-License-Identifier: BSD-3-Clause */
/* What a step consists of; see the header. */
#include "step_work.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define STEP_S    4e-6  /* a step without items, roughly */
#define STENCIL_S 50e-6 /* one of the stencil */
#define MANY      100000u
#define TRIES     100

const struct step_kind step_kinds[STEP_KINDS] = {
    {1, 0, "width 1, empty"},        {1, 1e-6, "width 1, 1 us"},       {1, 1e-5, "width 1, 10 us"},
    {1, 1e-3, "width 1, 1 ms"},      {2, 0, "width 2, empty"},         {2, 1e-6, "width 2, 1 us"},
    {2, 1e-5, "width 2, 10 us"},     {2, 1e-3, "width 2, 1 ms"},       {16, 0, "width 16, empty"},
    {16, 1e-6, "width 16, 1 us"},    {16, 1e-5, "width 16, 10 us"},    {16, 1e-3, "width 16, 1 ms"},
    {1024, 0, "width 1024, empty"},  {1024, 1e-6, "width 1024, 1 us"}, {1024, 1e-5, "width 1024, 10 us"},
    {1024, 1e-3, "width 1024, 1 ms"}};

const struct step_kind node_step_kinds[NODE_STEP_KINDS] = {
    {1, 0, "two nodes: width 1, empty"},       {2, 0, "two nodes: width 2, empty"},
    {2, 1e-3, "two nodes: width 2, 1 ms"},     {16, 0, "two nodes: width 16, empty"},
    {16, 1e-5, "two nodes: width 16, 10 us"},  {16, 1e-3, "two nodes: width 16, 1 ms"},
    {1024, 0, "two nodes: width 1024, empty"}, {1024, 1e-5, "two nodes: width 1024, 10 us"},
};

/* The compiler may neither shorten the chain nor know what comes out. */
__attribute__((noinline)) void step_work(unsigned rounds)
{
    double x = 1.0;

    for (unsigned i = 0; i < rounds; i++) {
        x = x * 0.5 + 1.0;
        __asm__ volatile("" : "+x"(x));
    }
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double step_time_round(void)
{
    double shortest_s = INFINITY;

    for (int i = 0; i < TRIES; i++) {
        double begun_s = now_s();

        step_work(MANY);
        shortest_s = fmin(shortest_s, now_s() - begun_s);
    }
    return shortest_s / MANY;
}

unsigned step_rounds(const struct step_kind *kind, double round_s)
{
    return (unsigned)lround(kind->item_s / round_s);
}

uint64_t step_count(const struct step_kind *kind, unsigned workers, double seconds)
{
    double parallel = fmin(kind->width, workers);

    return 1 + (uint64_t)(seconds / (STEP_S + kind->width * kind->item_s / parallel));
}

size_t stencil_bytes(void)
{
    return sizeof(double) * STENCIL_SIDE * STENCIL_SIDE;
}

/* Cold, but for one hot edge. */
void stencil_begin(double *plate)
{
    memset(plate, 0, stencil_bytes());
    for (unsigned i = 0; i < STENCIL_SIDE; i++)
        plate[i] = 1;
}

void stencil_block(const double *before, double *after, unsigned block)
{
    unsigned rows = STENCIL_SIDE - 2, first = 1 + block * rows / STENCIL_BLOCKS,
             end = 1 + (block + 1) * rows / STENCIL_BLOCKS;

    for (unsigned row = first; row < end; row++) {
        const double *above = before + (row - 1) * STENCIL_SIDE, *at = above + STENCIL_SIDE,
                     *below = at + STENCIL_SIDE;
        double *to = after + row * STENCIL_SIDE;

        for (unsigned i = 1; i + 1 < STENCIL_SIDE; i++)
            to[i] = 0.25 * (at[i - 1] + at[i + 1] + above[i] + below[i]);
    }
}

uint64_t stencil_count(double seconds)
{
    return 1 + (uint64_t)(seconds / STENCIL_S);
}
