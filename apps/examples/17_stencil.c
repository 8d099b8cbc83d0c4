/* SPDX-License-Identifier: BSD-3-Clause */
/* Heat in a square plate whose edges keep their temperature, by Jacobi: in each step every point becomes the mean of
 * its four neighbours. Workers share the plate: a block of rows reads its neighbours' rows where they are, and nothing
 * is sent. A map is a step: it returns when all blocks are done. Two plates take turns, so that nobody reads what is
 * being written. In Python, by one process:
 *
 *     SIDE, STEPS = 34, 400
 *     plate = [[100.0] * SIDE] + [[0.0] * SIDE for _ in range(SIDE - 1)]
 *     for step in range(STEPS):
 *         after = [row[:] for row in plate]
 *         for i in range(1, SIDE - 1):
 *             for j in range(1, SIDE - 1):
 *                 after[i][j] = 0.25 * (plate[i - 1][j] + plate[i + 1][j] + plate[i][j - 1] + plate[i][j + 1])
 *         plate = after
 *     print("After %d steps: top %.3f, middle %.3f, bottom %.3f"
 *           % (STEPS, plate[1][SIDE // 2], plate[SIDE // 2][SIDE // 2], plate[SIDE - 2][SIDE // 2]))
 *
 * It runs on one node: as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

#define SIDE   34 /* points, with the edges */
#define BLOCKS 8  /* of rows: more than CPUs, so that all are busy to the end of a step */
#define STEPS  400

/* What a step works on. The handles mean the same in every worker. */
struct plates {
    mpm_array before, after;
};

/* One block: the index says which rows. */
static int relax(mpm_call *call, const void *item, void *result)
{
    const struct plates *plates = mpm_call_context(call);
    size_t block = mpm_call_index(call);
    size_t first = 1 + block * (SIDE - 2) / BLOCKS, end = 1 + (block + 1) * (SIDE - 2) / BLOCKS;
    void *before, *after;

    (void)item;
    (void)result;
    if (mpm_array_pointer(plates->before, &before) || mpm_array_pointer(plates->after, &after))
        return mpm_fail(call, "%s", mpm_error());
    for (size_t i = first; i < end; i++) {
        const double *above = (const double *)before + (i - 1) * SIDE, *row = above + SIDE,
                     *below = row + SIDE;
        double *to = (double *)after + i * SIDE;

        for (size_t j = 1; j < SIDE - 1; j++)
            to[j] = 0.25 * (above[j] + below[j] + row[j - 1] + row[j + 1]);
    }
    return 0;
}

/* A plate that all workers share: cold, but for its upper edge. */
static int make_plate(mpm_array *plate)
{
    double points[SIDE * SIDE] = {0};

    for (size_t j = 0; j < SIDE; j++)
        points[j] = 100;
    return mpm_array_create(MPM_F64, SIDE * SIDE, points, plate);
}

static int relax_for(mpm_pool *pool, int steps, const mpm_array plates[2])
{
    int status = 0;

    for (int step = 0; step < steps && !status; step++) {
        struct plates turn = {plates[step % 2], plates[(step + 1) % 2]};
        mpm_map_options options = {.context = &turn, .context_size = sizeof turn};

        status = mpm_pool_map(pool, relax, NULL, BLOCKS, 0, 0, &options, NULL);
    }
    return status;
}

static int print_column(mpm_array plate)
{
    static const size_t rows[] = {1, SIDE / 2, SIDE - 2};
    double heat[3];

    for (size_t i = 0; i < 3; i++) {
        int status = mpm_array_get(plate, rows[i] * SIDE + SIDE / 2, &heat[i]);

        if (status)
            return status;
    }
    printf("After %d steps: top %.3f, middle %.3f, bottom %.3f\n", STEPS, heat[0], heat[1], heat[2]);
    return 0;
}

int main(int argc, char **argv)
{
    mpm_array plates[2];
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || make_plate(&plates[0]) || make_plate(&plates[1]) ||
        mpm_pool_open(NULL, &pool) || relax_for(pool, STEPS, plates) || print_column(plates[STEPS % 2]))
        return mpm_report_error();
    mpm_pool_close(pool);
    return mpm_finalize();
}
