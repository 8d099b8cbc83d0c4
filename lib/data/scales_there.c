/* SPDX-License-Identifier: BSD-3-Clause */
/* Scales that a file has already. Results that come into it take those that have the same name and the same values; and
 * where old results go, the lists of their scales lose them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/attribute.h"
#include "data/scales.h"

#define MOST_LIST  ((size_t)256 << 10) /* bytes */
#define MOST_USERS 65536

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

/* ---- Who uses a scale ---- */

static hid_t user_type(void)
{
    hid_t type = hdf5.H5Tcreate(H5T_COMPOUND, sizeof(struct scale_user));

    if (type >= 0 &&
        hdf5.H5Tinsert(type, "dataset", HOFFSET(struct scale_user, dataset), *hdf5.H5T_STD_REF_OBJ_g) >= 0 &&
        hdf5.H5Tinsert(type, "dimension", HOFFSET(struct scale_user, dimension), *hdf5.H5T_NATIVE_INT32_g) >=
            0)
        return type;
    release(type);
    return -1;
}

/* Those that a scale has; the caller frees them. NULL if there are none. */
static struct scale_user *read_users(hid_t scale, unsigned *count)
{
    hid_t attribute = hdf5.H5Aexists(scale, "REFERENCE_LIST") > 0
                          ? hdf5.H5Aopen(scale, "REFERENCE_LIST", H5P_DEFAULT)
                          : -1;
    hid_t space = attribute < 0 ? -1 : hdf5.H5Aget_space(attribute), type = user_type();
    hssize_t found = space < 0 ? 0 : hdf5.H5Sget_simple_extent_npoints(space);
    struct scale_user *users = found > 0 && found < MOST_USERS ? calloc((size_t)found, sizeof *users) : NULL;

    if (users && hdf5.H5Aread(attribute, type, users) < 0) {
        free(users);
        users = NULL;
    }
    *count = users ? (unsigned)found : 0;
    release(type);
    release(space);
    release(attribute);
    return users;
}

bool scales_write_users(hid_t scale, const struct scale_user *users, unsigned count)
{
    const hsize_t extent = count;
    hid_t type = user_type(), space = hdf5.H5Screate_simple(1, &extent, NULL), attribute = -1;
    bool is = hdf5.H5Aexists(scale, "REFERENCE_LIST") <= 0 || hdf5.H5Adelete(scale, "REFERENCE_LIST") >= 0;

    if (is && count) {
        if (type >= 0 && space >= 0)
            attribute = hdf5.H5Acreate2(scale, "REFERENCE_LIST", type, space, H5P_DEFAULT, H5P_DEFAULT);
        is = attribute >= 0 && hdf5.H5Awrite(attribute, type, users) >= 0;
    }
    release(attribute);
    release(space);
    release(type);
    return is;
}

static void remove_user(hid_t scale, const hobj_ref_t *dataset)
{
    unsigned count, left = 0;
    struct scale_user *users = read_users(scale, &count);

    for (unsigned i = 0; i < count; i++) {
        if (memcmp(&users[i].dataset, dataset, sizeof *dataset))
            users[left++] = users[i];
    }
    if (left < count)
        scales_write_users(scale, users, left);
    free(users);
}

static void detach_all(hid_t dataset, const hvl_t *lists, hssize_t rank)
{
    hobj_ref_t own;

    if (hdf5.H5Rcreate(&own, dataset, ".", H5R_OBJECT, -1) < 0)
        return;
    for (hssize_t i = 0; i < rank; i++) {
        for (size_t k = 0; k < lists[i].len; k++) {
            hid_t scale = hdf5.H5Rdereference2(dataset, H5P_DEFAULT, H5R_OBJECT,
                                               (const hobj_ref_t *)lists[i].p + k);

            if (scale < 0)
                continue;
            remove_user(scale, &own);
            hdf5.H5Oclose(scale);
        }
    }
}

void scales_detach(hid_t dataset)
{
    hvl_t lists[H5S_MAX_RANK];
    hid_t attribute = -1, space = -1, type = hdf5.H5Tvlen_create(*hdf5.H5T_STD_REF_OBJ_g);
    hssize_t rank;

    if (hdf5.H5Aexists(dataset, "DIMENSION_LIST") > 0)
        attribute = hdf5.H5Aopen(dataset, "DIMENSION_LIST", H5P_DEFAULT);
    space = attribute < 0 ? -1 : hdf5.H5Aget_space(attribute);
    rank = space < 0 ? 0 : hdf5.H5Sget_simple_extent_npoints(space);
    if (rank > 0 && rank <= H5S_MAX_RANK && hdf5.H5Aread(attribute, type, lists) >= 0) {
        detach_all(dataset, lists, rank);
        hdf5.H5Dvlen_reclaim(type, space, H5P_DEFAULT, lists);
    }
    release(space);
    release(attribute);
    release(type);
}

/* ---- Scales that are the same ---- */

static bool has_text(hid_t object, const char *name, const char *begin)
{
    char text[SCALE_NAME];

    return attribute_read_text(object, name, text, sizeof text) && !strncmp(text, begin, strlen(begin));
}

