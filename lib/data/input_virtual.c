/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual data sets: their values are those of other data sets, most of them in other files, which HDF5 opens as rows
 * are read. Of one that it cannot open it reads the fill value, and says nothing. So it is tried here, in HDF5's own
 * order of folders, which of them there are; those that are virtual themselves are looked into. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"

#define DEEPEST 16 /* virtual data sets of virtual ones: they may go in a circle */

static const char origin[] = "${ORIGIN}";

/* A virtual data set, and the file that was opened last: one that it names many times is opened once. */
struct mapped {
    hid_t dataset, file, access;
    char folder[PATH_MAX]; /* of its file */
    unsigned depth;
    mpm_dataset_sources *sources;
    char source_file[PATH_MAX], source_set[PATH_MAX]; /* of the last source */
    hid_t source;                                     /* the file of that; or negative */
};

static void look_at(hid_t dataset, unsigned depth, mpm_dataset_sources *sources);

static void keep_missing(const struct mapped *mapped)
{
    if (mapped->sources->missing++ == 0)
        snprintf(mapped->sources->first, sizeof mapped->sources->first, "%s", mpm_error());
}

/* ---- The file of a source ---- */

/* Tries it in a folder; an empty one is that of the process. The error says why there is none. */
static hid_t try_folder(const struct mapped *mapped, const char *folder, size_t length)
{
    char path[PATH_MAX];
    bool is_origin = !strncmp(folder, origin, sizeof origin - 1);
    size_t cut = is_origin ? sizeof origin - 1 : 0;
    hid_t file;

    if (snprintf(path, sizeof path, "%s%.*s%s%s", is_origin ? mapped->folder : "", (int)(length - cut),
                 folder + cut, length ? "/" : "", mapped->source_file) >= (int)sizeof path ||
        (access(path, F_OK) && errno == ENOENT))
        return -1;
    file = hdf5.H5Fopen(path, H5F_ACC_RDONLY, mapped->access);
    if (file < 0)
        hdf5_error_set(MPM_EIO, "%s cannot be opened", path);
    return file;
}

/* HDF5 takes the name of what is no longer where it was from everywhere else. */
static void forget_folder(char name[PATH_MAX])
{
    const char *slash = strrchr(name, '/');

    memmove(name, slash + 1, strlen(slash + 1) + 1);
}

static hid_t open_elsewhere(const struct mapped *mapped)
{
    const char *prefix = getenv("HDF5_VDS_PREFIX");
    hid_t file = -1;

    for (size_t length; file < 0 && prefix && *prefix; prefix += length + (prefix[length] == ':')) {
        length = strcspn(prefix, ":");
        file = try_folder(mapped, prefix, length);
    }
    if (file < 0)
        file = try_folder(mapped, mapped->folder, strlen(mapped->folder));
    return file < 0 ? try_folder(mapped, "", 0) : file;
}

static hid_t open_source(struct mapped *mapped)
{
    hid_t file = -1;

    if (!strcmp(mapped->source_file, "."))
        return hdf5.H5Iget_file_id(mapped->dataset);
    error_set(MPM_ENOENT, "%s does not exist", mapped->source_file);
    if (*mapped->source_file == '/' && (file = try_folder(mapped, "", 0)) < 0)
        forget_folder(mapped->source_file);
    return file < 0 ? open_elsewhere(mapped) : file;
}

/* ---- Sources ---- */

/* "%b" is the number of a block: such a data set ends where its files do, so none is missing. "%%" is a "%". */
static bool is_numbered(char name[PATH_MAX])
{
    char *to = name;

    for (const char *at = name; (*to++ = *at); at++) {
        if (at[0] == '%' && at[1] == 'b')
            return true;
        at += at[0] == '%' && at[1] == '%';
    }
    return false;
}

/* The file is open. */
static void look_at_source(struct mapped *mapped, const char *file_name)
{
    hid_t dataset = hdf5.H5Oopen(mapped->source, mapped->source_set, H5P_DEFAULT);

    if (dataset < 0) {
        error_set(MPM_ENOENT, "%s has no data set %s", strcmp(file_name, ".") ? file_name : "the file itself",
                  mapped->source_set);
        keep_missing(mapped);
        return;
    }
    if (hdf5.H5Iget_type(dataset) == H5I_DATASET)
        look_at(dataset, mapped->depth + 1, mapped->sources);
    hdf5.H5Oclose(dataset);
}

static void close_source(struct mapped *mapped)
{
    if (mapped->source >= 0)
        hdf5.H5Fclose(mapped->source);
    mapped->source = -1;
}

static void take_source(struct mapped *mapped, const char *file, const char *set)
{
    mapped->sources->count++;
    close_source(mapped);
    strcpy(mapped->source_file, file);
    strcpy(mapped->source_set, set);
    if ((mapped->source = open_source(mapped)) < 0)
        keep_missing(mapped);
    else
        look_at_source(mapped, file);
}

static void look_at_mappings(struct mapped *mapped, hid_t creation)
{
    char file[PATH_MAX], set[PATH_MAX], last_file[PATH_MAX] = "", last_set[PATH_MAX] = "";
    size_t count = 0;

    if (hdf5.H5Pget_virtual_count(creation, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (hdf5.H5Pget_virtual_filename(creation, i, file, sizeof file) < 0 ||
            hdf5.H5Pget_virtual_dsetname(creation, i, set, sizeof set) < 0 || is_numbered(file) ||
            is_numbered(set) || (!strcmp(file, last_file) && !strcmp(set, last_set)))
            continue;
        strcpy(last_file, file);
        strcpy(last_set, set);
        take_source(mapped, file, set);
    }
}

static void find_folder(struct mapped *mapped)
{
    char *slash;

    if (hdf5.H5Fget_name(mapped->dataset, mapped->folder, sizeof mapped->folder) < 0 ||
        !(slash = strrchr(mapped->folder, '/')))
        strcpy(mapped->folder, ".");
    else
        slash[slash == mapped->folder] = '\0';
}

static void look_at(hid_t dataset, unsigned depth, mpm_dataset_sources *sources)
{
    hid_t creation = hdf5.H5Dget_create_plist(dataset);
    bool is_virtual = creation >= 0 && hdf5.H5Pget_layout(creation) == H5D_VIRTUAL;
    struct mapped *mapped = is_virtual && depth < DEEPEST ? malloc(sizeof *mapped) : NULL;

    if (mapped) {
        *mapped = (struct mapped){.dataset = dataset, .depth = depth, .sources = sources, .source = -1};
        mapped->file = hdf5.H5Iget_file_id(dataset);
        mapped->access = hdf5.H5Fget_access_plist(mapped->file);
        find_folder(mapped);
        look_at_mappings(mapped, creation);
        close_source(mapped);
        hdf5.H5Pclose(mapped->access);
        hdf5.H5Fclose(mapped->file);
        free(mapped);
    }
    if (creation >= 0)
        hdf5.H5Pclose(creation);
}

void virtual_find_sources(hid_t dataset, mpm_dataset_sources *sources)
{
    look_at(dataset, 0, sources);
}
