/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements of all types but structs that are described (element_struct.c). Nothing is lost on the way but digits of
 * long doubles: numbers of odd sizes go into the next larger type. */
#include "data/element.h"

#include <stdio.h>
#include <string.h>

#include "data/hdf5_call.h"

#define DEEPEST 8 /* arrays of arrays; a damaged file may have more */

static bool make(struct element *element, unsigned depth, hid_t type);

static bool is_number(struct element *element, mpm_type type)
{
    element->shape = (mpm_shape){.type = type};
    element->memory = hdf5.H5Tcopy(hdf5_native_type(type));
    return element->memory >= 0;
}

static bool is_integer(struct element *element, hid_t type)
{
    static const mpm_type types[2][4] = {{MPM_U8, MPM_U16, MPM_U32, MPM_U64},
                                         {MPM_I8, MPM_I16, MPM_I32, MPM_I64}};
    size_t size = hdf5.H5Tget_size(type);
    unsigned large = size <= 1 ? 0 : size <= 2 ? 1 : size <= 4 ? 2 : 3;

    return size >= 1 && size <= 8 && is_number(element, types[hdf5.H5Tget_sign(type) == H5T_SGN_2][large]);
}

static bool is_float(struct element *element, hid_t type)
{
    return is_number(element, hdf5.H5Tget_size(type) <= sizeof(float) ? MPM_F32 : MPM_F64);
}

/* As it is in the file, byte by byte. */
static bool is_bytes(struct element *element, hid_t type)
{
    element->shape = (mpm_shape){.type = MPM_U8, .rank = 1, .extent = {hdf5.H5Tget_size(type)}};
    element->memory = hdf5.H5Tcopy(type);
    return element->memory >= 0 && element->shape.extent[0] > 0;
}

static bool is_bit_field(struct element *element, hid_t type)
{
    const struct {
        size_t size;
        mpm_type type;
        hid_t memory;
    } kinds[] = {{1, MPM_U8, *hdf5.H5T_NATIVE_B8_g},
                 {2, MPM_U16, *hdf5.H5T_NATIVE_B16_g},
                 {4, MPM_U32, *hdf5.H5T_NATIVE_B32_g},
                 {8, MPM_U64, *hdf5.H5T_NATIVE_B64_g}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].size != hdf5.H5Tget_size(type))
            continue;
        element->shape = (mpm_shape){.type = kinds[i].type};
        element->memory = hdf5.H5Tcopy(kinds[i].memory);
        return element->memory >= 0;
    }
    return is_bytes(element, type);
}

/* The integers behind the names. */
static bool is_enumeration(struct element *element, hid_t type)
{
    hid_t super = hdf5.H5Tget_super(type);
    bool is = super >= 0 && is_integer(element, super);

    if (super >= 0)
        hdf5.H5Tclose(super);
    return is;
}

/* Puts the dimensions of an array before those of what it holds. */
static bool put_dimensions(mpm_shape *shape, const hsize_t *extent, int rank)
{
    if (rank < 1 || (unsigned)rank + shape->rank > MPM_MAX_DIMENSIONS)
        return false;
    memmove(shape->extent + rank, shape->extent, shape->rank * sizeof shape->extent[0]);
    for (int i = 0; i < rank; i++)
        shape->extent[i] = extent[i];
    shape->rank += (unsigned)rank;
    return mpm_shape_size(shape) > 0;
}

static bool is_array(struct element *element, unsigned depth, hid_t type)
{
    hsize_t extent[H5S_MAX_RANK];
    int rank = hdf5.H5Tget_array_ndims(type);
    hid_t super = hdf5.H5Tget_super(type), array = -1;

    if (super >= 0 && rank >= 1 && rank <= H5S_MAX_RANK && hdf5.H5Tget_array_dims2(type, extent) >= 0 &&
        make(element, depth + 1, super) && put_dimensions(&element->shape, extent, rank))
        array = hdf5.H5Tarray_create2(element->memory, (unsigned)rank, extent);
    if (super >= 0)
        hdf5.H5Tclose(super);
    element_end(element);
    element->memory = array;
    return array >= 0;
}

