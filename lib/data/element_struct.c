/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows as C structs: a description names fields and what they are, in the order of the struct, each aligned as C does
 * it. HDF5 finds them by their names, so a description may leave fields out, and have another order than the file. */
#include <string.h>

#include "base/error.h"
#include "data/element.h"
#include "data/hdf5_call.h"
#include "data/writer.h"

#define NAME_SIZE  256
#define SHAPE_SIZE 256
#define DEEPEST    8
#define BLANKS     " \t\n"

/* A description that is read, for a compound of the file. */
struct reader {
    struct span_fields *spans;
    const char *dataset;     /* its name, for sentences */
    const char *description; /* all of it */
    const char *at;
};

/* A struct that is put together. */
struct layout {
    hid_t memory;
    size_t size, alignment;
};

static int read_struct(struct reader *reader, hid_t type, unsigned depth, struct layout *layout);

static int is_none(const struct reader *reader, const char *lacks)
{
    return error_set(MPM_EINVAL,
                     "the row \"%s\" lacks %s at \"%.20s\": write it like {f64 x, i32 n, u8[8] name}",
                     reader->description, lacks, reader->at);
}

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, BLANKS);
}

/* What stands before one of `ends`, without blanks at its end. */
static bool read_word(struct reader *reader, const char *ends, char *word, size_t size)
{
    size_t length = strcspn(reader->at, ends), used = length;

    while (used > 0 && strchr(BLANKS, reader->at[used - 1]))
        used--;
    if (used == 0 || used >= size)
        return false;
    memcpy(word, reader->at, used);
    word[used] = '\0';
    reader->at += length;
    return true;
}

/* A type, with its extents. */
static bool read_type(struct reader *reader, char *word, size_t size)
{
    size_t length = strcspn(reader->at, BLANKS "[,;}");

    if (reader->at[length] == '[')
        length += strcspn(reader->at + length, "]") + 1;
    if (length == 0 || length >= size || length > strlen(reader->at))
        return false;
    memcpy(word, reader->at, length);
    word[length] = '\0';
    reader->at += length;
    return true;
}

static bool shapes_are_equal(const mpm_shape *a, const mpm_shape *b)
{
    return a->type == b->type && a->rank == b->rank &&
           !memcmp(a->extent, b->extent, a->rank * sizeof a->extent[0]);
}

static int has_no_field(const struct reader *reader, hid_t type, const char *name)
{
    char text[1024];

    return error_set(MPM_ETYPE, "%s has no field %s: it holds %s", reader->dataset, name,
                     hdf5_type_text(type, text, sizeof text));
}

static int is_another(const struct reader *reader, hid_t member, const char *name, const char *wanted)
{
    char text[1024];

    return error_set(MPM_ETYPE, "%s holds %s in its field %s, where the row \"%s\" has %s", reader->dataset,
                     hdf5_type_text(member, text, sizeof text), name, reader->description, wanted);
}

