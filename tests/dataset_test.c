/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps over HDF5 data sets, as a program uses them: inputs of every type, order and layout, results and
 * marks as another program reads them, rows that fail and crash, and what is left on the disk when a map
 * cannot go on. Every element of an input is value_at(row, element), so a result can be foretold. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <hdf5.h>
#include <limits.h>

#include <mpmap.h>

#include "shared_file.h"
#include "suite.h"

#define DATA   "/data"
#define RESULT "/result"

static char folder[64];
static mpm_pool *pool;

/* A path in the folder of this run; good for the next 31 calls, so for all of one test. */
static const char *path(const char *name)
{
    static char paths[32][256];
    static unsigned next;
    char *made = paths[next++ % 32];

    snprintf(made, sizeof paths[0], "%s/%s", folder, name);
    return made;
}

static bool exists(const char *file)
{
    return access(file, F_OK) == 0;
}

static unsigned mode_of(const char *file)
{
    struct stat status;

    return stat(file, &status) ? 0 : status.st_mode & 07777;
}

static size_t count_files(const char *in)
{
    size_t count = 0;
    DIR *directory = opendir(in);

    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count < 2 ? 0 : count - 2; /* without . and .. */
}

static void write_file(const char *name, const char *bytes, size_t size)
{
    FILE *file = fopen(name, "wb");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL_FATAL(fwrite(bytes, 1, size, file), size);
    CU_ASSERT_EQUAL_FATAL(fclose(file), 0);
}

/* The whole of a file, and a null byte; the caller frees it. */
static char *read_file(const char *name, size_t *size)
{
    struct stat status;
    FILE *file = fopen(name, "rb");
    char *bytes;

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL_FATAL(fstat(fileno(file), &status), 0);
    *size = (size_t)status.st_size;
    bytes = calloc(1, *size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    CU_ASSERT_EQUAL_FATAL(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static bool error_says(const char *part)
{
    if (strstr(mpm_error(), part))
        return true;
    printf("\n    \"%s\" is not in: %s\n  ", part, mpm_error());
    return false;
}

/* Fits each type: 0 … 99 for 8 bits, 0 … 9900 else, and as many below zero if there is a sign. */
static double value_at(size_t row, size_t element, mpm_type type)
{
    double value = (double)((row * 31 + element * 7) % 100);
    bool has_sign = mpm_type_name(type)[0] != 'u';

    if (mpm_type_size(type) > 1)
        value *= 100;
    return has_sign && (row + element) % 2 ? -value : value;
}

struct input_layout {
    hid_t file_type;
    mpm_type type; /* the same, for value_at() */
    int rank;
    hsize_t extent[8];
    hsize_t chunk[8]; /* all 0: contiguous */
    unsigned gzip;
};

static size_t row_elements(const struct input_layout *layout)
{
    size_t elements = 1;

    for (int i = 1; i < layout->rank; i++)
        elements *= layout->extent[i];
    return elements;
}

static double *input_values(const struct input_layout *layout)
{
    size_t elements = row_elements(layout);
    double *values = malloc((layout->extent[0] * elements + 1) * sizeof *values);

    CU_ASSERT_PTR_NOT_NULL_FATAL(values);
    for (size_t row = 0; row < layout->extent[0]; row++)
        for (size_t i = 0; i < elements; i++)
            values[row * elements + i] = value_at(row, i, layout->type);
    return values;
}

static hid_t layout_plist(const struct input_layout *layout)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);

    if (layout->chunk[0])
        H5Pset_chunk(creation, layout->rank, layout->chunk);
    if (layout->gzip)
        H5Pset_deflate(creation, layout->gzip);
    return creation;
}

/* Makes a file with a data set /data of values. */
static void make_input(const char *name, const struct input_layout *layout)
{
    double *values = input_values(layout);
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(layout->rank, layout->extent, NULL);
    hid_t creation = layout_plist(layout);
    hid_t set = H5Dcreate2(file, DATA, layout->file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT);

    CU_ASSERT_FATAL(set >= 0);
    CU_ASSERT_FATAL(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Pclose(creation);
    H5Sclose(space);
    CU_ASSERT_FATAL(H5Fclose(file) >= 0);
    free(values);
}

/* A plain input: f32[5] rows. */
static const char *plain_input(const char *name, hsize_t rows)
{
    const char *file = path(name);

    make_input(file, &(struct input_layout){H5T_IEEE_F32LE, MPM_F32, 2, {rows, 5}, {0}, 0});
    return file;
}

/* Reads a data set whole; the caller frees it. `bytes_each` is the size of `type`. */
static void *read_set(const char *name, const char *dataset, hid_t type, size_t bytes_each, size_t *count)
{
    hid_t file = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, dataset, H5P_DEFAULT);
    hid_t space = H5Dget_space(set);
    void *values;

    CU_ASSERT_FATAL(space >= 0);
    *count = (size_t)H5Sget_simple_extent_npoints(space);
    values = calloc(*count + 1, bytes_each);
    CU_ASSERT_PTR_NOT_NULL_FATAL(values);
    CU_ASSERT_FATAL(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    return values;
}

static double *read_results(const char *name, size_t *count)
{
    return read_set(name, RESULT, H5T_NATIVE_DOUBLE, sizeof(double), count);
}

static unsigned char *read_marks(const char *name, size_t *count)
{
    return read_set(name, RESULT ".done", H5T_NATIVE_UINT8, 1, count);
}

/* What weigh() needs to know. */
struct weighing {
    mpm_type type;
    size_t fail_every;  /* rows that it fails, 0: none */
    size_t crash_every; /* rows that it crashes in */
};

static double element(mpm_type type, const void *item, size_t i)
{
    switch (type) {
#define TYPE(name, c_type, text) \
    case MPM_##name:             \
        return (double)((const c_type *)item)[i];
        MPM_TYPE_LIST(TYPE)
#undef TYPE
    default:
        return NAN;
    }
}

/* The result of a row: its sum, and a sum in which the place of each element matters. */
static void weigh_values(mpm_type type, const void *item, size_t count, double result[2])
{
    result[0] = result[1] = 0;
    for (size_t i = 0; i < count; i++) {
        result[0] += element(type, item, i);
        result[1] += element(type, item, i) * (double)(i + 1);
    }
}

static bool fails(size_t every, size_t row)
{
    return every && row % every == every - 1;
}

static int weigh(mpm_call *call, const void *item, void *result)
{
    const struct weighing *weighing = mpm_call_context(call);
    size_t row = mpm_call_index(call);

    weigh_values(weighing->type, item, mpm_call_item_size(call) / mpm_type_size(weighing->type), result);
    if (fails(weighing->crash_every, row))
        raise(SIGSEGV);
    if (fails(weighing->fail_every, row))
        return mpm_fail(call, "row %zu is not liked", row);
    return mpm_call_result_size(call) == 2 * sizeof(double) ? 0 : mpm_fail(call, "the size is wrong");
}

static mpm_dataset_map weigh_map(const char *input, const char *output, const struct weighing *weighing)
{
    return (mpm_dataset_map){
        .input_file = input,
        .input_dataset = DATA,
        .output_file = output,
        .output_dataset = RESULT,
        .task_name = "weigh",
        .result = {MPM_F64, 1, {2}},
        .context = weighing,
        .context_size = sizeof *weighing,
    };
}

static bool row_is_right(const struct input_layout *layout, const struct weighing *weighing, size_t row,
                         const double *result, unsigned mark)
{
    bool failed = fails(weighing->fail_every, row) || fails(weighing->crash_every, row);
    size_t elements = row_elements(layout);
    double expected[2] = {0, 0};

    for (size_t i = 0; !failed && i < elements; i++) {
        expected[0] += value_at(row, i, layout->type);
        expected[1] += value_at(row, i, layout->type) * (double)(i + 1);
    }
    return mark == (failed ? 2 : 1) && result[0] == expected[0] && result[1] == expected[1];
}

/* How many rows of an output are not as they must be. */
static size_t wrong_rows(const char *output, const struct input_layout *layout,
                         const struct weighing *weighing)
{
    size_t result_count, mark_count, wrong = 0;
    double *results = read_results(output, &result_count);
    unsigned char *marks = read_marks(output, &mark_count);

    CU_ASSERT_EQUAL_FATAL(mark_count, layout->extent[0]);
    CU_ASSERT_EQUAL_FATAL(result_count, 2 * mark_count);
    for (size_t row = 0; row < mark_count; row++)
        if (!row_is_right(layout, weighing, row, results + 2 * row, marks[row]))
            wrong++;
    free(results);
    free(marks);
    return wrong;
}

/* Maps a layout, and checks every row. */
static void map_and_check(const struct input_layout *layout, size_t block_rows, size_t chunk)
{
    struct weighing weighing = {.type = layout->type};
    const char *input = path("layout.h5"), *output = path("layout-out.h5");
    mpm_dataset_map map = weigh_map(input, output, &weighing);
    int status;

    map.block_rows = block_rows;
    map.chunk = chunk;
    make_input(input, layout);
    status = mpm_pool_map_dataset(pool, weigh, &map);
    if (status)
        printf("\n    %s: %s\n  ", mpm_status_name(status), mpm_error());
    CU_ASSERT_EQUAL_FATAL(status, MPM_OK);
    CU_ASSERT_EQUAL(wrong_rows(output, layout, &weighing), 0);
    CU_ASSERT_FALSE(exists(path("layout-out.h5.part")));
    unlink(output);
}

/* A type of ours as a file may have it. The caller closes it. */
static hid_t file_type(mpm_type type, H5T_order_t order)
{
    const hid_t natives[] = {H5T_NATIVE_INT8,  H5T_NATIVE_INT16,  H5T_NATIVE_INT32,  H5T_NATIVE_INT64,
                             H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_UINT32, H5T_NATIVE_UINT64,
                             H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE};
    hid_t copy = H5Tcopy(natives[type - MPM_I8]);

    CU_ASSERT_FATAL(copy >= 0 && H5Tset_order(copy, order) >= 0);
    return copy;
}

static void every_type_arrives_in_both_byte_orders(void)
{
    for (int type = MPM_I8; type <= MPM_F64; type++)
        for (int big = 0; big < 2; big++) {
            hid_t in_file = file_type((mpm_type)type, big ? H5T_ORDER_BE : H5T_ORDER_LE);
            map_and_check(&(struct input_layout){in_file, (mpm_type)type, 3, {13, 2, 3}, {0}, 0}, 0, 0);
            H5Tclose(in_file);
        }
}

static void rows_of_any_rank_are_mapped(void)
{
    map_and_check(&(struct input_layout){H5T_STD_I16LE, MPM_I16, 1, {100}, {0}, 0}, 0, 0);
    map_and_check(&(struct input_layout){H5T_STD_U8LE, MPM_U8, 2, {100, 1}, {0}, 0}, 0, 0);
    map_and_check(&(struct input_layout){H5T_STD_I32LE, MPM_I32, 5, {9, 3, 1, 4, 2}, {0}, 0}, 0, 0);
}

static void compressed_chunks_and_blocks_need_not_agree(void)
{
    const struct input_layout rows = {H5T_STD_I16BE, MPM_I16, 2, {501, 11}, {64, 4}, 6};
    const struct input_layout tiny = {H5T_STD_I32LE, MPM_I32, 2, {101, 3}, {2, 3}, 1};
    const struct input_layout flat = {H5T_IEEE_F64BE, MPM_F64, 1, {5000}, {3000}, 6};

    map_and_check(&rows, 0, 0);
    map_and_check(&rows, 10, 0);
    map_and_check(&rows, 1, 7);
    map_and_check(&rows, 100, 64);
    map_and_check(&rows, 1000000, 1000000);
    map_and_check(&tiny, 0, 0);
    map_and_check(&tiny, 1, 1);
    map_and_check(&flat, 0, 0);
    map_and_check(&flat, 7, 100);
}

/* Bands of 4 MiB: more than HDF5's own cache holds, so that the reader sets up one that fits. */
static void bands_larger_than_a_mebibyte_are_mapped(void)
{
    map_and_check(&(struct input_layout){H5T_IEEE_F32LE, MPM_F32, 2, {128, 32768}, {32, 4096}, 1}, 3, 0);
}

static void description_is_that_of_the_file(void)
{
    uint64_t rows = 0;
    mpm_shape row;
    char text[64];

    make_input(path("in.h5"), &(struct input_layout){H5T_STD_U16BE, MPM_U16, 4, {7, 2, 3, 4}, {0}, 0});
    CU_ASSERT_EQUAL_FATAL(mpm_dataset_describe(path("in.h5"), DATA, &rows, &row), MPM_OK);
    CU_ASSERT_EQUAL(rows, 7);
    CU_ASSERT_STRING_EQUAL(mpm_shape_format(&row, text, sizeof text), "u16[2,3,4]");
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("in.h5"), "data", NULL, NULL), MPM_OK);
}

