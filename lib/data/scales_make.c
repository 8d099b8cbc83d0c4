/* SPDX-License-Identifier: BSD-3-Clause */
/* Dimension scales as the specification of H5DS has them, which netCDF-4 follows: a scale has CLASS and NAME, and
 * REFERENCE_LIST names the data sets that use it; a data set has DIMENSION_LIST, which names the scales of each
 * dimension. A dimension that has nothing but a name is a scale without values, whose NAME netCDF knows. The library of
 * H5DS is not needed for that. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/scales.h"

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

hid_t scales_group_creation(void)
{
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_GROUP_CREATE_ID_g);

    if (creation >= 0 &&
        hdf5.H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0 &&
        hdf5.H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0 &&
        hdf5.H5Pset_obj_track_times(creation, 0) >= 0)
        return creation;
    release(creation);
    return -1;
}

static int cannot_write(const char *name)
{
    return hdf5_error_set(MPM_EIO, "cannot write the coordinates %s", name);
}

/* A text of a fixed length, which H5DS wants. */
static bool write_fixed_text(hid_t object, const char *name, const char *text)
{
    hid_t space = hdf5.H5Screate(H5S_SCALAR), type = hdf5.H5Tcopy(*hdf5.H5T_C_S1_g), attribute = -1;
    bool is = false;

    if (space >= 0 && type >= 0 && hdf5.H5Tset_size(type, strlen(text) + 1) >= 0)
        attribute = hdf5.H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0)
        is = hdf5.H5Awrite(attribute, type, text) >= 0;
    release(attribute);
    release(type);
    release(space);
    return is;
}

static bool make_scale(const struct scale *scale)
{
    char name[SCALE_NAME];

    snprintf(name, sizeof name, "%s", scale->name);
    if (scale->type < 0)
        snprintf(name, sizeof name, SCALES_ONLY_NAMED "%10llu", (unsigned long long)scale->extent[0]);
    return write_fixed_text(scale->made, "CLASS", "DIMENSION_SCALE") &&
           write_fixed_text(scale->made, "NAME", name);
}

static int make_one(struct scale *scale, hid_t place)
{
    hid_t type = scale->type >= 0 ? scale->type : *hdf5.H5T_IEEE_F32BE_g;
    hsize_t extent[GRID_MAX_RANK];
    int rank = scales_extents(scale, scale->extent[0], extent);
    hid_t space = hdf5.H5Screate_simple(rank, extent, NULL);
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_CREATE_ID_g);
    hid_t link = hdf5.H5Pcreate(*hdf5.H5P_CLS_LINK_CREATE_ID_g);
    bool is;

    scale->made = -1;
    if (space >= 0 && creation >= 0 && link >= 0 && hdf5.H5Pset_obj_track_times(creation, 0) >= 0 &&
        hdf5.H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0 &&
        hdf5.H5Pset_char_encoding(link, H5T_CSET_UTF8) >= 0)
        scale->made = hdf5.H5Dcreate2(place, scale->name, type, space, link, creation, H5P_DEFAULT);
    is = scale->made >= 0 &&
         (scale->type < 0 || !scale->values || hdf5.H5Sget_simple_extent_npoints(space) == 0 ||
          hdf5.H5Dwrite(scale->made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, scale->values) >= 0);
    release(link);
    release(creation);
    release(space);
    if (!is || (!scale->bounds_of && !scale->is_companion && !make_scale(scale)))
        return cannot_write(scale->name);
    return attribute_values_write(scale->made, &scale->attributes);
}

/* In a file that exists the name may be taken: by the same coordinates, or by something else. */
static int make_or_reuse(struct scale *scale, hid_t place)
{
    while (hdf5.H5Lexists(place, scale->name, H5P_DEFAULT) > 0) {
        if (scales_reuse(scale, place))
            return 0;
        if (strlen(scale->name) + 2 > SCALE_NAME)
            return cannot_write(scale->name);
        strcat(scale->name, "_");
    }
    return make_one(scale, place);
}

static bool note_user(struct scale *scale, hid_t dataset, unsigned dimension)
{
    struct scale_user *grown = realloc(scale->users, (scale->user_count + 1) * sizeof *grown);

    if (!grown)
        return false;
    scale->users = grown;
    grown += scale->user_count;
    memset(grown, 0, sizeof *grown);
    grown->dimension = (int)dimension;
    if (hdf5.H5Rcreate(&grown->dataset, dataset, ".", H5R_OBJECT, -1) < 0)
        return false;
    scale->user_count++;
    return true;
}

