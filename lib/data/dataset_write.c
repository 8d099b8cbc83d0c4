/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a file with one data set, whole or not at all: it is made as FILE.part, which then gets the name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpmap/dataset.h"

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/part.h"

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

static hid_t make_set(hid_t file, const mpm_dataset_values *values)
{
    hsize_t extent[MPM_MAX_DIMENSIONS];
    hid_t type = hdf5_native_type(values->shape.type), set = -1;
    hid_t space, link = hdf5.H5Pcreate(*hdf5.H5P_CLS_LINK_CREATE_ID_g);

    for (unsigned i = 0; i < values->shape.rank; i++)
        extent[i] = values->shape.extent[i];
    space = values->shape.rank ? hdf5.H5Screate_simple((int)values->shape.rank, extent, NULL)
                               : hdf5.H5Screate(H5S_SCALAR);
    if (space >= 0 && link >= 0 && hdf5.H5Pset_create_intermediate_group(link, 1) >= 0 &&
        hdf5.H5Pset_char_encoding(link, H5T_CSET_UTF8) >= 0)
        set = hdf5.H5Dcreate2(file, values->output_dataset, type, space, link, H5P_DEFAULT, H5P_DEFAULT);
    release(link);
    release(space);
    return set;
}

static int fill(hid_t file, const mpm_dataset_values *values, const char *part)
{
    hid_t set = make_set(file, values);
    int status = MPM_OK;

    if (set < 0)
        status = hdf5_error_set(MPM_EIO, "cannot create the data set %s in %s", values->output_dataset, part);
    else if (hdf5.H5Dwrite(set, hdf5_native_type(values->shape.type), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                           values->values) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", part);
    release(set);
    return status;
}

/* All that HDF5 does. A file that is there already is another's. */
static int make_part(const mpm_dataset_values *values, const char *part)
{
    hid_t file = hdf5.H5Fcreate(part, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
    int status;

    if (file < 0)
        return hdf5_error_set(access(part, F_OK) ? MPM_EIO : MPM_EEXIST, "cannot create %s", part);
    status = fill(file, values, part);
    if (hdf5.H5Fclose(file) < 0 && !status)
        status = hdf5_error_set(MPM_EIO, "cannot write %s", part);
    if (status)
        unlink(part);
    return status;
}

static int flush_part(const char *part)
{
    int fd = open(part, O_RDONLY | O_CLOEXEC), status = MPM_OK;

    if (fd < 0 || !part_flush(fd))
        status = error_set_errno(MPM_EIO, "cannot write %s", part);
    if (fd >= 0)
        close(fd);
    return status;
}

/* A link is not made where there is a file; a rename replaces it. */
static int name_part(const mpm_dataset_values *values, const char *part)
{
    int failed = values->overwrite ? rename(part, values->output_file) : link(part, values->output_file);

    if (failed && errno == EEXIST)
        return error_set(MPM_EEXIST, "%s exists, and stays as it is", values->output_file);
    if (failed)
        return error_set_errno(MPM_EIO, "cannot give %s its name %s", part, values->output_file);
    return MPM_OK;
}

static int check_values(const mpm_dataset_values *values)
{
    if (!values || !values->output_file || !values->output_dataset || !values->values)
        return error_set(MPM_EINVAL,
                         "mpm_dataset_write: the file, the data set and the values must not be NULL");
    if (!mpm_type_size(values->shape.type) || values->shape.rank > MPM_MAX_DIMENSIONS ||
        !mpm_shape_size(&values->shape))
        return error_set(MPM_EINVAL,
                         "mpm_dataset_write: the shape has no element type, no elements, or more than %d "
                         "dimensions",
                         MPM_MAX_DIMENSIONS);
    return MPM_OK;
}

int mpm_dataset_write(const mpm_dataset_values *values)
{
    char part[4096];
    struct hdf5_guard guard;
    int status;

    if ((status = check_values(values)) || (status = hdf5_load()))
        return status;
    if (snprintf(part, sizeof part, "%s.part", values->output_file) >= (int)sizeof part)
        return error_set(MPM_EINVAL, "mpm_dataset_write: the name of the file is too long");
    hdf5_enter(&guard);
    status = make_part(values, part);
    hdf5_leave(&guard);
    if (status)
        return status;
    if (!(status = flush_part(part)))
        status = name_part(values, part);
    if (status || !values->overwrite)
        unlink(part);
    return status;
}
