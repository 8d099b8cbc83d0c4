/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding a data set by its name, and saying what stands in the way. Called between hdf5_enter() and hdf5_leave(). */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"

#define NAMES_LISTED 12
#define MAX_TARGET   1024

/* Writes "it holds a, b, c" for the first names in a group. */
static char *list_group(hid_t group, char *text, size_t size)
{
    H5G_info_t info = {.nlinks = 0};
    bool is_damaged = hdf5.H5Gget_info(group, &info) < 0;
    size_t length;

    if (is_damaged || info.nlinks == 0) {
        snprintf(text, size, "it is %s", is_damaged ? "damaged" : "empty");
        return text;
    }
    length = (size_t)snprintf(text, size, "it holds");
    for (hsize_t i = 0; i < info.nlinks && i < NAMES_LISTED && length < size; i++) {
        char name[64] = "?";
        hdf5.H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        length += (size_t)snprintf(text + length, size - length, "%s %s", i ? "," : "", name);
    }
    if (info.nlinks > NAMES_LISTED && length < size)
        snprintf(text + length, size - length, " and %llu more",
                 (unsigned long long)(info.nlinks - NAMES_LISTED));
    return text;
}

/* `parent`: the innermost group on the way that there is; "" is the top. */
static int no_dataset(const struct input *input, const char *parent)
{
    char list[512];
    hid_t group = hdf5.H5Gopen2(input->file, *parent ? parent : "/", H5P_DEFAULT);
    int status;

    list_group(group, list, sizeof list);
    if (group >= 0)
        hdf5.H5Gclose(group);
    if (*parent)
        status = error_set(MPM_ENOENT, "%s has no data set %s: in %s %s", input->file_name,
                           input->dataset_name, parent, list);
    else
        status = error_set(MPM_ENOENT, "%s has no data set %s: at its top level %s", input->file_name,
                           input->dataset_name, list);
    return status;
}

static int not_a_dataset(const struct input *input, hid_t object)
{
    char list[512];

    if (hdf5.H5Iget_type(object) != H5I_GROUP)
        return error_set(MPM_ETYPE, "%s:%s is a type, not a data set", input->file_name, input->dataset_name);
    return error_set(MPM_ETYPE, "%s:%s is a group, not a data set: %s", input->file_name, input->dataset_name,
                     list_group(object, list, sizeof list));
}

/* Fails to open an object, so that HDF5 says why. */
static void fail_to_open(const struct input *input, const char *path)
{
    hid_t object = hdf5.H5Oopen(input->file, path, H5P_DEFAULT);

    if (object >= 0)
        hdf5.H5Oclose(object);
}

static int external_link_is_broken(const struct input *input, const char *path, const char *value,
                                   size_t size)
{
    const char *file = "?", *object = "?";
    unsigned flags;

    hdf5.H5Lunpack_elink_val(value, size, &flags, &file, &object);
    fail_to_open(input, path);
    return hdf5_error_set(MPM_ENOENT, "%s:%s is an external link to %s in %s, which cannot be opened",
                          input->file_name, path, object, file);
}

/* There is a link of that name, and what it leads to cannot be opened. */
static int link_is_broken(const struct input *input, const char *path)
{
    char value[MAX_TARGET] = "?";
    hdf5_link_info info;

    if (hdf5.HDF5_GET_LINK_INFO(input->file, path, &info, H5P_DEFAULT) < 0)
        return hdf5_error_set(MPM_EIO, "%s:%s cannot be read", input->file_name, path);
    if (info.type != H5L_TYPE_HARD && info.u.val_size < sizeof value)
        hdf5.H5Lget_val(input->file, path, value, sizeof value, H5P_DEFAULT);
    if (info.type == H5L_TYPE_SOFT)
        return error_set(MPM_ENOENT, "%s:%s is a soft link to %s, which %s", input->file_name, path, value,
                         hdf5.H5Lexists(input->file, value, H5P_DEFAULT) > 0
                             ? "is a link, too, and leads nowhere, or in a circle"
                             : "does not exist");
    if (info.type == H5L_TYPE_EXTERNAL)
        return external_link_is_broken(input, path, value, info.u.val_size);
    fail_to_open(input, path);
    return hdf5_error_set(MPM_EIO, "%s:%s is damaged", input->file_name, path);
}

