/* SPDX-License-Identifier: BSD-3-Clause */
/* External data sets: their values are in files of plain bytes, which HDF5 opens as rows are read. It looks for them
 * from the folder of the process, or where HDF5_EXTFILE_PREFIX says: so a data set that could be read elsewhere may
 * have lost them here, which is said before any row is begun. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"

static const char origin[] = "${ORIGIN}";

/* Where HDF5 looks for a file of that name; "${ORIGIN}" is the folder of the HDF5 file. False if it has no such
 * path. */
static bool find_path(const struct input *input, const char *name, char path[PATH_MAX])
{
    const char *prefix = getenv("HDF5_EXTFILE_PREFIX");
    char file[PATH_MAX] = "", *slash;

    if (*name == '/' || !prefix || !*prefix || !strcmp(prefix, "."))
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    if (strncmp(prefix, origin, sizeof origin - 1) != 0)
        return snprintf(path, PATH_MAX, "%s/%s", prefix, name) < PATH_MAX;
    if (hdf5.H5Fget_name(input->dataset, file, sizeof file) < 0 || !(slash = strrchr(file, '/')))
        snprintf(file, sizeof file, ".");
    else
        *slash = '\0';
    return snprintf(path, PATH_MAX, "%s%s/%s", file, prefix + sizeof origin - 1, name) < PATH_MAX;
}

static int check_file(const struct input *input, const char *name)
{
    char path[PATH_MAX];

    if (!find_path(input, name, path) || access(path, R_OK) == 0)
        return 0;
    if (errno != ENOENT)
        return error_set_errno(MPM_EIO, "%s:%s has its values in %s, which cannot be read", input->file_name,
                               input->dataset_name, path);
    return error_set(MPM_ENOENT,
                     "%s:%s has its values in %s, which does not exist: HDF5 looks for such a file from the "
                     "folder in which mpmap is started, or in one that HDF5_EXTFILE_PREFIX names",
                     input->file_name, input->dataset_name, path);
}

int external_check(const struct input *input)
{
    hid_t creation = hdf5.H5Dget_create_plist(input->dataset);
    int count = creation < 0 ? 0 : hdf5.H5Pget_external_count(creation), status = 0;
    char name[PATH_MAX] = "";

    for (int i = 0; !status && i < count; i++) {
        off_t offset;
        hsize_t size;

        if (hdf5.H5Pget_external(creation, (unsigned)i, sizeof name - 1, name, &offset, &size) >= 0)
            status = check_file(input, name);
    }
    if (creation >= 0)
        hdf5.H5Pclose(creation);
    return status;
}
