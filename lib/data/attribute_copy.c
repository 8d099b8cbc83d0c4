/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes are read in this machine's own types, and written in those: texts stay texts of a fixed or a variable
 * length, as the tools that have made them like to have them. */
#include "data/attribute_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MOST_BYTES ((size_t)60 << 10) /* the oldest format of objects has 64 KiB for all of one */
#define MOST_COUNT 1000u

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

static void free_value(struct attribute_value *value)
{
    if (value->values && value->type >= 0 && value->space >= 0)
        hdf5.H5Dvlen_reclaim(value->type, value->space, H5P_DEFAULT, value->values);
    free(value->values);
    free(value->name);
    release(value->type);
    release(value->space);
}

/* What HDF5 has in memory of one: 0 if that is not to be had, or cannot be copied. */
static size_t size_of(const struct attribute_value *value)
{
    hssize_t count = value->space < 0 ? -1 : hdf5.H5Sget_simple_extent_npoints(value->space);
    size_t size = value->type < 0 ? 0 : hdf5.H5Tget_size(value->type);

    if (count < 0 || !size || (size_t)count > MOST_BYTES / size ||
        hdf5.H5Tdetect_class(value->type, H5T_REFERENCE) != 0)
        return 0;
    return count ? (size_t)count * size : 1; /* one without values is an attribute, too */
}

static bool read_value(hid_t object, const char *name, struct attribute_value *value)
{
    hid_t attribute = hdf5.H5Aopen(object, name, H5P_DEFAULT);
    hid_t stored = attribute < 0 ? -1 : hdf5.H5Aget_type(attribute);
    size_t size;
    bool is;

    value->type = stored < 0 ? -1 : hdf5.H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    value->space = attribute < 0 ? -1 : hdf5.H5Aget_space(attribute);
    size = size_of(value);
    value->values = size ? calloc(1, size) : NULL;
    value->name = strdup(name);
    is = value->values && value->name && hdf5.H5Aread(attribute, value->type, value->values) >= 0;
    release(stored);
    release(attribute);
    return is;
}

bool attribute_is_any(const char *unused)
{
    (void)unused;
    return true;
}

struct taking {
    attribute_is_wanted *is_wanted;
    struct attribute_values *values;
    bool has_memory;
};

static herr_t take_one(hid_t object, const char *name, const H5A_info_t *unused, void *argument)
{
    struct taking *taking = argument;
    struct attribute_values *values = taking->values;
    struct attribute_value *grown, value;

    (void)unused;
    if (values->count >= MOST_COUNT || !taking->is_wanted(name))
        return 0;
    if (!(grown = realloc(values->list, (values->count + 1) * sizeof *grown))) {
        taking->has_memory = false;
        return 1;
    }
    values->list = grown;
    if (read_value(object, name, &value))
        values->list[values->count++] = value;
    else
        free_value(&value);
    return 0;
}

bool attribute_values_take(hid_t object, attribute_is_wanted *is_wanted, struct attribute_values *values)
{
    struct taking taking = {is_wanted, values, true};

    hdf5.H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, take_one, &taking);
    return taking.has_memory;
}

int attribute_values_write(hid_t object, const struct attribute_values *values)
{
    int status = 0;

    for (unsigned i = 0; !status && i < values->count; i++) {
        const struct attribute_value *value = &values->list[i];
        hid_t attribute;

        if (hdf5.H5Aexists(object, value->name) > 0)
            continue;
        attribute = hdf5.H5Acreate2(object, value->name, value->type, value->space, H5P_DEFAULT, H5P_DEFAULT);
        if (attribute < 0 || hdf5.H5Awrite(attribute, value->type, value->values) < 0)
            status = hdf5_error_set(MPM_EIO, "cannot write the attribute %s", value->name);
        release(attribute);
    }
    return status;
}

static const struct attribute_value *find(const struct attribute_values *values, const char *name)
{
    for (unsigned i = 0; i < values->count; i++) {
        if (!strcmp(values->list[i].name, name))
            return &values->list[i];
    }
    return NULL;
}

bool attribute_values_agree(const struct attribute_values *a, const struct attribute_values *b,
                            const char *name)
{
    const struct attribute_value *one = find(a, name), *other = find(b, name);

    if (!one || !other)
        return !one && !other;
    if (hdf5.H5Tequal(one->type, other->type) <= 0 || size_of(one) != size_of(other))
        return false;
    if (hdf5.H5Tis_variable_str(one->type) <= 0)
        return !memcmp(one->values, other->values, size_of(one));
    return *(char **)one->values && *(char **)other->values &&
           !strcmp(*(char **)one->values, *(char **)other->values);
}

void attribute_values_free(struct attribute_values *values)
{
    for (unsigned i = 0; i < values->count; i++)
        free_value(&values->list[i]);
    free(values->list);
    *values = (struct attribute_values){0};
}
