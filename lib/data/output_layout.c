/* SPDX-License-Identifier: BSD-3-Clause */
/* What HDF5 makes of an output before the first row: data sets in one piece each, which it fills with nothing, and what
 * they say of themselves. Times are left out, so that two runs make the same bytes. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/hdf5_call.h"
#include "data/output_layout.h"
#include "mpmap/version.h"

#define FILL_ATTRIBUTE "_FillValue"

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

/* The group in which results, or the group of them, and marks stand; "" is the group /. */
static void name_parent(const struct output *output, char path[PATH_MAX])
{
    size_t length = 0;

    for (const char *at = output->dataset; strchr(at, '/');) {
        size_t size = strcspn(at, "/");

        if (size > 0 && !(size == 1 && *at == '.'))
            length += (size_t)snprintf(path + length, PATH_MAX - length, "/%.*s", (int)size, at);
        at += size + 1;
    }
    path[length] = '\0';
}

/* By this the file is known as the output of a map, and its result is found. */
static int name_result(hid_t file, const struct output *output)
{
    hid_t root = hdf5.H5Gopen2(file, "/", H5P_DEFAULT);
    int status = root < 0 ? hdf5_error_set(MPM_EIO, "cannot open the group /")
                          : attribute_write_text(root, OUTPUT_ATTRIBUTE, output->dataset);

    if (!status && output->scales)
        status = attribute_values_write(root, &output->scales->of_file);
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

static void take_space(struct layout_set *set, const struct grid_space *space)
{
    set->rank = space->rank;
    set->has_chunks = space->has_chunks;
    memcpy(set->extent, space->extent, sizeof set->extent);
    memcpy(set->most, space->most, sizeof set->most);
    memcpy(set->chunk, space->chunk, sizeof set->chunk);
}

static void describe_field(const struct output *output, unsigned index, const mpm_shape *shape,
                           struct layout_set *set)
{
    const struct result_field *field = &output->result.field[index];
    struct grid_space space;

    grid_space_of(&output->grid, shape, &space);
    *set = (struct layout_set){.name = output->result.is_struct ? field->name : output->dataset,
                               .type = hdf5_native_type(field->shape.type)};
    take_space(set, &space);
}

/* The fill value is what a reader gets who knows of failed rows: all elements of a failed row are that. */
static int set_fill(hid_t creation, const struct output *output, unsigned index)
{
    const struct result_field *field = &output->result.field[index];

    if (output->has_fill && !field->vlen &&
        hdf5.H5Pset_fill_value(creation, hdf5_native_type(field->shape.type), output->fill + field->offset) <
            0)
        return hdf5_error_set(MPM_EIO, "cannot set the fill value of the results");
    return 0;
}

/* netCDF and its like take no notice of rows with this value. */
static int write_fill(hid_t dataset, const struct output *output, unsigned index, hid_t type)
{
    hid_t space, attribute = -1;
    bool is;

    if (!output->has_fill || output->result.field[index].vlen || hdf5.H5Aexists(dataset, FILL_ATTRIBUTE) > 0)
        return 0;
    space = hdf5.H5Screate(H5S_SCALAR);
    if (space >= 0)
        attribute = hdf5.H5Acreate2(dataset, FILL_ATTRIBUTE, type, space, H5P_DEFAULT, H5P_DEFAULT);
    is = attribute >= 0 &&
         hdf5.H5Awrite(attribute, type, output->fill + output->result.field[index].offset) >= 0;
    release(attribute);
    release(space);
    return is ? 0 : hdf5_error_set(MPM_EIO, "cannot write the attribute " FILL_ATTRIBUTE);
}

static bool has_scales(const struct output *output)
{
    return output->scales && output->scales->count;
}

static const struct scale_list *field_dimensions(const struct output *output, unsigned index)
{
    return output->scales ? output->scales->field[index] : NULL;
}

/* What nobody has written is empty there. */
static hid_t make_untimed(void)
{
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_CREATE_ID_g);

    if (creation >= 0 && hdf5.H5Pset_obj_track_times(creation, 0) >= 0)
        return creation;
    release(creation);
    return -1;
}

hid_t layout_vlen_type(const struct result_field *field)
{
    hid_t type;

    if (!field->is_text)
        return hdf5.H5Tvlen_create(hdf5_native_type(field->vlen));
    type = hdf5.H5Tcopy(*hdf5.H5T_C_S1_g);
    if (type >= 0 && hdf5.H5Tset_size(type, H5T_VARIABLE) >= 0 && hdf5.H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        return type;
    release(type);
    return -1;
}

/* The netCDF library knows only types that have names, and must come to a type before it does to its data set: it goes
 * by names, and the dot before this one is before all letters and digits. What texts are it knows by itself. */
static int name_type(hid_t place, hid_t type, const struct output *output, const char *name)
{
    hid_t links = layout_links(), creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATATYPE_CREATE_ID_g);
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    char own[PATH_MAX + 8];
    bool is;

    snprintf(own, sizeof own, "%.*s.%s.type", (int)(last - name), name, last);
    is = links >= 0 && creation >= 0 && hdf5.H5Pset_obj_track_times(creation, 0) >= 0 &&
         hdf5.H5Tcommit2(place, own, type, links, creation, H5P_DEFAULT) >= 0;
    release(creation);
    release(links);
    return is ? attribute_write_text(type, OUTPUT_ATTRIBUTE, output->dataset)
              : hdf5_error_set(MPM_EIO, "cannot create the type %s", own);
}

