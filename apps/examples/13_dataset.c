/* SPDX-License-Identifier: BSD-3-Clause */
/* The mean of each row of an HDF5 data set, which may be larger than memory. `mpmap map` does the same with a plugin.
 * In Python, with h5py:
 *
 *     import multiprocessing
 *     import sys
 *     import h5py
 *
 *     def mean(row):
 *         with h5py.File(sys.argv[1], "r") as file:
 *             return file["/data"][row].mean(dtype="f8")
 *
 *     if __name__ == "__main__":
 *         with h5py.File(sys.argv[1], "r") as file:
 *             rows = len(file["/data"])
 *         with multiprocessing.Pool() as pool, h5py.File(sys.argv[2], "w") as output:
 *             output["/mean"] = pool.map(mean, range(rows))
 *         print(rows, "means")
 *
 * Arguments: the input, with 32-bit floats in /data, and the output. Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int mean(mpm_call *call, const void *item, void *result)
{
    size_t count = mpm_call_item_size(call) / sizeof(float);
    const float *row = item;
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += row[i];
    *(double *)result = sum / (double)count;
    return 0;
}

int main(int argc, char **argv)
{
    mpm_dataset_map map = {.input_dataset = "/data", .output_dataset = "/mean", .result = {.type = MPM_F64}};
    mpm_shape row;
    mpm_pool *pool;
    uint64_t rows;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (argc != 3) {
        fprintf(stderr, "usage: %s INPUT.h5 OUTPUT.h5\n", argv[0]);
        return 2;
    }
    map.input_file = argv[1];
    map.output_file = argv[2];
    if (mpm_dataset_describe_input(&map, &rows, &row))
        return mpm_report_error();
    if (row.type != MPM_F32) {
        fprintf(stderr, "%s:/data holds %s: it must be f32\n", argv[1], mpm_type_name(row.type));
        return 1;
    }
    if (mpm_pool_open(NULL, &pool) || mpm_pool_map_dataset(pool, mean, &map))
        return mpm_report_error();
    printf("%d means\n", (int)rows);
    return mpm_finalize();
}