/* References to the scales of one dimension. */
static bool refer(struct scales *scales, hid_t dataset, const struct scale_list *list, unsigned dimension,
                  hobj_ref_t reference[SCALES_A_DIM])
{
    bool is = true;

    for (unsigned i = 0; is && i < list->count; i++) {
        struct scale *scale = &scales->scale[list->scale[i]];

        is = scale->made >= 0 && hdf5.H5Rcreate(&reference[i], scale->made, ".", H5R_OBJECT, -1) >= 0 &&
             note_user(scale, dataset, dimension);
    }
    return is;
}

int scales_attach(struct scales *scales, hid_t dataset, const struct scale_list *dimension, unsigned rank)
{
    hobj_ref_t reference[GRID_MAX_RANK][SCALES_A_DIM];
    hvl_t lists[GRID_MAX_RANK];
    const hsize_t extent = rank;
    hid_t type, space, attribute = -1;
    bool is = true;

    if (!scales || !scales->count)
        return 0;
    for (unsigned i = 0; is && i < rank; i++) {
        is = refer(scales, dataset, &dimension[i], i, reference[i]);
        lists[i] = (hvl_t){dimension[i].count, reference[i]};
    }
    type = hdf5.H5Tvlen_create(*hdf5.H5T_STD_REF_OBJ_g);
    space = hdf5.H5Screate_simple(1, &extent, NULL);
    if (is && type >= 0 && space >= 0)
        attribute = hdf5.H5Acreate2(dataset, "DIMENSION_LIST", type, space, H5P_DEFAULT, H5P_DEFAULT);
    is = attribute >= 0 && hdf5.H5Awrite(attribute, type, lists) >= 0;
    release(attribute);
    release(space);
    release(type);
    return is ? 0 : hdf5_error_set(MPM_EIO, "cannot attach coordinates to results");
}

/* The scale names its bounds, by whatever name they have got. */
static int name_bounds(const struct scale *bounds)
{
    hid_t owner = bounds->bounds_of->made;

    if (hdf5.H5Aexists(owner, "bounds") > 0 && hdf5.H5Adelete(owner, "bounds") < 0)
        return cannot_write(bounds->name);
    return attribute_write_text(owner, "bounds", bounds->name);
}

/* Those of a scale that the file has already are there as well; and of one without values there are none. */
static int make_bounds(struct scales *scales, struct scale *bounds, hid_t place)
{
    struct scale_list lists[2] = {{.count = 1}, {.count = 1}};
    int status;

    if (bounds->type < 0 || bounds->bounds_of->is_reused) {
        bounds->is_reused = true;
        return 0;
    }
    lists[0].scale[0] = (unsigned char)(bounds->bounds_of - scales->scale);
    lists[1].scale[0] = (unsigned char)(bounds->vertices - scales->scale);
    if ((status = make_or_reuse(bounds, place)) || (status = name_bounds(bounds)))
        return status;
    return scales_attach(scales, bounds->made, lists, 2);
}

/* One that could not be read is none. */
static int make_companion(struct scales *scales, struct scale *scale, hid_t place)
{
    int status;

    scale->is_reused = scale->type < 0;
    if (scale->is_reused)
        return 0;
    if (scales_reuse_companion(scales, scale, place))
        return 0;
    status = make_or_reuse(scale, place);
    return status || !scale->rank ? status : scales_attach(scales, scale->made, scale->of, scale->rank);
}

int scales_make(struct scales *scales, hid_t results, hid_t marks)
{
    int status = 0;

    for (unsigned i = 0; scales && i < scales->count; i++)
        scales->scale[i].made = -1;
    for (unsigned i = 0; scales && !status && i < scales->count; i++) {
        struct scale *scale = &scales->scale[i];

        if (!scale->bounds_of && !scale->is_companion)
            status = make_or_reuse(scale, scale->is_beside_marks ? marks : results);
    }
    for (unsigned i = 0; scales && !status && i < scales->count; i++) {
        if (scales->scale[i].bounds_of)
            status = make_bounds(scales, &scales->scale[i], results);
        else if (scales->scale[i].is_companion)
            status = make_companion(scales, &scales->scale[i], results);
    }
    return status;
}

int scales_end(struct scales *scales, int status)
{
    for (unsigned i = 0; scales && i < scales->count; i++) {
        struct scale *scale = &scales->scale[i];

        if (!status && scale->user_count && !scales_write_users(scale->made, scale->users, scale->user_count))
            status = cannot_write(scale->name);
        release(scale->made);
        free(scale->users);
        scale->made = -1;
        scale->users = NULL;
        scale->user_count = 0;
    }
    return status;
}
