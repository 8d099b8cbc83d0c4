/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters of a task: a struct, put together from what its description says, from settings, and from attributes of
 * the input. A description is that of a struct of results, with values behind some of its fields; an attribute is
 * turned into the words that a user would have written, so one way checks both. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/hdf5_call.h"
#include "data/input.h"
#include "data/result.h"
#include "data/writer.h"
#include "mpmap/dataset.h"

#define BLANKS     " \t\n"
#define VALUE_SIZE 4096
#define MOST_READ  256 /* numbers of an attribute */

struct parameters {
    const mpm_dataset_map *map;
    struct result fields;
    const char *value[RESULT_MOST_FIELDS]; /* NULL: none yet; not terminated */
    size_t length[RESULT_MOST_FIELDS];
    char text[RESULT_TEXT_SIZE]; /* the description without values */
};

/* Takes blanks off both ends. */
static void trim(const char **text, size_t *length)
{
    while (*length && strchr(BLANKS, **text)) {
        ++*text;
        --*length;
    }
    while (*length && strchr(BLANKS, (*text)[*length - 1]))
        --*length;
}

/* How long a field with its value is: up to a comma, a semicolon or the end that is not in brackets. */
static size_t field_length(const char *at)
{
    size_t length = 0;

    for (bool is_inside = false; at[length] && (is_inside || !strchr(",;}", at[length])); length++)
        is_inside = at[length] == '[' || (is_inside && at[length] != ']');
    return length;
}

/* Cuts values off the fields of a description. */
static int split(struct parameters *parameters, const char *description)
{
    const char *at = description + strspn(description, BLANKS);
    struct writer writer;

    if (*at != '{')
        return error_set(MPM_EINVAL,
                         "parameters \"%.100s\" are no struct: write {f64 sigma = 1.5, i32 order}",
                         description);
    writer_begin(&writer, parameters->text, sizeof parameters->text);
    for (unsigned i = 0; i < RESULT_MOST_FIELDS && *at && *at != '}'; i++) {
        size_t length = field_length(++at), name = strcspn(at, "=");

        name = name < length ? name : length;
        writer_add(&writer, "%s%.*s", i ? "," : "{", (int)name, at);
        parameters->value[i] = name < length ? at + name + 1 : NULL;
        parameters->length[i] = name < length ? length - name - 1 : 0;
        at += length;
    }
    writer_add(&writer, "%s", at);
    return writer.is_full ? error_set(MPM_EINVAL, "parameters must have less than %d bytes", RESULT_TEXT_SIZE)
                          : 0;
}

static int read_description(struct parameters *parameters, const char *description)
{
    int status = split(parameters, description);

    if (!status)
        status = result_parse(parameters->text, &parameters->fields);
    if (!status && parameters->fields.has_vlen)
        status = error_set(MPM_EINVAL, "parameters have a fixed length: in %s a text is u8[16], for example",
                           parameters->text);
    return status;
}

static int set(struct parameters *parameters, const char *setting)
{
    const char *equals = strchr(setting, '='), *name = setting;
    size_t length = equals ? (size_t)(equals - setting) : 0;
    const struct result_field *field;

    if (!equals)
        return error_set(MPM_EINVAL, "the parameter \"%s\" has no =: write it like sigma=1.5", setting);
    trim(&name, &length);
    if (!(field = result_find(&parameters->fields, name, length)))
        return error_set(MPM_EINVAL, "there is no parameter \"%.*s\": there are %s", (int)length, name,
                         parameters->fields.text);
    parameters->value[field - parameters->fields.field] = equals + 1;
    parameters->length[field - parameters->fields.field] = strlen(equals + 1);
    return 0;
}

/* ---- Attributes ---- */

static int is_not_in(const char *name, const mpm_dataset_map *map, const char *what)
{
    return error_set(MPM_ENOENT, "%s of %s:%s has no attribute \"%s\"", what,
                     map->input_file ? map->input_file : map->input_files[0], map->input_dataset, name);
}

