/* SPDX-License-Identifier: BSD-3-Clause */
/* What HDF5 makes of an output before the first row: data sets in one piece each, which it fills with nothing, and what
 * they say of themselves. Times are left out, so that two runs make the same bytes. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/hdf5_call.h"
#include "data/output_layout.h"
#include "mpmap/version.h"

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

hid_t layout_links(void)
{
    hid_t link = hdf5.H5Pcreate(*hdf5.H5P_CLS_LINK_CREATE_ID_g);

    if (link >= 0 && hdf5.H5Pset_create_intermediate_group(link, 1) >= 0 &&
        hdf5.H5Pset_char_encoding(link, H5T_CSET_UTF8) >= 0)
        return link;
    release(link);
    return -1;
}

static hid_t make_contiguous(void)
{
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_CREATE_ID_g);

    if (creation >= 0 && hdf5.H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
        hdf5.H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 &&
        hdf5.H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 &&
        hdf5.H5Pset_obj_track_times(creation, 0) >= 0)
        return creation;
    release(creation);
    return -1;
}

int layout_make_set(hid_t place, const struct layout_set *set, hid_t creation, hid_t *dataset)
{
    int status = 0;
    hid_t space = hdf5.H5Screate_simple(set->rank, set->extent, set->most), link = layout_links();

    *dataset = -1;
    if (space >= 0 && creation >= 0 && link >= 0 &&
        (!set->has_chunks || hdf5.H5Pset_chunk(creation, set->rank, set->chunk) >= 0))
        *dataset = hdf5.H5Dcreate2(place, set->name, set->type, space, link, creation, H5P_DEFAULT);
    if (*dataset < 0)
        status = hdf5_error_set(MPM_EIO, "cannot create the data set %s", set->name);
    release(link);
    release(space);
    return status;
}

/* What the result was made from: what a later run must find the same before it goes on. */
static int write_origin(hid_t result, const struct origin *origin)
{
    for (unsigned field = 0; field < ORIGIN_FIELDS; field++) {
        int status = attribute_write_text(result, origin_attribute(field), origin_text(origin, field));
        if (status)
            return status;
    }
    return attribute_write_text(result, "mpmap_version", mpm_version());
}

static int write_attributes(hid_t object, const struct output *output, const struct result_field *field)
{
    const char *text = output->attributes;
    struct result_attribute attribute;
    char value[4096];
    int status = 0;

    while (!status && result_next_attribute(&output->result, &text, &attribute, &status)) {
        if (attribute.field != field)
            continue;
        snprintf(value, sizeof value, "%.*s", (int)attribute.length, attribute.value);
        status = attribute_write_text(object, attribute.name, value);
    }
    return status;
}

/* By this the file is known as the output of a map, and its result is found. */
static int name_result(hid_t file, const struct output *output)
{
    hid_t root = hdf5.H5Gopen2(file, "/", H5P_DEFAULT);
    int status = root < 0 ? hdf5_error_set(MPM_EIO, "cannot open the group /")
                          : attribute_write_text(root, OUTPUT_ATTRIBUTE, output->dataset);

    release(root);
    return status;
}

/* Where in the file a data set stands. An empty one stands nowhere. */
static int find_offset(hid_t dataset, uint64_t rows, uint64_t *offset)
{
    uint64_t unused;

    *offset = 0;
    if (rows && !grid_find_results(dataset, offset, &unused))
        return hdf5_error_set(MPM_EIO, "HDF5 allocated no space in the file for the results");
    return 0;
}

static void describe_field(const struct output *output, unsigned index, struct layout_set *set)
{
    const struct result_field *field = &output->result.field[index];
    struct grid_space space;

    grid_space_of(&output->grid, &field->shape, &space);
    *set = (struct layout_set){.name = output->result.is_struct ? field->name : output->dataset,
                               .type = hdf5_native_type(field->shape.type),
                               .rank = space.rank,
                               .has_chunks = space.has_chunks};
    memcpy(set->extent, space.extent, sizeof set->extent);
    memcpy(set->most, space.most, sizeof set->most);
    memcpy(set->chunk, space.chunk, sizeof set->chunk);
}

/* The fill value is what a reader gets who knows of failed rows: all elements of a failed row are that. */
static int set_fill(hid_t creation, const struct output *output, unsigned index)
{
    const struct result_field *field = &output->result.field[index];

    if (output->has_fill && hdf5.H5Pset_fill_value(creation, hdf5_native_type(field->shape.type),
                                                   output->fill + field->offset) < 0)
        return hdf5_error_set(MPM_EIO, "cannot set the fill value of the results");
    return 0;
}

static int make_field(hid_t place, const struct output *output, unsigned index, hid_t creation,
                      hid_t *dataset)
{
    struct layout_set set;
    int status;

    *dataset = -1;
    describe_field(output, index, &set);
    if ((status = set_fill(creation, output, index)))
        return status;
    status = layout_make_set(place, &set, creation, dataset);
    if (!status && output->result.is_struct)
        status = write_attributes(*dataset, output, &output->result.field[index]);
    return status;
}