static void add_set(hid_t file, const char *name, hid_t type, hid_t space)
{
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    CU_ASSERT_FATAL(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

/* A file of data sets that no map can take. */
static void make_odd_file(const char *name)
{
    hsize_t three = 3, none[2] = {3, 0};
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t wide = H5Tcopy(H5T_STD_I32LE), half = H5Tcopy(H5T_IEEE_F32LE), compound, enumeration;

    H5Tset_size(wide, 3);
    H5Tset_fields(half, 15, 10, 5, 0, 10);
    H5Tset_size(half, 2);
    compound = H5Tcreate(H5T_COMPOUND, 8);
    H5Tinsert(compound, "x", 0, H5T_NATIVE_DOUBLE);
    enumeration = H5Tenum_create(H5T_NATIVE_INT8);
    H5Tenum_insert(enumeration, "FALSE", (signed char[]){0});
    H5Gclose(H5Gcreate2(file, "/group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    add_set(file, "/group/inside", H5T_STD_I8LE, H5Screate_simple(1, &three, NULL));
    add_set(file, "/scalar", H5T_STD_I32LE, H5Screate(H5S_SCALAR));
    add_set(file, "/null", H5T_STD_I32LE, H5Screate(H5S_NULL));
    add_set(file, "/strings", H5T_C_S1, H5Screate_simple(1, &three, NULL));
    add_set(file, "/compounds", compound, H5Screate_simple(1, &three, NULL));
    add_set(file, "/booleans", enumeration, H5Screate_simple(1, &three, NULL));
    add_set(file, "/wide", wide, H5Screate_simple(1, &three, NULL));
    add_set(file, "/half", half, H5Screate_simple(1, &three, NULL));
    add_set(file, "/hollow", H5T_STD_I8LE, H5Screate_simple(2, none, NULL));
    H5Lcreate_soft("/gone", file, "/soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("gone.h5", "/x", file, "/group/external", H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(enumeration);
    H5Tclose(compound);
    H5Tclose(wide);
    H5Tclose(half);
    CU_ASSERT_FATAL(H5Fclose(file) >= 0);
}

/* A file in the latest format, whose headers have a checksum: that of its last object is wrong. */
static void make_damaged_file(const char *name)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file;
    hsize_t three = 3;
    size_t size, at;
    char *bytes;

    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    add_set(file, DATA, H5T_STD_I32LE, H5Screate_simple(1, &three, NULL));
    CU_ASSERT_FATAL(H5Fclose(file) >= 0);
    H5Pclose(access);
    bytes = read_file(name, &size);
    for (at = size - 4; at > 0 && memcmp(bytes + at, "OHDR", 4) != 0; at--)
        ;
    bytes[at + 12] ^= 1;
    write_file(name, bytes, size);
    free(bytes);
}

static void inputs_that_are_none_are_told_apart(void)
{
    static const struct {
        const char *file, *dataset;
        int status;
        const char *says;
    } cases[] = {
        {"missing.h5", DATA, MPM_ENOENT, "missing.h5 does not exist"},
        {"no/folder.h5", DATA, MPM_ENOENT, "no/folder.h5 does not exist"},
        {".", DATA, MPM_EIO, "is a folder"},
        {"pipe.h5", DATA, MPM_EIO, "pipe.h5 is not a regular file"},
        {"text.h5", DATA, MPM_EIO, "text.h5 is not an HDF5 file"},
        {"short.h5", DATA, MPM_EIO, "cannot open"},
        {"odd.h5", "", MPM_EINVAL, "is empty"},
        {"odd.h5", DATA, MPM_ENOENT,
         "odd.h5 has no data set /data: at its top level it holds booleans, compounds"},
        {"odd.h5", "/group/outside", MPM_ENOENT,
         "has no data set /group/outside: in /group it holds external, inside"},
        {"odd.h5", "/soft", MPM_ENOENT, "odd.h5:/soft is a soft link to /gone, which does not exist"},
        {"odd.h5", "/soft/x", MPM_ENOENT, "odd.h5:/soft is a soft link to /gone, which does not exist"},
        {"odd.h5", "/group/external", MPM_ENOENT,
         "is an external link to /x in gone.h5, which cannot be opened: "},
        {"damaged.h5", DATA, MPM_EIO, "damaged.h5:/data is damaged: "},
        {"odd.h5", "/scalar/x", MPM_ENOENT, "has no data set /scalar/x"},
        {"odd.h5", "/", MPM_ETYPE, "is a group, not a data set"},
        {"odd.h5", "/group", MPM_ETYPE, "/group is a group, not a data set: it holds external, inside"},
        {"odd.h5", "/scalar", MPM_ETYPE, "a scalar"},
        {"odd.h5", "/null", MPM_ETYPE, "without data"},
        {"odd.h5", "/compounds", MPM_ETYPE, "/compounds holds {"},
        {"odd.h5", "/hollow", MPM_ETYPE, "rows without elements"},
    };
    size_t size;
    char *bytes;

    make_odd_file(path("odd.h5"));
    make_damaged_file(path("damaged.h5"));
    write_file(path("text.h5"), "not HDF5\n", 9);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path("pipe.h5"), 0666), 0);
    bytes = read_file(path("odd.h5"), &size);
    write_file(path("short.h5"), bytes, size / 2);
    free(bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t rows = 77;
        mpm_shape row = {.rank = 77};
        CU_ASSERT_EQUAL(mpm_dataset_describe(path(cases[i].file), cases[i].dataset, &rows, &row),
                        cases[i].status);
        CU_ASSERT(error_says(cases[i].says));
        CU_ASSERT(rows == 77 && row.rank == 77);
    }
    CU_ASSERT_EQUAL(mpm_dataset_describe(NULL, DATA, NULL, NULL), MPM_EINVAL);
}

static void elements_of_any_type_have_their_shape_in_memory(void)
{
    static const struct {
        const char *dataset, *row;
        int status;
        const char *says; /* the shape, or the sentence */
    } cases[] = {
        {"/strings", NULL, 0, "u8[1]"},
        {"/booleans", NULL, 0, "i8"},
        {"/wide", NULL, 0, "i32"},
        {"/half", NULL, 0, "f32"},
        {"/half", "f32", 0, "f32"},
        {"/half", "f32[1]", MPM_ETYPE, "odd.h5:/half has rows of f32, where the row is to be f32[1]"},
        {"/half", "f16", MPM_EINVAL, "\"f16\" is not an element type"},
        {"/compounds.x", NULL, 0, "f64"},
        {"/compounds.y", NULL, MPM_ETYPE, "odd.h5:/compounds.y holds {f64 x}: "},
        {"/compounds", "{f64 x}", 0, "u8[8]"},
        {"/compounds", "{f64 x, f64 x}", MPM_EINVAL, "the row \"{f64 x, f64 x}\" cannot have a field x: "},
        {"/compounds", "{f64 y}", MPM_ETYPE, "odd.h5:/compounds has no field y: it holds {f64 x}"},
        {"/compounds", "{}", MPM_EINVAL, "the row \"{}\" lacks a type at \"}\": "},
        {"/compounds", "{f64[ x}", MPM_EINVAL, "the row \"{f64[ x}\" lacks a type at "},
        {"/compounds", "{{{{{{{{{{{{", MPM_EINVAL, "lacks the name of a field at \"\""},
        {"/compounds", "{f64 x} more", MPM_EINVAL, "lacks its end at \"more\""},
    };

    make_odd_file(path("odd.h5"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const mpm_dataset_map map = {
            .input_file = path("odd.h5"), .input_dataset = cases[i].dataset, .row = cases[i].row};
        mpm_shape row = {.rank = 77};
        char text[256];

        CU_ASSERT_EQUAL(mpm_dataset_describe_input(&map, NULL, &row), cases[i].status);
        if (cases[i].status)
            CU_ASSERT(error_says(cases[i].says) && row.rank == 77)
        else
            CU_ASSERT_STRING_EQUAL(mpm_shape_format(&row, text, sizeof text), cases[i].says);
    }
}

static void an_input_that_is_open_for_writing_is_refused(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {20, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("written.h5", 20), path("read.h5"), &weighing);
    hid_t file = H5Fopen(map.input_file, H5F_ACC_RDWR, H5P_DEFAULT);

    CU_ASSERT_EQUAL(mpm_dataset_describe(map.input_file, DATA, NULL, NULL), MPM_EBUSY);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EBUSY);
    CU_ASSERT(error_says("written.h5 is open for writing, "));
    CU_ASSERT_FALSE(exists(map.output_file));
    map.without_locks = 1;
    CU_ASSERT_EQUAL(mpm_dataset_describe_input(&map, NULL, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
    CU_ASSERT_EQUAL(wrong_rows(map.output_file, &layout, &weighing), 0);
    H5Fclose(file);
    map.without_locks = 0;
    map.overwrite = MPM_OVERWRITE_RESULT;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
}

/* Locks the input as a writer would; the context is its name. */
static int lock_input(mpm_call *call, const void *item, void *result)
{
    int fd = open(mpm_call_context(call), O_RDWR);

    (void)item;
    *(int *)result = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    close(fd);
    return 0;
}

static void nobody_can_write_an_input_while_it_is_mapped(void)
{
    mpm_dataset_map map = {.input_file = plain_input("in.h5", 20),
                           .input_dataset = DATA,
                           .output_file = path("locked.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_I32, 0, {0}},
                           .context = path("in.h5"),
                           .context_size = strlen(path("in.h5")) + 1};
    size_t count;
    double *results;
    int fd;

    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, lock_input, &map), MPM_OK);
    results = read_results(map.output_file, &count);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(results[i], EWOULDBLOCK);
    free(results);
    fd = open(map.input_file, O_RDWR);
    CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

/* A file that a SWMR writer has open: it has `rows` rows of f64[4], and may get more. */
static hid_t open_swmr_writer(const char *name, hsize_t rows, hid_t *set)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_DATASET_CREATE), space, file;
    double *values = calloc(rows * 4, sizeof *values);

    CU_ASSERT_PTR_NOT_NULL_FATAL(values);
    for (size_t i = 0; i < rows * 4; i++)
        values[i] = (double)(i / 4);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    H5Pset_chunk(creation, 2, (hsize_t[]){10, 4});
    space = H5Screate_simple(2, (hsize_t[]){rows, 4}, (hsize_t[]){H5S_UNLIMITED, 4});
    file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    *set = H5Dcreate2(file, DATA, H5T_IEEE_F64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    CU_ASSERT_FATAL(H5Dwrite(*set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    CU_ASSERT_FATAL(H5Fstart_swmr_write(file) >= 0);
    H5Sclose(space);
    H5Pclose(creation);
    H5Pclose(access);
    free(values);
    return file;
}

/* What adds rows in the midst of a map: row 0 waits until it has. The file says so to the workers, whose context is
 * its name. */
struct growth {
    hid_t file, set;
    const char *sign;
};

static void grow(const mpm_progress *now, void *argument)
{
    struct growth *growth = argument;

    (void)now;
    if (exists(growth->sign))
        return;
    CU_ASSERT(H5Dset_extent(growth->set, (hsize_t[]){90, 4}) >= 0 && H5Dflush(growth->set) >= 0);
    write_file(growth->sign, "", 0);
}

static int first_value(mpm_call *call, const void *item, void *result)
{
    for (int tries = 0; mpm_call_index(call) == 0 && !exists(mpm_call_context(call)); tries++)
        if (tries == 60000 || usleep(1000))
            return mpm_fail(call, "the input does not grow");
    memcpy(result, item, sizeof(double));
    return 0;
}

static void an_input_is_read_beside_its_swmr_writer_while_it_grows(void)
{
    struct growth growth = {.sign = path("grown")};
    mpm_dataset_map map = {.input_file = path("swmr.h5"),
                           .input_dataset = DATA,
                           .output_file = path("swmr-out.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .block_rows = 1,
                           .chunk = 1,
                           .context = path("grown"),
                           .context_size = strlen(path("grown")) + 1,
                           .progress = grow,
                           .progress_argument = &growth};
    mpm_pool *short_lived;
    size_t count;
    double *results;

    growth.file = open_swmr_writer(map.input_file, 40, &growth.set);
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_open(&(mpm_pool_options){.workers = 1, .max_tasks_per_worker = 4}, &short_lived), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(short_lived, first_value, &map), MPM_OK);
    mpm_pool_close(short_lived);
    results = read_results(map.output_file, &count);
    CU_ASSERT_EQUAL(count, 40);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(results[i], (double)i);
    free(results);
    H5Dclose(growth.set);
    H5Fclose(growth.file);
}

/* Makes folder/v.h5, whose data set stands in the file src.h5 beside it, and src.h5, of one row. */
static void make_linking_input(const char *in, double value)
{
    char name[PATH_MAX];
    hsize_t one = 1;
    hid_t file, space = H5Screate_simple(1, &one, NULL), set;

    CU_ASSERT_FATAL(mkdir(in, 0777) == 0);
    snprintf(name, sizeof name, "%s/src.h5", in);
    file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    set = H5Dcreate2(file, DATA, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT_FATAL(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
    snprintf(name, sizeof name, "%s/v.h5", in);
    file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("src.h5", DATA, file, DATA, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
}

static int copy_value(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_result_size(call));
    return 0;
}

static void a_linked_input_is_read_as_from_where_the_link_is(void)
{
    mpm_dataset_map map = {.input_file = "b/v.h5",
                           .input_dataset = DATA,
                           .output_file = "linking.h5",
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}}};
    static const char *const made[] = {"a/src.h5", "a/v.h5", "a", "b/src.h5", "b/v.h5", "b"};
    int here = open(".", O_RDONLY | O_DIRECTORY);
    size_t count;
    double *results;

    CU_ASSERT_FATAL(here >= 0 && chdir(folder) == 0);
    make_linking_input("a", 1);
    make_linking_input("b", 2);
    CU_ASSERT_FATAL(unlink("b/v.h5") == 0 && symlink("../a/v.h5", "b/v.h5") == 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, copy_value, &map), MPM_OK);
    results = read_results("linking.h5", &count);
    CU_ASSERT_EQUAL(results[0], 2);
    free(results);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        CU_ASSERT_EQUAL(remove(made[i]), 0);
    CU_ASSERT(fchdir(here) == 0);
    close(here);
}

/* What row 0 does to the input, whose next reader is another worker. */
struct change {
    enum { CHANGE_SIZE, CHANGE_BYTES, CHANGE_TIME } what;
    char input[PATH_MAX];
};

static int change_input(mpm_call *call, const void *item, void *result)
{
    const struct change *change = mpm_call_context(call);
    int fd = open(change->input, O_RDWR);
    struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct stat status;

    (void)item;
    *(double *)result = 0;
    if (fd < 0 || fstat(fd, &status))
        return mpm_fail(call, "%s", strerror(errno));
    if (mpm_call_index(call) == 0 && change->what == CHANGE_SIZE)
        *(double *)result = (double)pwrite(fd, "x", 1, status.st_size);
    else if (mpm_call_index(call) == 0 && change->what == CHANGE_BYTES)
        *(double *)result = (double)pwrite(fd, "x", 1, status.st_size - 1);
    else if (mpm_call_index(call) == 0)
        *(double *)result = futimens(fd, then);
    return close(fd);
}

static void an_input_that_changes_ends_the_map(void)
{
    static const char *const says[] = {"has changed since the map began: ", "its bytes add up to ",
                                       "last changed 2001-09-09 01:46:40Z, not "};
    struct change change;
    mpm_dataset_map map = {.input_dataset = DATA,
                           .output_file = path("changed.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .block_rows = 1,
                           .chunk = 1,
                           .context = &change,
                           .context_size = sizeof change,
                           .resume = MPM_RESUME_RESTART};
    mpm_pool *one;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1, .max_tasks_per_worker = 1}, &one),
                          MPM_OK);
    for (int what = CHANGE_SIZE; what <= CHANGE_TIME; what++) {
        map.input_file = plain_input("changes.h5", 20);
        change.what = what;
        snprintf(change.input, sizeof change.input, "%s", map.input_file);
        CU_ASSERT_EQUAL(mpm_pool_map_dataset(one, change_input, &map), MPM_EIO);
        CU_ASSERT(error_says(says[what]));
        CU_ASSERT(error_says("; 1 of 20 rows are good: they are in "));
    }
    map.input_file = plain_input("changes.h5", 20);
    map.without_locks = 1;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(one, change_input, &map), MPM_OK);
    mpm_pool_close(one);
}

static void values_that_stand_in_another_file_may_not_change_either(void)
{
    struct change change = {.what = CHANGE_BYTES};
    mpm_dataset_map map = {.input_file = path("outer.h5"),
                           .input_dataset = DATA,
                           .output_file = path("outer-out.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .block_rows = 1,
                           .chunk = 1,
                           .context = &change,
                           .context_size = sizeof change};
    hsize_t rows = 20;
    hid_t file = H5Fcreate(map.input_file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), set;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &rows, NULL);
    double values[20] = {0};
    mpm_pool *one;

    snprintf(change.input, sizeof change.input, "%s", path("values.raw"));
    CU_ASSERT_FATAL(H5Pset_external(creation, change.input, 0, sizeof values) >= 0);
    set = H5Dcreate2(file, DATA, H5T_IEEE_F64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    CU_ASSERT_FATAL(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(creation);
    H5Fclose(file);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1, .max_tasks_per_worker = 1}, &one),
                          MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(one, change_input, &map), MPM_EIO);
    CU_ASSERT(error_says("outer.h5 has changed since the map began: its bytes add up to "));
    mpm_pool_close(one);
}