/* One of variable length. */
static int make_vlen(hid_t place, const struct output *output, unsigned index, hid_t creation, hid_t *dataset,
                     unsigned *rank)
{
    const struct result_field *field = &output->result.field[index];
    const mpm_shape one = {.type = field->vlen};
    struct layout_set set;
    int status = 0;

    describe_field(output, index, &one, &set);
    if ((set.type = layout_vlen_type(field)) < 0)
        return hdf5_error_set(MPM_EIO, "cannot make the type of %s", set.name);
    if (!field->is_text)
        status = name_type(place, set.type, output, set.name);
    if (!status)
        status = layout_make_set(place, &set, creation, dataset);
    release(set.type);
    *rank = (unsigned)set.rank;
    return status;
}

static int make_fixed(hid_t place, const struct output *output, unsigned index, hid_t creation,
                      hid_t *dataset, unsigned *rank)
{
    struct layout_set set;
    int status = set_fill(creation, output, index);

    describe_field(output, index, &output->result.field[index].shape, &set);
    *rank = (unsigned)set.rank;
    return status ? status : layout_make_set(place, &set, creation, dataset);
}

/* Behind the attributes of the plugin, which go first. */
static int name_companions(hid_t dataset, const struct output *output, unsigned index)
{
    const struct scale_list *dimension = field_dimensions(output, index);
    unsigned rank = 0;

    while (dimension && rank < GRID_MAX_RANK && dimension[rank].count)
        rank++;
    return scales_name_companions(output->scales, dataset, dimension, rank);
}

static int make_field(hid_t place, const struct output *output, unsigned index, hid_t creation, bool is_last,
                      hid_t *dataset)
{
    const struct result_field *field = &output->result.field[index];
    unsigned rank = 0;
    int status;

    *dataset = -1;
    status = is_last && field->vlen ? make_vlen(place, output, index, creation, dataset, &rank)
                                    : make_fixed(place, output, index, creation, dataset, &rank);
    if (!status && output->result.is_struct)
        status = write_attributes(*dataset, output, field);
    if (!status && output->result.is_struct)
        status = name_companions(*dataset, output, index);
    if (!status)
        status = write_fill(*dataset, output, index, hdf5_native_type(field->shape.type));
    return status ? status : scales_attach(output->scales, *dataset, field_dimensions(output, index), rank);
}

static hid_t group_creation(const struct output *output)
{
    return has_scales(output) ? scales_group_creation() : hdf5.H5Pcreate(*hdf5.H5P_CLS_GROUP_CREATE_ID_g);
}

static int make_group(hid_t file, const struct output *output, hid_t *group)
{
    hid_t link = layout_links(), creation = group_creation(output);

    *group = link < 0 || creation < 0 ? -1
                                      : hdf5.H5Gcreate2(file, output->dataset, link, creation, H5P_DEFAULT);
    release(creation);
    release(link);
    return *group < 0 ? hdf5_error_set(MPM_EIO, "cannot create the group %s", output->dataset) : 0;
}

static int write_scales_list(hid_t result, const struct output *output)
{
    char marks[PATH_MAX], results[2 * PATH_MAX], *list;
    int status;

    if (!has_scales(output))
        return 0;
    name_parent(output, marks);
    snprintf(results, sizeof results, "%s%s%s", marks, output->result.is_struct ? "/" : "",
             output->result.is_struct
                 ? strrchr(output->dataset, '/') ? strrchr(output->dataset, '/') + 1 : output->dataset
                 : "");
    if (!(list = scales_list(output->scales, results, marks)))
        return error_set(MPM_ENOMEM, "no memory for the names of coordinates");
    status = attribute_write_text(result, SCALES_KEPT, list);
    free(list);
    return status;
}

static int describe_result(hid_t result, const struct output *output)
{
    int status = write_origin(result, &output->record.origin);

    if (!status)
        status = write_scales_list(result, output);
    if (!status)
        status = write_attributes(result, output, NULL);
    return status || output->result.is_struct ? status : name_companions(result, output, 0);
}

bool layout_packs(const struct output *output)
{
    return output->packing.is_wanted && output->record.rows > 0;
}

static hid_t make_creation(const struct output *output, unsigned index, bool packs)
{
    const struct result_field *field = &output->result.field[index];

    struct grid_chunks chunks;

    if (!packs)
        return make_contiguous();
    grid_cut(&output->grid, &field->shape, packing_chunk_rows(&output->packing, field, output->record.rows),
             &chunks);
    return packing_creation(&output->packing, field->shape.type, chunks.rank, chunks.extent);
}

static uint64_t rows_laid_out(const struct output *output)
{
    return output->grid.capacity ? output->grid.capacity : output->record.rows;
}

