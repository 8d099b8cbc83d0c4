/* SPDX-License-Identifier: BSD-3-Clause */
/* Which dimensions of results are those of the input: the one that rows stand along; tiles of one element, and images
 * that are as large as the data set; and all that are behind, where a result has the very shape of an item. Their
 * scales are read, of rows the chosen ones, of several files one after the other. All other dimensions of a data set
 * that has scales get names as well, since netCDF wants either all or none to have one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/input_inside.h"
#include "data/output.h"
#include "data/scales.h"

#define MOST_BYTES    ((uint64_t)1 << 30) /* of the values of all scales, which main has in memory */
#define MOST_VERTICES 4096u               /* of a cell */
#define MOST_NAMES    4096                /* bytes of an attribute that names companions */

/* Of the scales that each dimension of a data set has. */
struct paths {
    char path[MAX_RANK][SCALES_A_DIM][SCALE_NAME];
    unsigned count[MAX_RANK];
};

struct finding {
    const mpm_dataset_map *map;
    struct input *input;
    struct output *output;
    struct scales *scales;
    hid_t file, dataset; /* of the input: the first, if there are several */
    unsigned rank;
    const hsize_t *extent;
    bool is_side_by_side, is_out_of_memory;
    struct paths paths;
};

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

static void drop_values(struct scale *scale)
{
    hid_t space = scale->all ? hdf5.H5Screate_simple(1, &scale->read, NULL) : -1;

    if (space >= 0)
        hdf5.H5Dvlen_reclaim(scale->type, space, H5P_DEFAULT, scale->all);
    release(space);
    release(scale->type);
    if (scale->values != scale->all)
        free(scale->values);
    free(scale->all);
    attribute_values_free(&scale->attributes);
    scale->type = -1;
    scale->all = scale->values = NULL;
}

void scales_free(struct scales *scales)
{
    struct hdf5_guard guard;

    if (!scales)
        return;
    hdf5_enter(&guard);
    for (unsigned i = 0; i < scales->count; i++) {
        drop_values(&scales->scale[i]);
        free(scales->scale[i].users);
    }
    for (unsigned i = 0; i < SCALES_NAMERS; i++)
        free(scales->names[i]);
    attribute_values_free(&scales->of_dataset);
    attribute_values_free(&scales->of_file);
    hdf5_leave(&guard);
    free(scales);
}

/* ---- Which attributes ---- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (!strcmp(name, *names))
            return true;
    }
    return false;
}

/* Those that say how something is stored are made by whoever stores it. */
static bool is_of_storage(const char *name)
{
    static const char *const names[] = {
        "CLASS",          "NAME",        "REFERENCE_LIST",      "DIMENSION_LIST",
        "_Netcdf4Dimid",  "_nc3_strict", "_Netcdf4Coordinates", "_NCProperties",
        OUTPUT_ATTRIBUTE, SCALES_KEPT,   "DIMENSION_LABELS",    NULL};

    return is_one_of(name, names);
}

static bool is_of_scale(const char *name)
{
    return !is_of_storage(name);
}

/* What a companion names in its turn stays behind. */
static bool is_of_companion(const char *name)
{
    bool names = !strcmp(name, "bounds");

    for (unsigned i = 0; i < SCALES_NAMERS; i++)
        names = names || !strcmp(name, scales_namers[i]);
    return !names && !is_of_storage(name);
}

/* Nor are those that are about the numbers of the input. */
static bool is_of_result(const char *name)
{
    static const char *const names[] = {
        "_FillValue",  "missing_value", "scale_factor",        "add_offset",  "_Unsigned",    "valid_min",
        "valid_max",   "valid_range",   "actual_range",        "coordinates", "grid_mapping", "cell_measures",
        "_ChunkSizes", "bounds",        "ancillary_variables", NULL};

    return !is_of_storage(name) && !is_one_of(name, names);
}

/* ---- What the input has ---- */

static void take_path(struct paths *paths, unsigned dimension, hid_t scale)
{
    unsigned count = paths->count[dimension];

    if (scale >= 0 && count < SCALES_A_DIM && hdf5.H5Iget_type(scale) == H5I_DATASET &&
        hdf5.H5Iget_name(scale, paths->path[dimension][count], SCALE_NAME) > 0 &&
        strlen(paths->path[dimension][count]) < SCALE_NAME - 1)
        paths->count[dimension]++;
}

