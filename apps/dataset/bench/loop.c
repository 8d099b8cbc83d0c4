/* SPDX-License-Identifier: BSD-3-Clause */
/* The limit of mpmap map in the bench: one process that reads blocks of rows with H5Dread, calls the function of a
 * plugin for each row, by a pointer as a map does, and writes the results with H5Dwrite. Its chunk cache has room for a
 * band of chunks. Arguments: PLUGIN.so FUNCTION IN.h5 OUT.h5, whose data sets are /data and /r; results are f64. Prints
 * the seconds from the opening to the closing of the files, without the start of the process. */
#include <dlfcn.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCK_BYTES (1 << 20)
#define CACHE_BYTES ((size_t)64 << 20)

typedef int task(void *call, const void *item, void *result);

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(long long value, const char *what)
{
    if (value >= 0)
        return;
    fprintf(stderr, "loop: cannot %s\n", what);
    exit(1);
}

struct sets {
    hid_t in, out, in_space, out_space;
    hsize_t extent[2];
};

static void open_sets(struct sets *sets, hid_t in_file, hid_t out_file)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS), creation = H5Pcreate(H5P_DATASET_CREATE);

    must(H5Pset_chunk_cache(access, 5210, CACHE_BYTES, 1.0), "set the cache");
    must(sets->in = H5Dopen2(in_file, "/data", access), "open /data");
    sets->in_space = H5Dget_space(sets->in);
    must(H5Sget_simple_extent_dims(sets->in_space, sets->extent, NULL), "read the shape of /data");
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    sets->out_space = H5Screate_simple(1, sets->extent, NULL);
    must(sets->out = H5Dcreate2(out_file, "/r", H5T_NATIVE_DOUBLE, sets->out_space, H5P_DEFAULT, creation,
                                H5P_DEFAULT),
         "create /r");
    H5Pclose(access);
    H5Pclose(creation);
}

static void run_block(const struct sets *sets, task *run, hsize_t first, hsize_t count, float *rows,
                      double *results)
{
    hsize_t start[2] = {first, 0}, extent[2] = {count, sets->extent[1]};
    hid_t in_memory = H5Screate_simple(2, extent, NULL), out_memory = H5Screate_simple(1, extent, NULL);

    H5Sselect_hyperslab(sets->in_space, H5S_SELECT_SET, start, NULL, extent, NULL);
    must(H5Dread(sets->in, H5T_NATIVE_FLOAT, in_memory, sets->in_space, H5P_DEFAULT, rows), "read /data");
    for (hsize_t i = 0; i < count; i++)
        run(NULL, rows + i * sets->extent[1], results + i);
    H5Sselect_hyperslab(sets->out_space, H5S_SELECT_SET, start, NULL, extent, NULL);
    must(H5Dwrite(sets->out, H5T_NATIVE_DOUBLE, out_memory, sets->out_space, H5P_DEFAULT, results),
         "write /r");
    H5Sclose(in_memory);
    H5Sclose(out_memory);
}

static void run_all(const struct sets *sets, task *run)
{
    hsize_t block = BLOCK_BYTES / (sets->extent[1] * sizeof(float));
    float *rows = malloc(BLOCK_BYTES);
    double *results = malloc(block * sizeof *results);

    must(rows && results && block ? 0 : -1, "get memory");
    for (hsize_t first = 0; first < sets->extent[0]; first += block)
        run_block(sets, run, first, sets->extent[0] - first < block ? sets->extent[0] - first : block, rows,
                  results);
    free(rows);
    free(results);
}

int main(int argc, char **argv)
{
    void *plugin = argc == 5 ? dlopen(argv[1], RTLD_NOW) : NULL;
    task *run = plugin ? (task *)dlsym(plugin, argv[2]) : NULL;
    struct sets sets;
    hid_t in_file, out_file;
    double begun;

    must(run ? 0 : -1, "load the plugin: loop PLUGIN.so FUNCTION IN.h5 OUT.h5");
    H5open();
    begun = now_s();
    must(in_file = H5Fopen(argv[3], H5F_ACC_RDONLY, H5P_DEFAULT), "open the input");
    must(out_file = H5Fcreate(argv[4], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), "create the output");
    open_sets(&sets, in_file, out_file);
    run_all(&sets, run);
    must(H5Dclose(sets.in) + H5Dclose(sets.out) + H5Fclose(in_file) + H5Fclose(out_file), "close the files");
    printf("%.6f\n", now_s() - begun);
    return 0;
}