/* A filter that does nothing, or, with a parameter, cannot be applied. */
static size_t no_filter(unsigned flags, size_t count, const unsigned *parameters, size_t size, size_t *room,
                        void **buffer)
{
    (void)flags, (void)parameters, (void)room, (void)buffer;
    return count ? 0 : size;
}

static void make_filtered_input(const char *name, unsigned flags, size_t parameters)
{
    static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, 32000, 1, 1, "of this test", NULL, NULL, no_filter};
    hsize_t rows = 20;
    double values[20] = {0};
    hid_t file, set, space = H5Screate_simple(1, &rows, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);

    CU_ASSERT_FATAL(H5Zregister(&class) >= 0);
    H5Pset_chunk(creation, 1, &rows);
    H5Pset_filter(creation, 32000, flags, parameters, (unsigned[]){1});
    file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    set = H5Dcreate2(file, DATA, H5T_IEEE_F64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    CU_ASSERT_FATAL(set >= 0 && H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Fclose(file);
    H5Sclose(space);
    H5Pclose(creation);
    CU_ASSERT_FATAL(H5Zunregister(32000) >= 0);
}

static void a_filter_that_is_missing_is_named(void)
{
    mpm_dataset_map map = {.input_file = path("filtered.h5"),
                           .input_dataset = DATA,
                           .output_file = path("unfiltered.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}}};

    make_filtered_input(map.input_file, H5Z_FLAG_OPTIONAL, 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, copy_value, &map), MPM_ENOENT);
    CU_ASSERT(error_says("filtered.h5:/data needs the filter lzf (32000), which this HDF5 lacks"));
    CU_ASSERT(error_says("install its plugin (Debian: hdf5-plugin-lzf"));
    make_filtered_input(map.input_file, H5Z_FLAG_MANDATORY, 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, copy_value, &map), MPM_ENOENT);
    CU_ASSERT_FALSE(exists(map.output_file));
    make_filtered_input(map.input_file, H5Z_FLAG_OPTIONAL, 1); /* no chunk has gone through it */
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, copy_value, &map), MPM_OK);
}

static void rows_that_fail_are_zero_and_marked(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {100, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32, .fail_every = 7};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 100), path("failing.h5"), &weighing);

    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT(error_says("row 6 is not liked"));
    CU_ASSERT_EQUAL(wrong_rows(path("failing.h5"), &layout, &weighing), 0);
    CU_ASSERT_FALSE(exists(path("failing.h5.part")));
}

static void rows_that_crash_are_zero_and_marked(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {60, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32, .crash_every = 25, .fail_every = 11};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 60), path("crashing.h5"), &weighing);

    map.block_rows = 4;
    map.chunk = 10;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT(error_says("row 10 is not liked"));
    CU_ASSERT_EQUAL(wrong_rows(path("crashing.h5"), &layout, &weighing), 0);
    CU_ASSERT_FALSE(exists(path("crashing.h5.part")));
}

/* Writes in workers and in main fail as many times as this says, by the errors in turn; 0 is a short write. */
static _Atomic int *failing_writes;

ssize_t __real_pwrite(int file, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int file, const void *bytes, size_t size, off_t offset);

ssize_t __wrap_pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    static const int errors[] = {EIO, 0, ESTALE, EINTR};
    int left = failing_writes ? atomic_load(failing_writes) : 0;

    while (left > 0 && !atomic_compare_exchange_weak(failing_writes, &left, left - 1))
        ;
    if (left <= 0)
        return __real_pwrite(file, bytes, size, offset);
    if (!errors[left % 4])
        return __real_pwrite(file, bytes, size / 2, offset);
    errno = errors[left % 4];
    return -1;
}

static void map_plainly(const char *output)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {100, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 100), output, &weighing);
    int status = mpm_pool_map_dataset(pool, weigh, &map);

    if (status)
        printf("\n    %s: %s\n  ", mpm_status_name(status), mpm_error());
    CU_ASSERT_EQUAL_FATAL(status, MPM_OK);
    CU_ASSERT_EQUAL(wrong_rows(output, &layout, &weighing), 0);
}

static void writes_that_fail_once_cost_nothing(void)
{
    atomic_store(failing_writes, 12);
    map_plainly(path("writes.h5"));
    CU_ASSERT_EQUAL(atomic_load(failing_writes), 0);
}