static void take_lists(hid_t dataset, unsigned rank, hid_t attribute, hid_t type, struct paths *paths)
{
    hid_t space = hdf5.H5Aget_space(attribute);
    hvl_t lists[MAX_RANK] = {{0}};
    bool is = space >= 0 && hdf5.H5Sget_simple_extent_npoints(space) == (hssize_t)rank &&
              hdf5.H5Aread(attribute, type, lists) >= 0;

    for (unsigned i = 0; is && i < rank; i++) {
        for (size_t k = 0; k < lists[i].len; k++) {
            hid_t scale = hdf5.H5Rdereference2(dataset, H5P_DEFAULT, H5R_OBJECT,
                                               (const hobj_ref_t *)lists[i].p + k);

            take_path(paths, i, scale);
            if (scale >= 0)
                hdf5.H5Oclose(scale);
        }
    }
    if (is)
        hdf5.H5Dvlen_reclaim(type, space, H5P_DEFAULT, lists);
    release(space);
}

/* A data set may be the scale of its own only dimension. */
static void find_paths(hid_t dataset, unsigned rank, struct paths *paths)
{
    char class[32];
    hid_t attribute = -1, stored = -1, super = -1, type = -1;

    if (attribute_read_text(dataset, "CLASS", class, sizeof class) && !strcmp(class, "DIMENSION_SCALE") &&
        rank == 1) {
        take_path(paths, 0, dataset);
        return;
    }
    if (hdf5.H5Aexists(dataset, "DIMENSION_LIST") > 0)
        attribute = hdf5.H5Aopen(dataset, "DIMENSION_LIST", H5P_DEFAULT);
    if (attribute >= 0)
        stored = hdf5.H5Aget_type(attribute);
    if (stored >= 0 && hdf5.H5Tget_class(stored) == H5T_VLEN)
        super = hdf5.H5Tget_super(stored);
    if (super >= 0 && hdf5.H5Tequal(super, *hdf5.H5T_STD_REF_OBJ_g) > 0 &&
        (type = hdf5.H5Tvlen_create(*hdf5.H5T_STD_REF_OBJ_g)) >= 0)
        take_lists(dataset, rank, attribute, type, paths);
    release(type);
    release(super);
    release(stored);
    release(attribute);
}

/* ---- Which dimensions are the same ---- */

static bool is_cut(const struct finding *finding)
{
    return finding->map->tiling.rank > 0;
}

/* The dimension that rows stand along, of which some may be chosen. */
static int row_dimension(const struct finding *finding)
{
    return is_cut(finding) ? SCALES_NOWHERE : (int)finding->map->axis;
}

static bool is_item(const struct finding *finding, const mpm_shape *result)
{
    const mpm_shape *item = &finding->input->row;

    return result->rank == item->rank && !finding->is_side_by_side &&
           !memcmp(result->extent, item->extent, item->rank * sizeof item->extent[0]);
}

/* Of a dimension of an item. */
static int of_item(const struct finding *finding, unsigned dimension)
{
    unsigned at = is_cut(finding) || dimension < finding->map->axis ? dimension : dimension + 1;

    return at < finding->rank ? (int)at : SCALES_NOWHERE;
}

static int of_rows(const struct finding *finding, const mpm_shape *result, unsigned dimension)
{
    if (dimension == 0)
        return (int)finding->map->axis;
    return is_item(finding, result) ? of_item(finding, dimension - 1) : SCALES_NOWHERE;
}

/* Results that are pieces of an image: behind those that are cut, dimensions are those of an item. */
static int of_image(const struct finding *finding, const struct grid_space *space, unsigned dimension)
{
    bool is_same = dimension < finding->rank && (unsigned)space->rank == finding->rank &&
                   space->extent[dimension] == finding->extent[dimension];

    return is_same ? (int)dimension : SCALES_NOWHERE;
}

static int of_tiles(const struct finding *finding, const mpm_shape *result, unsigned dimension)
{
    const struct grid *grid = &finding->output->grid;

    if (dimension < grid->rank)
        return grid->tile[dimension] == 1 ? (int)dimension : SCALES_NOWHERE;
    dimension -= grid->rank;
    return dimension >= finding->map->tiling.rank && is_item(finding, result) ? of_item(finding, dimension)
                                                                              : SCALES_NOWHERE;
}