static int make_group(hid_t file, const struct output *output, hid_t *group)
{
    hid_t link = layout_links();

    *group = link < 0 ? -1 : hdf5.H5Gcreate2(file, output->dataset, link, H5P_DEFAULT, H5P_DEFAULT);
    release(link);
    return *group < 0 ? hdf5_error_set(MPM_EIO, "cannot create the group %s", output->dataset) : 0;
}

static int describe_result(hid_t result, const struct output *output)
{
    int status = write_origin(result, &output->record.origin);

    return status ? status : write_attributes(result, output, NULL);
}

bool layout_packs(const struct output *output)
{
    return output->packing.is_wanted && output->record.rows > 0;
}

static hid_t make_creation(const struct output *output, unsigned index, bool packs)
{
    const struct result_field *field = &output->result.field[index];

    return packs ? packing_creation(&output->packing, &field->shape,
                                    packing_chunk_rows(&output->packing, field, output->record.rows))
                 : make_contiguous();
}

/* Of all fields. Those of a struct stand in a group. */
static int make_fields(hid_t place, struct output *output, bool packs)
{
    int status = 0;

    for (unsigned i = 0; !status && i < output->result.count; i++) {
        struct result_place *at = &output->record.results.field[i];
        hid_t creation = make_creation(output, i, packs), dataset = -1;

        status = creation < 0 ? hdf5_error_set(MPM_EIO, "cannot create the data set %s", output->dataset)
                              : make_field(place, output, i, creation, &dataset);
        if (!status && !output->result.is_struct)
            status = describe_result(dataset, output);
        if (!status && !packs)
            status = find_offset(dataset, output->record.rows, &at->at);
        release(dataset);
        release(creation);
    }
    return status;
}

static int make_results(hid_t file, struct output *output, bool packs)
{
    hid_t group;
    int status;

    if (!output->result.is_struct)
        return make_fields(file, output, packs);
    if ((status = make_group(file, output, &group)))
        return status;
    if (!(status = describe_result(group, output)))
        status = make_fields(group, output, packs);
    release(group);
    return status;
}

static int make_marks(hid_t file, struct output *output)
{
    char name[PATH_MAX];
    struct layout_set set = {.name = name,
                             .type = *hdf5.H5T_NATIVE_UINT8_g,
                             .rank = 1,
                             .extent = {output->record.rows},
                             .most = {output->record.rows}};
    hid_t dataset, creation = make_contiguous();
    int status;

    snprintf(name, sizeof name, "%.*s.done", PATH_MAX - 6, output->dataset);
    status = layout_make_set(file, &set, creation, &dataset);
    if (!status)
        status = find_offset(dataset, output->record.rows, &output->record.marks_at);
    release(dataset);
    release(creation);
    return status;
}

int layout_make(hid_t file, struct output *output, bool packs)
{
    int status = make_results(file, output, packs);

    if (!status)
        status = make_marks(file, output);
    return status ? status : name_result(file, output);
}

/* HDF5 does not try again by itself what a signal has interrupted. */
static int flush(hid_t file, const struct output *output)
{
    int status;

    if (hdf5.H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0)
        return 0;
    status = hdf5_error_set(MPM_EIO, "cannot write %s", output->next);
    return strstr(mpm_error(), strerror(EINTR)) && hdf5.H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0 ? 0 : status;
}

/* Only the formats since HDF5 1.10 have all chunks in one piece. They have times of groups, too, which are left out. */
int layout_create_file(const struct output *output, hid_t access, hid_t *file)
{
    char opened[64];
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_FILE_CREATE_ID_g);
    int status = 0;

    *file = -1;
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", output->fd);
    if (access >= 0 && creation >= 0 &&
        (!output->grid.is_stitched ||
         (hdf5.H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_LATEST) >= 0 &&
          hdf5.H5Pset_obj_track_times(creation, 0) >= 0)))
        *file = hdf5.H5Fcreate(opened, H5F_ACC_TRUNC, creation, access);
    if (*file < 0)
        status = hdf5_error_set(MPM_EIO, "cannot create %s", output->next);
    release(creation);
    return status;
}

/* All that HDF5 ever does to the file. It opens the one that is open, whatever has become of its name. */
static int lay_out(struct output *output)
{
    hid_t access = hdf5_file_access(false), file;
    int status = layout_create_file(output, access, &file);

    if (!status)
        status = layout_make(file, output, false);
    if (!status)
        status = flush(file, output);
    if (file >= 0 && hdf5.H5Fclose(file) < 0 && !status)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", output->next);
    if (access >= 0)
        hdf5.H5Pclose(access);
    return status;
}

int output_lay_out(struct output *output)
{
    struct hdf5_guard guard;
    int status;

    hdf5_enter(&guard);
    status = lay_out(output);
    hdf5_leave(&guard);
    return status;
}
