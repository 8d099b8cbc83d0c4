/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes that say what values mean: those that netCDF's conventions, MATLAB and HDF5's own dimension scales
 * have. */
#include "data/look_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/hdf5_call.h"
#include "data/writer.h"

#define TEXT_SIZE    200
#define NUMBERS      4 /* of an attribute that are shown */
#define MOST_NUMBERS 4096
#define NAME_SIZE    256

static const char *const told[] = {"long_name",  "standard_name", "description",  "units",
                                   "calendar",   "axis",          "scale_factor", "add_offset",
                                   "_FillValue", "missing_value", "valid_range",  "valid_min",
                                   "valid_max",  "MATLAB_class",  "TITLE"};

const char *look_storage(hid_t dataset)
{
    hid_t creation = hdf5.H5Dget_create_plist(dataset);
    const char *storage = "unknown";

    if (creation < 0)
        return storage;
    switch (hdf5.H5Pget_layout(creation)) {
    case H5D_COMPACT:
        storage = "compact";
        break;
    case H5D_CONTIGUOUS:
        storage = hdf5.H5Pget_external_count(creation) > 0 ? "external" : "contiguous";
        break;
    case H5D_CHUNKED:
        storage = "chunked";
        break;
    case H5D_VIRTUAL:
        storage = "virtual";
        break;
    default:
        break;
    }
    hdf5.H5Pclose(creation);
    return storage;
}

/* An attribute that is open. */
struct attribute {
    hid_t id, type;
    hssize_t count; /* of its values */
};

static void add_text(struct writer *writer, const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    while (length > 0 && text[length - 1] == ' ')
        length--;
    writer_add(writer, "%.*s%s", length < TEXT_SIZE ? (int)length : TEXT_SIZE, text,
               length > TEXT_SIZE ? "…" : "");
}

static void add_variable_text(struct writer *writer, const struct attribute *attribute)
{
    char *text = NULL;

    if (attribute->count != 1 || hdf5.H5Aread(attribute->id, attribute->type, (void *)&text) < 0 || !text)
        return;
    add_text(writer, text, TEXT_SIZE + 1);
    hdf5.H5free_memory(text);
}

static void add_fixed_text(struct writer *writer, const struct attribute *attribute)
{
    size_t size = hdf5.H5Tget_size(attribute->type);
    char *text = attribute->count == 1 && size > 0 && size < 65536 ? malloc(size) : NULL;

    if (text && hdf5.H5Aread(attribute->id, attribute->type, text) >= 0)
        add_text(writer, text, size);
    free(text);
}

/* Whole numbers go out as such: the largest ones are no doubles. */
static void add_numbers(struct writer *writer, const struct attribute *attribute)
{
    bool is_whole = hdf5.H5Tget_class(attribute->type) == H5T_INTEGER;
    size_t count = (size_t)attribute->count;
    union {
        int64_t whole;
        double real;
    } *values = calloc(count, sizeof *values);

    if (values && hdf5.H5Aread(attribute->id, hdf5_native_type(is_whole ? MPM_I64 : MPM_F64), values) >= 0) {
        for (size_t i = 0; i < count && i < NUMBERS; i++) {
            writer_add(writer, i ? ", " : "");
            if (is_whole)
                writer_add(writer, "%" PRId64, values[i].whole);
            else
                writer_add(writer, "%.9g", values[i].real);
        }
        writer_add(writer, count > NUMBERS ? ", …" : "");
    }
    free(values);
}

static void add_value(struct writer *writer, const struct attribute *attribute)
{
    switch (hdf5.H5Tget_class(attribute->type)) {
    case H5T_STRING:
        if (hdf5.H5Tis_variable_str(attribute->type) > 0)
            add_variable_text(writer, attribute);
        else
            add_fixed_text(writer, attribute);
        break;
    case H5T_INTEGER:
    case H5T_FLOAT:
        if (attribute->count > 0 && attribute->count <= MOST_NUMBERS)
            add_numbers(writer, attribute);
        break;
    default:
        writer_add(writer, "?");
    }
}

static bool open_attribute(hid_t dataset, const char *name, struct attribute *attribute)
{
    hid_t space;

    *attribute = (struct attribute){-1, -1, 0};
    if (hdf5.H5Aexists(dataset, name) <= 0 || (attribute->id = hdf5.H5Aopen(dataset, name, H5P_DEFAULT)) < 0)
        return false;
    attribute->type = hdf5.H5Aget_type(attribute->id);
    space = hdf5.H5Aget_space(attribute->id);
    attribute->count = space < 0 ? 0 : hdf5.H5Sget_simple_extent_npoints(space);
    if (space >= 0)
        hdf5.H5Sclose(space);
    return true;
}

static void close_attribute(const struct attribute *attribute)
{
    if (attribute->type >= 0)
        hdf5.H5Tclose(attribute->type);
    if (attribute->id >= 0)
        hdf5.H5Idec_ref(attribute->id);
}

static void add_scale(struct writer *writer, hid_t dataset, const hvl_t *scales, bool is_first)
{
    char name[NAME_SIZE] = "?";
    hid_t scale = scales->len ? hdf5.H5Rdereference2(dataset, H5P_DEFAULT, H5R_OBJECT, scales->p) : -1;

    if (scale >= 0) {
        hdf5.H5Iget_name(scale, name, sizeof name);
        hdf5.H5Oclose(scale);
    }
    writer_add(writer, "%s%s", is_first ? "scales: " : ", ", scale >= 0 ? name : "none");
}

/* Each dimension has a list of references to its scales; the first one is its name. */
static void add_scales(struct writer *writer, hid_t dataset, const struct attribute *list)
{
    hvl_t scales[H5S_MAX_RANK];
    hid_t super = hdf5.H5Tget_class(list->type) == H5T_VLEN ? hdf5.H5Tget_super(list->type) : -1, space;
    bool is_right = super >= 0 && hdf5.H5Tequal(super, *hdf5.H5T_STD_REF_OBJ_g) > 0 && list->count > 0 &&
                    list->count <= H5S_MAX_RANK;

    if (super >= 0)
        hdf5.H5Tclose(super);
    if (!is_right || hdf5.H5Aread(list->id, list->type, scales) < 0)
        return;
    for (hssize_t i = 0; i < list->count; i++)
        add_scale(writer, dataset, &scales[i], i == 0);
    space = hdf5.H5Aget_space(list->id);
    hdf5.H5Dvlen_reclaim(list->type, space, H5P_DEFAULT, scales);
    hdf5.H5Sclose(space);
}

/* Nothing of one that is empty, as PyTables has titles. */
static void add_attribute(struct writer *writer, const char *name, const struct attribute *attribute)
{
    const struct writer before = *writer;
    size_t begin;

    writer_add(writer, "%s%s: ", writer->length ? "; " : "", name);
    begin = writer->length;
    add_value(writer, attribute);
    if (writer->length == begin && !writer->is_full)
        writer_go_back(writer, &before);
}

void look_attributes(hid_t dataset, char *text, size_t size)
{
    struct attribute attribute;
    struct writer writer;

    writer_begin(&writer, text, size);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        if (open_attribute(dataset, told[i], &attribute) && attribute.type >= 0)
            add_attribute(&writer, told[i], &attribute);
        close_attribute(&attribute);
    }
    if (open_attribute(dataset, "DIMENSION_LIST", &attribute) && attribute.type >= 0) {
        writer_add(&writer, writer.length ? "; " : "");
        add_scales(&writer, dataset, &attribute);
    }
    close_attribute(&attribute);
}
