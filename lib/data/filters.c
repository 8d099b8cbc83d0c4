/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters: what compresses chunks, or changes them in another way, and must be there to undo it. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/writer.h"

/* The registered ones that people meet, and Debian's packages of them. */
static const struct {
    H5Z_filter_t number;
    const char *name, *package;
} known[] = {
    {307, "bzip2", "hdf5-filter-plugin"},
    {32000, "lzf", "hdf5-plugin-lzf, with LD_PRELOAD=liblzf.so.1"},
    {32001, "blosc", "hdf5-filter-plugin-blosc-serial"},
    {32004, "lz4", "hdf5-filter-plugin"},
    {32008, "bitshuffle", "hdf5-filter-plugin"},
    {32013, "zfp", "hdf5-filter-plugin-zfp-serial"},
    {32015, "zstd", NULL},
    {32017, "sz", NULL},
    {32024, "sz3", NULL},
    {32026, "blosc2", NULL},
    {H5Z_FILTER_DEFLATE, "gzip", NULL},
    {H5Z_FILTER_SHUFFLE, "shuffle", NULL},
    {H5Z_FILTER_FLETCHER32, "fletcher32", NULL},
    {H5Z_FILTER_SZIP, "szip", NULL},
    {H5Z_FILTER_NBIT, "nbit", NULL},
    {H5Z_FILTER_SCALEOFFSET, "scaleoffset", NULL},
};

/* A filter that the file calls optional may have been left out of every chunk: the first one that there is tells. */
static bool is_left_out(const struct input *input, unsigned position)
{
    hsize_t count = 0, offset[MAX_RANK], size;
    hid_t space = hdf5.H5Dget_space(input->dataset);
    unsigned left_out = 0;
    haddr_t address;
    bool is = false;

    if (space >= 0 && hdf5.H5Dget_num_chunks(input->dataset, space, &count) >= 0)
        is = count == 0 ||
             (hdf5.H5Dget_chunk_info(input->dataset, space, 0, offset, &left_out, &address, &size) >= 0 &&
              left_out >> position & 1);
    if (space >= 0)
        hdf5.H5Sclose(space);
    return is;
}

const char *filters_find(H5Z_filter_t number, char *how, size_t size)
{
    snprintf(how, size, "the Python package hdf5plugin brings many");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].number != number)
            continue;
        if (known[i].package)
            snprintf(how, size, "Debian: %s", known[i].package);
        return known[i].name;
    }
    return NULL;
}

static int is_missing(const struct input *input, H5Z_filter_t number, const char *name)
{
    char how[160];
    const char *found = filters_find(number, how, sizeof how);

    name = found ? found : name;
    return error_set(MPM_ENOENT,
                     "%s:%s needs the filter %s (%d), which this HDF5 lacks: install its plugin "
                     "(%s), or name its folder in "
                     "HDF5_PLUGIN_PATH",
                     input->file_name, input->dataset_name, *name ? name : "without a name", (int)number,
                     how);
}

/* A plugin that is loaded before it can find HDF5 may end the process at its first call. */
static bool is_there(H5Z_filter_t number)
{
    if (number >= H5Z_FILTER_RESERVED)
        hdf5_show_to_plugins();
    return hdf5.H5Zfilter_avail(number) > 0;
}

int filters_check(const struct input *input)
{
    hid_t creation = hdf5.H5Dget_create_plist(input->dataset);
    int count = creation < 0 ? 0 : hdf5.H5Pget_nfilters(creation), status = 0;

    if (creation >= 0 && hdf5.H5Pget_layout(creation) == H5D_VIRTUAL)
        hdf5_show_to_plugins(); /* its sources may have filters */
    for (unsigned i = 0; !status && count > 0 && i < (unsigned)count; i++) {
        unsigned flags = 0, config;
        size_t values = 0;
        char name[64] = "";
        H5Z_filter_t number = hdf5.H5Pget_filter2(creation, i, &flags, &values, NULL, sizeof name, name,
                                                  &config);

        if (number < 0 || is_there(number))
            continue;
        if (!(flags & H5Z_FLAG_OPTIONAL) || !is_left_out(input, i))
            status = is_missing(input, number, name);
    }
    if (creation >= 0)
        hdf5.H5Pclose(creation);
    return status;
}

static void add_filter(struct writer *writer, hid_t creation, unsigned position)
{
    unsigned flags = 0, config, values[1] = {0};
    size_t count = 1;
    char name[64] = "";
    H5Z_filter_t number = hdf5.H5Pget_filter2(creation, position, &flags, &count, values, sizeof name, name,
                                              &config);
    const char *said = *name ? name : "unknown";

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].number == number)
            said = known[i].name;
    }
    writer_add(writer, "%s%s", position ? ", " : "", number < 0 ? "damaged" : said);
    if (number == H5Z_FILTER_DEFLATE && count > 0)
        writer_add(writer, " %u", values[0]);
    else if (number >= H5Z_FILTER_RESERVED)
        writer_add(writer, " (%d)", (int)number);
}

void filters_describe(hid_t dataset, char *text, size_t size)
{
    hid_t creation = hdf5.H5Dget_create_plist(dataset);
    int count = creation < 0 ? 0 : hdf5.H5Pget_nfilters(creation);
    struct writer writer;

    writer_begin(&writer, text, size);
    for (unsigned i = 0; count > 0 && i < (unsigned)count; i++)
        add_filter(&writer, creation, i);
    if (creation >= 0)
        hdf5.H5Pclose(creation);
}
