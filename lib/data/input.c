/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading rows with serial HDF5. A chunked data set gets a cache that holds one band, that is all chunks
 * that one row lies in: rows that are read in rising order then cost one decompression a chunk, however
 * few of them are read at once. */
#include "data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "mpmap/dataset.h"

#define MAX_RANK       (MPM_MAX_DIMENSIONS + 1)
#define CACHE_SIZE     ((size_t)64 << 20) /* the most for a band, unless a single chunk is larger */
#define CACHE_MIN_SIZE ((size_t)1 << 20)  /* as HDF5 has it by default */
#define NAMES_LISTED   12

/* Refuses what HDF5 would refuse less clearly, or wait for, like a pipe. */
static int check_file(const char *name)
{
    struct stat status;
    int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return error_set(MPM_ENOENT, "there is no file %s", name);
    if (fd < 0)
        return error_set_errno(MPM_EIO, "cannot open %s", name);
    memset(&status, 0, sizeof status);
    fstat(fd, &status);
    close(fd);
    if (S_ISDIR(status.st_mode))
        return error_set(MPM_EIO, "%s is a folder, not an HDF5 file", name);
    if (!S_ISREG(status.st_mode))
        return error_set(MPM_EIO, "%s is not a regular file, so not an HDF5 file", name);
    return 0;
}

static int open_file(struct input *input)
{
    hid_t access;

    if (hdf5.H5Fis_hdf5(input->file_name) <= 0)
        return error_set(MPM_EIO, "%s is not an HDF5 file", input->file_name);
    access = hdf5_file_access(false);
    input->file = access < 0 ? -1 : hdf5.H5Fopen(input->file_name, H5F_ACC_RDONLY, access);
    if (input->file < 0) {
        int status = hdf5_error_set(MPM_EIO, "cannot open %s", input->file_name);
        if (access >= 0)
            hdf5.H5Pclose(access);
        return status;
    }
    hdf5.H5Pclose(access);
    return 0;
}

/* Writes "it holds a, b, c" for the first names in a group. */
static char *list_group(hid_t group, char *text, size_t size)
{
    H5G_info_t info = {.nlinks = 0};
    size_t length;

    if (hdf5.H5Gget_info(group, &info) < 0 || info.nlinks == 0) {
        snprintf(text, size, "it is empty");
        return text;
    }
    length = (size_t)snprintf(text, size, "it holds");
    for (hsize_t i = 0; i < info.nlinks && i < NAMES_LISTED && length < size; i++) {
        char name[64] = "?";
        hdf5.H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        length += (size_t)snprintf(text + length, size - length, "%s %s", i ? "," : "", name);
    }
    if (info.nlinks > NAMES_LISTED && length < size)
        snprintf(text + length, size - length, " and %llu more",
                 (unsigned long long)(info.nlinks - NAMES_LISTED));
    return text;
}

static int no_dataset(const struct input *input)
{
    char list[512];
    hid_t top = hdf5.H5Gopen2(input->file, "/", H5P_DEFAULT);
    int status = error_set(MPM_ENOENT, "%s has no data set %s: at its top level %s", input->file_name,
                           input->dataset_name, list_group(top, list, sizeof list));
    if (top >= 0)
        hdf5.H5Gclose(top);
    return status;
}

static int not_a_dataset(const struct input *input, hid_t object)
{
    char list[512];

    if (hdf5.H5Iget_type(object) != H5I_GROUP)
        return error_set(MPM_ETYPE, "%s:%s is a type, not a data set", input->file_name, input->dataset_name);
    return error_set(MPM_ETYPE, "%s:%s is a group, not a data set: %s", input->file_name, input->dataset_name,
                     list_group(object, list, sizeof list));
}

static int open_dataset(struct input *input)
{
    hid_t object;

    if (!*input->dataset_name)
        return error_set(MPM_EINVAL, "the name of the data set in %s is empty: name one, like /data",
                         input->file_name);
    object = hdf5.H5Oopen(input->file, input->dataset_name, H5P_DEFAULT);
    if (object < 0)
        return no_dataset(input);
    if (hdf5.H5Iget_type(object) != H5I_DATASET) {
        int status = not_a_dataset(input, object);
        hdf5.H5Oclose(object);
        return status;
    }
    input->dataset = object;
    return 0;
}

static int look_at_type(struct input *input)
{
    char text[64];
    int status = 0;
    hid_t type = hdf5.H5Dget_type(input->dataset);

    if (type < 0)
        return hdf5_error_set(MPM_EIO, "cannot read the type of %s:%s", input->file_name,
                              input->dataset_name);
    input->row.type = hdf5_element_type(type);
    if (!input->row.type)
        status = error_set(
            MPM_ETYPE, "%s:%s holds %s: a map takes integers of 8, 16, 32 or 64 bits and floats of 32 or 64",
            input->file_name, input->dataset_name, hdf5_type_text(type, text, sizeof text));
    hdf5.H5Tclose(type);
    return status;
}

static int look_at_space(struct input *input, hid_t space)
{
    hsize_t extent[MAX_RANK];
    int rank = hdf5.H5Sget_simple_extent_ndims(space);

    if (hdf5.H5Sget_simple_extent_type(space) != H5S_SIMPLE || rank < 1 || rank > MAX_RANK)
        return error_set(MPM_ETYPE, "%s:%s has no rows: it is %s", input->file_name, input->dataset_name,
                         hdf5.H5Sget_simple_extent_type(space) == H5S_NULL ? "without data" : "a scalar");
    hdf5.H5Sget_simple_extent_dims(space, extent, NULL);
    input->rows = extent[0];
    input->row.rank = (unsigned)rank - 1;
    for (int i = 1; i < rank; i++)
        input->row.extent[i - 1] = extent[i];
    if (mpm_shape_size(&input->row) == 0)
        return error_set(MPM_ETYPE, "%s:%s has rows without elements: an extent is 0", input->file_name,
                         input->dataset_name);
    return 0;
}

