/* SPDX-License-Identifier: BSD-3-Clause */
/* What a type of HDF5 is, in words. A damaged file may have types without end, so it goes down only so far. */
#include <inttypes.h>
#include <stdlib.h>

#include "data/hdf5_call.h"
#include "data/writer.h"

#define DEEPEST      6
#define NAMES_LISTED 32 /* fields of a compound, or values of an enumeration */

static void add_type(struct writer *writer, hid_t type, unsigned depth);

static void add_super(struct writer *writer, hid_t type, unsigned depth)
{
    hid_t super = hdf5.H5Tget_super(type);

    add_type(writer, super, depth + 1);
    if (super >= 0)
        hdf5.H5Tclose(super);
}

static void add_string(struct writer *writer, hid_t type)
{
    if (hdf5.H5Tis_variable_str(type) > 0)
        writer_add(writer, "strings of variable length");
    else
        writer_add(writer, "strings of %zu byte%s", hdf5.H5Tget_size(type),
                   hdf5.H5Tget_size(type) == 1 ? "" : "s");
}

static void add_opaque(struct writer *writer, hid_t type)
{
    size_t size = hdf5.H5Tget_size(type);
    char *tag = hdf5.H5Tget_tag(type);

    writer_add(writer, "%zu opaque byte%s", size, size == 1 ? "" : "s");
    if (tag && *tag)
        writer_add(writer, " (%.64s)", tag);
    if (tag)
        hdf5.H5free_memory(tag);
}

static void add_name(struct writer *writer, hid_t type, unsigned member)
{
    char *name = hdf5.H5Tget_member_name(type, member);

    writer_add(writer, "%s", name ? name : "?");
    if (name)
        hdf5.H5free_memory(name);
}

/* "{f64 x, i32 n}", as a row is described. */
static void add_compound(struct writer *writer, hid_t type, unsigned depth)
{
    int count = hdf5.H5Tget_nmembers(type);

    writer_add(writer, "{");
    for (int i = 0; i < count && i < NAMES_LISTED; i++) {
        hid_t member = hdf5.H5Tget_member_type(type, (unsigned)i);

        writer_add(writer, i ? ", " : "");
        add_type(writer, member, depth + 1);
        writer_add(writer, " ");
        add_name(writer, type, (unsigned)i);
        if (member >= 0)
            hdf5.H5Tclose(member);
    }
    writer_add(writer, count > NAMES_LISTED ? ", and %d more}" : "}", count - NAMES_LISTED);
}

static void add_enumeration(struct writer *writer, hid_t type, unsigned depth)
{
    int count = hdf5.H5Tget_nmembers(type);

    writer_add(writer, "enumeration of ");
    add_super(writer, type, depth);
    for (int i = 0; i < count && i < NAMES_LISTED; i++) {
        writer_add(writer, i ? ", " : " (");
        add_name(writer, type, (unsigned)i);
    }
    if (count > 0)
        writer_add(writer, count > NAMES_LISTED ? ", and %d more)" : ")", count - NAMES_LISTED);
}

static void add_array(struct writer *writer, hid_t type, unsigned depth)
{
    hsize_t extent[H5S_MAX_RANK];
    int rank = hdf5.H5Tget_array_ndims(type);

    add_super(writer, type, depth);
    if (rank < 1 || rank > H5S_MAX_RANK || hdf5.H5Tget_array_dims2(type, extent) < 0)
        return;
    for (int i = 0; i < rank; i++)
        writer_add(writer, "%s%" PRIu64, i ? "," : "[", (uint64_t)extent[i]);
    writer_add(writer, "]");
}

static void add_number(struct writer *writer, hid_t type)
{
    H5T_class_t class = hdf5.H5Tget_class(type);
    size_t size = hdf5.H5Tget_size(type);
    const char *letter = class == H5T_FLOAT ? "f" : hdf5.H5Tget_sign(type) == H5T_SGN_2 ? "i" : "u";

    writer_add(writer, "%s%zu", letter, 8 * size);
    if (size > 1 && hdf5.H5Tget_order(type) == H5T_ORDER_BE)
        writer_add(writer, " big-endian");
}

static void add_type(struct writer *writer, hid_t type, unsigned depth)
{
    if (depth > DEEPEST) {
        writer_add(writer, "…");
        return;
    }
    switch (type < 0 ? H5T_NO_CLASS : hdf5.H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT:
        add_number(writer, type);
        break;
    case H5T_STRING:
        add_string(writer, type);
        break;
    case H5T_BITFIELD:
        writer_add(writer, "bit fields of %zu bits", 8 * hdf5.H5Tget_size(type));
        break;
    case H5T_OPAQUE:
        add_opaque(writer, type);
        break;
    case H5T_COMPOUND:
        add_compound(writer, type, depth);
        break;
    case H5T_REFERENCE:
        writer_add(writer, "references");
        break;
    case H5T_ENUM:
        add_enumeration(writer, type, depth);
        break;
    case H5T_VLEN:
        writer_add(writer, "variable-length ");
        add_super(writer, type, depth);
        break;
    case H5T_ARRAY:
        add_array(writer, type, depth);
        break;
    case H5T_TIME:
        writer_add(writer, "times of %zu bits", 8 * hdf5.H5Tget_size(type));
        break;
    default:
        writer_add(writer, "values of an unknown type");
    }
}

char *hdf5_type_text(hid_t type, char *text, size_t size)
{
    struct writer writer;

    writer_begin(&writer, text, size);
    add_type(&writer, type, 0);
    return text;
}