static int find_dimension(const struct finding *finding, const mpm_shape *result,
                          const struct grid_space *space, unsigned dimension)
{
    if (!is_cut(finding))
        return of_rows(finding, result, dimension);
    return finding->output->grid.is_stitched ? of_image(finding, space, dimension)
                                             : of_tiles(finding, result, dimension);
}

/* ---- The scales of the output ---- */

static const char *last_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The results, and what a map makes beside them. */
static bool is_result(const struct output *output, const char *name, bool is_beside_marks)
{
    const char *base = last_of(output->dataset);
    size_t length = strlen(base);

    if (output->result.is_struct && !is_beside_marks)
        return result_find(&output->result, name, strlen(name));
    return !strncmp(name, base, length) &&
           (!name[length] || !strcmp(name + length, ".done") || !strcmp(name + length, ".failed"));
}

static bool is_taken(const struct finding *finding, const char *name, bool is_beside_marks)
{
    for (unsigned i = 0; i < finding->scales->count; i++) {
        const struct scale *scale = &finding->scales->scale[i];

        if (scale->is_beside_marks == is_beside_marks && !strcmp(scale->name, name))
            return true;
    }
    return is_result(finding->output, name, is_beside_marks);
}

/* One without a path is a name only. NULL if there are very many. */
static struct scale *add_scale(struct finding *finding, const char *name, uint64_t extent,
                               bool is_beside_marks)
{
    struct scales *scales = finding->scales;
    struct scale *scale = &scales->scale[scales->count];

    if (scales->count == SCALES_MOST)
        return NULL;
    *scale = (struct scale){.input_dimension = SCALES_NOWHERE,
                            .is_beside_marks = is_beside_marks,
                            .extent = {extent},
                            .width = 1,
                            .type = -1,
                            .made = -1};
    snprintf(scale->name, sizeof scale->name, "%.*s", SCALE_NAME - 8, name);
    while (is_taken(finding, scale->name, is_beside_marks) && strlen(scale->name) < SCALE_NAME - 2)
        strcat(scale->name, "_");
    scales->count++;
    return scale;
}

static void add_to_list(struct finding *finding, struct scale_list *list, const struct scale *scale)
{
    if (scale && list->count < SCALES_A_DIM)
        list->scale[list->count++] = (unsigned char)(scale - finding->scales->scale);
}

static struct scale *find_scale(struct finding *finding, const char *path, int dimension)
{
    for (unsigned i = 0; i < finding->scales->count; i++) {
        struct scale *scale = &finding->scales->scale[i];

        if (scale->input_dimension == dimension && !strcmp(scale->path, path))
            return scale;
    }
    return NULL;
}

/* The extents of a data set, if it has two dimensions. */
static bool take_extents(hid_t file, const char *path, hsize_t extent[2])
{
    hid_t dataset = hdf5.H5Lexists(file, path, H5P_DEFAULT) > 0 ? hdf5.H5Dopen2(file, path, H5P_DEFAULT) : -1;
    hid_t space = dataset < 0 ? -1 : hdf5.H5Dget_space(dataset);
    bool is = space >= 0 && hdf5.H5Sget_simple_extent_ndims(space) == 2 &&
              hdf5.H5Sget_simple_extent_dims(space, extent, NULL) == 2;

    release(space);
    if (dataset >= 0)
        hdf5.H5Dclose(dataset);
    return is && extent[1] > 0 && extent[1] <= MOST_VERTICES;
}

/* The dimension of so many vertices: bounds of several scales have the same one. */
static struct scale *find_vertices(struct finding *finding, uint64_t width)
{
    char name[32];

    for (unsigned i = 0; i < finding->scales->count; i++) {
        struct scale *scale = &finding->scales->scale[i];

        if (scale->bounds_of && scale->width == width)
            return scale->vertices;
    }
    snprintf(name, sizeof name, width == 2 ? "bnds" : "vertices_%u", (unsigned)width);
    return add_scale(finding, name, width, false);
}