/* Numbers, as words. */
static bool write_numbers(hid_t attribute, hid_t type, hssize_t count, char *value)
{
    const bool is_float = hdf5.H5Tget_class(type) == H5T_FLOAT;
    const bool is_signed = !is_float && hdf5.H5Tget_sign(type) == H5T_SGN_2;
    const mpm_type taken = is_float ? MPM_F64 : is_signed ? MPM_I64 : MPM_U64;
    union {
        double real[MOST_READ];
        int64_t with_sign[MOST_READ];
        uint64_t without[MOST_READ];
    } read;
    struct writer writer;

    if (count < 1 || count > MOST_READ || (!is_float && hdf5.H5Tget_class(type) != H5T_INTEGER) ||
        hdf5.H5Aread(attribute, hdf5_native_type(taken), &read) < 0)
        return false;
    writer_begin(&writer, value, VALUE_SIZE);
    for (hssize_t i = 0; i < count; i++) {
        if (is_float)
            writer_add(&writer, "%.17g ", read.real[i]);
        else if (is_signed)
            writer_add(&writer, "%" PRId64 " ", read.with_sign[i]);
        else
            writer_add(&writer, "%" PRIu64 " ", read.without[i]);
    }
    return !writer.is_full;
}

static bool read_value(hid_t object, const char *name, char *value)
{
    hid_t attribute, type, space;
    bool is;

    if (attribute_read_text(object, name, value, VALUE_SIZE))
        return true;
    attribute = hdf5.H5Aopen_by_name(object, ".", name, H5P_DEFAULT, H5P_DEFAULT);
    type = attribute < 0 ? -1 : hdf5.H5Aget_type(attribute);
    space = attribute < 0 ? -1 : hdf5.H5Aget_space(attribute);
    is = type >= 0 && space >= 0 &&
         write_numbers(attribute, type, hdf5.H5Sget_simple_extent_npoints(space), value);
    if (space >= 0)
        hdf5.H5Idec_ref(space);
    if (type >= 0)
        hdf5.H5Idec_ref(type);
    if (attribute >= 0)
        hdf5.H5Idec_ref(attribute);
    return is;
}

/* The first of several data sets; of a field its compound. */
static hid_t open_object(hid_t file, const char *dataset, bool is_file)
{
    char name[PATH_MAX];
    const char *second = strstr(dataset, ",/");
    char *dot;
    hid_t object;

    snprintf(name, sizeof name, "%.*s", second ? (int)(second - dataset) : PATH_MAX - 1, dataset);
    object = hdf5.H5Oopen(file, is_file ? "/" : name, H5P_DEFAULT);
    while (object < 0 && (dot = strrchr(name, '.'))) {
        *dot = '\0';
        object = hdf5.H5Oopen(file, name, H5P_DEFAULT);
    }
    return object;
}

static int read_from(hid_t file, const mpm_dataset_map *map, const char *name, char *value)
{
    bool is_file = *name == '/';
    hid_t object = open_object(file, map->input_dataset, is_file);
    const char *what = is_file ? "the file" : "the data set";
    int status = 0;

    name += is_file;
    if (object < 0)
        return hdf5_error_set(MPM_ENOENT, "there is no data set %s", map->input_dataset);
    if (hdf5.H5Aexists(object, name) <= 0)
        status = is_not_in(name, map, what);
    else if (!read_value(object, name, value))
        status = error_set(
            MPM_ETYPE,
            "the attribute \"%s\" of %s:%s is neither a text nor at most %d numbers of up to 64 bits", name,
            map->input_file ? map->input_file : map->input_files[0], map->input_dataset, MOST_READ);
    hdf5.H5Oclose(object);
    return status;
}