static void writes_that_go_on_failing_end_the_map(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 100), path("unwritten.h5"), &weighing);

    atomic_store(failing_writes, INT_MAX);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EIO);
    CU_ASSERT(error_says("cannot write"));
    atomic_store(failing_writes, 0);
}

/* From here on this worker can open nothing. */
static int use_up_descriptors(mpm_call *call, const void *item, void *result)
{
    struct rlimit limit;

    (void)call;
    (void)item;
    (void)result;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &limit);
    usleep(1000);
    return 0;
}

static void a_worker_that_can_open_nothing_makes_place_for_another(void)
{
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, use_up_descriptors, NULL, 60, 0, 0, &(mpm_map_options){.chunk = 1}, NULL), MPM_OK);
    map_plainly(path("descriptors.h5"));
}

/* The most memory that this process has used more than before. */
struct memory {
    size_t before, most;
};

static size_t memory_used(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void measure_memory(const mpm_progress *now, void *argument)
{
    struct memory *memory = argument;
    size_t used = memory_used();

    (void)now;
    if (used > memory->before && used - memory->before > memory->most)
        memory->most = used - memory->before;
}

static void very_many_rows_that_fail_take_no_memory_each(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {200000, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32, .fail_every = 2, .crash_every = 99999};
    mpm_dataset_map map = weigh_map(plain_input("many.h5", 200000), path("many-failed.h5"), &weighing);
    struct memory memory = {memory_used(), 0};

    map.progress = measure_memory;
    map.progress_argument = &memory;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT(error_says("100001 of 200000 items failed; the first is item 1: row 1 is not liked"));
    CU_ASSERT_EQUAL(wrong_rows(map.output_file, &layout, &weighing), 0);
    CU_ASSERT(memory.most < 16 << 20);
    unlink(map.input_file);
    unlink(map.output_file);
}

#define LONG_TEXT ((size_t)40000)

/* Of two lines: the second one is long. */
static void word_row(size_t row, char *text)
{
    size_t length = (size_t)sprintf(text, "row %zu:\n", row);

    memset(text + length, 'a' + (int)(row % 26), LONG_TEXT);
    text[length + LONG_TEXT] = 0;
}

static int say_much(mpm_call *call, const void *item, void *result)
{
    char text[LONG_TEXT + 40];

    (void)item;
    (void)result;
    word_row(mpm_call_index(call), text);
    return mpm_fail(call, "%s", text);
}

/* And what the map says behind it has a line of its own. */
static void all_is_told_that_a_task_has_said_of_a_row(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 100), path("much.h5"), &weighing);
    char text[LONG_TEXT + 40];

    word_row(0, text);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, say_much, &map), MPM_ETASK);
    CU_ASSERT(error_says("100 of 100 items failed; the first is item 0: row 0:\n"));
    CU_ASSERT(error_says(text));
    map.overwrite = MPM_OVERWRITE_RESULT;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, say_much, &map), MPM_ETASK);
    strcat(text, "\n");
    CU_ASSERT(error_says(text));
    CU_ASSERT(error_says("much.h5 is unchanged"));
    unlink(map.output_file);
}

static void too_many_failed_rows_end_the_map(void)
{
    struct weighing weighing = {.type = MPM_F32, .fail_every = 2};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 2000), path("few.h5"), &weighing);

    map.max_failures = 5;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ECANCELED);
    CU_ASSERT(error_says("of 2000 items have failed, and 5 may; the first is item "));
    CU_ASSERT(error_says("of 2000 rows are good: they are in "));
    CU_ASSERT_FALSE(exists(map.output_file));
    CU_ASSERT(exists(path("few.h5.part")));
    map.resume = MPM_RESUME_RESTART;
    weighing.fail_every = 1;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ECANCELED);
    CU_ASSERT_FALSE(exists(path("few.h5.part")));
    weighing.fail_every = 400;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT(exists(map.output_file));
}

static void map_with_workers(unsigned workers, size_t chunk, const char *input, const char *output)
{
    const struct weighing weighing = {.type = MPM_F32, .fail_every = 50};
    mpm_dataset_map map = weigh_map(input, output, &weighing);
    mpm_pool *other;

    map.chunk = chunk;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &other), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(other, weigh, &map), MPM_ETASK);
    mpm_pool_close(other);
}

static void files_are_the_same_bytes_whatever_the_workers(void)
{
    const char *input = plain_input("in.h5", 1234);
    size_t size, other_size;
    char *bytes, *other;

    map_with_workers(1, 0, input, path("one.h5"));
    bytes = read_file(path("one.h5"), &size);
    for (unsigned workers = 2; workers <= 5; workers++) {
        map_with_workers(workers, workers % 2 ? 0 : 1 + workers, input, path("many.h5"));
        other = read_file(path("many.h5"), &other_size);
        CU_ASSERT_EQUAL_FATAL(size, other_size);
        CU_ASSERT(memcmp(bytes, other, size) == 0);
        free(other);
        unlink(path("many.h5"));
    }
    free(bytes);
}

/* Costs. */

#define COSTLY_ROWS 640u

/* Many are equal; some are not a number, and count as 0. */
static const double *row_costs(void)
{
    static double costs[COSTLY_ROWS];

    for (size_t row = 0; row < COSTLY_ROWS; row++)
        costs[row] = row % 97 == 5 ? NAN : (double)(row / 2 * 2654435761u % 101);
    return costs;
}

/* How many rows this worker has begun before, by its first results. */
static int count_begun(mpm_call *call, const void *item, void *result)
{
    static double begun;

    (void)call, (void)item;
    memcpy(result, &begun, sizeof begun);
    begun++;
    return 0;
}

/* Of all rows of its group. */
static double group_cost(const double *costs, size_t row, size_t group)
{
    double sum = 0;

    for (size_t i = row / group * group; i < row / group * group + group; i++)
        sum += isnan(costs[i]) ? 0 : costs[i];
    return sum;
}

/* The place of a row in an order by cost of its group, then by row. */
static size_t place_of(const double *costs, size_t row, size_t group)
{
    double cost = group_cost(costs, row, group);
    size_t place = 0;

    for (size_t other = 0; other < COSTLY_ROWS; other++) {
        double its = group_cost(costs, other, group);

        place += its > cost || (its == cost && other < row);
    }
    return place;
}

/* Maps with one worker, and compares the order in which it has begun the rows. */
static void order_is_by_cost(const char *input, size_t chunk, size_t group)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(input, path("order.h5"), &weighing);
    size_t count, wrong = 0;
    mpm_pool *one;
    double *begun;

    map.result = (mpm_shape){MPM_F64, 0, {0}};
    map.chunk = chunk;
    map.costs = row_costs();
    map.cost_count = COSTLY_ROWS;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &one), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_dataset(one, count_begun, &map), MPM_OK);
    mpm_pool_close(one);
    begun = read_results(map.output_file, &count);
    CU_ASSERT_EQUAL_FATAL(count, COSTLY_ROWS);
    for (size_t row = 0; row < count; row++)
        wrong += begun[row] != (double)place_of(map.costs, row, group);
    CU_ASSERT_EQUAL(wrong, 0);
    free(begun);
    unlink(map.output_file);
}

static const char *compressed_input(void)
{
    const char *file = path("compressed.h5");

    make_input(file, &(struct input_layout){H5T_IEEE_F32LE, MPM_F32, 2, {COSTLY_ROWS, 1024}, {8, 1024}, 1});
    return file;
}

static void rows_that_cost_most_are_begun_first(void)
{
    const char *input = plain_input("in.h5", COSTLY_ROWS), *compressed = compressed_input();

    order_is_by_cost(input, 0, 1);
    order_is_by_cost(input, 7, 1);
    order_is_by_cost(compressed, 0, 8);
    order_is_by_cost(compressed, 1, 1);
}

/* The first worker to come to some of the rows is killed there. */
struct deadly {
    struct weighing weighing; /* first: weigh() takes it */
    char marks[PATH_MAX];
};

static int weigh_or_die(mpm_call *call, const void *item, void *result)
{
    const struct deadly *deadly = mpm_call_context(call);
    size_t row = mpm_call_index(call);
    char mark[PATH_MAX + 32];
    int fd;

    snprintf(mark, sizeof mark, "%s/%zu", deadly->marks, row);
    if (row % 100 == 42 && (fd = open(mark, O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0) {
        close(fd);
        kill(getpid(), SIGKILL);
    }
    return weigh(call, item, result);
}

static void map_deadly(const char *input, const char *output, const double *costs, size_t chunk)
{
    struct deadly deadly = {.weighing = {.type = MPM_F32, .fail_every = 50, .crash_every = 301}};
    mpm_dataset_map map = weigh_map(input, output, &deadly.weighing);

    snprintf(deadly.marks, sizeof deadly.marks, "%s", path("marks"));
    CU_ASSERT_EQUAL_FATAL(mkdir(deadly.marks, 0700), 0);
    map.context_size = sizeof deadly;
    map.costs = costs;
    map.cost_count = costs ? COSTLY_ROWS : 0;
    map.chunk = chunk;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_die, &map), MPM_ETASK);
    CU_ASSERT(error_says("of 640 items failed; the first is item 49: row 49 is not liked"));
    CU_ASSERT_EQUAL(count_files(deadly.marks), (COSTLY_ROWS + 57) / 100);
}

static void remove_marks(void)
{
    char name[PATH_MAX];

    for (unsigned row = 42; row < COSTLY_ROWS; row += 100) {
        snprintf(name, sizeof name, "%s/%u", path("marks"), row);
        unlink(name);
    }
    rmdir(path("marks"));
}

static void outputs_are_equal(const char *input, size_t chunk)
{
    const char *without = path("without.h5"), *with = path("with.h5");
    size_t size, other_size;
    char *bytes, *other;

    map_deadly(input, without, NULL, 0);
    remove_marks();
    map_deadly(input, with, row_costs(), chunk);
    remove_marks();
    bytes = read_file(without, &size);
    other = read_file(with, &other_size);
    CU_ASSERT(size == other_size && !memcmp(bytes, other, size));
    free(bytes);
    free(other);
    unlink(without);
    unlink(with);
}

static void costs_change_no_byte_though_workers_die(void)
{
    const char *input = plain_input("in.h5", COSTLY_ROWS);

    outputs_are_equal(input, 0);
    outputs_are_equal(input, 1);
    outputs_are_equal(compressed_input(), 0);
}

static void as_many_costs_as_rows_are_needed(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 12), path("out.h5"), &weighing);

    map.cost_count = 12;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EINVAL);
    CU_ASSERT(error_says("the costs are NULL, but their count is 12"));
    map.costs = row_costs();
    map.cost_count = 11;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EINVAL);
    CU_ASSERT(error_says("the map has 11 costs, but "));
    CU_ASSERT(error_says("in.h5:/data has 12 rows"));
    CU_ASSERT_FALSE(exists(map.output_file));
    CU_ASSERT_FALSE(exists(path("out.h5.part")));
}

static void a_map_in_a_closed_pool_is_refused(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(compressed_input(), path("out.h5"), &weighing);
    mpm_pool *closed;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &closed), MPM_OK);
    mpm_pool_close(closed);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(closed, weigh, &map), MPM_ESTATE);
    CU_ASSERT(error_says("the pool is closed"));
    CU_ASSERT_FALSE(exists(map.output_file));
}