/* What the attribute `bounds` of a scale names, beside it. */
static void add_bounds(struct finding *finding, struct scale *owner)
{
    hid_t dataset = hdf5.H5Dopen2(finding->file, owner->path, H5P_DEFAULT);
    char name[SCALE_NAME] = "", path[PATH_MAX];
    struct scale *bounds, *vertices;
    hsize_t extent[2];
    bool is = dataset >= 0 && attribute_read_text(dataset, "bounds", name, sizeof name) && *name;

    if (dataset >= 0)
        hdf5.H5Dclose(dataset);
    snprintf(path, sizeof path, "%.*s%s", (int)(last_of(owner->path) - owner->path), owner->path, name);
    if (!is || !take_extents(finding->file, path, extent) ||
        !(vertices = find_vertices(finding, extent[1])) ||
        !(bounds = add_scale(finding, last_of(name), owner->extent[0], false)))
        return;
    snprintf(bounds->path, sizeof bounds->path, "%s", path);
    bounds->input_dimension = owner->input_dimension;
    bounds->bounds_of = owner;
    bounds->vertices = vertices;
    bounds->width = extent[1];
}

/* A dimension of the input. */
static void list_shared(struct finding *finding, int dimension, uint64_t extent, struct scale_list *list)
{
    char name[32];
    unsigned count = finding->paths.count[dimension];

    snprintf(name, sizeof name, dimension == row_dimension(finding) ? "rows" : "dim_%d", dimension);
    for (unsigned i = 0; i < (count ? count : 1); i++) {
        const char *path = count ? finding->paths.path[dimension][i] : "";
        struct scale *scale = find_scale(finding, path, dimension);

        if (!scale && (scale = add_scale(finding, count ? last_of(path) : name, extent, false))) {
            snprintf(scale->path, sizeof scale->path, "%s", path);
            scale->input_dimension = dimension;
            if (count)
                add_bounds(finding, scale);
        }
        add_to_list(finding, list, scale);
    }
}

static void list_field(struct finding *finding, unsigned index)
{
    const struct output *output = finding->output;
    const struct result_field *field = &output->result.field[index];
    const char *name = output->result.is_struct ? field->name : last_of(output->dataset);
    const mpm_shape one = {.type = field->vlen}, *shape = field->vlen ? &one : &field->shape;
    struct grid_space space;
    char own[SCALE_NAME];

    grid_space_of(&output->grid, shape, &space);
    for (unsigned i = 0; i < (unsigned)space.rank; i++) {
        int dimension = find_dimension(finding, shape, &space, i);
        struct scale_list *list = &finding->scales->field[index][i];

        snprintf(own, sizeof own, "%.*s_dim_%u", SCALE_NAME - 16, name, i);
        if (dimension != SCALES_NOWHERE)
            list_shared(finding, dimension, space.extent[i], list);
        else
            add_to_list(finding, list, add_scale(finding, own, space.extent[i], false));
    }
}

/* Marks are a row, whatever the results are. Those of results that are several stand in another group, which has a
 * dimension of the same name. */
static void list_marks(struct finding *finding)
{
    struct scales *scales = finding->scales;
    const struct output *output = finding->output;
    bool is_row = output->grid.rank == 1 && !output->grid.is_stitched && scales->field[0][0].count;
    const struct scale *twin = is_row ? &scales->scale[scales->field[0][0].scale[0]] : NULL;
    struct scale *own;

    if (is_row && !output->result.is_struct) {
        scales->marks = scales->field[0][0];
        return;
    }
    own = add_scale(finding, twin ? twin->name : "tiles", output->record.rows, output->result.is_struct);
    if (own)
        own->twin = twin;
    add_to_list(finding, &scales->marks, own);
}

/* ---- Companions ---- */

static void tell_left_out(const struct finding *finding, const struct scale *scale, const char *why)
{
    output_tell(finding->output, "the coordinates %s of %s:%s are left out: %s", scale->path,
                finding->input->file_name, finding->input->dataset_name, why);
}

/* The dimension of the input that has one of these scales. */
static int dimension_of(const struct finding *finding, const struct paths *paths, unsigned at)
{
    for (unsigned i = 0; i < finding->rank; i++) {
        for (unsigned k = 0; k < finding->paths.count[i] && paths->count[at]; k++) {
            if (!strcmp(finding->paths.path[i][k], paths->path[at][0]))
                return (int)i;
        }
    }
    return SCALES_NOWHERE;
}

