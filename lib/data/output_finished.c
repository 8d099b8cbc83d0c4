/* SPDX-License-Identifier: BSD-3-Clause */
/* An output that has its name already: what it is, whether this very map has made it, and how many of its rows are
 * good. The only file of the output's that HDF5 reads. */
#include "data/output_finished.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/block_sum.h"
#include "data/hdf5_call.h"
#include "data/output.h"
#include "data/output_values.h"

#define COPY_BYTES ((uint64_t)1 << 20)
#define NOWHERE    UINT64_MAX

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

static bool read_origin(hid_t dataset, struct origin *origin)
{
    char *buffer = malloc((size_t)ORIGIN_FIELDS * PATH_MAX);
    const char *texts[ORIGIN_FIELDS];
    bool is = buffer;

    for (unsigned field = 0; is && field < ORIGIN_FIELDS; field++) {
        char *text = buffer + (size_t)field * PATH_MAX;

        is = attribute_read_text(dataset, origin_attribute(field), text, PATH_MAX);
        texts[field] = text;
    }
    is = is && origin_put(origin, texts);
    free(buffer);
    return is;
}

/* Of results that were compressed. */
static bool has_filters(hid_t dataset)
{
    hid_t creation = hdf5.H5Dget_create_plist(dataset);
    bool has = creation >= 0 && hdf5.H5Pget_nfilters(creation) > 0;

    release(creation);
    return has;
}

/* Where the values of a data set stand, NOWHERE if they are compressed, and how large they are together: of one that is
 * stored in chunks as they are, those of all chunks. */
static bool find_values(hid_t dataset, uint64_t *at, uint64_t *bytes)
{
    hid_t space = hdf5.H5Dget_space(dataset), type = hdf5.H5Dget_type(dataset);
    hssize_t count = space < 0 ? -1 : hdf5.H5Sget_simple_extent_npoints(space);
    bool is = type >= 0 && count >= 0;

    *at = is && count && has_filters(dataset) ? NOWHERE : 0;
    *bytes = is ? hdf5.H5Tget_size(type) : 0;
    is = is && !__builtin_mul_overflow(*bytes, (uint64_t)count, bytes) &&
         (!count || *at == NOWHERE || grid_find_results(dataset, at, bytes));
    release(type);
    release(space);
    return is;
}

/* What all chunks of an image that is compressed have before that: those at its edges may reach beyond it. */
static uint64_t chunk_bytes(hid_t dataset)
{
    hid_t creation = hdf5.H5Dget_create_plist(dataset), type = hdf5.H5Dget_type(dataset);
    hid_t space = hdf5.H5Dget_space(dataset);
    hsize_t extent[H5S_MAX_RANK], all[H5S_MAX_RANK];
    int rank = creation < 0 ? 0 : hdf5.H5Pget_chunk(creation, H5S_MAX_RANK, extent);
    uint64_t bytes = type < 0 ? 0 : hdf5.H5Tget_size(type);

    if (space < 0 || hdf5.H5Sget_simple_extent_dims(space, all, NULL) != rank)
        rank = 0;
    for (int i = 0; i < rank; i++)
        bytes *= (all[i] + extent[i] - 1) / extent[i] * extent[i];
    release(space);
    release(type);
    release(creation);
    return rank > 0 ? bytes : 0;
}

/* Whether it has so many strings or arrays of variable length. */
static bool has_vlen_rows(hid_t dataset, uint64_t rows)
{
    hid_t space = hdf5.H5Dget_space(dataset), type = hdf5.H5Dget_type(dataset);
    bool is = type >= 0 && space >= 0 && hdf5.H5Sget_simple_extent_npoints(space) == (hssize_t)rows &&
              (hdf5.H5Tis_variable_str(type) > 0 || hdf5.H5Tget_class(type) == H5T_VLEN);

    release(type);
    release(space);
    return is;
}

/* One of the fields, in `place`. All have as many rows as there are marks. */
static bool read_field(hid_t place, const char *name, const struct result_field *field,
                       struct part_record *record)
{
    hid_t dataset = hdf5.H5Dopen2(place, name, H5P_DEFAULT);
    struct result_place *at = &record->results.field[record->results.count++];
    uint64_t bytes;
    bool is = dataset >= 0;

