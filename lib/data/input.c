/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading rows with serial HDF5. A chunked data set gets a cache that holds one band, that is all chunks
 * that one row lies in: rows that are read in rising order then cost one decompression a chunk, however
 * few of them are read at once. */
#include "data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/chunks.h"
#include "data/element.h"
#include "data/file_kind.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/part.h"
#include "mpmap/dataset.h"

#define CACHE_SIZE     ((size_t)64 << 20) /* the most for a band, unless a single chunk is larger */
#define CACHE_MIN_SIZE ((size_t)1 << 20)  /* as HDF5 has it by default */

#define SUPERBLOCK_VERSION_AT      8
#define SUPERBLOCK_FLAGS_AT        11
#define SUPERBLOCK_HAS_SWMR_WRITER 4

/* For HDF5, too, the variable goes before what the program wants. */
static bool locks_are_off(void)
{
    const char *value = getenv("HDF5_USE_FILE_LOCKING");

    return value && (!strcmp(value, "FALSE") || !strcmp(value, "0"));
}

/* HDF5 would take the same lock, and say less clearly why it can't. A file system without locks is taken as it is. */
static int try_lock(struct input *input, int fd)
{
    if (input->locking == INPUT_HAS_NONE || locks_are_off() || flock(fd, LOCK_SH | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(
            MPM_EBUSY,
            "%s is open for writing, in another program or in this one, and may lack data that is not "
            "written "
            "yet: wait until it is closed, or read it as it is (--no-lock, HDF5_USE_FILE_LOCKING=FALSE)",
            input->file_name);
    if (input->locking == INPUT_HOLDS_LOCK)
        input->locking = INPUT_TRIES_LOCK;
    return 0;
}

/* Whether a SWMR writer has the file open: single writer, multiple readers, whom it keeps the file readable for. The
 * file says so in its superblock, which stands at 0, 512, 1024, 2048 … */
static bool has_swmr_writer(int fd)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[12];

    for (uint64_t at = 0; read_at(fd, head, sizeof head, at) == sizeof head; at = at ? 2 * at : 512) {
        if (!memcmp(head, signature, sizeof signature))
            return head[SUPERBLOCK_VERSION_AT] >= 3 && head[SUPERBLOCK_FLAGS_AT] & SUPERBLOCK_HAS_SWMR_WRITER;
    }
    return false;
}

/* Refuses what HDF5 would refuse less clearly, or wait for, like a pipe. */
static int look_at_file(struct input *input, int fd)
{
    struct stat status;

    if (fstat(fd, &status))
        return error_set_errno(MPM_EIO, "cannot stat %s", input->file_name);
    if (S_ISDIR(status.st_mode))
        return error_set(MPM_EIO, "%s is a folder, not an HDF5 file", input->file_name);
    if (!S_ISREG(status.st_mode))
        return error_set(MPM_EIO, "%s is not a regular file, so not an HDF5 file", input->file_name);
    input->has_swmr_writer = has_swmr_writer(fd);
    return try_lock(input, fd);
}

static int check_file(struct input *input)
{
    int status, fd = open(input->file_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return error_set(MPM_ENOENT, "file %s does not exist", input->file_name);
    if (fd < 0)
        return error_set_errno(MPM_EIO, "cannot open %s", input->file_name);
    status = look_at_file(input, fd);
    close(fd);
    return status;
}

static int open_with(struct input *input, bool locks)
{
    unsigned how = H5F_ACC_RDONLY | (input->has_swmr_writer ? H5F_ACC_SWMR_READ : 0);
    hid_t access = hdf5_file_access(locks);
    int status = 0;

    input->file = access < 0 ? -1 : hdf5.H5Fopen(input->file_name, how, access);
    if (input->file < 0)
        status = hdf5_error_set(MPM_EIO, "cannot open %s", input->file_name);
    if (access >= 0)
        hdf5.H5Pclose(access);
    return status;
}

/* In one process HDF5 wants a file to be opened with locks, or without them, every time; who has opened it first need
 * not be us. Nobody has it locked for writing: that was looked at before. */
static int open_file(struct input *input)
{
    bool locks = input->locking == INPUT_HOLDS_LOCK;

    if (hdf5.H5Fis_hdf5(input->file_name) <= 0)
        return file_kind_is_other(input->file_name);
    return open_with(input, locks) ? open_with(input, !locks) : 0;
}

static void take_length(struct input *input)
{
    struct stat status;

    input->fd = hdf5_descriptor(input->file);
    if (input->fd >= 0 && !fstat(input->fd, &status))
        input->length = (uint64_t)status.st_size;
}

/* HDF5 reads zeros beyond the end of a file, also of one that was longer when it was opened. */
static int check_length(const struct input *input)
{
    struct stat status;

    if (input->fd < 0 || fstat(input->fd, &status) || (uint64_t)status.st_size >= input->length)
        return 0;
    return error_set(MPM_EIO, "%s was cut off while it was read: it had %" PRIu64 " bytes, and has %" PRIu64,
                     input->file_name, input->length, (uint64_t)status.st_size);
}

/* "FILE:/DATA", for sentences. */
static const char *full_name(const struct input *input, char name[PATH_MAX])
{
    snprintf(name, PATH_MAX, "%s:%s", input->file_name, input->dataset_name);
    return name;
}

static bool is_struct(const char *row)
{
    return row && row[strspn(row, " ")] == '{';
}

static int is_compound(hid_t type, const char *name, const char *type_text)
{
    char row[1024];

    if (!element_has_fields(type, 0))
        return error_set(MPM_ETYPE, "%s holds %s: a map can take none of these fields", name, type_text);
    if (!*element_describe_struct(type, row, sizeof row))
        return error_set(MPM_ETYPE, "%s holds %s: name one field (%s.NAME)", name, type_text, name);
    return error_set(MPM_ETYPE,
                     "%s holds %s: name one field (%s.NAME), or have the plugin say which struct it takes, "
                     "row = \"%s\"",
                     name, type_text, name, row);
}

static int is_nothing(const struct input *input, hid_t type)
{
    char name[PATH_MAX], text[1024];

    full_name(input, name);
    hdf5_type_text(type, text, sizeof text);
    switch (input->field ? H5T_NO_CLASS : hdf5.H5Tget_class(type)) {
    case H5T_COMPOUND:
        return is_compound(type, name, text);
    case H5T_REFERENCE:
        return error_set(MPM_ETYPE, "%s holds references, which mean nothing outside of their file", name);
    default:
        return error_set(
            MPM_ETYPE,
            "%s holds %s: a map takes numbers of up to 64 bits, complex numbers, enumerations, strings, "
            "and arrays of these",
            name, text);
    }
}

static int take_element(struct input *input, hid_t type, struct element *element)
{
    char name[PATH_MAX];

    if (is_struct(input->wanted) && !input->field)
        return element_of_struct(type, full_name(input, name), input->wanted, element, &input->spans);
    if (input->field ? element_of_field(type, input->field, element) : element_of_type(type, element))
        return 0;
    return is_nothing(input, type);
}

/* Texts and arrays of variable length are no elements that stand beside others, but may be rows. */
static bool take_variable(struct input *input, hid_t type, struct element *element)
{
    return !is_struct(input->wanted) &&
           element_of_variable(type, input->field, element, &input->variable_type);
}

static int look_at_type(struct input *input)
{
    struct element element = {.memory = -1};
    hid_t type = hdf5.H5Dget_type(input->dataset);
    int status;

    if (type < 0)
        return hdf5_error_set(MPM_EIO, "cannot read the type of %s:%s", input->file_name,
                              input->dataset_name);
    status = take_variable(input, type, &element) ? 0 : take_element(input, type, &element);
    input->stored_size = hdf5.H5Tget_size(type);
    input->is_enumeration = hdf5.H5Tget_class(type) == H5T_ENUM;
    hdf5.H5Tclose(type);
    if (status)
        return status;
    input->memory = element.memory;
    input->row = element.shape;
    return 0;
}

/* Tiles have numbers only. */
static int check_cut(const struct input *input)
{
    if (!input_is_variable(input) || (!input->cut.tiling.rank && !input->cut.axis))
        return 0;
    return error_set(MPM_ETYPE, "%s:%s has elements of variable length, which cannot be cut into tiles",
                     input->file_name, input->dataset_name);
}

/* What is of variable length is a row by itself. */
static int check_variable(const struct input *input, const hsize_t *extent, int rank)
{
    for (int i = 1; i < rank; i++) {
        if (extent[i] != 1)
            return error_set(MPM_ETYPE,
                             "%s:%s has %" PRIu64
                             " texts or arrays of variable length a row: a map takes one a row",
                             input->file_name, input->dataset_name, (uint64_t)extent[i]);
    }
    return check_cut(input);
}

/* Puts the dimensions that a row has in the file before those of its elements. */
static int put_dimensions(struct input *input, const hsize_t *extent, unsigned rank)
{
    mpm_shape *row = &input->row;

    if (rank + row->rank > MPM_MAX_DIMENSIONS)
        return error_set(MPM_ETYPE,
                         "%s:%s has rows of %u dimensions, those of arrays included: at most %d are allowed",
                         input->file_name, input->dataset_name, rank + row->rank, MPM_MAX_DIMENSIONS);
    memmove(row->extent + rank, row->extent, row->rank * sizeof row->extent[0]);
    for (unsigned i = 0; i < rank; i++)
        row->extent[i] = extent[i];
    row->rank += rank;
    input->rank = rank;
    return 0;
}

static int look_at_space(struct input *input, hid_t space)
{
    hsize_t extent[MAX_RANK], most[MAX_RANK];
    int status, rank = hdf5.H5Sget_simple_extent_ndims(space);

    if (hdf5.H5Sget_simple_extent_type(space) != H5S_SIMPLE || rank < 1 || rank > MAX_RANK)
        return error_set(MPM_ETYPE, "%s:%s has no rows: it is %s", input->file_name, input->dataset_name,
                         hdf5.H5Sget_simple_extent_type(space) == H5S_NULL ? "without data" : "a scalar");
    hdf5.H5Sget_simple_extent_dims(space, extent, most);
    input->file_rows = extent[0];
    input->most_rows = most[0] == H5S_UNLIMITED ? UINT64_MAX : most[0];
    memcpy(input->extent, extent, (size_t)rank * sizeof extent[0]);
    if (input->variable_type.is) {
        input->rank = (unsigned)rank - 1;
        return check_variable(input, extent, rank);
    }
    if ((status = put_dimensions(input, extent + 1, (unsigned)rank - 1)))
        return status;
    if (mpm_shape_size(&input->row) == 0)
        return error_set(MPM_ETYPE, "%s:%s has rows without elements: an extent is 0", input->file_name,
                         input->dataset_name);
    return check_cut(input);
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

int input_chunk_extents(hid_t dataset, hsize_t extent[MAX_RANK])
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

/* How many chunks along a dimension are best kept: those that one row lies in, or a block of tiles. */
static double chunks_together(const struct input *input, unsigned dimension, hsize_t chunk)
{
    double all = (double)((input->extent[dimension] + chunk - 1) / chunk), some;

    if (dimension >= input->tiles.rank)
        return dimension || input->tiles.rank ? all : 1;
    some = (double)((tiles_block_extent(&input->tiles, dimension, chunk) - 1) / chunk + 2);
    return some < all ? some : all;
}

/* A SWMR writer may add to chunks that are kept. What has a variable length stands elsewhere in the file. */
static void open_chunks(struct input *input)
{
    hsize_t extent[MAX_RANK];
    uint64_t together[MAX_RANK];
    int rank = input_chunk_extents(input->dataset, extent);

    if (!rank || input->variable_type.is || input->spans.count || input->has_swmr_writer || input->follows)
        return;
    for (int i = 0; i < rank; i++)
        together[i] = (uint64_t)chunks_together(input, (unsigned)i, extent[i]);
    input->chunks = chunks_open(&(struct chunked){.dataset = input->dataset,
                                                  .memory = input->memory,
                                                  .rank = (unsigned)rank,
                                                  .extent = input->extent,
                                                  .together = together,
                                                  .most_kept = CACHE_SIZE});
}

static void cache_one_band(struct input *input)
{
    hsize_t extent[MAX_RANK];
    int rank = input_chunk_extents(input->dataset, extent);
    double chunks = 1, chunk_size = (double)input->stored_size, size;

    for (int i = 0; i < rank; i++) {
        chunk_size *= (double)extent[i];
        chunks *= chunks_together(input, (unsigned)i, extent[i]);
    }
    size = chunks * chunk_size;
    if (size > CACHE_SIZE)
        size = chunk_size > CACHE_SIZE ? chunk_size : CACHE_SIZE;
    if (rank && size > CACHE_MIN_SIZE)
        reopen_with_cache(input, (size_t)size, 521 + 10 * (size_t)(size / chunk_size));
}

void input_leave_dataset(struct input *input)
{
    chunks_close(input->chunks);
    input->chunks = NULL;
    if (input->memory >= 0)
        hdf5.H5Tclose(input->memory);
    if (input->dataset >= 0)
        hdf5.H5Dclose(input->dataset);
    input->memory = input->dataset = -1;
    spans_end(&input->spans);
}

static void close_all(struct input *input)
{
    input_leave_dataset(input);
    if (input->file >= 0)
        hdf5.H5Fclose(input->file);
    input->file = -1;
    input->fd = -1;
}

const char *input_path(const char *file_name, char path[PATH_MAX])
{
    char folder[PATH_MAX];

    if (*file_name == '/' || !getcwd(folder, sizeof folder))
        return file_name;
    return snprintf(path, PATH_MAX, "%s/%s", folder, file_name) < PATH_MAX ? path : file_name;
}

/* A type alone stands for any shape of it. */
static bool has_shape(const struct input *input, const mpm_shape *wanted)
{
    return wanted->type == input->row.type &&
           (!strchr(input->wanted, '[') ||
            (wanted->rank == input->row.rank &&
             !memcmp(wanted->extent, input->row.extent, wanted->rank * sizeof wanted->extent[0])));
}

static int check_wanted(const struct input *input)
{
    char text[512];
    mpm_shape wanted;
    bool is_text;

    if (!input->wanted || is_struct(input->wanted))
        return 0;
    is_text = !strcmp(input->wanted, ELEMENT_TEXT);
    if (!is_text && mpm_shape_parse(input->wanted, &wanted))
        return MPM_EINVAL;
    if (is_text ? input->variable_type.is_text : has_shape(input, &wanted))
        return 0;
    return error_set(MPM_ETYPE, "%s:%s has rows of %s, where the row is to be %s", input->file_name,
                     input->dataset_name, mpm_shape_format(&input->row, text, sizeof text), input->wanted);
}

static struct whole whole_of(const struct input *input)
{
    return (struct whole){.file_name = input->file_name,
                          .name = input->dataset_name,
                          .dataset = input->dataset,
                          .memory = input->memory,
                          .chunks = input->chunks,
                          .rank = input->rank + 1,
                          .extent = input->extent};
}

/* From here on rows are tiles, if that is wanted. */
static int cut_into_tiles(struct input *input)
{
    const struct whole whole = whole_of(input);
    int status = tiles_cut(&whole, &input->cut, &input->row, &input->tiles);

    if (!status && input->tiles.rank)
        input->file_rows = tiles_count(&input->tiles);
    return status;
}

int input_examine(struct input *input)
{
    hsize_t chunk[MAX_RANK];
    int status = look_at_type(input);

    if (!status)
        status = look_at_shape(input);
    if (!status)
        status = cut_into_tiles(input);
    if (!status)
        status = check_wanted(input);
    if (!status)
        status = filters_check(input);
    if (!status)
        status = external_check(input);
    if (status)
        return status;
    input->grows_elsewhere = input->follows && input_is_elsewhere(input);
    if (input->sources)
        virtual_find_sources(input->dataset, input->sources);
    input->chunk_rows = input_chunk_extents(input->dataset, chunk) && !input->tiles.rank ? chunk[0] : 1;
    return input_choose(input);
}

struct input input_unopened(const struct input_source *source)
{
    return (struct input){.file_name = source->file_name,
                          .dataset_name = source->dataset_name,
                          .wanted = source->row,
                          .cut = source->cut,
                          .choice = source->choice,
                          .file = -1,
                          .fd = -1,
                          .dataset = -1,
                          .memory = -1,
                          .locking = source->locking,
                          .follows = source->follows,
                          .sources = source->sources,
                          .most_rows = UINT64_MAX};
}

int input_open_file(const struct input_source *source, struct input *input)
{
    struct hdf5_guard guard;
    int status;

    *input = input_unopened(source);
    status = check_file(input);
    if (!status)
        status = hdf5_load();
    if (status)
        return status;
    hdf5_enter(&guard);
    status = open_file(input);
    if (!status)
        take_length(input);
    hdf5_leave(&guard);
    return status;
}

int input_open_one(const struct input_source *source, struct input *input)
{
    struct hdf5_guard guard;
    int status;

    if (input_is_zip(source->dataset_name))
        return input_open_zip(source, input);
    if ((status = input_open_file(source, input)))
        return status;
    hdf5_enter(&guard);
    status = input_find(input);
    if (!status)
        status = input_examine(input);
    if (!status && input->locking != INPUT_HAS_NONE && !input->has_swmr_writer)
        input_take_stamp(input);
    if (!status) {
        cache_one_band(input);
        open_chunks(input);
    } else {
        close_all(input);
    }
    hdf5_leave(&guard);
    return status;
}

int input_open(const struct input_source *source, struct input *input)
{
    return source->files || source->name_count ? input_open_several(source, input)
                                               : input_open_one(source, input);
}

void input_take(struct input *input, mpm_type type)
{
    hid_t had = input->memory;
    struct hdf5_guard guard;

    hdf5_enter(&guard);
    chunks_close(input->chunks);
    input->memory = element_memory_of(had, hdf5_native_type(type));
    open_chunks(input);
    hdf5.H5Tclose(had);
    hdf5_leave(&guard);
    input->row.type = input->taken = type;
}

static int cannot_read(const struct input *input, const hsize_t run[3])
{
    return hdf5_error_set(MPM_EIO, "cannot read rows %" PRIu64 " to %" PRIu64 " of %s:%s", (uint64_t)run[0],
                          (uint64_t)(run[0] + (run[2] - 1) * run[1]), input->file_name, input->dataset_name);
}

static int read_chunks(const struct input *input, const hsize_t run[3], const struct input_target *target)
{
    hsize_t start[MAX_RANK] = {run[0]}, count[MAX_RANK];

    memcpy(count, input->extent, sizeof count);
    count[0] = run[2];
    return chunks_read(input->chunks, &(struct box){start, count, run[1]}, target->rows) < 0
               ? cannot_read(input, run)
               : 0;
}

/* Rows of the file: start, start + step … */
static int read_selected(const struct input *input, hid_t file_space, hid_t memory_space,
                         const hsize_t run[3], const struct input_target *target)
{
    hsize_t start[MAX_RANK] = {run[0]}, step[MAX_RANK], extent[MAX_RANK];

    step[0] = run[1];
    extent[0] = run[2];
    for (unsigned i = 0; i < input->rank; i++) {
        step[i + 1] = 1;
        extent[i + 1] = input->extent[i + 1];
    }
    if (hdf5.H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, run[1] == 1 ? NULL : step, extent, NULL) <
            0 ||
        hdf5.H5Sset_extent_simple(memory_space, (int)input->rank + 1, extent, NULL) < 0 ||
        hdf5.H5Dread(input->dataset, input->memory, memory_space, file_space, target->transfer,
                     target->rows) < 0)
        return cannot_read(input, run);
    return 0;
}

static int read_by_hdf5(const struct input *input, const hsize_t run[3], const struct input_target *target)
{
    hid_t file_space = hdf5.H5Dget_space(input->dataset), memory_space = hdf5.H5Screate(H5S_SIMPLE);
    int status = read_selected(input, file_space, memory_space, run, target);

    if (memory_space >= 0)
        hdf5.H5Sclose(memory_space);
    if (file_space >= 0)
        hdf5.H5Sclose(file_space);
    return status;
}

int input_read_run(const struct input *input, const hsize_t run[3], const struct input_target *target)
{
    struct hdf5_guard guard;
    int status;

    hdf5_enter(&guard);
    status = input->chunks ? read_chunks(input, run, target) : read_by_hdf5(input, run, target);
    if (!status)
        status = check_length(input);
    hdf5_leave(&guard);
    return status;
}

static int read_tiles(const struct input *input, const hsize_t run[3], const struct input_target *target)
{
    const struct whole whole = whole_of(input);
    struct hdf5_guard guard;
    int status = 0;

    hdf5_enter(&guard);
    for (size_t i = 0; !status && i < run[2]; i++)
        status = tiles_read(&whole, &input->tiles, run[0] + i * run[1], target->rows + i * target->row_size);
    if (!status)
        status = check_length(input);
    hdf5_leave(&guard);
    return status;
}

static int read_piece(const struct input *input, const hsize_t run[3], const struct input_target *target)
{
    if (input->zip)
        return input_read_zip(input, run, target);
    return input->tiles.rank ? read_tiles(input, run, target) : input_read_run(input, run, target);
}

int input_read_into(struct input *input, uint64_t first, size_t count, const struct input_target *target)
{
    uint64_t start, step, file_first, file_end;
    size_t got;
    int status = 0;

    for (size_t at = 0; !status && at < count; at += got) {
        struct input_target rest = *target;

        got = input_find_run(input, first + at, count - at, &start, &step);
        if ((status = input_open_for_row(input, start, &file_first, &file_end)))
            return status;
        if (got > (file_end - start - 1) / step + 1)
            got = (size_t)((file_end - start - 1) / step + 1);
        rest.rows += at * target->row_size;
        status = read_piece(input, (const hsize_t[3]){start - file_first, step, got}, &rest);
    }
    return status;
}

int input_read(struct input *input, uint64_t first, size_t count, void *rows)
{
    const struct input_target target = {rows, mpm_shape_size(&input->row), H5P_DEFAULT};

    return input_read_into(input, first, count, &target);
}

bool input_is_variable(const struct input *input)
{
    return input->variable_type.is || input->spans.count;
}

size_t input_row_size(const struct input *input)
{
    return input_is_variable(input) ? sizeof(struct item) : mpm_shape_size(&input->row);
}

void input_close(struct input *input)
{
    struct hdf5_guard guard;

    hdf5_enter(&guard);
    close_all(input);
    hdf5_leave(&guard);
    input_free_variable(input->variable);
    input_close_zip(input->zip);
    spans_end(&input->spans);
    input_close_view(input->view);
    input->view = NULL;
    input->variable = NULL;
    input->zip = NULL;
    free(input->own_files);
    input->own_files = NULL;
}

static int describe(const struct input_source *source, uint64_t *rows, mpm_shape *row)
{
    struct input input;
    int status;

    if ((!source->file_name && !source->name_count) || !source->dataset_name)
        return error_set(MPM_EINVAL, "the file and the name of the data set must not be NULL");
    status = input_open(source, &input);
    if (status)
        return status;
    if (rows)
        *rows = input.rows;
    if (row)
        *row = input.row;
    input_close(&input);
    return 0;
}

int mpm_dataset_describe(const char *file, const char *dataset, uint64_t *rows, mpm_shape *row)
{
    const struct input_source source = {.file_name = file, .dataset_name = dataset};

    return describe(&source, rows, row);
}

struct input_source input_source_of(const mpm_dataset_map *map)
{
    return (struct input_source){.file_name = map->input_file,
                                 .names = map->input_files,
                                 .name_count = map->input_file_count,
                                 .dataset_name = map->input_dataset,
                                 .row = map->row,
                                 .cut = {map->tiling, map->axis},
                                 .choice = map->choice,
                                 .follows = map->follow.mode != MPM_FOLLOW_NOT,
                                 .locking = map->without_locks ? INPUT_HAS_NONE : INPUT_HOLDS_LOCK};
}

struct input_source input_source_beside(const mpm_dataset_map *map, const char *dataset)
{
    return (struct input_source){.file_name = map->input_file,
                                 .names = map->input_files,
                                 .name_count = map->input_file_count,
                                 .dataset_name = dataset,
                                 .locking = map->without_locks ? INPUT_HAS_NONE : INPUT_HOLDS_LOCK};
}

int mpm_dataset_describe_input(const mpm_dataset_map *map, uint64_t *rows, mpm_shape *row)
{
    struct input_source source;

    if (!map)
        return error_set(MPM_EINVAL, "the map to describe is NULL");
    source = input_source_of(map);
    return describe(&source, rows, row);
}

int mpm_dataset_find_sources(const mpm_dataset_map *map, mpm_dataset_sources *sources)
{
    struct input_source source;

    if (!map || !sources)
        return error_set(MPM_EINVAL, "mpm_dataset_find_sources: the map and the sources must not be NULL");
    *sources = (mpm_dataset_sources){0};
    source = input_source_of(map);
    source.sources = sources;
    return describe(&source, NULL, NULL);
}