/* The scales that results have along a dimension of the input. */
static void list_of_dimension(struct finding *finding, int dimension, struct scale_list *list)
{
    for (unsigned i = 0; i < finding->paths.count[dimension]; i++)
        add_to_list(finding, list, find_scale(finding, finding->paths.path[dimension][i], dimension));
}

static bool is_along(const struct finding *finding, const struct scale_list *lists, int dimension)
{
    bool is = false;

    for (unsigned i = 0; !is && i < GRID_MAX_RANK && lists[i].count; i++)
        is = finding->scales->scale[lists[i].scale[0]].input_dimension == dimension;
    return is;
}

/* Whether a result has all dimensions of the data set. Nobody knows of results who only tries to read. */
static bool is_shared_whole(const struct finding *finding)
{
    unsigned count = finding->output->result.count;
    bool is = !count;

    for (unsigned i = 0; !is && i < count; i++) {
        is = true;
        for (unsigned k = 0; is && k < finding->rank; k++)
            is = is_along(finding, finding->scales->field[i], (int)k);
    }
    return is;
}

/* Which dimensions it has: false unless some result shares each of them, rows first if they are among them. */
static bool take_dimensions(struct finding *finding, hid_t dataset, struct scale *scale)
{
    hid_t space = hdf5.H5Dget_space(dataset);
    int rank = space < 0 ? -1 : hdf5.H5Sget_simple_extent_ndims(space);
    struct paths *paths = rank >= 0 && rank <= (int)finding->rank ? calloc(1, sizeof *paths) : NULL;
    bool is = paths && hdf5.H5Sget_simple_extent_dims(space, scale->all_extents, NULL) == rank;

    release(space);
    if (is)
        find_paths(dataset, (unsigned)rank, paths);
    scale->rank = is ? (unsigned)rank : 0;
    scale->input_dimension = SCALES_ONE_VALUE;
    for (unsigned i = 0; is && i < scale->rank; i++) {
        int dimension = dimension_of(finding, paths, i);

        is = dimension != SCALES_NOWHERE && scale->all_extents[i] == finding->extent[dimension] &&
             (i == 0 || dimension != row_dimension(finding));
        if (is)
            list_of_dimension(finding, dimension, &scale->of[i]);
        if (i == 0)
            scale->input_dimension = dimension;
        else
            scale->width *= scale->all_extents[i];
        is = is && scale->of[i].count;
    }
    free(paths);
    return is && (scale->rank || is_shared_whole(finding));
}

/* What an attribute names, beside the data set or by a path. What is not there may be in a file of its own. */
static void add_companion(struct finding *finding, const char *name)
{
    char path[PATH_MAX], own[PATH_MAX] = "";
    struct scale *scale;
    hid_t dataset;

    if (hdf5.H5Iget_name(finding->dataset, own, sizeof own) < 0)
        return;
    snprintf(path, sizeof path, "%.*s%s", *name == '/' ? 0 : (int)(last_of(own) - own), own, name);
    for (unsigned i = 0; i < finding->scales->count; i++) {
        if (!strcmp(finding->scales->scale[i].path, path))
            return;
    }
    dataset = hdf5.H5Lexists(finding->file, path, H5P_DEFAULT) > 0
                  ? hdf5.H5Dopen2(finding->file, path, H5P_DEFAULT)
                  : -1;
    if (dataset < 0)
        return;
    if ((scale = add_scale(finding, last_of(name), 1, false))) {
        scale->is_companion = true;
        snprintf(scale->path, sizeof scale->path, "%s", path);
        if (!take_dimensions(finding, dataset, scale))
            finding->scales->count--;
        else if (scale->rank)
            scale->extent[0] = finding->scales->scale[scale->of[0].scale[0]].extent[0];
    }
    hdf5.H5Dclose(dataset);
}

/* Words with a colon say what a word behind them is, or are names themselves (CF's cell_measures, grid_mapping). */
static void add_companions(struct finding *finding, const char *names)
{
    char *copy = strdup(names), *rest = NULL;

    finding->is_out_of_memory |= !copy;
    for (char *word = copy ? strtok_r(copy, " ", &rest) : NULL; word; word = strtok_r(NULL, " ", &rest)) {
        size_t length = strlen(word);

        if (length > 1 && word[length - 1] == ':')
            word[length - 1] = '\0';
        if (length < SCALE_NAME - 8)
            add_companion(finding, word);
    }
    free(copy);
}