static const char *cost_file(const double *values, hsize_t count)
{
    const char *name = path("costs.h5");
    hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &count, NULL);
    hid_t set = H5Dcreate2(file, DATA, H5T_IEEE_F32BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    CU_ASSERT_FATAL(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    CU_ASSERT_FATAL(H5Fclose(file) >= 0);
    return name;
}

static void costs_are_read_from_a_data_set(void)
{
    double *costs = NULL;
    uint64_t count = 0;

    CU_ASSERT_EQUAL_FATAL(
        mpm_dataset_read_costs(cost_file((double[]){3, 0.5, INFINITY}, 3), DATA, 0, &costs, &count), MPM_OK);
    CU_ASSERT(count == 3 && costs[0] == 3 && costs[1] == 0.5 && isinf(costs[2]));
    free(costs);
    costs = NULL;
    CU_ASSERT_EQUAL(mpm_dataset_read_costs(cost_file((double[]){3, -2}, 2), DATA, 0, &costs, &count),
                    MPM_EINVAL);
    CU_ASSERT(error_says("costs.h5:/data has a bad cost: row 1 costs -2"));
    CU_ASSERT_EQUAL(mpm_dataset_read_costs(cost_file((double[]){3, 4, NAN}, 3), DATA, 0, &costs, &count),
                    MPM_EINVAL);
    CU_ASSERT(error_says("costs.h5:/data has a bad cost: row 2 costs nan"));
    CU_ASSERT_EQUAL(mpm_dataset_read_costs(plain_input("in.h5", 3), DATA, 0, &costs, &count), MPM_ETYPE);
    CU_ASSERT(error_says("in.h5:/data has rows of f32[5]: costs must be one number for each row"));
    CU_ASSERT(!costs && count == 3);
}

struct file_names {
    char input[PATH_MAX], output[PATH_MAX];
};

/* In a process: its pool has the workers of its node. */
static int map_here(const void *args, size_t size)
{
    const struct weighing weighing = {.type = MPM_F32, .fail_every = 50};
    const struct file_names *names = args;
    mpm_dataset_map map = weigh_map(names->input, names->output, &weighing);
    mpm_pool *own;
    int status;

    (void)size;
    if (mpm_pool_open(&(mpm_pool_options){.workers = 2}, &own))
        return mpm_report_error();
    status = mpm_pool_map_dataset(own, weigh, &map);
    mpm_pool_close(own);
    return status == MPM_ETASK ? 0 : mpm_report_error();
}

static void a_process_may_map_a_data_set(void)
{
    mpm_process_options options = {.place = MPM_ON_NODE(mpm_node_count() - 1)};
    const char *input = plain_input("in.h5", 1234);
    struct file_names names;
    mpm_process process;
    size_t size, other_size;
    char *bytes, *other;
    int code = 1;

    map_with_workers(1, 0, input, path("mains.h5"));
    snprintf(names.input, sizeof names.input, "%s", input);
    snprintf(names.output, sizeof names.output, "%s", path("a_processs.h5"));
    CU_ASSERT_EQUAL_FATAL(mpm_process_start(map_here, &names, sizeof names, &options, &process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_exitcode(process, &code), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(code, 0);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    bytes = read_file(path("mains.h5"), &size);
    other = read_file(names.output, &other_size);
    CU_ASSERT_EQUAL_FATAL(size, other_size);
    CU_ASSERT(memcmp(bytes, other, size) == 0);
    free(bytes);
    free(other);
}

static int corners(mpm_call *call, const void *item, void *result)
{
    const float *row = item;
    int *corner = result;

    for (int i = 0; i < 6; i++)
        corner[i] = (int)row[i % 5] + (int)mpm_call_index(call);
    return mpm_call_context(call) ? mpm_fail(call, "there is a context") : 0;
}

static void results_have_the_shape_asked_for_in_groups_made_for_them(void)
{
    mpm_dataset_map map = {.input_file = plain_input("in.h5", 10),
                           .input_dataset = "data",
                           .output_file = path("shaped.h5"),
                           .output_dataset = "a/b/corners",
                           .result = {MPM_I32, 2, {2, 3}}};
    uint64_t rows;
    mpm_shape row;
    char text[64];
    size_t count;
    int *results;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_dataset(pool, corners, &map), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_dataset_describe(path("shaped.h5"), "/a/b/corners", &rows, &row), MPM_OK);
    CU_ASSERT_STRING_EQUAL(mpm_shape_format(&row, text, sizeof text), "i32[2,3]");
    CU_ASSERT_EQUAL(rows, 10);
    CU_ASSERT_EQUAL_FATAL(mpm_dataset_describe(path("shaped.h5"), "/a/b/corners.done", &rows, &row), MPM_OK);
    CU_ASSERT_STRING_EQUAL(mpm_shape_format(&row, text, sizeof text), "u8");
    results = read_set(path("shaped.h5"), "/a/b/corners", H5T_NATIVE_INT32, sizeof *results, &count);
    CU_ASSERT_EQUAL(count, 60);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(results[i], (int)value_at(i / 6, i % 6 % 5, MPM_F32) + (int)(i / 6));
    free(results);
}

static void one_origin_is(hid_t set, const char *name, const char *expected)
{
    char *text = NULL;
    hid_t attribute = H5Aopen(set, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);

    CU_ASSERT_FATAL(type >= 0 && H5Tis_variable_str(type) > 0);
    CU_ASSERT_FATAL(H5Aread(attribute, type, &text) >= 0 && text);
    if (expected)
        CU_ASSERT_STRING_EQUAL(text, expected);
    CU_ASSERT(strlen(text) > 0);
    H5free_memory(text);
    H5Tclose(type);
    H5Aclose(attribute);
}

static void the_result_tells_where_it_comes_from(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 10), path("origin.h5"), &weighing);
    hid_t file, set;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
    file = H5Fopen(path("origin.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    set = H5Dopen2(file, RESULT, H5P_DEFAULT);
    CU_ASSERT_FATAL(set >= 0);
    one_origin_is(set, "input_file", NULL);
    one_origin_is(set, "input_dataset", DATA);
    one_origin_is(set, "input_shape", "10 x f32[5]");
    one_origin_is(set, "task", "weigh");
    one_origin_is(set, "task_build", NULL);
    one_origin_is(set, "mpmap_version", mpm_version());
    H5Dclose(set);
    H5Fclose(file);
}

static void no_rows_make_an_output_without_rows(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("none.h5", 0), path("none-out.h5"), &weighing);
    uint64_t rows = 77;
    mpm_shape row;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("none-out.h5"), RESULT, &rows, &row), MPM_OK);
    CU_ASSERT_EQUAL(rows, 0);
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("none-out.h5"), RESULT ".done", &rows, &row), MPM_OK);
}

static void an_output_that_exists_stays_unless_it_may_be_overwritten(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {20, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32};
    const char *output = path("taken.h5");
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), output, &weighing);
    size_t size;
    char *bytes;

    write_file(output, "precious", 8);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EEXIST);
    CU_ASSERT(error_says(
        "taken.h5 exists: choose another name, or overwrite it (--overwrite, MPM_OVERWRITE_RESULT)"));
    bytes = read_file(output, &size);
    CU_ASSERT_STRING_EQUAL(bytes, "precious");
    free(bytes);
    map.overwrite = MPM_OVERWRITE_RESULT;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EEXIST);
    CU_ASSERT(error_says("taken.h5 is not a readable HDF5 file"));
    map.overwrite = MPM_OVERWRITE_FILE;
    CU_ASSERT_EQUAL_FATAL(chmod(output, 0640), 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
    CU_ASSERT_EQUAL(wrong_rows(output, &layout, &weighing), 0);
    CU_ASSERT_EQUAL(mode_of(output), 0640);
    map.overwrite = MPM_OVERWRITE_RESULT;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
}

static void overwrite_result(mpm_dataset_map *map, const char *dataset, int status, const char *says)
{
    map->output_dataset = dataset;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, map), status);
    CU_ASSERT(!says || error_says(says));
}

static void other_data_sets_are_not_overwritten(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), path("many-sets.h5"), &weighing);

    map.overwrite = MPM_OVERWRITE_RESULT;
    overwrite_result(&map, "/group/one", MPM_OK, NULL);
    overwrite_result(&map, "group//one", MPM_OK, NULL);
    overwrite_result(&map, "/group/two", MPM_EEXIST,
                     "many-sets.h5 also holds /group/one, which would be lost");
    overwrite_result(&map, "/group", MPM_EEXIST, "also holds /group");
    overwrite_result(&map, "/group/one/inner", MPM_EEXIST, "also holds /group/one");
    overwrite_result(&map, "/on", MPM_EEXIST, "also holds /group");
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("many-sets.h5"), "/group/one", NULL, NULL), MPM_OK);
    map.overwrite = MPM_OVERWRITE_FILE;
    overwrite_result(&map, "/two", MPM_OK, NULL);
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("many-sets.h5"), "/group/one", NULL, NULL), MPM_ENOENT);
}

static void good_results_are_not_replaced_where_every_row_fails(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {20, 5}, {0}, 0};
    const struct weighing good = {.type = MPM_F32}, bad = {.type = MPM_F32, .fail_every = 1};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), path("good.h5"), &good);

    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
    map.overwrite = MPM_OVERWRITE_FILE;
    map.context = &bad;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT(error_says("row 0 is not liked; "));
    CU_ASSERT(error_says("good.h5 is unchanged"));
    CU_ASSERT_EQUAL(wrong_rows(path("good.h5"), &layout, &good), 0);
    CU_ASSERT_FALSE(exists(path("good.h5.part")));
    map.output_file = path("bad.h5");
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT_EQUAL(wrong_rows(path("bad.h5"), &layout, &bad), 0);
}

/* Maps to linked.h5, which is refused, and leaves the precious file as it is. */
static void refuses_to_follow(mpm_dataset_map *map, const char *says)
{
    size_t size;
    char *bytes;

    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, map), MPM_EEXIST);
    CU_ASSERT(error_says(says));
    bytes = read_file(path("precious.txt"), &size);
    CU_ASSERT_STRING_EQUAL(bytes, "precious");
    free(bytes);
}

static void links_are_not_followed(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), path("linked.h5"), &weighing);
    const char *part = path("linked.h5.part");

    write_file(path("precious.txt"), "precious", 8);
    CU_ASSERT_EQUAL_FATAL(symlink("precious.txt", part), 0);
    refuses_to_follow(&map, "linked.h5.part is a symbolic link");
    unlink(part);
    CU_ASSERT_EQUAL_FATAL(symlink("new.txt", part), 0);
    refuses_to_follow(&map, "linked.h5.part is a symbolic link");
    CU_ASSERT_FALSE(exists(path("new.txt")));
    unlink(part);
    CU_ASSERT_EQUAL_FATAL(link(path("precious.txt"), part), 0);
    refuses_to_follow(&map, "linked.h5.part has 2 hard links");
    unlink(part);
    CU_ASSERT_EQUAL_FATAL(mkfifo(part, 0666), 0);
    refuses_to_follow(&map, "linked.h5.part is not a regular file");
    unlink(part);
    CU_ASSERT_EQUAL_FATAL(symlink("new.txt", map.output_file), 0);
    map.overwrite = MPM_OVERWRITE_FILE;
    refuses_to_follow(&map, "linked.h5 is a symbolic link to new.txt");
    CU_ASSERT_FALSE(exists(part) || exists(path("new.txt")));
    unlink(map.output_file);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
}

static void what_another_user_has_left_is_not_taken_over(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), path("theirs.h5"), &weighing);

    write_file(path("theirs.h5.part"), "theirs", 6);
    if (chown(path("theirs.h5.part"), 12345, (gid_t)-1))
        printf("\n    no file can be given away here (%s)\n  ", strerror(errno));
    else {
        CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EEXIST);
        CU_ASSERT(error_says("theirs.h5.part belongs to another user"));
    }
}

