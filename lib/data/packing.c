/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/packing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/input_inside.h"

#define CHUNK_BYTES \
    ((uint64_t)512  \
     << 10)          /* HDF5 keeps chunks of up to 1 MiB when it reads them, unless it is told otherwise */
#define GZIP_LEVEL 4 /* as h5py has it */
#define LARGEST    ((uint64_t)4 << 30) /* HDF5 has no chunks of as many bytes */

static int is_none(const char *text)
{
    return error_set(
        MPM_EINVAL,
        "compress is \"%.100s\": it must be gzip, gzip:LEVEL (1 to 9), or filter:NUMBER[:VALUE,…] of "
        "a filter of HDF5",
        text);
}

static bool read_number(const char **at, unsigned *number)
{
    char *end;
    unsigned long read;

    errno = 0;
    if (**at < '0' || **at > '9')
        return false;
    read = strtoul(*at, &end, 10);
    *at = end;
    *number = (unsigned)read;
    return !errno && read <= UINT32_MAX;
}

/* Behind its name: ":LEVEL". */
static bool read_gzip(const char *at, struct packing *packing)
{
    packing->filter = H5Z_FILTER_DEFLATE;
    packing->value_count = 1;
    packing->values[0] = GZIP_LEVEL;
    if (!*at)
        return true;
    return *at++ == ':' && read_number(&at, &packing->values[0]) && !*at && packing->values[0] >= 1 &&
           packing->values[0] <= 9;
}

/* Behind its name: ":NUMBER", and values. */
static bool read_filter(const char *at, struct packing *packing)
{
    unsigned number;

    if (*at++ != ':' || !read_number(&at, &number) || number == 0 || number > H5Z_FILTER_MAX)
        return false;
    packing->filter = (int)number;
    while (*at == (packing->value_count ? ',' : ':') && packing->value_count < PACKING_MOST_VALUES) {
        at++;
        if (!read_number(&at, &packing->values[packing->value_count++]))
            return false;
    }
    return !*at;
}

static int check_filter(const char *text, const struct packing *packing)
{
    struct hdf5_guard guard;
    int status = hdf5_load();
    const char *name;
    char how[160];
    bool has;

    if (status)
        return status;
    hdf5_enter(&guard);
    has = hdf5.H5Zfilter_avail(packing->filter) > 0;
    hdf5_leave(&guard);
    if (has)
        return 0;
    name = filters_find(packing->filter, how, sizeof how);
    return error_set(
        MPM_ENOENT,
        "compress is \"%s\", but HDF5 does not find filter %d%s%s%s: install its plugin (%s), or "
        "name its folder in HDF5_PLUGIN_PATH",
        text, packing->filter, name ? " (" : "", name ? name : "", name ? ")" : "", how);
}

int packing_parse(const char *text, uint64_t rows, struct packing *packing)
{
    *packing = (struct packing){.rows = rows};
    if (!text)
        return rows ? error_set(MPM_EINVAL,
                                "compress_rows is about results that are compressed: give compress, too")
                    : 0;
    packing->is_wanted = true;
    if (!(!strncmp(text, "gzip", 4)     ? read_gzip(text + 4, packing)
          : !strncmp(text, "filter", 6) ? read_filter(text + 6, packing)
                                        : false))
        return is_none(text);
    return check_filter(text, packing);
}

uint64_t packing_chunk_rows(const struct packing *packing, const struct result_field *field, uint64_t rows)
{
    uint64_t count = packing->rows ? packing->rows : CHUNK_BYTES / field->size;

    if (count >= LARGEST / field->size)
        count = (LARGEST - 1) / field->size;
    if (count > rows)
        count = rows;
    return count ? count : 1;
}

hid_t packing_creation(const struct packing *packing, mpm_type type, int rank, const hsize_t *extent)
{
    hid_t creation = hdf5.H5Pcreate(*hdf5.H5P_CLS_DATASET_CREATE_ID_g);

    if (creation >= 0 && hdf5.H5Pset_chunk(creation, rank, extent) >= 0 &&
        (mpm_type_size(type) == 1 || hdf5.H5Pset_shuffle(creation) >= 0) &&
        hdf5.H5Pset_filter(creation, packing->filter, H5Z_FLAG_OPTIONAL, packing->value_count,
                           packing->values) >= 0 &&
        hdf5.H5Pset_obj_track_times(creation, 0) >= 0)
        return creation;
    if (creation >= 0)
        hdf5.H5Pclose(creation);
    return -1;
}
