/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking through an old output file for what a new one would not have: all groups on the way to the result, and the
 * result itself if it is a group. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/hdf5_call.h"
#include "data/output_old.h"

#define MAX_NAME 1024 /* of a link in the old file, else it is another one's */

/* What an old output file holds beside the result of this map. */
struct search {
    hid_t file;
    const struct output *output;
    char *kept;           /* which coordinates the old map has made, as scales_lists() has it; or NULL */
    char next[MAX_NAME];  /* the part of the result's name that stands in the group that is searched */
    bool is_last;         /* it is the result itself */
    char other[MAX_NAME]; /* out */
};

/* Whether something is this search's own. */
typedef bool is_own(struct search *search, hid_t object, const char *path, const char *name);

static bool is_kind(hid_t object, H5I_type_t kind)
{
    return object >= 0 && hdf5.H5Iget_type(object) == kind;
}

/* What a map has put beside its results says which those are. */
static bool is_beside_result(const struct search *search, hid_t object)
{
    char result[PATH_MAX];

    return object >= 0 && attribute_read_text(object, OUTPUT_ATTRIBUTE, result, sizeof result) &&
           !strcmp(result, search->output->dataset);
}

/* The coordinates that the old map has made. */
static bool is_kept(const struct search *search, const char *path)
{
    return search->kept && scales_lists(search->kept, path);
}

/* Whether all that stands in a group is; else the name of what is not. */
static bool search_group(struct search *search, const char *path, is_own *is)
{
    H5G_info_t info = {.nlinks = 0};
    hid_t group = hdf5.H5Gopen2(search->file, *path ? path : "/", H5P_DEFAULT);
    bool found = group < 0 || hdf5.H5Gget_info(group, &info) < 0;

    for (hsize_t i = 0; !found && i < info.nlinks; i++) {
        char name[MAX_NAME] = "?", whole[MAX_NAME + PATH_MAX];
        hid_t object;

        hdf5.H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        snprintf(whole, sizeof whole, "%s/%s", path, name);
        object = hdf5.H5Oopen(search->file, whole, H5P_DEFAULT);
        found = !is(search, object, whole, name);
        if (object >= 0)
            hdf5.H5Oclose(object);
        if (found && !*search->other)
            snprintf(search->other, sizeof search->other, "%.*s", (int)sizeof search->other - 1, whole);
    }
    if (group >= 0)
        hdf5.H5Gclose(group);
    return !found;
}

static bool is_field(struct search *search, hid_t object, const char *path, const char *name)
{
    const struct result *result = &search->output->result;

    return is_beside_result(search, object) || is_kept(search, path) ||
           (is_kind(object, H5I_DATASET) && result_find(result, name, strlen(name)));
}

/* Results of which each is one of this map's, too. */
static bool is_group_of_results(struct search *search, hid_t object, const char *path)
{
    char shape[RESULT_TEXT_SIZE];

    return search->output->result.is_struct &&
           attribute_read_text(object, origin_attribute(ORIGIN_RESULT_SHAPE), shape, sizeof shape) &&
           search_group(search, path, is_field);
}

static bool belongs(struct search *search, hid_t object, const char *path, const char *name)
{
    size_t length = strlen(search->next);

    if (is_beside_result(search, object) || is_kept(search, path))
        return true;
    if (strncmp(name, search->next, length))
        return false;
    if (!search->is_last)
        return !name[length] && is_kind(object, H5I_GROUP);
    if (!name[length] && is_kind(object, H5I_GROUP))
        return is_group_of_results(search, object, path);
    return (!name[length] || !strcmp(name + length, ".done")) && is_kind(object, H5I_DATASET);
}

/* Goes down the groups of the result's name as far as they exist. */
static bool holds_only_result(struct search *search, const char *dataset)
{
    char path[PATH_MAX] = "";

    for (const char *at = dataset; *at;) {
        size_t length = strcspn(at, "/");

        if (length > 0 && !(length == 1 && *at == '.')) {
            snprintf(search->next, sizeof search->next, "%.*s", (int)length, at);
            search->is_last = !at[length];
            if (!search_group(search, path, belongs))
                return false;
            snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", search->next);
            if (search->is_last || hdf5.H5Lexists(search->file, path, H5P_DEFAULT) <= 0)
                return true;
        }
        at += length + (at[length] == '/');
    }
    return true;
}

#define OR_OVERWRITE "choose another name, or overwrite the whole file (--overwrite-file, MPM_OVERWRITE_FILE)"

int old_check_holds_only_result(const struct output *output)
{
    struct hdf5_guard guard;
    struct search search = {.output = output};
    hid_t access;
    int status = hdf5_load();

    if (status)
        return status;
    hdf5_enter(&guard);
    access = hdf5_file_access(false);
    search.file = access < 0 ? -1 : hdf5.H5Fopen(output->path, H5F_ACC_RDONLY, access);
    if (search.file < 0)
        status = error_set(MPM_EEXIST, "%s is not a readable HDF5 file: " OR_OVERWRITE, output->name);
    else
        search.kept = scales_read_list(search.file, output->dataset);
    if (!status && !holds_only_result(&search, output->dataset))
        status = error_set(MPM_EEXIST, "%s also holds %s, which would be lost: " OR_OVERWRITE, output->name,
                           *search.other ? search.other : "objects that cannot be read");
    free(search.kept);
    if (search.file >= 0)
        hdf5.H5Fclose(search.file);
    if (access >= 0)
        hdf5.H5Pclose(access);
    hdf5_leave(&guard);
    return status;
}