    if (is && field->vlen)
        is = has_vlen_rows(dataset, record->rows);
    else
        is = is && find_values(dataset, &at->at, &bytes) &&
             (bytes == record->rows * field->size ||
              (at->at == NOWHERE && chunk_bytes(dataset) == record->rows * field->size));
    at->offset = field->offset;
    at->size = field->size;
    at->is_vlen = field->vlen != MPM_NO_TYPE;
    at->at = at->is_vlen ? NOWHERE : at->at;
    release(dataset);
    return is;
}

static bool read_fields(hid_t file, const char *name, hid_t object, struct part_record *record)
{
    struct result *result = malloc(sizeof *result);
    bool is = result && !result_parse(origin_text(&record->origin, ORIGIN_RESULT_SHAPE), result);

    record->results = (struct result_places){.size = is ? result->size : 0};
    for (unsigned i = 0; is && i < result->count; i++)
        is = result->is_struct ? read_field(object, result->field[i].name, &result->field[i], record)
                               : read_field(file, name, &result->field[i], record);
    free(result);
    return is;
}

/* A data set, or a group of them. */
static bool read_result(hid_t file, const char *name, struct part_record *record)
{
    hid_t object = hdf5.H5Oopen(file, name, H5P_DEFAULT);
    bool is = object >= 0 && read_origin(object, &record->origin) && read_fields(file, name, object, record);

    if (object >= 0)
        hdf5.H5Oclose(object);
    return is;
}

static bool read_done(hid_t file, const char *name, struct part_record *record)
{
    char marks[PATH_MAX + 8];
    hid_t done;
    bool is;

    snprintf(marks, sizeof marks, "%s.done", name);
    done = hdf5.H5Dopen2(file, marks, H5P_DEFAULT);
    is = done >= 0 && find_values(done, &record->marks_at, &record->rows) && record->marks_at != NOWHERE;
    record->capacity = record->rows;
    release(done);
    return is;
}

static bool read_file(hid_t file, const char *dataset, struct part_record *record)
{
    char name[PATH_MAX];
    hid_t root = hdf5.H5Gopen2(file, "/", H5P_DEFAULT);
    bool is = root >= 0 && (dataset || attribute_read_text(root, OUTPUT_ATTRIBUTE, name, sizeof name));

    if (dataset)
        snprintf(name, sizeof name, "%s", dataset);
    release(root);
    return is && read_done(file, name, record) && read_result(file, name, record);
}

/* Without a lock: nobody writes a file that has its name. */
static bool read_path(const char *path, const char *dataset, struct part_record *record)
{
    struct hdf5_guard guard;
    hid_t file;
    bool is;

    hdf5_enter(&guard);
    file = hdf5_open_to_read(path);
    is = file >= 0 && read_file(file, dataset, record);
    if (file >= 0)
        hdf5.H5Fclose(file);
    hdf5_leave(&guard);
    return is;
}

