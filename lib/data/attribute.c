/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/attribute.h"

#include <string.h>

#include "mpmap/status.h"

static void release(hid_t id)
{
    if (id >= 0)
        hdf5.H5Idec_ref(id);
}

int attribute_write_text(hid_t object, const char *name, const char *text)
{
    int status = 0;
    hid_t attribute = -1;
    hid_t space = hdf5.H5Screate(H5S_SCALAR);
    hid_t type = hdf5.H5Tcopy(*hdf5.H5T_C_S1_g);

    if (space >= 0 && type >= 0 && hdf5.H5Tset_size(type, H5T_VARIABLE) >= 0 &&
        hdf5.H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        attribute = hdf5.H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || hdf5.H5Awrite(attribute, type, &text) < 0)
        status = hdf5_error_set(MPM_EIO, "cannot write the attribute %s", name);
    release(attribute);
    release(type);
    release(space);
    return status;
}

static bool read_variable(hid_t attribute, hid_t type, char *text, size_t size)
{
    char *read = NULL;
    bool fits = hdf5.H5Aread(attribute, type, &read) >= 0 && read && strlen(read) < size;

    if (fits)
        memcpy(text, read, strlen(read) + 1);
    if (read)
        hdf5.H5free_memory(read);
    return fits;
}

static bool read_fixed(hid_t attribute, hid_t type, char *text, size_t size)
{
    size_t length = hdf5.H5Tget_size(type);

    if (length >= size || hdf5.H5Aread(attribute, type, text) < 0)
        return false;
    text[length] = '\0';
    return true;
}

bool attribute_read_text(hid_t object, const char *name, char *text, size_t size)
{
    hid_t attribute = hdf5.H5Aopen_by_name(object, ".", name, H5P_DEFAULT, H5P_DEFAULT);
    hid_t type = attribute < 0 ? -1 : hdf5.H5Aget_type(attribute);
    hid_t space = attribute < 0 ? -1 : hdf5.H5Aget_space(attribute);
    bool is = type >= 0 && space >= 0 && hdf5.H5Sget_simple_extent_npoints(space) == 1 &&
              hdf5.H5Tget_class(type) == H5T_STRING &&
              (hdf5.H5Tis_variable_str(type) > 0 ? read_variable(attribute, type, text, size)
                                                 : read_fixed(attribute, type, text, size));

    release(space);
    release(type);
    release(attribute);
    return is;
}