/* Of all fields. Those of a struct stand in a group. */
static int make_fields(hid_t place, struct output *output, bool is_last)
{
    bool packs = is_last && layout_packs(output);
    int status = 0;

    for (unsigned i = 0; !status && i < output->result.count; i++) {
        struct result_place *at = &output->record.results.field[i];
        bool is_vlen = is_last && output->result.field[i].vlen;
        hid_t creation = is_vlen ? make_untimed() : make_creation(output, i, packs), dataset = -1;

        status = creation < 0 ? hdf5_error_set(MPM_EIO, "cannot create the data set %s", output->dataset)
                              : make_field(place, output, i, creation, is_last, &dataset);
        if (!status && !output->result.is_struct)
            status = describe_result(dataset, output);
        if (!status && output->scales)
            status = attribute_values_write(dataset, &output->scales->of_dataset);
        if (!status && !packs && !is_vlen)
            status = find_offset(dataset, rows_laid_out(output), &at->at);
        release(dataset);
        release(creation);
    }
    return status;
}

/* The group that a single result stands in, with all those above it. */
static int open_parent(hid_t file, const struct output *output, hid_t *parent)
{
    char path[PATH_MAX], part[PATH_MAX];
    int status = 0;

    name_parent(output, path);
    *parent = hdf5.H5Gopen2(file, "/", H5P_DEFAULT);
    for (char *at = path; !status && *at;) {
        size_t length = strcspn(at + 1, "/") + 1;
        hid_t creation = scales_group_creation(), group;

        snprintf(part, sizeof part, "%.*s", (int)(at + length - path), path);
        group = hdf5.H5Lexists(file, part, H5P_DEFAULT) > 0
                    ? hdf5.H5Gopen2(file, part, H5P_DEFAULT)
                    : hdf5.H5Gcreate2(file, part, H5P_DEFAULT, creation, H5P_DEFAULT);
        release(creation);
        release(*parent);
        *parent = group;
        if (group < 0)
            status = hdf5_error_set(MPM_EIO, "cannot create the group %s", part);
        at += length;
    }
    return status;
}

/* All of them, with their scales. `parent` is where marks stand, if there are scales. */
static int make_results_in(hid_t file, hid_t parent, struct output *output, bool is_last)
{
    hid_t group;
    int status;

    if (!output->result.is_struct) {
        status = scales_make(output->scales, parent, parent);
        return status ? status : make_fields(file, output, is_last);
    }
    if ((status = make_group(file, output, &group)))
        return status;
    status = scales_make(output->scales, group, parent);
    if (!status && !(status = describe_result(group, output)))
        status = make_fields(group, output, is_last);
    release(group);
    return status;
}

static int make_results(hid_t file, struct output *output, bool is_last)
{
    hid_t parent = -1;
    int status = has_scales(output) ? open_parent(file, output, &parent) : 0;

    if (!status)
        status = make_results_in(file, parent, output, is_last);
    release(parent);
    return status;
}

static int make_marks(hid_t file, struct output *output)
{
    char name[PATH_MAX];
    struct grid_space space;
    struct layout_set set = {.name = name,
                             .type = *hdf5.H5T_NATIVE_UINT8_g,
                             .rank = 1,
                             .extent = {output->record.rows},
                             .most = {output->record.rows}};
    hid_t dataset, creation = make_contiguous();
    int status;

    snprintf(name, sizeof name, "%.*s.done", PATH_MAX - 6, output->dataset);
    if (output->grid.capacity) {
        grid_space_of(&output->grid, &(mpm_shape){.type = MPM_U8}, &space);
        take_space(&set, &space);
    }
    status = layout_make_set(file, &set, creation, &dataset);
    if (!status)
        status = find_offset(dataset, rows_laid_out(output), &output->record.marks_at);
    if (!status && output->scales)
        status = scales_attach(output->scales, dataset, &output->scales->marks, 1);
    release(dataset);
    release(creation);
    return status;
}

int layout_make(hid_t file, struct output *output, bool is_last)
{
    int status = make_results(file, output, is_last);

    if (!status)
        status = make_marks(file, output);
    status = scales_end(output->scales, status);
    return status || output->is_into ? status : name_result(file, output);
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

/* Of what stands in the group /: netCDF changes no file without. */
static bool keep_order(hid_t creation)
{
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;

    return hdf5.H5Pset_link_creation_order(creation, order) >= 0 &&
           hdf5.H5Pset_attr_creation_order(creation, order) >= 0 &&
           hdf5.H5Pset_obj_track_times(creation, 0) >= 0;
}

/* Only the formats since HDF5 1.10 have all chunks in one piece. They have times of groups, too, which are left out. */
int layout_create_file(const struct output *output, hid_t access, hid_t *file)
{
    char opened[64];
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_FILE_CREATE_ID_g);
    int status = 0;

    *file = -1;
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", output->fd);
    if (access >= 0 && creation >= 0 && (!has_scales(output) || keep_order(creation)) &&
        ((!output->grid.is_stitched && !output->grid.capacity) ||
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
