/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading what a result is. A struct is written as that of a row is: its fields in order, each aligned as C does it. */
#include "data/result.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "data/values.h"
#include "data/writer.h"

#define BLANKS           " \t\n"
#define MAX_RESULT_BYTES ((size_t)1 << 47)

static bool is_struct(const char *text)
{
    return text[strspn(text, BLANKS)] == '{';
}

static int is_none(const char *text, const char *why, const char *at)
{
    return error_set(
        MPM_EINVAL, "the result \"%s\" %s at \"%.20s\": write it like {f64 mean, u8[16,16] thumb, i32 count}",
        text, why, at);
}

static int is_no_name(const char *text, const char *name, const char *why)
{
    return error_set(MPM_EINVAL, "the result \"%s\" has a field named \"%s\": %s", text, name, why);
}

const struct result_field *result_find(const struct result *result, const char *name, size_t length)
{
    for (unsigned i = 0; i < result->count; i++) {
        const struct result_field *field = &result->field[i];

        if (result->is_struct && strlen(field->name) == length && !memcmp(field->name, name, length))
            return field;
    }
    return NULL;
}

/* One whose first extent is left out has references in the part. */
static int take_vlen(struct result_field *field)
{
    mpm_shape *shape = &field->shape;

    if (!shape->rank || shape->extent[0])
        return 0;
    if (shape->rank > 1)
        return error_set(MPM_EINVAL,
                         "a result of variable length has one dimension, as f64[] has: give a result of %u "
                         "dimensions another form",
                         shape->rank);
    field->vlen = shape->type;
    *shape = (mpm_shape){.type = MPM_U64, .rank = 1, .extent = {sizeof(struct value_ref) / sizeof(uint64_t)}};
    return 0;
}

/* The reverse. Returns `text`. */
static const char *format_shape(const struct result_field *field, char *text, size_t size)
{
    if (!field->vlen)
        return mpm_shape_format(&field->shape, text, size);
    snprintf(text, size, "%s%s", field->is_text ? "text" : mpm_type_name(field->vlen),
             field->is_text ? "" : "[]");
    return text;
}

/* What `text` says: "f64[3]", or of variable length "text", "f64[]". */
static int parse_shape(const char *text, struct result_field *field)
{
    int status;

    field->is_text = !strcmp(text, "text");
    if ((status = mpm_shape_parse(field->is_text ? "u8[]" : text, &field->shape)))
        return status;
    return take_vlen(field);
}

/* Puts a field behind those that are there. */
static void put_field(struct result *result, size_t *alignment)
{
    struct result_field *field = &result->field[result->count++];
    size_t own = mpm_type_size(field->shape.type);

    field->offset = (result->size + own - 1) / own * own;
    field->size = mpm_shape_size(&field->shape);
    result->has_vlen |= field->vlen != MPM_NO_TYPE;
    result->size = field->offset + field->size;
    *alignment = own > *alignment ? own : *alignment;
}

/* A type with its extents, which may have blanks behind their commas. */
static int read_shape(const char *text, const char **at, struct result_field *field)
{
    char word[512];
    size_t length = strcspn(*at, BLANKS "[,;}"), used = 0;

    if ((*at)[length] == '[')
        length += strcspn(*at + length, "]") + 1;
    if (length == 0 || length >= sizeof word || length > strlen(*at))
        return is_none(text, "lacks a type", *at);
    for (size_t i = 0; i < length; i++) {
        if (!strchr(BLANKS, (*at)[i]))
            word[used++] = (*at)[i];
    }
    word[used] = '\0';
    *at += length;
    return parse_shape(word, field);
}

static int read_name(const char *text, const char **at, struct result *result)
{
    char *name = result->field[result->count].name;
    size_t length = strcspn(*at, ",;}"), used = length;

    while (used > 0 && strchr(BLANKS, (*at)[used - 1]))
        used--;
    if (used == 0)
        return is_none(text, "lacks the name of a field", *at);
    if (used >= RESULT_NAME_SIZE)
        return is_none(text, "has a name of more than 63 bytes", *at);
    memcpy(name, *at, used);
    name[used] = '\0';
    *at += length;
    if (strcspn(name, "/.={[" BLANKS) < used)
        return is_no_name(text, name, "it must have none of / . = { [ and blanks in it");
    if (result_find(result, name, used))
        return is_no_name(text, name, "each must have its own");
    return 0;
}

static int read_field(const char *text, const char **at, struct result *result, size_t *alignment)
{
    int status;

    if (result->count == RESULT_MOST_FIELDS)
        return is_none(text, "has more than 64 fields", *at);
    *at += strspn(*at, BLANKS);
    if (**at == '{')
        return is_none(text, "has a struct in a struct", *at);
    if ((status = read_shape(text, at, &result->field[result->count])))
        return status;
    *at += strspn(*at, BLANKS);
    if (!(status = read_name(text, at, result)))
        put_field(result, alignment);
    return status;
}

static void write_text(struct result *result)
{
    struct writer writer;
    char shape[512];

    writer_begin(&writer, result->text, sizeof result->text);
    for (unsigned i = 0; i < result->count; i++)
        writer_add(&writer, "%s%s %s", i ? ", " : "{", format_shape(&result->field[i], shape, sizeof shape),
                   result->field[i].name);
    writer_add(&writer, "}");
}

static int check_size(const struct result *result, const char *text)
{
    if (result->size == 0 || result->size >= MAX_RESULT_BYTES)
        return error_set(MPM_EINVAL, "a result \"%.100s\" must have at least one byte, and less than 2^47",
                         text);
    return 0;
}