static void count_is(const char *part, double value, size_t expected)
{
    size_t count, found = 0;
    unsigned char *marks = read_marks(part, &count);

    for (size_t i = 0; i < count; i++)
        found += marks[i] == value;
    CU_ASSERT_EQUAL(found, expected);
    free(marks);
}

/* Spoils the second compressed chunk of an input, not what HDF5 keeps of it. */
static void spoil(const char *name)
{
    hid_t file = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, DATA, H5P_DEFAULT);
    hid_t space = H5Dget_space(set);
    hsize_t size, offset[1];
    haddr_t address;
    unsigned filters;
    int fd;

    CU_ASSERT_FATAL(H5Dget_chunk_info(set, space, 1, offset, &filters, &address, &size) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    fd = open(name, O_WRONLY);
    CU_ASSERT_EQUAL_FATAL(pwrite(fd, "spoilt!!", 8, (off_t)address), 8);
    close(fd);
}

/* Chunks of 1000 rows, of which the second cannot be read. */
static void rows_that_cannot_be_read_fail_and_the_others_are_good(void)
{
    const struct weighing weighing = {.type = MPM_F64};
    const struct input_layout layout = {H5T_IEEE_F64LE, MPM_F64, 1, {5000}, {1000}, 6};
    mpm_dataset_map map = weigh_map(path("spoilt.h5"), path("most.h5"), &weighing);
    size_t blocks[] = {0, 1, 700}, count;
    double *results;

    make_input(map.input_file, &layout);
    spoil(map.input_file);
    map.overwrite = MPM_OVERWRITE_RESULT;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        map.block_rows = blocks[i];
        CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
        CU_ASSERT(error_says("1000 of 5000 items failed; the first is item 1000: cannot read rows 1000"));
        /* HDF5's reason, which is not the same in all versions. */
        CU_ASSERT(error_says(H5_VERSION_GE(1, 14, 0) ? "filter returned failure" : "inflate() failed"));
        CU_ASSERT_EQUAL(wrong_rows(map.output_file, &layout, &weighing), 1000);
        count_is(map.output_file, 2, 1000);
        results = read_results(map.output_file, &count);
        for (size_t row = 2000; row < 4000; row++)
            CU_ASSERT_EQUAL(results[row], 0);
        free(results);
    }
}

/* All rows would fail on a node whose input is gone: that is the map's trouble, not theirs. */
static void an_input_that_is_gone_ends_the_map(void)
{
    struct change change = {.what = CHANGE_SIZE};
    mpm_dataset_map map = {.input_file = path("goes.h5"),
                           .input_dataset = DATA,
                           .output_file = path("gone.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .chunk = 1000,
                           .context = &change,
                           .context_size = sizeof change};
    mpm_pool *one;

    make_input(map.input_file, &(struct input_layout){H5T_IEEE_F64LE, MPM_F64, 1, {5000}, {1000}, 6});
    spoil(map.input_file);
    snprintf(change.input, sizeof change.input, "%s", map.input_file);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &one), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(one, change_input, &map), MPM_EIO);
    CU_ASSERT(error_says("goes.h5 has changed since the map began: "));
    mpm_pool_close(one);
}

/* Adds to the output file that is to be replaced. */
static int add_to_output(mpm_call *call, const void *item, void *result)
{
    int fd = open(mpm_call_context(call), O_WRONLY | O_APPEND);

    (void)item;
    *(double *)result = (double)write(fd, "x", 1);
    return close(fd);
}

static void what_has_come_into_the_old_file_meanwhile_is_kept(void)
{
    mpm_dataset_map map = {.input_file = plain_input("in.h5", 20),
                           .input_dataset = DATA,
                           .output_file = path("shared-out.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .overwrite = MPM_OVERWRITE_RESULT,
                           .context = path("shared-out.h5"),
                           .context_size = strlen(path("shared-out.h5")) + 1};

    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, corners,
                                         &(mpm_dataset_map){.input_file = map.input_file,
                                                            .input_dataset = DATA,
                                                            .output_file = map.output_file,
                                                            .output_dataset = RESULT,
                                                            .result = {MPM_I32, 1, {6}}}),
                    MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, add_to_output, &map), MPM_EEXIST);
    CU_ASSERT(
        error_says("shared-out.h5 has changed since the map began, so it is not overwritten; 20 of 20 rows"));
    map.overwrite = MPM_OVERWRITE_FILE;
    map.resume = MPM_RESUME_RESTART;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, add_to_output, &map), MPM_OK);
}

/* What progress() has been told. */
struct seen {
    uint64_t done, total, failed;
    unsigned calls;
};

static void progress(const mpm_progress *now, void *argument)
{
    struct seen *seen = argument;

    seen->done = now->done;
    seen->total = now->total;
    seen->failed = now->failed;
    seen->calls++;
}

#define STOPPED_ROWS 120

/* What the tests of maps that go on and their workers share. */
static struct {
    _Atomic unsigned wall; /* rows from this one on bring the map to its end, */
    _Atomic bool
        is_to_stop;     /* but only the first one: a worker may still be in another when the map has ended */
    _Atomic bool fails; /* every tenth row fails */
    _Atomic unsigned calls[STOPPED_ROWS];
} * stopped;

static void stop_map(size_t row)
{
    bool is_to_stop = true;

    if (row >= atomic_load(&stopped->wall) &&
        atomic_compare_exchange_strong(&stopped->is_to_stop, &is_to_stop, false))
        atomic_store(failing_writes, INT_MAX);
}

static int weigh_or_stop(mpm_call *call, const void *item, void *result)
{
    size_t row = mpm_call_index(call);

    atomic_fetch_add(&stopped->calls[row], 1);
    stop_map(row);
    if (atomic_load(&stopped->fails) && fails(10, row))
        return mpm_fail(call, "row %zu is not liked", row);
    return weigh(call, item, result);
}

static const struct weighing stopped_weighing = {.type = MPM_F32};

static char notices[4096];

static void keep_notice(const char *sentence, void *unused)
{
    size_t length = strlen(notices);

    (void)unused;
    snprintf(notices + length, sizeof notices - length, "%s\n", sentence);
}

static bool notices_say(const char *part)
{
    if (strstr(notices, part))
        return true;
    printf("\n    \"%s\" is not in: %s\n  ", part, notices);
    return false;
}

static mpm_dataset_map stopped_map(const char *input, const char *output, int resume)
{
    mpm_dataset_map map = weigh_map(input, output, &stopped_weighing);

    map.block_rows = map.chunk = 1;
    map.resume = resume;
    map.notice = keep_notice;
    notices[0] = 0;
    return map;
}

/* Runs a map that ends in the middle, in a pool of its own: where that is closed no worker of another node is still in
 * a row. */
static void run_and_stop(mpm_task *task, const mpm_dataset_map *map, unsigned workers, unsigned wall)
{
    mpm_pool *own;

    atomic_store(&stopped->wall, wall);
    atomic_store(&stopped->is_to_stop, true);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &own), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(own, task, map), MPM_EIO);
    CU_ASSERT(error_says("rows are good: they are in "));
    mpm_pool_close(own);
    atomic_store(failing_writes, 0);
}

/* Runs a map that ends in the middle: its part is there. How many rows it has, of which a tenth have failed if they
 * do. */
static size_t leave_part(const char *input, const char *output, bool fails)
{
    mpm_dataset_map map = stopped_map(input, output, MPM_RESUME_REFUSE);
    mpm_map_state state = {0};

    memset(stopped, 0, sizeof *stopped);
    atomic_store(&stopped->fails, fails);
    run_and_stop(weigh_or_stop, &map, 3, STOPPED_ROWS / 2);
    atomic_store(&stopped->fails, false);
    CU_ASSERT_EQUAL_FATAL(mpm_map_status(output, &state), MPM_OK);
    CU_ASSERT_EQUAL(state.rows, STOPPED_ROWS);
    CU_ASSERT_EQUAL(state.good + state.failed + state.left, STOPPED_ROWS);
    CU_ASSERT(state.good > 0 && state.left > 0 && !state.is_complete && !state.is_running);
    CU_ASSERT((state.failed > 0) == fails);
    return (size_t)(state.good + state.failed);
}

static unsigned count_calls(void)
{
    unsigned calls = 0;

    for (size_t i = 0; i < STOPPED_ROWS; i++)
        calls += atomic_load(&stopped->calls[i]);
    return calls;
}

static bool is_finished_right(const char *output)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {STOPPED_ROWS, 5}, {0}, 0};
    mpm_map_state state = {0};

    return mpm_map_status(output, &state) == MPM_OK && state.is_complete && state.good == STOPPED_ROWS &&
           wrong_rows(output, &layout, &stopped_weighing) == 0;
}

static void a_map_goes_on_with_the_rows_that_are_left(void)
{
    const char *input = plain_input("in.h5", STOPPED_ROWS), *output = path("left.h5");
    double costs[STOPPED_ROWS];
    struct seen seen = {0};

    for (int by_cost = 0; by_cost < 2; by_cost++) {
        size_t done = leave_part(input, output, false);
        unsigned calls = count_calls();
        mpm_dataset_map map = stopped_map(input, output, MPM_RESUME_CONTINUE);

        for (size_t i = 0; i < STOPPED_ROWS; i++)
            costs[i] = (double)(i * 7 % 10);
        map.costs = by_cost ? costs : NULL;
        map.cost_count = by_cost ? STOPPED_ROWS : 0;
        map.progress = progress;
        map.progress_argument = &seen;
        CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_OK);
        CU_ASSERT_EQUAL(count_calls(), calls + STOPPED_ROWS - done);
        CU_ASSERT(seen.done == STOPPED_ROWS && seen.total == STOPPED_ROWS);
        CU_ASSERT(notices_say(" of 120 rows: going on with the other "));
        CU_ASSERT(is_finished_right(output));
        CU_ASSERT_FALSE(exists(path("left.h5.part")));
        notices[0] = 0;
        calls = count_calls();
        CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_OK);
        CU_ASSERT(notices_say("is finished: it has all 120 rows"));
        CU_ASSERT_EQUAL(count_calls(), calls);
        unlink(output);
    }
}

static void failed_rows_are_run_again_if_that_is_wanted(void)
{
    const char *input = plain_input("in.h5", STOPPED_ROWS), *output = path("retried.h5");
    mpm_dataset_map map;
    unsigned calls;

    leave_part(input, output, true);
    map = stopped_map(input, output, MPM_RESUME_CONTINUE);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_ETASK);
    CU_ASSERT(error_says("of 120 rows failed in an earlier run"));
    CU_ASSERT_FALSE(is_finished_right(output));
    calls = count_calls();
    map.retry_failed = 1; /* of the finished output */
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_OK);
    CU_ASSERT(count_calls() - calls > 0 && count_calls() - calls <= STOPPED_ROWS / 10);
    CU_ASSERT(is_finished_right(output));
    unlink(output);
    leave_part(input, output, true); /* of a part */
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_OK);
    CU_ASSERT(is_finished_right(output));
    unlink(output);
}