enum step { STEP_DOWN, STEP_IS_MISSING, STEP_CANNOT_BE_OPENED };

/* Whether the way goes on at `path`. */
static enum step look_at_step(const struct input *input, const char *path)
{
    htri_t exists = hdf5.H5Lexists(input->file, path, H5P_DEFAULT);
    hid_t object;

    if (exists == 0)
        return STEP_IS_MISSING;
    object = hdf5.H5Oopen(input->file, path, H5P_DEFAULT);
    if (object < 0)
        return STEP_CANNOT_BE_OPENED;
    exists = hdf5.H5Iget_type(object) == H5I_GROUP;
    hdf5.H5Oclose(object);
    return exists ? STEP_DOWN : STEP_IS_MISSING;
}

/* Goes down the name of a data set that cannot be opened, to where the trouble is. `damage` is what HDF5 said first:
 * once it has looked at what is damaged, it may take that the next time. */
static int find_trouble(const struct input *input, const char *damage)
{
    char path[PATH_MAX] = "", parent[PATH_MAX] = "";

    for (const char *at = input->dataset_name; *at;) {
        size_t length = strcspn(at, "/");
        size_t end = strlen(path);

        if (length > 0 && !(length == 1 && *at == '.')) {
            memcpy(parent, path, end + 1);
            if (snprintf(path + end, sizeof path - end, "/%.*s", (int)length, at) >= (int)(sizeof path - end))
                break;
            switch (look_at_step(input, path)) {
            case STEP_IS_MISSING:
                return no_dataset(input, parent);
            case STEP_CANNOT_BE_OPENED:
                return link_is_broken(input, path);
            case STEP_DOWN:
                break;
            }
        }
        at += length + (at[length] == '/');
    }
    return error_set(MPM_EIO, "%s", damage);
}

/* What stands behind a dot may be a field of the compound before it, and the dot the last one or another. */
static bool is_field(struct input *input)
{
    char path[PATH_MAX];
    hid_t type, object = -1;
    bool is = false;

    if (snprintf(path, sizeof path, "%s", input->dataset_name) >= (int)sizeof path)
        return false;
    for (char *dot = strrchr(path, '.'); dot && !is && dot > path; dot = strrchr(path, '.')) {
        *dot = '\0';
        if (hdf5.H5Lexists(input->file, path, H5P_DEFAULT) <= 0 ||
            (object = hdf5.H5Oopen(input->file, path, H5P_DEFAULT)) < 0)
            continue;
        type = hdf5.H5Iget_type(object) == H5I_DATASET ? hdf5.H5Dget_type(object) : -1;
        is = type >= 0 && hdf5.H5Tget_class(type) == H5T_COMPOUND;
        if (type >= 0)
            hdf5.H5Tclose(type);
        if (!is)
            hdf5.H5Oclose(object);
        input->field = is ? input->dataset_name + (dot - path) + 1 : NULL;
    }
    if (is)
        input->dataset = object;
    return is;
}

int input_find(struct input *input)
{
    char damage[512];
    hid_t object;

    if (!*input->dataset_name)
        return error_set(MPM_EINVAL, "the name of the data set in %s is empty: give one, such as /data",
                         input->file_name);
    object = hdf5.H5Oopen(input->file, input->dataset_name, H5P_DEFAULT);
    if (object < 0) {
        hdf5_error_set(MPM_EIO, "%s:%s is damaged", input->file_name, input->dataset_name);
        snprintf(damage, sizeof damage, "%s", mpm_error());
        return is_field(input) ? 0 : find_trouble(input, damage);
    }
    if (hdf5.H5Iget_type(object) != H5I_DATASET) {
        int status = not_a_dataset(input, object);
        hdf5.H5Oclose(object);
        return status;
    }
    input->dataset = object;
    return 0;
}
