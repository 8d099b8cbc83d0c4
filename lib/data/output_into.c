/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 changes a file in place in no order that would survive a death, so nobody changes the file that exists. Rows
 * are worked on in OUTPUT.part as ever. The last pass (output_last.c) copies the file that exists into
 * OUTPUT.part.last, has HDF5 add the results there, flushes that to the disk, and renames it. So the file is the old
 * one, to the byte, until the rename, and has all results from then on; whoever has it open still has the old one. What
 * it costs is a copy of the file at the end, and room for two: where files can share blocks (reflinks of btrfs and XFS)
 * it costs neither.
 *
 * From the copy to the rename its HDF5 lock is held, shared, so no other program can have it open for writing by HDF5
 * then; what has changed in it before that is in the copy. */
#include "data/output_into.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "data/file_kind.h"
#include "data/output_layout.h"

#define COPY_BYTES ((size_t)1 << 20)

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

/* ---- What the file holds ---- */

static bool has_link(hid_t file, const char *path)
{
    return hdf5.H5Lexists(file, path, H5P_DEFAULT) > 0;
}

static bool is_group(hid_t file, const char *path)
{
    hid_t object = hdf5.H5Oopen(file, path, H5P_DEFAULT);
    bool is = object >= 0 && hdf5.H5Iget_type(object) == H5I_GROUP;

    if (object >= 0)
        hdf5.H5Oclose(object);
    return is;
}

/* What a map makes under the name of its result, one after the other; NULL behind the last. */
static const char *next_name(const struct output *output, unsigned index, char name[PATH_MAX])
{
    static const char *const ends[] = {"", ".done", ".failed"};

    if (index == sizeof ends / sizeof *ends)
        return NULL;
    snprintf(name, PATH_MAX, "%.*s%s", PATH_MAX - 8, output->dataset, ends[index]);
    return name;
}