static int look_at_shape(struct input *input)
{
    int status;
    hid_t space = hdf5.H5Dget_space(input->dataset);

    if (space < 0)
        return hdf5_error_set(MPM_EIO, "cannot read the shape of %s:%s", input->file_name,
                              input->dataset_name);
    status = look_at_space(input, space);
    hdf5.H5Sclose(space);
    return status;
}

/* The rank of a chunk and its extents, rows first; 0 if the data set is stored in another way. */
static int chunk_extents(hid_t dataset, hsize_t extent[MAX_RANK])
{
    int rank = 0;
    hid_t creation = hdf5.H5Dget_create_plist(dataset);

    if (creation < 0)
        return 0;
    if (hdf5.H5Pget_layout(creation) == H5D_CHUNKED)
        rank = hdf5.H5Pget_chunk(creation, MAX_RANK, extent);
    hdf5.H5Pclose(creation);
    return rank < 0 ? 0 : rank;
}

/* Opens the data set once more, with a cache of its own. Without one it still works, only slower. */
static void reopen_with_cache(struct input *input, size_t size, size_t slots)
{
    hid_t access = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_ACCESS_ID_g);
    hid_t again = -1;

    if (access >= 0 && hdf5.H5Pset_chunk_cache(access, slots, size, 1.0) >= 0) {
        hdf5.H5Dclose(input->dataset);
        again = hdf5.H5Dopen2(input->file, input->dataset_name, access);
        input->dataset = again >= 0 ? again : hdf5.H5Dopen2(input->file, input->dataset_name, H5P_DEFAULT);
    }
    if (access >= 0)
        hdf5.H5Pclose(access);
}

static void cache_one_band(struct input *input)
{
    hsize_t extent[MAX_RANK];
    int rank = chunk_extents(input->dataset, extent);
    double chunks = 1, chunk_size = (double)mpm_type_size(input->row.type), size;

    input->chunk_rows = rank ? extent[0] : 1;
    for (int i = 0; i < rank; i++) {
        chunk_size *= (double)extent[i];
        if (i > 0)
            chunks *= (double)((input->row.extent[i - 1] + extent[i] - 1) / extent[i]);
    }
    size = chunks * chunk_size;
    if (size > CACHE_SIZE)
        size = chunk_size > CACHE_SIZE ? chunk_size : CACHE_SIZE;
    if (rank && size > CACHE_MIN_SIZE)
        reopen_with_cache(input, (size_t)size, 521 + 10 * (size_t)(size / chunk_size));
}

static void close_all(struct input *input)
{
    if (input->dataset >= 0)
        hdf5.H5Dclose(input->dataset);
    if (input->file >= 0)
        hdf5.H5Fclose(input->file);
    input->dataset = input->file = -1;
}

int input_open(const char *file_name, const char *dataset_name, struct input *input)
{
    struct hdf5_guard guard;
    int status;

    *input = (struct input){.file_name = file_name, .dataset_name = dataset_name, .file = -1, .dataset = -1};
    status = check_file(file_name);
    if (!status)
        status = hdf5_load();
    if (status)
        return status;
    hdf5_enter(&guard);
    status = open_file(input);
    if (!status)
        status = open_dataset(input);
    if (!status)
        status = look_at_type(input);
    if (!status)
        status = look_at_shape(input);
    if (!status)
        cache_one_band(input);
    else
        close_all(input);
    hdf5_leave(&guard);
    return status;
}

static int read_selected(const struct input *input, hid_t file_space, hid_t memory_space, uint64_t first,
                         size_t count, void *rows)
{
    hsize_t start[MAX_RANK] = {first}, extent[MAX_RANK] = {count};

    for (unsigned i = 0; i < input->row.rank; i++)
        extent[i + 1] = input->row.extent[i];
    if (hdf5.H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extent, NULL) < 0 ||
        hdf5.H5Sset_extent_simple(memory_space, (int)input->row.rank + 1, extent, NULL) < 0 ||
        hdf5.H5Dread(input->dataset, hdf5_native_type(input->row.type), memory_space, file_space, H5P_DEFAULT,
                     rows) < 0)
        return hdf5_error_set(MPM_EIO, "cannot read rows %" PRIu64 " to %" PRIu64 " of %s:%s", first,
                              first + count - 1, input->file_name, input->dataset_name);
    return 0;
}

int input_read(const struct input *input, uint64_t first, size_t count, void *rows)
{
    struct hdf5_guard guard;
    hid_t file_space, memory_space;
    int status;

    hdf5_enter(&guard);
    file_space = hdf5.H5Dget_space(input->dataset);
    memory_space = hdf5.H5Screate(H5S_SIMPLE);
    status = read_selected(input, file_space, memory_space, first, count, rows);
    if (memory_space >= 0)
        hdf5.H5Sclose(memory_space);
    if (file_space >= 0)
        hdf5.H5Sclose(file_space);
    hdf5_leave(&guard);
    return status;
}

void input_close(struct input *input)
{
    struct hdf5_guard guard;

    hdf5_enter(&guard);
    close_all(input);
    hdf5_leave(&guard);
}

int mpm_dataset_describe(const char *file, const char *dataset, uint64_t *rows, mpm_shape *row)
{
    struct input input;
    int status;

    if (!file || !dataset)
        return error_set(MPM_EINVAL, "a data set is described by its file and its name: neither may be NULL");
    status = input_open(file, dataset, &input);
    if (status)
        return status;
    if (rows)
        *rows = input.rows;
    if (row)
        *row = input.row;
    input_close(&input);
    return 0;
}