static bool values_are_equal(hid_t dataset, const struct scale *scale)
{
    size_t count = (size_t)(scale->extent[0] * scale->width), size = hdf5.H5Tget_size(scale->type);
    bool is_text = hdf5.H5Tis_variable_str(scale->type) > 0, is;
    char *values = calloc(count + 1, size);
    hid_t space = hdf5.H5Dget_space(dataset);

    is = values && space >= 0 &&
         hdf5.H5Dread(dataset, scale->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    if (is && !is_text)
        is = hdf5.H5Tdetect_class(scale->type, H5T_VLEN) == 0 && !memcmp(values, scale->values, count * size);
    for (size_t i = 0; is && is_text && i < count; i++) {
        const char *one = ((char **)values)[i], *other = ((char **)scale->values)[i];

        is = one && other && !strcmp(one, other);
    }
    if (values && space >= 0)
        hdf5.H5Dvlen_reclaim(scale->type, space, H5P_DEFAULT, values);
    release(space);
    free(values);
    return is;
}

static bool has_same_units(hid_t dataset, const struct scale *scale)
{
    struct attribute_values values = {0};
    bool is = attribute_values_take(dataset, attribute_is_any, &values) &&
              attribute_values_agree(&values, &scale->attributes, "units") &&
              attribute_values_agree(&values, &scale->attributes, "calendar");

    attribute_values_free(&values);
    return is;
}

static bool is_same(hid_t dataset, const struct scale *scale)
{
    hid_t space = hdf5.H5Dget_space(dataset), stored = hdf5.H5Dget_type(dataset);
    hid_t type = stored < 0 ? -1 : hdf5.H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    bool is_named = has_text(dataset, "NAME", SCALES_ONLY_NAMED), is;
    hsize_t extent;

    is = space >= 0 && type >= 0 && has_text(dataset, "CLASS", "DIMENSION_SCALE") &&
         hdf5.H5Sget_simple_extent_ndims(space) == 1 &&
         hdf5.H5Sget_simple_extent_dims(space, &extent, NULL) == 1 && extent == scale->extent[0] &&
         is_named == (scale->type < 0);
    if (is && !is_named)
        is = hdf5.H5Tequal(type, scale->type) > 0 && has_same_units(dataset, scale) &&
             values_are_equal(dataset, scale);
    release(type);
    release(stored);
    release(space);
    return is;
}

static bool has_same_attributes(hid_t dataset, const struct scale *scale)
{
    struct attribute_values values = {0};
    bool is = attribute_values_take(dataset, attribute_is_any, &values);

    for (unsigned i = 0; is && i < scale->attributes.count; i++)
        is = attribute_values_agree(&values, &scale->attributes, scale->attributes.list[i].name);
    attribute_values_free(&values);
    return is;
}

/* A companion that has as much to say. Along other scales it would be another one; these were found before it. */
static bool is_same_companion(hid_t dataset, const struct scale *scale, const struct scale *all)
{
    hsize_t extent[GRID_MAX_RANK], has[GRID_MAX_RANK] = {0};
    int rank = scales_extents(scale, scale->extent[0], extent);
    hid_t space = hdf5.H5Dget_space(dataset), stored = hdf5.H5Dget_type(dataset);
    hid_t type = stored < 0 ? -1 : hdf5.H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    bool is = space >= 0 && type >= 0 && hdf5.H5Sget_simple_extent_ndims(space) == rank &&
              hdf5.H5Sget_simple_extent_dims(space, has, NULL) == rank &&
              !memcmp(has, extent, (size_t)rank * sizeof *has) && hdf5.H5Tequal(type, scale->type) > 0;

    for (unsigned i = 0; is && i < scale->rank; i++)
        is = all[scale->of[i].scale[0]].is_reused;
    release(type);
    release(stored);
    release(space);
    return is && has_same_attributes(dataset, scale) && values_are_equal(dataset, scale);
}

bool scales_reuse_companion(const struct scales *scales, struct scale *scale, hid_t place)
{
    hid_t object = hdf5.H5Oopen(place, scale->name, H5P_DEFAULT);

    scale->is_reused = object >= 0 && hdf5.H5Iget_type(object) == H5I_DATASET &&
                       is_same_companion(object, scale, scales->scale);
    if (object >= 0)
        hdf5.H5Oclose(object);
    return scale->is_reused;
}

bool scales_reuse(struct scale *scale, hid_t place)
{
    hid_t object = hdf5.H5Oopen(place, scale->name, H5P_DEFAULT);

    scale->is_reused = object >= 0 && !scale->bounds_of && !scale->is_companion &&
                       hdf5.H5Iget_type(object) == H5I_DATASET &&
                       (is_same(object, scale) || (scale->twin && is_same(object, scale->twin)));
    if (scale->is_reused) {
        scale->made = object;
        scale->users = read_users(object, &scale->user_count);
        return true;
    }
    if (object >= 0)
        hdf5.H5Oclose(object);
    return false;
}

/* ---- Those that a map has made ---- */

char *scales_list(const struct scales *scales, const char *results, const char *marks)
{
    char *bytes = NULL;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    const char *separator = "";

    for (unsigned i = 0; text && i < scales->count; i++) {
        const struct scale *scale = &scales->scale[i];

        if (scale->is_reused)
            continue;
        fprintf(text, "%s%s/%s", separator, scale->is_beside_marks ? marks : results, scale->name);
        separator = " ";
    }
    return text && !fclose(text) ? bytes : NULL;
}

char *scales_read_list(hid_t file, const char *dataset)
{
    hid_t result = hdf5.H5Lexists(file, dataset, H5P_DEFAULT) > 0 ? hdf5.H5Oopen(file, dataset, H5P_DEFAULT)
                                                                  : -1;
    char *list = result < 0 ? NULL : malloc(MOST_LIST);

    if (list && !attribute_read_text(result, SCALES_KEPT, list, MOST_LIST)) {
        free(list);
        list = NULL;
    }
    if (result >= 0)
        hdf5.H5Oclose(result);
    return list;
}

bool scales_lists(const char *list, const char *path)
{
    size_t length = strlen(path);

    for (const char *at = strstr(list, path); at; at = strstr(at + 1, path)) {
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    }
    return false;
}