/* What is about the values of the input, as its errors are, is about results only where that is said. */
static void find_companions(struct finding *finding)
{
    char names[MOST_NAMES];
    unsigned most = finding->map->keep == MPM_KEEP_ATTRIBUTES ? SCALES_NAMERS : SCALES_NAMERS - 1;

    finding->scales->input_rank = (int)finding->rank;
    for (unsigned i = 0; i < most && !finding->is_side_by_side; i++) {
        if (!attribute_read_text(finding->dataset, scales_namers[i], names, sizeof names))
            continue;
        finding->is_out_of_memory |= !(finding->scales->names[i] = strdup(names));
        add_companions(finding, names);
    }
}

/* ---- Values ---- */

/* The data set of a scale in the open file. One that is a name only has nothing to read. */
static hid_t open_scale(hid_t file, const struct scale *scale)
{
    char name[80];
    hid_t dataset = hdf5.H5Dopen2(file, scale->path, H5P_DEFAULT);

    if (dataset >= 0 && attribute_read_text(dataset, "NAME", name, sizeof name) &&
        !strncmp(name, SCALES_ONLY_NAMED, strlen(SCALES_ONLY_NAMED))) {
        hdf5.H5Dclose(dataset);
        return -1;
    }
    return dataset;
}

static bool has_extents(hid_t space, int rank, const hsize_t extent[GRID_MAX_RANK])
{
    hsize_t has[GRID_MAX_RANK] = {0};

    if (hdf5.H5Sget_simple_extent_ndims(space) != rank ||
        hdf5.H5Sget_simple_extent_dims(space, has, NULL) != rank)
        return false;
    return rank == 0 ||
           (has[0] >= extent[0] && !memcmp(has + 1, extent + 1, (size_t)(rank - 1) * sizeof *has));
}

/* So many values from the first on, or what belongs to so many. */
static bool read_values(hid_t dataset, const struct scale *scale, uint64_t count, char *to)
{
    const hsize_t start[GRID_MAX_RANK] = {0};
    hsize_t extent[GRID_MAX_RANK];
    int rank = scales_extents(scale, count, extent);
    hid_t in_file = hdf5.H5Dget_space(dataset), in_memory = hdf5.H5Screate_simple(rank, extent, NULL);
    bool is = in_file >= 0 && in_memory >= 0 && has_extents(in_file, rank, extent);

    if (is && rank && count)
        is = hdf5.H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0;
    if (is && count)
        is = hdf5.H5Dread(dataset, scale->type, in_memory, in_file, H5P_DEFAULT, to) >= 0;
    release(in_memory);
    release(in_file);
    return is;
}

/* Its type and its attributes, of the first file, and memory for `count` values. */
static bool begin_scale(struct finding *finding, hid_t dataset, uint64_t count, struct scale *scale)
{
    hid_t stored = hdf5.H5Dget_type(dataset);
    uint64_t bytes;

    if (stored >= 0 && hdf5.H5Tdetect_class(stored, H5T_REFERENCE) == 0)
        scale->type = hdf5.H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    release(stored);
    if (scale->type < 0)
        return false;
    if (__builtin_mul_overflow(count, hdf5.H5Tget_size(scale->type), &bytes) ||
        bytes > MOST_BYTES - finding->scales->size || !(scale->all = calloc(1, bytes + 1))) {
        tell_left_out(finding, scale, "they are larger than 1 GiB");
        return false;
    }
    finding->scales->size += bytes;
    scale->read = count;
    scale->values = scale->all;
    finding->is_out_of_memory |= !attribute_values_take(
        dataset, scale->is_companion ? is_of_companion : is_of_scale, &scale->attributes);
    return true;
}

/* Times that count from another day, for example, are not one row of numbers. */
static bool goes_on(const struct finding *finding, hid_t dataset, const struct scale *scale)
{
    struct attribute_values values = {0};
    bool is = attribute_values_take(dataset, is_of_scale, &values) &&
              attribute_values_agree(&values, &scale->attributes, "units") &&
              attribute_values_agree(&values, &scale->attributes, "calendar");

    attribute_values_free(&values);
    if (!is)
        tell_left_out(finding, scale, "their units are not the same in all files");
    return is;
}