static int read_attribute(const mpm_dataset_map *map, const char *name, char *value)
{
    const char *path = map->input_file ? map->input_file : map->input_files ? map->input_files[0] : NULL;
    struct hdf5_guard guard;
    hid_t access, file;
    int status = path && map->input_dataset
                     ? hdf5_load()
                     : error_set(MPM_EINVAL, "parameters from attributes need an input file and data set");

    if (status)
        return status;
    hdf5_enter(&guard);
    access = hdf5_file_access(false);
    file = access < 0 ? -1 : hdf5.H5Fopen(path, H5F_ACC_RDONLY, access);
    status = file < 0 ? hdf5_error_set(MPM_EIO, "cannot open %s", path) : read_from(file, map, name, value);
    if (file >= 0)
        hdf5.H5Fclose(file);
    if (access >= 0)
        hdf5.H5Pclose(access);
    hdf5_leave(&guard);
    return status;
}

/* ---- Values ---- */

static int does_not_fit(const struct result_field *field, const char *value)
{
    char shape[256];

    return error_set(MPM_EINVAL, "the parameter %s is %s, and cannot be \"%.100s\"", field->name,
                     mpm_shape_format(&field->shape, shape, sizeof shape), value);
}

static int put_numbers(const struct result_field *field, const char *value, unsigned char *to)
{
    size_t size = mpm_type_size(field->shape.type), at = 0;
    char words[VALUE_SIZE], *rest = words;

    snprintf(words, sizeof words, "%s", value);
    for (char *word; (word = strtok_r(rest, BLANKS, &rest)); at += size) {
        if (at == field->size || !result_put_number(field->shape.type, word, to + at))
            return does_not_fit(field, value);
    }
    return at == field->size ? 0 : does_not_fit(field, value);
}

static int put_value(const struct parameters *parameters, unsigned index, unsigned char *values)
{
    const struct result_field *field = &parameters->fields.field[index];
    const char *given = parameters->value[index];
    size_t length = parameters->length[index];
    char value[VALUE_SIZE], read[VALUE_SIZE];
    int status = 0;

    if (!given)
        return error_set(MPM_EINVAL, "the parameter %s has no value: give one (--param %s=…)", field->name,
                         field->name);
    trim(&given, &length);
    snprintf(value, sizeof value, "%.*s", (int)length, given);
    if (length >= sizeof value)
        return does_not_fit(field, value);
    if (*value == '@') {
        status = read_attribute(parameters->map, value + 1, read);
        memcpy(value, read, status ? 0 : strlen(read) + 1);
    }
    if (status)
        return status;
    if (field->shape.type != MPM_U8 || field->shape.rank != 1)
        return put_numbers(field, value, values + field->offset);
    if (strlen(value) >= field->size)
        return does_not_fit(field, value);
    memcpy(values + field->offset, value, strlen(value));
    return 0;
}

static int put_all(const struct parameters *parameters, void **values, size_t *size)
{
    unsigned char *made = calloc(1, parameters->fields.size);
    int status = made ? 0 : error_set(MPM_ENOMEM, "no memory for parameters");

    for (unsigned i = 0; !status && i < parameters->fields.count; i++)
        status = put_value(parameters, i, made);
    if (status) {
        free(made);
        return status;
    }
    *values = made;
    *size = parameters->fields.size;
    return 0;
}

int mpm_dataset_read_parameters(const mpm_dataset_map *map, const char *description,
                                const char *const *settings, size_t count, void **values, size_t *size)
{
    struct parameters *parameters;
    int status;

    if (!map || !description || (count && !settings) || !values || !size)
        return error_set(MPM_EINVAL,
                         "mpm_dataset_read_parameters: only settings may be NULL, if there are none");
    if (!(parameters = calloc(1, sizeof *parameters)))
        return error_set(MPM_ENOMEM, "no memory for parameters");
    parameters->map = map;
    status = read_description(parameters, description);
    for (size_t i = 0; !status && i < count; i++)
        status = set(parameters, settings[i]);
    if (!status)
        status = put_all(parameters, values, size);
    free(parameters);
    return status;
}