static int check_parents(const struct output *output, hid_t file, bool *has_parents)
{
    char path[PATH_MAX];
    const char *at = output->dataset + strspn(output->dataset, "/");

    *has_parents = false;
    for (at = strchr(at, '/'); at; at = strchr(at + strspn(at, "/"), '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(at - output->dataset), output->dataset);
        if (!has_link(file, path))
            return 0;
        if (!is_group(file, path))
            return error_set(MPM_EEXIST, "%s:%s is not a group, so %s cannot stand in it", output->name, path,
                             output->dataset);
    }
    *has_parents = true;
    return 0;
}

/* Or finished ones, of which some rows are run again. */
static bool replaces_results(const struct output *output)
{
    return output->overwrite || output->is_redone;
}

static int check_names(const struct output *output, hid_t file)
{
    char name[PATH_MAX];
    bool has_parents;
    int status = check_parents(output, file, &has_parents);

    for (unsigned i = 0; !status && has_parents && !replaces_results(output) && next_name(output, i, name);
         i++) {
        if (has_link(file, name))
            status = error_set(MPM_EEXIST,
                               "%s has %s already: choose another name, or replace that (--overwrite, "
                               "MPM_OVERWRITE_RESULT)",
                               output->name, name);
    }
    return status;
}

static int is_unreadable(const struct output *output)
{
    if (hdf5.H5Fis_hdf5(output->path) <= 0)
        return file_kind_is_other(output->name);
    hdf5.H5Fopen(output->path, H5F_ACC_RDONLY, H5P_DEFAULT); /* which fails, and says why */
    return hdf5_error_set(MPM_EIO, "cannot add results to %s", output->name);
}

static int check_file(const struct output *output)
{
    hid_t file = hdf5_open_to_read(output->path);
    int status = file < 0 ? is_unreadable(output) : check_names(output, file);

    if (file >= 0)
        hdf5.H5Fclose(file);
    return status;
}

int into_check(const struct output *output)
{
    struct hdf5_guard guard;
    struct output held = {.name = output->name};
    int fd, status = hdf5_load();

    if (status)
        return status;
    memcpy(held.path, output->path, sizeof held.path);
    if ((status = into_hold(&held, &fd)))
        return status;
    hdf5_enter(&guard);
    status = check_file(output);
    hdf5_leave(&guard);
    close(fd);
    return status;
}

/* ---- The copy ---- */

static bool locks_are_off(void)
{
    const char *value = getenv("HDF5_USE_FILE_LOCKING");

    return value && (!strcmp(value, "FALSE") || !strcmp(value, "0"));
}

int into_hold(struct output *output, int *fd)
{
    *fd = open(output->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return error_set_errno(errno == ENOENT ? MPM_ENOENT : MPM_EIO, "cannot open %s", output->name);
    if (!locks_are_off() && flock(*fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK) {
        close(*fd);
        *fd = -1;
        return error_set(MPM_EBUSY, "%s is open for writing, so results cannot be added: close it first",
                         output->name);
    }
    if (!fstat(*fd, &output->old))
        return 0;
    close(*fd);
    *fd = -1;
    return error_set_errno(MPM_EIO, "cannot stat %s", output->name);
}

/* Where there is no quicker way. */
static bool copy_bytes(int from, int to, uint64_t at, uint64_t size)
{
    char *buffer = malloc(COPY_BYTES);
    bool is = buffer;

    while (is && at < size) {
        ssize_t got = read_at(from, buffer, COPY_BYTES, at);

        if (got == 0)
            errno = ENODATA;
        is = got > 0 && write_at(to, buffer, (size_t)got, at);
        at += is ? (uint64_t)got : 0;
    }
    free(buffer);
    return is;
}

int into_copy(const struct output *output, int from, int to, const char *path)
{
    uint64_t size = (uint64_t)output->old.st_size;
    loff_t in = 0, out = 0;

    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    while ((uint64_t)out < size && copy_file_range(from, &in, to, &out, size - (uint64_t)out, 0) > 0)
        continue;
    return copy_bytes(from, to, (uint64_t)out, size) ? 0 : error_set_errno(MPM_EIO, "cannot write %s", path);
}

/* ---- Old results ---- */

static void detach_in_group(hid_t group)
{
    H5G_info_t info = {.nlinks = 0};
    char name[SCALE_NAME];

    hdf5.H5Gget_info(group, &info);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        hid_t object;

        if (hdf5.H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name,
                                    H5P_DEFAULT) < 0 ||
            (object = hdf5.H5Oopen(group, name, H5P_DEFAULT)) < 0)
            continue;
        scales_detach(object);
        hdf5.H5Oclose(object);
    }
}

static bool remove_object(hid_t file, const char *path)
{
    hid_t object = hdf5.H5Oopen(file, path, H5P_DEFAULT);

    if (object >= 0 && hdf5.H5Iget_type(object) == H5I_GROUP)
        detach_in_group(object);
    else if (object >= 0)
        scales_detach(object);
    if (object >= 0)
        hdf5.H5Oclose(object);
    return hdf5.H5Ldelete(file, path, H5P_DEFAULT) >= 0;
}

/* Coordinates that the old map has made, where nothing else uses them. */
static void remove_kept(hid_t file, char *list)
{
    for (char *path = strtok(list, " "); path; path = strtok(NULL, " ")) {
        hid_t scale = has_link(file, path) ? hdf5.H5Oopen(file, path, H5P_DEFAULT) : -1;
        bool is_free = scale >= 0 && hdf5.H5Aexists(scale, "REFERENCE_LIST") == 0;

        if (scale >= 0)
            hdf5.H5Oclose(scale);
        if (is_free)
            hdf5.H5Ldelete(file, path, H5P_DEFAULT);
    }
}

static int remove_old(const struct output *output, hid_t file)
{
    char name[PATH_MAX], *list = scales_read_list(file, output->dataset);
    int status = 0;

    for (unsigned i = 0; !status && next_name(output, i, name); i++) {
        if (has_link(file, name) && !remove_object(file, name))
            status = hdf5_error_set(MPM_EIO, "cannot replace %s in %s", name, output->name);
    }
    if (!status && list)
        remove_kept(file, list);
    free(list);
    return status;
}

int into_open(const struct output *output, int fd, hid_t *file)
{
    char opened[64];
    hid_t access = hdf5_file_access(false);
    bool has_parents = false;
    int status = 0;

    *file = -1;
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", fd);
    if (access >= 0 && (!output->grid.is_stitched ||
                        hdf5.H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_LATEST) >= 0))
        *file = hdf5.H5Fopen(opened, H5F_ACC_RDWR, access);
    release(access);
    if (*file < 0)
        return hdf5_error_set(MPM_EIO, "cannot add results to %s", output->name);
    if (!(status = check_names(output, *file)))
        status = check_parents(output, *file, &has_parents);
    return !status && has_parents && replaces_results(output) ? remove_old(output, *file) : status;
}
