/* SPDX-License-Identifier: BSD-3-Clause */
/* A group with a data set for each column of the result, named as it is. */
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

bool output_set(hid_t group, const char *name, hid_t type, unsigned rank, const hsize_t *extent,
                const void *values)
{
    hid_t space = rank ? H5Screate_simple((int)rank, extent, NULL) : H5Screate(H5S_SCALAR);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), set;
    bool is_good = false;

    H5Pset_obj_track_times(creation, false);
    set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (set >= 0) {
        is_good = H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
        is_good &= H5Dclose(set) >= 0;
    }
    H5Pclose(creation);
    H5Sclose(space);
    return is_good;
}

/* In names a slash would be another group. */
static bool write_set(hid_t group, const char *title, hid_t type, const hsize_t extent[2], const void *values)
{
    char name[NAME_SIZE * 2];

    snprintf(name, sizeof name, "%s", title);
    for (char *at = name; *at; at++)
        *at = *at == '/' ? '_' : *at;
    return output_set(group, name, type, extent[1] ? 2 : 1, extent, values);
}

/* Texts of a fixed length, that of the longest. */
static bool write_key(hid_t group, const struct result *result, uint32_t key)
{
    const hsize_t extent[2] = {result->shown, 0};
    const char *text;
    size_t longest = 1;
    char *texts;
    hid_t type = H5Tcopy(H5T_C_S1);
    bool is_good;

    for (size_t row = 0; row < result->shown; row++) {
        size_t length = result_key(result, row, key, &text);

        longest = length > longest ? length : longest;
    }
    texts = memory_resize(NULL, result->shown * longest);
    memset(texts, 0, result->shown * longest);
    for (size_t row = 0; row < result->shown; row++) {
        size_t length = result_key(result, row, key, &text);

        memcpy(texts + row * longest, text, length);
    }
    H5Tset_size(type, longest);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    is_good = write_set(group, result->plan->used[result->plan->by[key]].name, type, extent, texts);
    H5Tclose(type);
    free(texts);
    return is_good;
}

static bool is_count(const struct measure *measure)
{
    return measure->kind == MEASURE_COUNT || measure->kind == MEASURE_DISTINCT ||
           measure->kind == MEASURE_APPROX_DISTINCT;
}

static bool write_counts(hid_t group, const struct result *result, uint32_t measure)
{
    const hsize_t extent[2] = {result->shown, 0};
    uint64_t *counts = memory_resize(NULL, result->shown * sizeof *counts);
    bool is_good;

    for (size_t row = 0; row < result->shown; row++)
        counts[row] = result_value(result, row, measure).count;
    is_good = write_set(group, result->plan->measures[measure].title, H5T_NATIVE_UINT64, extent, counts);
    free(counts);
    return is_good;
}

/* Numbers; lists are padded with NaN. */
static bool write_numbers(hid_t group, const struct result *result, uint32_t measure)
{
    uint32_t top = result->plan->measures[measure].top, width = top ? top : 1;
    const hsize_t extent[2] = {result->shown, top};
    double *numbers = memory_resize(NULL, result->shown * width * sizeof *numbers);
    bool is_good;

    for (size_t row = 0; row < result->shown; row++) {
        struct value value = result_value(result, row, measure);

        for (uint32_t i = 0; i < width; i++)
            numbers[row * width + i] = !top                   ? value_number(&value)
                                       : i < value.list_count ? value.list[i]
                                                              : (double)NAN;
    }
    is_good = write_set(group, result->plan->measures[measure].title, H5T_NATIVE_DOUBLE, extent, numbers);
    free(numbers);
    return is_good;
}

bool output_result_sets(hid_t group, const void *argument)
{
    const struct result *result = argument;
    bool is_good = true;

    for (uint32_t i = 0; i < result->plan->by_count && is_good; i++)
        is_good = write_key(group, result, i);
    for (uint32_t i = 0; i < result->plan->measure_count && is_good; i++) {
        if (is_count(&result->plan->measures[i]))
            is_good = write_counts(group, result, i);
        else
            is_good = write_numbers(group, result, i);
    }
    return is_good;
}

static bool write_into(hid_t file, const char *group, output_write_group *write, const void *argument)
{
    hid_t links, place;
    bool is_good = false;

    if (!strcmp(group, "/"))
        return write(file, argument);
    links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    place = H5Gcreate2(file, group, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(links);
    if (place >= 0) {
        is_good = write(place, argument);
        is_good &= H5Gclose(place) >= 0;
    }
    return is_good;
}

int output_group(const char *path, const char *group, output_write_group *write, const void *argument)
{
    struct draft draft;
    bool is_good = false;
    hid_t file;
    int exit_status = draft_begin(path, &draft);

    if (exit_status)
        return exit_status;
    H5dont_atexit(); /* after a file that a full disk kept it from closing it would crash at exit */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    file = H5Fcreate(draft.path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file >= 0) {
        is_good = write_into(file, group, write, argument);
        is_good &= H5Fclose(file) >= 0;
    }
    exit_status = is_good ? 0 : failure("'%s' cannot be written", path);
    return draft_end(&draft, path, exit_status);
}