static bool has_names(hid_t type, const char *first, const char *second)
{
    return hdf5.H5Tget_member_index(type, first) == 0 && hdf5.H5Tget_member_index(type, second) == 1;
}

/* Both parts must be the same float; they become `element`. */
static bool has_parts(struct element *element, hid_t type)
{
    hid_t parts[2] = {hdf5.H5Tget_member_type(type, 0), hdf5.H5Tget_member_type(type, 1)};
    bool has = parts[0] >= 0 && parts[1] >= 0 && hdf5.H5Tget_class(parts[0]) == H5T_FLOAT &&
               hdf5.H5Tequal(parts[0], parts[1]) > 0 && is_float(element, parts[0]);

    for (int i = 0; i < 2; i++) {
        if (parts[i] >= 0)
            hdf5.H5Tclose(parts[i]);
    }
    return has;
}

/* Of two such parts, with these names. */
static hid_t make_pair(const struct element *part, const char *const *names)
{
    size_t size = mpm_type_size(part->shape.type);
    hid_t pair = hdf5.H5Tcreate(H5T_COMPOUND, 2 * size);

    if (pair < 0 || (hdf5.H5Tinsert(pair, names[0], 0, part->memory) >= 0 &&
                     hdf5.H5Tinsert(pair, names[1], size, part->memory) >= 0))
        return pair;
    hdf5.H5Tclose(pair);
    return -1;
}

/* Complex numbers have no class of their own: h5py, netCDF4, PyTables and others write a compound of two floats. */
static bool is_complex(struct element *element, hid_t type)
{
    static const char *const names[][2] = {{"r", "i"}, {"re", "im"}, {"real", "imag"}};
    hid_t pair = -1;

    if (hdf5.H5Tget_nmembers(type) != 2 || !has_parts(element, type))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names && pair < 0; i++) {
        if (has_names(type, names[i][0], names[i][1]))
            pair = make_pair(element, names[i]);
    }
    element_end(element);
    element->memory = pair;
    element->shape.rank = 1;
    element->shape.extent[0] = 2;
    return pair >= 0;
}

static bool make(struct element *element, unsigned depth, hid_t type)
{
    element->memory = -1;
    if (type < 0 || depth > DEEPEST)
        return false;
    switch (hdf5.H5Tget_class(type)) {
    case H5T_INTEGER:
        return is_integer(element, type);
    case H5T_FLOAT:
        return is_float(element, type);
    case H5T_STRING:
        return hdf5.H5Tis_variable_str(type) == 0 && is_bytes(element, type);
    case H5T_BITFIELD:
        return is_bit_field(element, type);
    case H5T_OPAQUE:
        return is_bytes(element, type);
    case H5T_ENUM:
        return is_enumeration(element, type);
    case H5T_ARRAY:
        return is_array(element, depth, type);
    case H5T_COMPOUND:
        return is_complex(element, type);
    default:
        return false;
    }
}

bool element_of_type(hid_t type, struct element *element)
{
    bool is = make(element, 0, type);

    if (!is)
        element_end(element);
    return is;
}

/* A string as the file has it, but for its length. */
static bool is_text(struct element *element, hid_t type, struct variable_type *variable)
{
    *variable = (struct variable_type){true, true, 1};
    element->shape = (mpm_shape){.type = MPM_U8, .rank = 1};
    element->memory = hdf5.H5Tcopy(*hdf5.H5T_C_S1_g);
    return element->memory >= 0 && hdf5.H5Tset_size(element->memory, H5T_VARIABLE) >= 0 &&
           hdf5.H5Tset_cset(element->memory, hdf5.H5Tget_cset(type)) >= 0;
}

static bool is_sequence(struct element *element, hid_t type, struct variable_type *variable)
{
    hid_t super = hdf5.H5Tget_super(type), sequence = -1;

    if (super >= 0 && element_of_type(super, element)) {
        *variable = (struct variable_type){true, false, hdf5.H5Tget_size(element->memory)};
        sequence = hdf5.H5Tvlen_create(element->memory);
        element_end(element);
        element->memory = sequence;
        memmove(element->shape.extent + 1, element->shape.extent,
                element->shape.rank * sizeof element->shape.extent[0]);
        element->shape.extent[0] = 0;
        element->shape.rank++;
    }
    if (super >= 0)
        hdf5.H5Tclose(super);
    return sequence >= 0;
}