/* Rows [first, first + count) of all, from the open file. */
static bool read_piece(struct finding *finding, hid_t file, uint64_t first, uint64_t count,
                       struct scale *scale)
{
    hid_t dataset = open_scale(file, scale);
    bool is = dataset >= 0 && (!first || goes_on(finding, dataset, scale));

    if (is && !read_values(dataset, scale, count,
                           (char *)scale->all + first * scale->width * hdf5.H5Tget_size(scale->type))) {
        tell_left_out(finding, scale, "they cannot be read, or are fewer than rows");
        is = false;
    }
    if (dataset >= 0)
        hdf5.H5Dclose(dataset);
    return is;
}

/* Of the file that is open: all that it has. */
static void read_scales(struct finding *finding, hid_t file, bool of_rows, uint64_t first, uint64_t count)
{
    for (unsigned i = 0; i < finding->scales->count; i++) {
        struct scale *scale = &finding->scales->scale[i];
        bool is_row = scale->input_dimension == row_dimension(finding);

        if (scale->type < 0 || is_row != of_rows)
            continue;
        if ((scale->bounds_of && scale->bounds_of->type < 0) ||
            !read_piece(finding, file, of_rows ? first : 0, of_rows ? count : scale->extent[0], scale))
            drop_values(scale);
    }
}

/* The first file says which scales have values, and of which type. */
static void begin_scales(struct finding *finding)
{
    for (unsigned i = 0; i < finding->scales->count; i++) {
        struct scale *scale = &finding->scales->scale[i];
        bool is_row = scale->input_dimension == row_dimension(finding);
        hid_t dataset = *scale->path ? open_scale(finding->file, scale) : -1;

        if (dataset < 0)
            continue;
        if (!begin_scale(finding, dataset,
                         (is_row ? finding->input->file_rows : scale->extent[0]) * scale->width, scale))
            drop_values(scale);
        hdf5.H5Dclose(dataset);
    }
}

static int read_files(struct finding *finding)
{
    struct input *input = finding->input;
    struct hdf5_guard guard;
    uint64_t first, end;

    for (uint64_t row = 0; row < input->file_rows; row = end) {
        int status = input_open_for_row(input, row, &first, &end);

        if (status)
            return status;
        hdf5_enter(&guard);
        read_scales(finding, input_first(input)->file, true, first, end - first);
        hdf5_leave(&guard);
    }
    return input->file_rows ? input_open_for_row(input, 0, &first, &end) : 0;
}

/* The values of the rows that are chosen. False without memory. */
static bool choose_values(const struct input *input, struct scale *scale)
{
    size_t size = hdf5.H5Tget_size(scale->type) * (size_t)scale->width, run;
    char *to = malloc(input->rows * size + 1);
    uint64_t start, step;

    if (!to)
        return false;
    scale->values = to;
    for (uint64_t row = 0; row < input->rows; row += run) {
        run = input_find_run(input, row, (size_t)(input->rows - row), &start, &step);
        for (size_t i = 0; i < run; i++, to += size)
            memcpy(to, (const char *)scale->all + (start + i * step) * size, size);
    }
    return true;
}

static bool choose_all_values(struct finding *finding)
{
    const mpm_row_choice *choice = &finding->input->choice;
    bool is_all = !choice->indexes && !choice->first && choice->step <= 1 &&
                  finding->input->rows == finding->input->file_rows;
    bool is = true;

    for (unsigned i = 0; is && !is_all && i < finding->scales->count; i++) {
        struct scale *scale = &finding->scales->scale[i];

        if (scale->type >= 0 && scale->input_dimension == row_dimension(finding))
            is = choose_values(finding->input, scale);
    }
    return is;
}

/* ---- All of it ---- */

static bool has_scales(const struct finding *finding)
{
    for (unsigned i = 0; i < finding->scales->count; i++) {
        if (*finding->scales->scale[i].path)
            return true;
    }
    return false;
}