static void a_part_with_rows_is_refused_unless_it_may_be_used(void)
{
    const char *input = plain_input("in.h5", STOPPED_ROWS), *output = path("kept.h5");
    size_t done = leave_part(input, output, false), size, now_size;
    char *bytes = read_file(path("kept.h5.part"), &size), *now, expected[64];
    mpm_dataset_map map = stopped_map(input, output, MPM_RESUME_REFUSE);

#define REFUSES(change, says)                                                     \
    map = stopped_map(input, output, MPM_RESUME_CONTINUE);                        \
    change;                                                                       \
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_EEXIST); \
    CU_ASSERT(error_says(says));                                                  \
    now = read_file(path("kept.h5.part"), &now_size);                             \
    CU_ASSERT(now_size == size && !memcmp(now, bytes, size));                     \
    free(now)

    snprintf(expected, sizeof expected, "kept.h5.part has %zu of 120 rows of this same map: --resume", done);
    REFUSES(map.resume = MPM_RESUME_REFUSE, expected);
    REFUSES((map.resume = MPM_RESUME_REFUSE, map.task_name = "x"),
            "the task was weigh and is x now; --restart");
    REFUSES(map.task_name = "other", "the task was weigh and is other now; --resume=force");
    REFUSES(map.context_size = 8, "the context (--param) was 24 bytes, checksum ");
    REFUSES(map.result.extent[0] = 3, "the result's type and shape was f64[2] and is f64[3] now; --restart");
    REFUSES((map.resume = MPM_RESUME_FORCE, map.result.type = MPM_I64),
            "the result's type and shape was f64[2] and is i64[2] now; --restart");
    REFUSES(map.output_dataset = "/x", "the result's data set was /result and is /x now");
    REFUSES(map.input_file = plain_input("in2.h5", STOPPED_ROWS), "in.h5 and is ");
    REFUSES(map.input_file = plain_input("in3.h5", STOPPED_ROWS + 1), "in.h5 and is ");
    CU_ASSERT_EQUAL(truncate(input, 100000), 0);
    REFUSES((void)0, " bytes and is 100000 bytes now");
    plain_input("in.h5", STOPPED_ROWS);
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, input, (struct timespec[]){{1000000000, 0}, {1000000000, 0}}, 0), 0);
    REFUSES((void)0, " and is 2001-09-09 01:46:40Z now");
    REFUSES((map.resume = MPM_RESUME_FORCE, map.input_file = path("in3.h5")),
            "was 120 x f32[5] and is 121 x f32[5]");
#undef REFUSES
    free(bytes);
    map = stopped_map(input, output, MPM_RESUME_FORCE);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop, &map), MPM_OK);
    CU_ASSERT(notices_say("kept.h5.part: ignored: the time of the input's last change was "));
    CU_ASSERT(is_finished_right(output));
    unlink(output);
}

/* A file of which some bytes, or some bits, are others. */
static void damage(const char *file, size_t at, unsigned bit)
{
    int fd = open(file, O_RDWR);
    unsigned char byte;

    CU_ASSERT_EQUAL_FATAL(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= (unsigned char)(1u << bit);
    CU_ASSERT_EQUAL_FATAL(__real_pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* Goes on with a damaged part: it is refused and stays, or all is right in the end. True if it was refused. */
static bool is_refused_or_right(const char *input, const char *output, const char *part)
{
    mpm_dataset_map map = stopped_map(input, output, MPM_RESUME_CONTINUE);
    size_t size, now_size;
    char *bytes = read_file(part, &size), *now;
    int status = mpm_pool_map_dataset(pool, weigh_or_stop, &map);

    if (status == MPM_EEXIST) {
        CU_ASSERT(error_says("no map can resume from it: "));
        now = read_file(part, &now_size);
        CU_ASSERT(now_size == size && !memcmp(now, bytes, size));
        free(now);
    } else {
        CU_ASSERT_EQUAL(status, MPM_OK);
        CU_ASSERT(is_finished_right(output));
    }
    free(bytes);
    unlink(output);
    return status == MPM_EEXIST;
}

static void damaged_parts_are_refused_or_made_right(void)
{
    const char *input = plain_input("in.h5", STOPPED_ROWS), *output = path("flipped.h5"),
               *part = path("flipped.h5.part");
    size_t size, refused = 0, flips = 60;
    mpm_map_state state;
    char *bytes;

    leave_part(input, output, false);
    bytes = read_file(part, &size);
    for (size_t i = 0; i < flips; i++) {
        write_file(part, bytes, size);
        damage(part, i * (size - 1) / (flips - 1), (unsigned)i % 8);
        refused += is_refused_or_right(input, output, part);
    }
    CU_ASSERT(refused > 0 && refused < flips);
    for (size_t cut = 1; cut < size; cut += size / 7) {
        write_file(part, bytes, size - cut);
        CU_ASSERT_EQUAL(mpm_map_status(output, &state), MPM_ETYPE);
        CU_ASSERT(is_refused_or_right(input, output, part));
    }
    write_file(part, "a letter", 8);
    CU_ASSERT(is_refused_or_right(input, output, part));
    free(bytes);
    unlink(part);
}

static int weigh_or_stop_late(mpm_call *call, const void *item, void *result)
{
    stop_map(mpm_call_index(call));
    return weigh(call, item, result);
}

/* The checksum of a large block stands elsewhere than that of a small one. */
static void rows_that_were_written_in_large_blocks_are_kept(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {3000, 5}, {0}, 0};
    mpm_dataset_map map = stopped_map(plain_input("in.h5", 3000), path("large.h5"), MPM_RESUME_CONTINUE);
    mpm_map_state state = {0};

    map.block_rows = map.chunk = 600;
    run_and_stop(weigh_or_stop_late, &map, 1, 2000); /* one worker, so earlier blocks are written by then */
    CU_ASSERT_EQUAL_FATAL(mpm_map_status(map.output_file, &state), MPM_OK);
    CU_ASSERT(state.good >= 600);
    notices[0] = 0;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh_or_stop_late, &map), MPM_OK);
    CU_ASSERT(notices_say("of 3000 rows: going on"));
    CU_ASSERT_PTR_NULL(strstr(notices, "incomplete"));
    CU_ASSERT_EQUAL(wrong_rows(map.output_file, &layout, &stopped_weighing), 0);
    unlink(map.output_file);
}

/* As if the power had failed: a mark and a checksum have come to the disk, and the result has not. */
static void a_result_that_was_lost_is_made_again(void)
{
    const char *input = plain_input("in.h5", STOPPED_ROWS), *output = path("lost.h5");
    mpm_dataset_map map = stopped_map(input, output, MPM_RESUME_CONTINUE);
    unsigned calls;
    hid_t file, set;
    haddr_t at;
    int fd;
    double zeros[STOPPED_ROWS * 2] = {0};
    size_t done = leave_part(input, output, false);

    calls = count_calls();
    file = H5Fopen(path("lost.h5.part"), H5F_ACC_RDONLY, H5P_DEFAULT);
    set = H5Dopen2(file, RESULT, H5P_DEFAULT);
    at = H5Dget_offset(set);
    H5Dclose(set);
    H5Fclose(file);
    fd = open(path("lost.h5.part"), O_WRONLY);
    CU_ASSERT_EQUAL(__real_pwrite(fd, zeros, sizeof zeros, (off_t)at), sizeof zeros);
    close(fd);
    if (mpm_pool_map_dataset(pool, weigh_or_stop, &map) != MPM_OK)
        printf("\n    %s\n  ", mpm_error());
    CU_ASSERT(notices_say("are marked, but their results are incomplete: they are run again"));
    CU_ASSERT(count_calls() - calls > STOPPED_ROWS - done);
    CU_ASSERT(is_finished_right(output));
    unlink(output);
}

static void what_is_not_a_part_is_replaced_when_that_is_wanted(void)
{
    const struct input_layout layout = {H5T_IEEE_F32LE, MPM_F32, 2, {20, 5}, {0}, 0};
    const struct weighing weighing = {.type = MPM_F32, .crash_every = 5};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), path("again.h5"), &weighing);
    char *garbage = malloc(100000);

    CU_ASSERT_PTR_NOT_NULL_FATAL(garbage);
    memset(garbage, 1, 100000);
    write_file(path("again.h5.part"), garbage, 100000);
    write_file(path("again.h5.part.new"), garbage, 100000);
    free(garbage);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EEXIST);
    CU_ASSERT(error_says("it does not end like a .part file"));
    map.resume = MPM_RESUME_RESTART;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT_EQUAL(wrong_rows(path("again.h5"), &layout, &weighing), 0);
    CU_ASSERT_FALSE(exists(path("again.h5.part")) || exists(path("again.h5.part.new")));
}

/* Its worker cannot write from row 10 on. */
static int end_writing(mpm_call *call, const void *item, void *result)
{
    (void)item;
    if (mpm_call_index(call) == 10) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, RLIM_INFINITY});
    }
    *(double *)result = (double)mpm_call_index(call);
    return 0;
}

/* Takes the name of the output while the map runs. */
static int take_name(mpm_call *call, const void *item, void *result)
{
    const char *output = mpm_call_context(call);

    (void)item;
    *(double *)result = (double)mpm_call_index(call);
    return link("/proc/self/exe", output) && errno != EEXIST && mkdir(output, 0777) && errno != EEXIST;
}

static void good_rows_stay_in_the_part_when_a_map_cannot_go_on(void)
{
    mpm_dataset_map map = {.input_file = plain_input("in.h5", 20),
                           .input_dataset = DATA,
                           .output_file = path("ended.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .block_rows = 1,
                           .chunk = 1};
    mpm_pool *one;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &one), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(one, end_writing, &map), MPM_EIO);
    CU_ASSERT(error_says("File too large; 10 of 20 rows are good: they are in "));
    mpm_pool_close(one);
    CU_ASSERT_FALSE(exists(map.output_file));
    count_is(path("ended.h5.part"), 1, 10);
    map.context = map.output_file;
    map.context_size = strlen(map.output_file) + 1;
    map.resume = MPM_RESUME_RESTART;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, take_name, &map), MPM_EEXIST);
    CU_ASSERT(error_says("ended.h5: File exists; 20 of 20 rows are good: they are in "));
    count_is(path("ended.h5.part"), 1, 20);
    rmdir(map.output_file);
}

/* Puts another file in the place of the part; the worker of the next row finds it there. */
static int exchange_part(mpm_call *call, const void *item, void *result)
{
    const char *part = mpm_call_context(call);
    char away[PATH_MAX];
    int fd;

    (void)item;
    *(double *)result = 0;
    snprintf(away, sizeof away, "%s.away", part);
    if (mpm_call_index(call) > 0)
        return 0;
    if (rename(part, away) || (fd = open(part, O_RDWR | O_CREAT | O_EXCL, 0666)) < 0)
        return mpm_fail(call, "%s", strerror(errno));
    return ftruncate(fd, 100000) || close(fd);
}

static void every_worker_writes_into_the_file_that_main_has_made(void)
{
    mpm_dataset_map map = {.input_file = plain_input("in.h5", 20),
                           .input_dataset = DATA,
                           .output_file = path("one.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_F64, 0, {0}},
                           .overwrite = MPM_OVERWRITE_FILE,
                           .context = path("one.h5.part"),
                           .context_size = strlen(path("one.h5.part")) + 1,
                           .block_rows = 1,
                           .chunk = 1};
    mpm_pool *one;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1, .max_tasks_per_worker = 1}, &one),
                          MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(one, exchange_part, &map), MPM_EIO);
    CU_ASSERT(error_says("is a different file on this node"));
    mpm_pool_close(one);
    CU_ASSERT(exists(path("one.h5.part")) && exists(path("one.h5.part.away")));
    unlink(path("one.h5.part"));
}

static void two_runs_do_not_make_the_same_output(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 20), path("shared.h5"), &weighing);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path("shared.h5.part"), O_RDWR | O_CREAT, 0666);

    CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_OFD_SETLK, &lock), 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EEXIST);
    CU_ASSERT(error_says("another run is writing"));
    CU_ASSERT(exists(path("shared.h5.part")));
    close(fd);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_OK);
}

