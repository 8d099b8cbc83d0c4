/* SPDX-License-Identifier: BSD-3-Clause */
/* What a file is that people take for HDF5, by its first bytes. */
#include "data/file_kind.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/part.h"

#define HEAD_SIZE 16

/* How each kind begins. */
static const struct {
    const char *bytes;
    size_t size;
    const char *name;
    const char *advice; /* how it becomes HDF5; NULL: nobody needs to be told */
} kinds[] = {
    {"CDF\001", 4, "a netCDF classic file (CDF-1)", "nccopy -k nc4 IN.nc OUT.nc"},
    {"CDF\002", 4, "a netCDF classic file (64-bit offset, CDF-2)", "nccopy -k nc4 IN.nc OUT.nc"},
    {"CDF\005", 4, "a netCDF classic file (64-bit data, CDF-5)", "nccopy -k nc4 IN.nc OUT.nc"},
    {"\016\003\023\001", 4, "an HDF4 file", "h4toh5 IN.hdf OUT.h5"},
    {"MATLAB 5.0 MAT", 14, "a MATLAB file of version 5", "in MATLAB: save('OUT.mat', '-v7.3')"},
    {"\223NUMPY", 6, "a NumPy file", "in Python: h5py.File('OUT.h5', 'w')['data'] = numpy.load('IN.npy')"},
    {"SIMPLE  =", 9, "a FITS file", NULL},
    {"GRIB", 4, "a GRIB file", NULL},
    {"II*\0", 4, "a TIFF picture", NULL},
    {"MM\0*", 4, "a TIFF picture", NULL},
    {"\x89PNG", 4, "a PNG picture", NULL},
    {"PAR1", 4, "a Parquet file", NULL},
    {"PK\003\004", 4, "a zip archive", "unpack it first"},
    {"\037\213", 2, "compressed by gzip", "unpack it first"},
    {"BZh", 3, "compressed by bzip2", "unpack it first"},
    {"\xfd"
     "7zXZ",
     5, "compressed by xz", "unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, "compressed by zstd", "unpack it first"},
    {"version https://", 16, "a pointer of Git LFS, without the file's own bytes", "git lfs pull"},
};

int file_kind_is_other(const char *file_name)
{
    char head[HEAD_SIZE];
    int fd = open(file_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read_at(fd, head, sizeof head, 0);

    if (fd >= 0)
        close(fd);
    if (got == 0)
        return error_set(MPM_EIO, "%s is empty, so not an HDF5 file", file_name);
    for (size_t i = 0; got > 0 && i < sizeof kinds / sizeof *kinds; i++) {
        if ((size_t)got < kinds[i].size || memcmp(head, kinds[i].bytes, kinds[i].size))
            continue;
        return error_set(MPM_EIO, "%s is %s, not an HDF5 file%s%s", file_name, kinds[i].name,
                         kinds[i].advice ? ": " : "", kinds[i].advice ? kinds[i].advice : "");
    }
    return error_set(MPM_EIO, "%s is not an HDF5 file", file_name);
}