static void take_attributes(struct finding *finding)
{
    struct scales *scales = finding->scales;
    hid_t root = hdf5.H5Gopen2(finding->file, "/", H5P_DEFAULT);

    finding->is_out_of_memory |= !attribute_values_take(finding->dataset, is_of_result, &scales->of_dataset);
    if (root >= 0) {
        finding->is_out_of_memory |= !attribute_values_take(root, is_of_scale, &scales->of_file);
        hdf5.H5Gclose(root);
    }
}

/* What the open file says. */
static void look(struct finding *finding)
{
    const struct input *first = input_first(finding->input);

    finding->file = first->file;
    finding->dataset = first->dataset;
    finding->rank = first->rank + 1;
    finding->extent = first->extent;
    finding->is_side_by_side = first != finding->input;
    if (finding->map->keep == MPM_KEEP_ATTRIBUTES)
        take_attributes(finding);
    find_paths(finding->dataset, finding->rank, &finding->paths);
    for (unsigned i = 0; i < finding->output->result.count; i++)
        list_field(finding, i);
    list_marks(finding);
    if (!has_scales(finding)) {
        finding->scales->count = 0;
        return;
    }
    find_companions(finding);
    begin_scales(finding);
    read_scales(finding, finding->file, false, 0, 0);
    if (!finding->input->files)
        read_scales(finding, finding->file, true, 0, finding->input->file_rows);
}

static int find(struct finding *finding)
{
    struct hdf5_guard guard;
    int status = 0;

    hdf5_enter(&guard);
    look(finding);
    hdf5_leave(&guard);
    if (finding->input->files && finding->scales->count)
        status = read_files(finding);
    if (!status && (finding->is_out_of_memory || !choose_all_values(finding)))
        status = error_set(MPM_ENOMEM, "no memory for the coordinates of %s", finding->input->file_name);
    return status;
}

/* All that the open file has, whatever the results would share with it. */
static void probe(struct finding *finding)
{
    const struct input *first = input_first(finding->input);
    struct hdf5_guard guard;

    hdf5_enter(&guard);
    finding->file = first->file;
    finding->dataset = first->dataset;
    finding->rank = first->rank + 1;
    finding->extent = first->extent;
    take_attributes(finding);
    if (finding->map->keep != MPM_KEEP_NOTHING)
        find_paths(finding->dataset, finding->rank, &finding->paths);
    for (unsigned i = 0; i < finding->rank; i++) {
        struct scale_list unused = {0};

        if (finding->paths.count[i])
            list_shared(finding, (int)i, finding->extent[i], &unused);
    }
    if (finding->map->keep != MPM_KEEP_NOTHING)
        find_companions(finding);
    begin_scales(finding);
    read_scales(finding, finding->file, false, 0, 0);
    if (!finding->input->files)
        read_scales(finding, finding->file, true, 0, finding->input->file_rows);
    hdf5_leave(&guard);
}

int scales_probe(const mpm_dataset_map *map, struct input *input)
{
    struct finding *finding = calloc(1, sizeof *finding);
    struct output *none = calloc(1, sizeof *none);
    struct scales *scales = calloc(1, sizeof *scales);
    int status = 0;

    if (finding && none && scales) {
        none->dataset = "";
        *finding = (struct finding){.map = map, .input = input, .output = none, .scales = scales};
        probe(finding);
        if (input->files && scales->count)
            status = read_files(finding);
        scales_free(scales);
    } else {
        free(scales);
        status = error_set(MPM_ENOMEM, "no memory for the coordinates of %s", input->file_name);
    }
    free(none);
    free(finding);
    return status;
}

int scales_find(const mpm_dataset_map *map, struct input *input, struct output *output)
{
    struct finding *finding;
    int status = MPM_ENOMEM;

    if (map->keep == MPM_KEEP_NOTHING)
        return 0;
    finding = calloc(1, sizeof *finding);
    if (finding && (finding->scales = calloc(1, sizeof *finding->scales))) {
        finding->map = map;
        finding->input = input;
        finding->output = output;
        output->scales = finding->scales;
        status = find(finding);
    } else {
        error_set(MPM_ENOMEM, "no memory for the coordinates of %s", input->file_name);
    }
    if (output->scales && !output->scales->count && map->keep != MPM_KEEP_ATTRIBUTES) {
        scales_free(output->scales);
        output->scales = NULL;
    }
    free(finding);
    return status;
}