int finished_read(const char *path, const char *dataset, struct part_record *record, struct mark_count *count)
{
    uint64_t missing;
    bool is;
    int fd, status = hdf5_load();

    memset(record, 0, sizeof *record);
    if (status)
        return status;
    if (!read_path(path, dataset, record))
        return error_set(MPM_ETYPE, "%s is not the output of a map over a data set", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    is = fd >= 0 && marks_count(fd, record, count, &missing);
    if (!is)
        status = error_set_errno(MPM_EIO, "cannot read the marks in %s", path);
    else if (missing < record->rows)
        status = error_set(MPM_ETYPE, "%s is not the output of a map over a data set: row %llu has no mark",
                           path, (unsigned long long)missing);
    if (fd >= 0)
        close(fd);
    return status;
}

/* If a run was killed between the last two steps. */
static void cut_off_record(const char *path)
{
    struct part_record record;
    char why[256];
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    bool stays = fd >= 0 && part_read_record(fd, &record, why, sizeof why) && !part_is_locked(fd) &&
                 !part_resize(fd, record.sums_at);

    (void)stays; /* which does no harm */
    if (fd >= 0)
        close(fd);
}

/* In what the file's map differs from this one. Results in the input itself have changed its size and its time. */
static enum origin_field find_difference(const struct output *output, const struct part_record *found)
{
    const struct origin *was = &found->origin, *is = &output->record.origin;
    enum origin_field field = origin_difference(was, is, 0);

    if (output->record.is_live)
        return origin_followed_difference(was, is);
    while (output->is_into_input &&
           (field == ORIGIN_INPUT_SIZE || field == ORIGIN_INPUT_CHANGED || field == ORIGIN_INPUT_SUM))
        field = origin_difference(was, is, field + 1);
    return field;
}

int output_compare_finished(struct output *output, bool *is_same, char *difference, size_t size)
{
    struct part_record found;
    struct mark_count count = {0};
    enum origin_field field;
    int status = finished_read(output->path, output->is_into ? output->dataset : NULL, &found, &count);

    *is_same = false;
    snprintf(difference, size, "%s", status ? mpm_error() : "");
    if (status)
        return status == MPM_ETYPE ? 0 : status;
    field = find_difference(output, &found);
    if (field < ORIGIN_FIELDS) {
        origin_describe(&found.origin, &output->record.origin, field, difference, size);
        return 0;
    }
    if (output->record.is_live && found.rows <= output->record.capacity)
        output->record.rows = found.rows;
    *is_same = found.rows == output->record.rows;
    output->good = count.good;
    output->failed = count.failed;
    if (!output->is_into)
        cut_off_record(output->path);
    return 0;
}

/* A run of good rows at the start of `count`, or of others. */
static uint64_t count_alike(const unsigned char *marks, uint64_t count)
{
    uint64_t length = 1;

    while (length < count && (marks[length] == ROW_DONE) == (marks[0] == ROW_DONE))
        length++;
    return length;
}

/* Rows [first, first + count): good ones. What is not written is zero, and has no mark. */
static bool write_good(int to, const struct part_places *places, uint64_t first, uint64_t count,
                       const unsigned char *results, const unsigned char *marks)
{
    const struct block_sum sum = block_sum_of(places, first, count, marks, results);

    return result_write(to, &places->results, first, count, results) && block_sum_write(to, places, &sum) &&
           write_at(to, marks, count, places->marks_at + first);
}

/* Where results and marks of a finished output are read from. */
struct finished {
    int results, marks;
    struct result_places places; /* of the results */
    uint64_t marks_at;
};

static bool copy_rows(const struct finished *from, int to, const struct part_places *here, uint64_t first,
                      uint64_t count, unsigned char *results, unsigned char *marks)
{
    uint64_t size = here->results.size;

    if (!result_read(from->results, &from->places, first, count, results) ||
        read_at(from->marks, marks, count, from->marks_at + first) != (ssize_t)count)
        return false;
    for (uint64_t i = 0, alike; i < count; i += alike) {
        alike = count_alike(marks + i, count - i);
        if (marks[i] == ROW_DONE && !write_good(to, here, first + i, alike, results + i * size, marks + i))
            return false;
    }
    return true;
}

static int copy_good(const struct output *output, const struct finished *from, int to)
{
    const struct part_record *here = &output->record;
    const struct part_places places = part_places_of(here);
    uint64_t most = COPY_BYTES / here->results.size ? COPY_BYTES / here->results.size : 1, count;
    unsigned char *results = malloc(most * here->results.size), *marks = malloc(most);
    int status = results && marks ? 0 : error_set_errno(MPM_EIO, "cannot read %s", output->name);

    for (uint64_t first = 0; !status && first < here->rows; first += count) {
        count = here->rows - first < most ? here->rows - first : most;
        if (!copy_rows(from, to, &places, first, count, results, marks))
            status = error_set_errno(MPM_EIO, "cannot copy rows of %s", output->name);
    }
    free(results);
    free(marks);
    return status;
}

/* A chunk of results, as they stand in a part. What an image lacks of it stays as it is. */
static bool read_packed(hid_t dataset, hid_t type, const struct grid_chunks *chunks, const hsize_t *offset,
                        void *bytes)
{
    const hsize_t start[GRID_MAX_RANK] = {0};
    hsize_t extent[GRID_MAX_RANK], all[GRID_MAX_RANK];
    hid_t in_file = hdf5.H5Dget_space(dataset);
    hid_t in_memory = hdf5.H5Screate_simple(chunks->rank, chunks->extent, NULL);
    bool is = in_file >= 0 && in_memory >= 0 && hdf5.H5Sget_simple_extent_ndims(in_file) == chunks->rank &&
              hdf5.H5Sget_simple_extent_dims(in_file, all, NULL) == chunks->rank;

    for (int i = 0; is && i < chunks->rank; i++) {
        is = offset[i] < all[i];
        extent[i] = all[i] - offset[i] < chunks->extent[i] ? all[i] - offset[i] : chunks->extent[i];
    }
    is = is && hdf5.H5Sselect_hyperslab(in_file, H5S_SELECT_SET, offset, NULL, extent, NULL) >= 0 &&
         hdf5.H5Sselect_hyperslab(in_memory, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
         hdf5.H5Dread(dataset, type, in_memory, in_file, H5P_DEFAULT, bytes) >= 0;
    release(in_memory);
    release(in_file);
    return is;
}

static int unpack_field(hid_t file, const struct output *output, unsigned index, int to)
{
    const struct result_field *field = &output->result.field[index];
    uint64_t at = output->record.results.field[index].at, first, count;
    char name[PATH_MAX + RESULT_NAME_SIZE], *bytes;
    hsize_t offset[GRID_MAX_RANK];
    struct grid_chunks chunks;
    hid_t dataset;
    bool is;

    grid_cut(&output->grid, &field->shape, packing_chunk_rows(&output->packing, field, output->record.rows),
             &chunks);
    bytes = calloc(chunks.results, field->size);
    snprintf(name, sizeof name, "%s%s%s", output->dataset, output->result.is_struct ? "/" : "", field->name);
    dataset = hdf5.H5Dopen2(file, name, H5P_DEFAULT);
    is = dataset >= 0 && bytes;
    for (uint64_t number = 0; is && number < chunks.count; number++) {
        grid_find_chunk(&output->grid, &chunks, number, &first, &count, offset);
        is = read_packed(dataset, hdf5_native_type(field->shape.type), &chunks, offset, bytes) &&
             write_at(to, bytes, count * field->size, at + first * field->size);
    }
    release(dataset);
    free(bytes);
    return is ? 0 : hdf5_error_set(MPM_EIO, "cannot copy rows of %s", output->name);
}

/* Puts the results of a finished output that has them in chunks into the part. They have no marks there yet. */
static int unpack(const struct output *output, int to)
{
    struct hdf5_guard guard;
    hid_t file;
    int status = 0;

    hdf5_enter(&guard);
    file = hdf5_open_to_read(output->path);
    if (file < 0)
        status = hdf5_error_set(MPM_EIO, "cannot read %s", output->name);
    for (unsigned i = 0; !status && i < output->result.count; i++)
        status = output->result.field[i].vlen ? 0 : unpack_field(file, output, i, to);
    if (file >= 0)
        hdf5.H5Fclose(file);
    hdf5_leave(&guard);
    for (unsigned i = 0; !status && i < output->result.count; i++)
        status = output->result.field[i].vlen ? output_take_values(output, i, to) : 0;
    return status;
}

int output_copy_finished(const struct output *output, int to)
{
    const struct part_record *here = &output->record;
    struct part_record there;
    struct mark_count unused;
    struct finished from;
    int status = finished_read(output->path, output->is_into ? output->dataset : NULL, &there, &unused);

    if (status)
        return status;
    if (there.rows != here->rows || there.results.size != here->results.size)
        return error_set(MPM_EIO, "%s has changed since the map began", output->name);
    from.marks = open(output->path, O_RDONLY | O_CLOEXEC);
    from.marks_at = there.marks_at;
    if (from.marks < 0)
        return error_set_errno(MPM_EIO, "cannot read %s", output->name);
    from.results = from.marks;
    from.places = there.results;
    if (output->result.has_vlen || there.results.field[0].at == NOWHERE) {
        status = unpack(output, to);
        from.results = to;
        from.places = here->results;
    }
    if (!status)
        status = copy_good(output, &from, to);
    close(from.marks);
    return status;
}