static void the_input_is_never_overwritten(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    mpm_dataset_map map = weigh_map(plain_input("self.h5", 20), NULL, &weighing);

    map.overwrite = 1;
    map.output_file = path("self.h5");
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EINVAL);
    CU_ASSERT(error_says("is the input file"));
    map.output_file = path("self-link.h5");
    CU_ASSERT_EQUAL_FATAL(symlink("self.h5", map.output_file), 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EINVAL);
    map.output_file = path("self-twin.h5");
    CU_ASSERT_EQUAL_FATAL(link(path("self.h5"), map.output_file), 0);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EINVAL);
    map.input_file = plain_input("goal.h5.part", 20);
    map.output_file = path("goal.h5");
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EINVAL);
    CU_ASSERT(error_says("rename it"));
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("goal.h5.part"), DATA, NULL, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("self.h5"), DATA, NULL, NULL), MPM_OK);
}

static void bad_maps_are_refused_and_make_nothing(void)
{
    static const struct weighing weighing = {.type = MPM_F32};
    const mpm_dataset_map good = weigh_map(plain_input("in.h5", 20), path("bad-out.h5"), &weighing);
    size_t files = count_files(folder);
    mpm_dataset_map map;

#define REFUSES(change, status, says)                                 \
    map = good;                                                       \
    change;                                                           \
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), status); \
    CU_ASSERT(error_says(says))

    REFUSES(map.input_file = NULL, MPM_EINVAL, "needs a file and a data set");
    REFUSES(map.output_dataset = NULL, MPM_EINVAL, "needs a file and a data set");
    REFUSES(map.input_dataset = "/none", MPM_ENOENT, "has no data set /none");
    REFUSES(map.output_dataset = "", MPM_EINVAL, "\"\" is not the name of a data set");
    REFUSES(map.output_dataset = "/", MPM_EINVAL, "\"/\" is not the name of a data set");
    REFUSES(map.output_dataset = "/a/", MPM_EINVAL, "\"/a/\" is not the name of a data set");
    REFUSES(map.output_dataset = "a/.", MPM_EINVAL, "\"a/.\" is not the name of a data set");
    REFUSES(map.output_file = "", MPM_EINVAL, "\"\" is not the name of a file");
    REFUSES(map.output_file = path("no/"), MPM_EINVAL, "is not the name of a file");
    REFUSES(map.output_file = path("no/out.h5"), MPM_ENOENT, "its folder does not exist");
    REFUSES(map.output_file = path("in.h5/out.h5"), MPM_EIO, "Not a directory");
    REFUSES(map.output_file = folder, MPM_EEXIST, "exists and is not a file");
    REFUSES(map.overwrite = 3, MPM_EINVAL, "overwrite is 3");
    REFUSES(map.overwrite = -1, MPM_EINVAL, "overwrite is -1");
    REFUSES(map.resume = 4, MPM_EINVAL, "resume is 4");
    REFUSES(map.result.type = MPM_NO_TYPE, MPM_EINVAL, "type 0");
    REFUSES(map.result = ((mpm_shape){MPM_F64, 2, {3, 0}}), MPM_EINVAL, "0 elements");
    REFUSES(map.result = ((mpm_shape){MPM_F64, 2, {0, 3}}), MPM_EINVAL, "has one dimension");
    REFUSES(map.result.extent[0] = (size_t)1 << 44, MPM_EINVAL, "2^47 bytes");
    REFUSES(map.result.rank = 32, MPM_EINVAL, "32 dimensions");
    REFUSES(map.context = NULL, MPM_EINVAL, "the context is NULL");
    REFUSES(map.context_size = SIZE_MAX - 8, MPM_EINVAL,
            "a context of 18446744073709551607 bytes is too large");
#undef REFUSES
    map = good;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(NULL, weigh, &map), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, NULL, &map), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_dataset_describe_input(NULL, NULL, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(count_files(folder), files);
}

/* A file system of 1 MiB of memory that only this thread sees. */
static bool mount_small_disk(const char *where)
{
    return mkdir(where, 0777) == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", where, "tmpfs", 0, "size=1m") == 0;
}

static void a_full_disk_is_found_before_the_first_row(void)
{
    const struct weighing weighing = {.type = MPM_F32};
    const char *disk = path("disk");
    char output[128];
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 1000), output, &weighing);

    if (!mount_small_disk(disk)) {
        printf("\n    no file system of our own can be mounted here (%s): the full disk is left out\n  ",
               strerror(errno));
        CU_PASS("mounting needs root");
        return;
    }
    snprintf(output, sizeof output, "%s/out.h5", disk);
    map.result.extent[0] = 256; /* weigh() would fail each row: it is never called */
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_EIO);
    CU_ASSERT(error_says("disk/out.h5: No space left on device, "));
    CU_ASSERT(error_says(" bytes are needed"));
    CU_ASSERT_EQUAL(count_files(disk), 0);
    CU_ASSERT_EQUAL(umount2(disk, MNT_DETACH), 0);
    rmdir(disk);
}

static void progress_counts_rows(void)
{
    const struct weighing weighing = {.type = MPM_F32, .fail_every = 10};
    mpm_dataset_map map = weigh_map(plain_input("in.h5", 200), path("progress.h5"), &weighing);
    struct seen seen = {0};

    map.progress = progress;
    map.progress_argument = &seen;
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(pool, weigh, &map), MPM_ETASK);
    CU_ASSERT(seen.calls > 0 && seen.done == 200 && seen.total == 200 && seen.failed == 20);
}

static int sum_large(mpm_call *call, const void *item, void *result)
{
    if ((uintptr_t)item % 64 || (uintptr_t)result % 64)
        return mpm_fail(call, "row %zu is not aligned", mpm_call_index(call));
    memcpy(result, item, mpm_call_result_size(call));
    return 0;
}

/* Rows and results of a multiple of 64 bytes are all aligned to 64. */
static void rows_are_aligned_as_an_array_is(void)
{
    mpm_dataset_map map = {.input_file = path("aligned.h5"),
                           .input_dataset = DATA,
                           .output_file = path("aligned-out.h5"),
                           .output_dataset = RESULT,
                           .result = {MPM_I32, 1, {16}}};
    size_t count;
    double *results;

    make_input(map.input_file, &(struct input_layout){H5T_STD_I32LE, MPM_I32, 2, {50, 48}, {0}, 0});
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_dataset(pool, sum_large, &map), MPM_OK);
    results = read_results(map.output_file, &count);
    CU_ASSERT_EQUAL(count, 50 * 16);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(results[i], value_at(i / 16, i % 16, MPM_I32));
    free(results);
}

static void the_program_keeps_its_own_printing_of_errors(void)
{
    H5E_auto2_t before, after;
    void *argument;

    H5Eget_auto2(H5E_DEFAULT, &before, &argument);
    CU_ASSERT_EQUAL(mpm_dataset_describe(path("missing.h5"), DATA, NULL, NULL), MPM_ENOENT);
    H5Eget_auto2(H5E_DEFAULT, &after, &argument);
    CU_ASSERT(before != NULL && before == after);
}

static void remove_folder(void)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
    rmdir(folder);
}

static const struct suite_test tests[] = {
#define TEST(name)  \
    {               \
#name, name \
    }
    TEST(description_is_that_of_the_file),
    TEST(inputs_that_are_none_are_told_apart),
    TEST(elements_of_any_type_have_their_shape_in_memory),
    TEST(the_program_keeps_its_own_printing_of_errors),
    TEST(an_input_that_is_open_for_writing_is_refused),
    TEST(nobody_can_write_an_input_while_it_is_mapped),
    TEST(an_input_is_read_beside_its_swmr_writer_while_it_grows),
    TEST(a_linked_input_is_read_as_from_where_the_link_is),
    TEST(an_input_that_changes_ends_the_map),
    TEST(values_that_stand_in_another_file_may_not_change_either),
    TEST(a_filter_that_is_missing_is_named),
    TEST(every_type_arrives_in_both_byte_orders),
    TEST(rows_of_any_rank_are_mapped),
    TEST(compressed_chunks_and_blocks_need_not_agree),
    TEST(bands_larger_than_a_mebibyte_are_mapped),
    TEST(rows_are_aligned_as_an_array_is),
    TEST(results_have_the_shape_asked_for_in_groups_made_for_them),
    TEST(the_result_tells_where_it_comes_from),
    TEST(no_rows_make_an_output_without_rows),
    TEST(progress_counts_rows),
    TEST(rows_that_fail_are_zero_and_marked),
    TEST(rows_that_crash_are_zero_and_marked),
    TEST(writes_that_fail_once_cost_nothing),
    TEST(writes_that_go_on_failing_end_the_map),
    TEST(a_worker_that_can_open_nothing_makes_place_for_another),
    TEST(very_many_rows_that_fail_take_no_memory_each),
    TEST(too_many_failed_rows_end_the_map),
    TEST(all_is_told_that_a_task_has_said_of_a_row),
    TEST(files_are_the_same_bytes_whatever_the_workers),
    TEST(rows_that_cost_most_are_begun_first),
    TEST(costs_change_no_byte_though_workers_die),
    TEST(as_many_costs_as_rows_are_needed),
    TEST(costs_are_read_from_a_data_set),
    TEST(a_map_in_a_closed_pool_is_refused),
    TEST(a_process_may_map_a_data_set),
    TEST(bad_maps_are_refused_and_make_nothing),
    TEST(the_input_is_never_overwritten),
    TEST(an_output_that_exists_stays_unless_it_may_be_overwritten),
    TEST(other_data_sets_are_not_overwritten),
    TEST(good_results_are_not_replaced_where_every_row_fails),
    TEST(links_are_not_followed),
    TEST(what_another_user_has_left_is_not_taken_over),
    TEST(good_rows_stay_in_the_part_when_a_map_cannot_go_on),
    TEST(every_worker_writes_into_the_file_that_main_has_made),
    TEST(rows_that_cannot_be_read_fail_and_the_others_are_good),
    TEST(an_input_that_is_gone_ends_the_map),
    TEST(what_has_come_into_the_old_file_meanwhile_is_kept),
    TEST(what_is_not_a_part_is_replaced_when_that_is_wanted),
    TEST(a_map_goes_on_with_the_rows_that_are_left),
    TEST(failed_rows_are_run_again_if_that_is_wanted),
    TEST(a_part_with_rows_is_refused_unless_it_may_be_used),
    TEST(damaged_parts_are_refused_or_made_right),
    TEST(a_result_that_was_lost_is_made_again),
    TEST(rows_that_were_written_in_large_blocks_are_kept),
    TEST(two_runs_do_not_make_the_same_output),
    TEST(a_full_disk_is_found_before_the_first_row),
#undef TEST
};

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    int status;

    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    H5dont_atexit(); /* it complains after a damaged file */
    failing_writes = shared_file("dataset_test", sizeof *failing_writes);
    stopped = shared_file("dataset_test_rows", sizeof *stopped);
    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 3}, &pool))
        return mpm_report_error();
    snprintf(folder, sizeof folder, "%s/dataset-test-XXXXXX", temporary ? temporary : P_tmpdir);
    if (!mkdtemp(folder)) {
        perror(folder);
        return EXIT_FAILURE;
    }
    status = suite_run("dataset", tests, sizeof tests / sizeof *tests);
    remove_folder();
    mpm_pool_close(pool);
    return mpm_finalize() ? mpm_report_error() : status;
}