static bool is_variable(struct element *element, hid_t type, struct variable_type *variable)
{
    bool is = false;

    element->memory = -1;
    if (hdf5.H5Tget_class(type) == H5T_VLEN)
        is = is_sequence(element, type, variable);
    else if (hdf5.H5Tget_class(type) == H5T_STRING && hdf5.H5Tis_variable_str(type) > 0)
        is = is_text(element, type, variable);
    if (is && element->shape.rank <= MPM_MAX_DIMENSIONS)
        return true;
    *variable = (struct variable_type){false, false, 0};
    element_end(element);
    return false;
}

/* A compound of that one field, and of nothing else: HDF5 reads fields by their names. */
static bool wrap(struct element *element, const char *name)
{
    hid_t compound = hdf5.H5Tcreate(H5T_COMPOUND, hdf5.H5Tget_size(element->memory));
    bool is = compound >= 0 && hdf5.H5Tinsert(compound, name, 0, element->memory) >= 0;

    element_end(element);
    element->memory = compound;
    if (!is)
        element_end(element);
    return is;
}

hid_t element_memory_of(hid_t memory, hid_t type)
{
    hid_t field, inner, compound;
    char *name;

    if (hdf5.H5Tget_class(memory) != H5T_COMPOUND)
        return hdf5.H5Tcopy(type);
    field = hdf5.H5Tget_member_type(memory, 0);
    inner = element_memory_of(field, type);
    name = hdf5.H5Tget_member_name(memory, 0);
    compound = inner < 0 ? -1 : hdf5.H5Tcreate(H5T_COMPOUND, hdf5.H5Tget_size(inner));
    if (compound >= 0 && (!name || hdf5.H5Tinsert(compound, name, 0, inner) < 0)) {
        hdf5.H5Tclose(compound);
        compound = -1;
    }
    hdf5.H5free_memory(name);
    hdf5.H5Tclose(inner);
    hdf5.H5Tclose(field);
    return compound;
}

/* The field of that name, whose own name may have dots, or what its name begins with: then `*rest` is what is left. */
static hid_t open_field(hid_t type, const char *field, char name[256], const char **rest)
{
    size_t length = strcspn(field, ".");
    int index = -1;

    if (hdf5.H5Tget_class(type) != H5T_COMPOUND)
        return -1;
    if ((index = hdf5.H5Tget_member_index(type, field)) >= 0)
        length = strlen(field);
    if (snprintf(name, 256, "%.*s", (int)length, field) >= 256 ||
        (index < 0 && (index = hdf5.H5Tget_member_index(type, name)) < 0))
        return -1;
    *rest = field[length] ? field + length + 1 : NULL;
    return hdf5.H5Tget_member_type(type, (unsigned)index);
}

bool element_of_field(hid_t type, const char *field, struct element *element)
{
    char name[256];
    const char *rest;
    hid_t member = open_field(type, field, name, &rest);
    bool is;

    element->memory = -1;
    if (member < 0)
        return false;
    is = (rest ? element_of_field(member, rest, element) : element_of_type(member, element)) &&
         wrap(element, name);
    hdf5.H5Tclose(member);
    return is;
}

bool element_of_variable(hid_t type, const char *field, struct element *element,
                         struct variable_type *variable)
{
    char name[256];
    const char *rest;
    hid_t member;
    bool is;

    if (!field)
        return is_variable(element, type, variable);
    element->memory = -1;
    if ((member = open_field(type, field, name, &rest)) < 0)
        return false;
    is = element_of_variable(member, rest, element, variable) && wrap(element, name);
    hdf5.H5Tclose(member);
    return is;
}

void element_end(struct element *element)
{
    if (element->memory >= 0)
        hdf5.H5Tclose(element->memory);
    element->memory = -1;
}