static int parse_struct(const char *text, struct result *result)
{
    const char *at = text + strspn(text, BLANKS);
    size_t alignment = 1;
    int status;

    *result = (struct result){.is_struct = true};
    do {
        at++; /* the bracket, or what stands between two fields */
        if ((status = read_field(text, &at, result, &alignment)))
            return status;
    } while (*at == ',' || *at == ';');
    if (*at != '}' || at[1 + strspn(at + 1, BLANKS)])
        return is_none(text, "must end with }", at);
    result->size = (result->size + alignment - 1) / alignment * alignment;
    write_text(result);
    if (strlen(result->text) + sizeof "…" >= sizeof result->text)
        return error_set(MPM_EINVAL, "a result's description must have less than %d bytes", RESULT_TEXT_SIZE);
    return check_size(result, text);
}

static void take_one(const struct result_field *field, struct result *result)
{
    size_t alignment = 1;

    *result = (struct result){.is_struct = false};
    result->field[0] = *field;
    put_field(result, &alignment);
    format_shape(field, result->text, sizeof result->text);
}

int result_parse(const char *text, struct result *result)
{
    const char *fill = strstr(text, RESULT_FILL);
    char own[RESULT_TEXT_SIZE];
    struct result_field field = {.name = ""};
    int status;

    if (snprintf(own, sizeof own, "%.*s", fill ? (int)(fill - text) : (int)strlen(text), text) >=
        (int)sizeof own)
        return error_set(MPM_EINVAL, "a result's description must have less than %d bytes", RESULT_TEXT_SIZE);
    if (is_struct(own))
        return parse_struct(own, result);
    if (!(status = parse_shape(own, &field)))
        take_one(&field, result);
    return status;
}

static int check_shape(const mpm_shape *shape)
{
    size_t size = mpm_shape_size(shape);

    if (mpm_type_size(shape->type) == 0)
        return error_set(MPM_EINVAL, "result.type %d is not an element type; example of a result: \"f64[3]\"",
                         (int)shape->type);
    if (shape->rank > MPM_MAX_DIMENSIONS)
        return error_set(MPM_EINVAL, "a result has %u dimensions: at most %d are allowed", shape->rank,
                         MPM_MAX_DIMENSIONS);
    if (shape->rank && !shape->extent[0])
        return 0; /* of variable length */
    if (size == 0 || size >= MAX_RESULT_BYTES)
        return error_set(MPM_EINVAL,
                         "a result has %zu elements: it must have at least one, and less than 2^47 bytes",
                         mpm_shape_elements(shape));
    return 0;
}

int result_of_map(const mpm_dataset_map *map, struct result *result)
{
    struct result_field field = {.name = "", .shape = map->result};
    int status;

    if (map->results && map->result.type)
        return error_set(MPM_EINVAL, "a map has either a result or results (a struct), not both");
    if (!map->results) {
        if (!(status = check_shape(&map->result)) && !(status = take_vlen(&field)))
            take_one(&field, result);
    } else {
        status = result_parse(map->results, result);
    }
    return status ? status : result_check_attributes(result, map->attributes);
}

int result_check(const mpm_dataset_map *map)
{
    struct result result;
    int status = result_of_map(map, &result);

    return status || !map->fill ? status : result_parse_fill(&result, map->fill, NULL);
}

/* ---- Attributes ---- */

/* What the file says of itself. */
static bool is_reserved(const char *name)
{
    static const char *const reserved[] = {"CLASS",          "NAME",       "DIMENSION_LIST",
                                           "REFERENCE_LIST", "_FillValue", "task",
                                           "context",        "rows",       "result_shape"};
    static const char *const prefixes[] = {"input_", "mpmap_", "task_", "result_"};

    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (!strcmp(name, reserved[i]))
            return true;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return true;
    }
    return false;
}

static int is_no_attribute(const char *line, size_t length, const char *why)
{
    return error_set(MPM_EINVAL, "the attribute \"%.*s\" %s: write a line like units = K, or mean.units = K",
                     (int)(length < 100 ? length : 100), line, why);
}

/* What stands before the "=" of a line. */
static int read_attribute_name(const struct result *result, const char *line, size_t length,
                               struct result_attribute *attribute)
{
    size_t end = (size_t)((const char *)memchr(line, '=', length) - line), field = strcspn(line, ".=");

    while (end > 0 && strchr(BLANKS, line[end - 1]))
        end--;
    attribute->field = NULL;
    if (field < end) {
        if (!(attribute->field = result_find(result, line, field)))
            return is_no_attribute(line, length, "is of a field that the result does not have");
        line += field + 1;
        end -= field + 1;
    }
    if (end == 0 || end >= sizeof attribute->name)
        return is_no_attribute(line, length, "has no name, or one of more than 63 bytes");
    memcpy(attribute->name, line, end);
    attribute->name[end] = '\0';
    return is_reserved(attribute->name)
               ? error_set(MPM_EINVAL, "the attribute \"%s\" is mpmap's own: choose another name",
                           attribute->name)
               : 0;
}

bool result_next_attribute(const struct result *result, const char **text, struct result_attribute *attribute,
                           int *status)
{
    const char *line = *text ? *text + strspn(*text, BLANKS) : "", *equals;
    size_t length = strcspn(line, "\n");

    *status = 0;
    if (!*line)
        return false;
    *text = line + length;
    if (!(equals = memchr(line, '=', length))) {
        *status = is_no_attribute(line, length, "has no =");
        return false;
    }
    equals += 1 + strspn(equals + 1, " \t");
    attribute->value = equals;
    attribute->length = line + length > equals ? (size_t)(line + length - equals) : 0;
    *status = read_attribute_name(result, line, length, attribute);
    return !*status;
}

int result_check_attributes(const struct result *result, const char *text)
{
    struct result_attribute attribute;
    int status;

    while (result_next_attribute(result, &text, &attribute, &status)) {
    }
    return status;
}
