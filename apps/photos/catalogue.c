/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns are gathered in memory and written one after the other. Texts have the length that they have; they are
 * marked as UTF-8, although a path may be any bytes, so that h5py gives them as they are. */
#include "catalogue.h"

#include <errno.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/command.h"
#include "support/whole_file.h"

#define MOST_RANK 4

/* A file that is being written. After the first failure nothing more is. */
struct catalogue {
    hid_t file;
    bool is_bad;
};

/* A data set: its name, type, and the extents of a row. */
struct column {
    const char *name;
    hid_t type;
    unsigned rank; /* of a row: 0 for a number */
    hsize_t row[MOST_RANK - 1];
};

static void put_attribute(hid_t set, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute;

    H5Tset_size(type, strlen(text) + 1);
    attribute = H5Acreate2(set, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, text);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_column(struct catalogue *catalogue, const struct column *column, size_t rows,
                       const void *values, const char *meaning)
{
    hsize_t extents[MOST_RANK] = {rows};
    hid_t space, links, set;

    if (catalogue->is_bad)
        return;
    memcpy(extents + 1, column->row, column->rank * sizeof column->row[0]);
    space = H5Screate_simple((int)column->rank + 1, extents, NULL);
    links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    set = H5Dcreate2(catalogue->file, column->name, column->type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    if (set < 0 || (rows && H5Dwrite(set, column->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0))
        catalogue->is_bad = true;
    else if (meaning)
        put_attribute(set, "meaning", meaning);
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(links);
    H5Sclose(space);
}

/* Where a column's values are found in an original. */
struct field {
    struct column column;
    size_t offset, size;
    const char *meaning;
};

static void put_field(struct catalogue *catalogue, const struct originals *originals,
                      const struct field *field)
{
    char *values = malloc(originals->count * field->size + 1);

    if (!values) {
        catalogue->is_bad = true;
        return;
    }
    for (size_t i = 0; i < originals->count; i++)
        memcpy(values + i * field->size, (const char *)&originals->items[i] + field->offset, field->size);
    put_column(catalogue, &field->column, originals->count, values, field->meaning);
    free(values);
}

#define FIELD(member) offsetof(struct original, member), sizeof((struct original *)NULL)->member
#define NUMBER(name, hdf5)        \
    {                             \
        "/photos/" name, hdf5, 0, \
        {                         \
            0                     \
        }                         \
    }

static void put_numbers(struct catalogue *catalogue, const struct originals *originals)
{
    const struct field fields[] = {
        {NUMBER("file_size", H5T_NATIVE_UINT64), FIELD(photo.file_size), "bytes of the original"},
        {NUMBER("file_time", H5T_NATIVE_INT64), FIELD(photo.file_time_ns),
         "when the original was changed last: nanoseconds since 1970"},
        {NUMBER("output_bytes", H5T_NATIVE_UINT64), FIELD(photo.output_bytes),
         "bytes of all outputs together"},
        {NUMBER("width", H5T_NATIVE_UINT32), FIELD(photo.width), "pixels, of the upright picture"},
        {NUMBER("height", H5T_NATIVE_UINT32), FIELD(photo.height), "pixels, of the upright picture"},
        {NUMBER("hash", H5T_NATIVE_UINT64), FIELD(photo.look.hashes[0]),
         "perceptual hash: near pictures differ in few bits"},
        {NUMBER("sharpness", H5T_NATIVE_FLOAT), FIELD(photo.look.sharpness),
         "variance of the Laplacian of the luminance, where the longer side has 512 pixels"},
        {{"/photos/mean_colour", H5T_NATIVE_UINT8, 1, {3}}, FIELD(photo.look.mean), "red, green, blue"},
        {{"/photos/colours", H5T_NATIVE_UINT8, 3, {COLOUR_CELLS, COLOUR_CELLS, 3}},
         FIELD(photo.look.colours),
         "mean red, green, blue of parts, from top left"},
        {NUMBER("group", H5T_NATIVE_INT64), FIELD(group),
         "photographs of one number are near-duplicates; -1: of none"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        put_field(catalogue, originals, &fields[i]);
}

static const char *path_of(const struct original *original)
{
    return original->path;
}

static const char *name_of(const struct original *original)
{
    return original->error ? "" : original->name;
}

static const char *error_of(const struct original *original)
{
    return original->error ? original->error : "";
}

static const char *date_of(const struct original *original)
{
    return original->photo.date;
}

static const char *camera_of(const struct original *original)
{
    return original->photo.camera;
}

static const char *format_of(const struct original *original)
{
    return photo_format_name(original->photo.format);
}

static void put_texts(struct catalogue *catalogue, const struct originals *originals)
{
    static const struct {
        const char *name, *meaning;
        const char *(*get)(const struct original *original);
    } texts[] = {
        {"/photos/path", "of the original; any bytes", path_of},
        {"/photos/name", "of its outputs: SIZE/NAME.jpg or .webp; empty if it has failed", name_of},
        {"/photos/error", "why it has failed; empty if it has not", error_of},
        {"/photos/date", "when it was taken; empty if it does not say", date_of},
        {"/photos/camera", "maker and model; empty if it does not say", camera_of},
        {"/photos/format", "of the original, by its first bytes", format_of},
    };
    const char **values = malloc((originals->count + 1) * sizeof *values);
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    catalogue->is_bad = catalogue->is_bad || !values;
    for (size_t t = 0; values && t < sizeof texts / sizeof texts[0]; t++) {
        const struct column column = {texts[t].name, type, 0, {0}};

        for (size_t i = 0; i < originals->count; i++)
            values[i] = texts[t].get(&originals->items[i]);
        put_column(catalogue, &column, originals->count, values, texts[t].meaning);
    }
    free(values);
    H5Tclose(type);
}

static void put_pairs(struct catalogue *catalogue, const struct duplicates *duplicates)
{
    static const char *const names[] = {"/duplicates/first", "/duplicates/second", "/duplicates/distance",
                                        "/duplicates/turn"};
    static const char *const meanings[] = {
        "row of /photos", "row of /photos", "bits in which their hashes differ",
        "how the first is turned to be like the second: 4 swaps the axes, then 1 mirrors across, 2 down"};
    uint32_t *values = malloc((duplicates->pair_count + 1) * sizeof *values);

    catalogue->is_bad = catalogue->is_bad || !values;
    for (size_t n = 0; values && n < 4; n++) {
        const struct column column = {names[n], H5T_NATIVE_UINT32, 0, {0}};

        for (size_t i = 0; i < duplicates->pair_count; i++)
            memcpy(&values[i], (const char *)&duplicates->pairs[i] + n * sizeof *values, sizeof *values);
        put_column(catalogue, &column, duplicates->pair_count, values, meanings[n]);
    }
    free(values);
}

static void put_all(struct catalogue *catalogue, const struct settings *settings,
                    const struct originals *originals, const struct duplicates *duplicates)
{
    char line[256];
    hid_t root;

    put_texts(catalogue, originals);
    put_numbers(catalogue, originals);
    put_pairs(catalogue, duplicates);
    settings_describe(settings, line, sizeof line);
    root = H5Gopen2(catalogue->file, "/", H5P_DEFAULT);
    put_attribute(root, "outputs", line);
    put_attribute(root, "program", "mpmap-photos");
    H5Gclose(root);
}

int catalogue_write(const struct settings *settings, const struct originals *originals,
                    const struct duplicates *duplicates)
{
    char path[sizeof settings->out + 16], part[sizeof path + 8];
    struct catalogue catalogue;

    snprintf(path, sizeof path, "%s/photos.h5", settings->out);
    snprintf(part, sizeof part, "%s.part", path);
    H5dont_atexit(); /* after a file that a full disk kept it from closing it would crash at exit */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    catalogue = (struct catalogue){H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), false};
    if (catalogue.file < 0)
        return failure("'%s' cannot be written: %s", part, strerror(errno));
    put_all(&catalogue, settings, originals, duplicates);
    if (H5Fclose(catalogue.file) < 0 || catalogue.is_bad) {
        unlink(part);
        return failure("'%s' cannot be written: is the disk full?", part);
    }
    return whole_file_place(part, path) ? failure("'%s' cannot be written: %s", path, strerror(errno)) : 0;
}