static size_t align(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

/* Puts a field behind those that are there. Spans from the given one on are in it. */
static int put_field(struct reader *reader, struct layout *layout, const char *name,
                     const struct layout *field, unsigned first_span)
{
    size_t offset = align(layout->size, field->alignment);

    if (hdf5.H5Tset_size(layout->memory, offset + field->size) < 0 ||
        hdf5.H5Tinsert(layout->memory, name, offset, field->memory) < 0)
        return hdf5_error_set(MPM_EINVAL, "the row \"%s\" cannot have a field %s", reader->description, name);
    layout->size = offset + field->size;
    for (unsigned i = first_span; i < reader->spans->count; i++)
        reader->spans->field[i].offset += offset;
    if (field->alignment > layout->alignment)
        layout->alignment = field->alignment;
    return 0;
}

/* Whether a field of the file is what a description says: of a fixed length, or of none. */
static bool is_of_shape(hid_t member, const char *shape_text, const mpm_shape *shape, struct element *element,
                        struct variable_type *variable)
{
    bool is_text = !strcmp(shape_text, ELEMENT_TEXT);

    *variable = (struct variable_type){0};
    if (!element_of_type(member, element) && !element_of_variable(member, NULL, element, variable))
        return false;
    return is_text ? variable->is_text : shapes_are_equal(&element->shape, shape);
}

/* A field that is no struct: the file's must be the same. */
static int take_plain(struct reader *reader, hid_t type, const char *shape_text, const char *name,
                      struct layout *field)
{
    struct element element = {.memory = -1};
    struct variable_type variable;
    int index = hdf5.H5Tget_member_index(type, name), status = 0;
    hid_t member;
    mpm_shape shape = {.type = MPM_U8};

    if (strcmp(shape_text, ELEMENT_TEXT) != 0 && mpm_shape_parse(shape_text, &shape))
        return error_set(MPM_EINVAL, "the row \"%s\" has a field %s of type \"%s\", which is none",
                         reader->description, name, shape_text);
    if (index < 0 || (member = hdf5.H5Tget_member_type(type, (unsigned)index)) < 0)
        return has_no_field(reader, type, name);
    if (!is_of_shape(member, shape_text, &shape, &element, &variable)) {
        element_end(&element);
        status = is_another(reader, member, name, shape_text);
    }
    hdf5.H5Tclose(member);
    *field = (struct layout){element.memory, mpm_shape_size(&shape), mpm_type_size(shape.type)};
    if (!variable.is)
        return status;
    field->size = sizeof(mpm_span);
    field->alignment = _Alignof(mpm_span);
    return status ? status : spans_add(reader->spans, 0, variable);
}

/* A struct in a struct: its name is not known before it has been read, so what is read first is only passed over. */
static int take_struct(struct reader *reader, hid_t type, unsigned depth, char name[NAME_SIZE],
                       struct layout *field)
{
    struct reader inner = *reader;
    unsigned open = 0;
    int index, status;
    hid_t member;

    do {
        open += *reader->at == '{';
        open -= *reader->at == '}';
    } while (*reader->at && (reader->at++, open));
    skip_blanks(reader);
    if (!read_word(reader, ",;}", name, NAME_SIZE))
        return is_none(reader, "the name of a field");
    index = hdf5.H5Tget_member_index(type, name);
    if (index < 0 || (member = hdf5.H5Tget_member_type(type, (unsigned)index)) < 0)
        return has_no_field(reader, type, name);
    status = hdf5.H5Tget_class(member) == H5T_COMPOUND ? read_struct(&inner, member, depth + 1, field)
                                                       : is_another(reader, member, name, "a struct");
    hdf5.H5Tclose(member);
    return status;
}

static int read_field(struct reader *reader, hid_t type, unsigned depth, struct layout *layout)
{
    char name[NAME_SIZE], shape[SHAPE_SIZE];
    struct layout field = {-1, 0, 1};
    unsigned first_span = reader->spans->count;
    int status;

    skip_blanks(reader);
    if (*reader->at == '{') {
        status = take_struct(reader, type, depth, name, &field);
    } else {
        if (!read_type(reader, shape, sizeof shape))
            return is_none(reader, "a type");
        skip_blanks(reader);
        if (!read_word(reader, ",;}", name, sizeof name))
            return is_none(reader, "the name of a field");
        status = take_plain(reader, type, shape, name, &field);
    }
    if (!status)
        status = put_field(reader, layout, name, &field, first_span);
    if (field.memory >= 0)
        hdf5.H5Tclose(field.memory);
    return status;
}

/* Reads "{…}"; what it makes stays open only if it returns 0. */
static int read_struct(struct reader *reader, hid_t type, unsigned depth, struct layout *layout)
{
    int status = 0;

    *layout = (struct layout){-1, 0, 1};
    if (*reader->at != '{' || depth > DEEPEST)
        return is_none(reader, "{, or has too many of them,");
    if ((layout->memory = hdf5.H5Tcreate(H5T_COMPOUND, 1)) < 0)
        return hdf5_error_set(MPM_ENOMEM, "cannot make a struct");
    do {
        reader->at++; /* the bracket, or what stands between two fields */
        status = read_field(reader, type, depth, layout);
    } while (!status && (*reader->at == ',' || *reader->at == ';'));
    if (!status && *reader->at != '}')
        status = is_none(reader, "}");
    if (!status) {
        reader->at++;
        layout->size = align(layout->size, layout->alignment);
        if (hdf5.H5Tset_size(layout->memory, layout->size) < 0)
            status = hdf5_error_set(MPM_EINVAL, "the row \"%s\" cannot be made", reader->description);
    }
    if (status) {
        hdf5.H5Tclose(layout->memory);
        layout->memory = -1;
    }
    return status;
}

int element_of_struct(hid_t type, const char *name, const char *description, struct element *element,
                      struct span_fields *spans)
{
    struct reader reader = {spans, name, description, description + strspn(description, BLANKS)};
    struct layout layout;
    char text[1024];
    int status;

    element->memory = -1;
    if (hdf5.H5Tget_class(type) != H5T_COMPOUND)
        return error_set(MPM_ETYPE, "%s holds %s, where the row \"%s\" has a struct", name,
                         hdf5_type_text(type, text, sizeof text), description);
    if ((status = read_struct(&reader, type, 0, &layout)))
        return status;
    skip_blanks(&reader);
    if (*reader.at) {
        hdf5.H5Tclose(layout.memory);
        return is_none(&reader, "its end");
    }
    element->memory = layout.memory;
    spans->size = layout.size;
    element->shape = (mpm_shape){.type = MPM_U8, .rank = 1, .extent = {layout.size}};
    return 0;
}

/* Whether a description can name it, and a string of C hold it as it is. */
static bool can_be_named(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < NAME_SIZE && !strpbrk(name, ",;}\"\\\n") && !strchr(BLANKS, *name) &&
           !strchr(BLANKS, name[length - 1]);
}

static bool add_fields(struct writer *writer, hid_t type, unsigned depth);

/* "f64 x", or "{…} position". Adds nothing if it is nothing that a description can name. */
static bool add_field(struct writer *writer, hid_t member, const char *name, unsigned depth)
{
    struct element element = {.memory = -1};
    struct variable_type variable;
    char shape[SHAPE_SIZE];
    bool is = false;

    if (!can_be_named(name))
        return false;
    if (element_of_variable(member, NULL, &element, &variable) && (is = variable.is_text))
        writer_add(writer, ELEMENT_TEXT);
    else if ((is = variable.is || element_of_type(member, &element)))
        writer_add(writer, "%s", mpm_shape_format(&element.shape, shape, sizeof shape));
    else if (depth < DEEPEST && hdf5.H5Tget_class(member) == H5T_COMPOUND)
        is = add_fields(writer, member, depth + 1);
    if (is)
        writer_add(writer, " %s", name);
    element_end(&element);
    return is;
}

/* "{f64 x, {i32 n} in}". False if there would be no field in it. */
static bool add_fields(struct writer *writer, hid_t type, unsigned depth)
{
    int count = hdf5.H5Tget_nmembers(type);
    bool has_one = false;

    for (int i = 0; i < count && !writer->is_full; i++) {
        hid_t member = hdf5.H5Tget_member_type(type, (unsigned)i);
        char *name = hdf5.H5Tget_member_name(type, (unsigned)i);
        struct writer before = *writer;

        writer_add(writer, has_one ? ", " : "{");
        if (member >= 0 && name && add_field(writer, member, name, depth))
            has_one = true;
        else
            writer_go_back(writer, &before);
        if (name)
            hdf5.H5free_memory(name);
        if (member >= 0)
            hdf5.H5Tclose(member);
    }
    if (has_one)
        writer_add(writer, "}");
    return has_one;
}

char *element_describe_struct(hid_t type, char *text, size_t size)
{
    struct writer writer;

    writer_begin(&writer, text, size);
    add_fields(&writer, type, 0);
    return text;
}

bool element_has_fields(hid_t type, unsigned depth)
{
    int count = hdf5.H5Tget_nmembers(type);
    bool has = false;

    for (int i = 0; i < count && !has; i++) {
        hid_t member = hdf5.H5Tget_member_type(type, (unsigned)i);
        struct element element = {.memory = -1};
        struct variable_type variable;

        if (member < 0)
            continue;
        has = element_of_type(member, &element) || element_of_variable(member, NULL, &element, &variable) ||
              (depth < DEEPEST && hdf5.H5Tget_class(member) == H5T_COMPOUND &&
               element_has_fields(member, depth + 1));
        element_end(&element);
        hdf5.H5Tclose(member);
    }
    return has;
}
