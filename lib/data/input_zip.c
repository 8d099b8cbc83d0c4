/* SPDX-License-Identifier: BSD-3-Clause */
/* Several data sets of one file that have as many rows, read side by side: a row of each makes a struct, in which they
 * stand in the order in which they are named, each aligned as C does it. Each is an input of its own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/sum.h"

#define SEPARATOR  ",/"
#define MOST_BYTES ((size_t)1 << 20) /* of a data set that are read before they go to their places */

struct column {
    struct input input;
    char name[PATH_MAX];
    size_t offset, size; /* of a row of it in the struct, as HDF5 puts it there */
};

struct zip {
    unsigned count;
    size_t size; /* of a row: the padding behind its last field included */
    struct column column[];
};

bool input_is_zip(const char *dataset_name)
{
    return strstr(dataset_name, SEPARATOR) != NULL;
}

static unsigned count_names(const char *names)
{
    unsigned count = 1;

    for (const char *at = strstr(names, SEPARATOR); at; at = strstr(at + 1, SEPARATOR))
        count++;
    return count;
}

static size_t align(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

static int check_column(const struct zip *zip, unsigned i)
{
    const struct input *input = &zip->column[i].input, *first = &zip->column[0].input;

    if (input->file_rows != first->file_rows && !input->follows)
        return error_set(MPM_ETYPE,
                         "%s:%s has %" PRIu64 " rows, but %s has %" PRIu64
                         ": data sets that are read side by side have as many rows",
                         input->file_name, input->dataset_name, input->file_rows, first->dataset_name,
                         first->file_rows);
    return 0;
}

/* Its place in the struct, which is aligned as the struct then is. Rows of variable length are spans there. */
static int place_column(struct zip *zip, struct column *column, struct span_fields *spans, size_t *alignment)
{
    const struct variable_type variable = column->input.variable_type;
    size_t own = variable.is ? _Alignof(mpm_span) : mpm_type_size(column->input.row.type);

    column->size = variable.is_text ? sizeof(char *)
                   : variable.is    ? sizeof(hvl_t)
                                    : mpm_shape_size(&column->input.row);
    column->offset = align(zip->size, own);
    zip->size = column->offset + (variable.is ? sizeof(mpm_span) : column->size);
    if (own > *alignment)
        *alignment = own;
    return variable.is ? spans_add(spans, column->offset, variable) : 0;
}

static int open_columns(const struct input_source *source, struct zip *zip, struct span_fields *spans)
{
    const char *at = source->dataset_name;
    size_t alignment = 1;
    int status = 0;

    for (unsigned all = count_names(at); !status && zip->count < all;) {
        struct column *column = &zip->column[zip->count];
        const char *end = strstr(at, SEPARATOR);
        const struct input_source one = {.file_name = source->file_name,
                                         .dataset_name = column->name,
                                         .locking = source->locking,
                                         .follows = source->follows,
                                         .sources = source->sources};

        snprintf(column->name, sizeof column->name, "%.*s", (int)(end ? end - at : (ptrdiff_t)strlen(at)),
                 at);
        if ((status = input_open_one(&one, &column->input)))
            return status;
        status = check_column(zip, zip->count++);
        at = end ? end + 1 : at;
        if (!status)
            status = place_column(zip, column, spans, &alignment);
    }
    spans->size = zip->size = align(zip->size, alignment);
    return status;
}

/* "{f32[4] image, i32 label}", as a plugin would have it. */
static void describe(const struct zip *zip, char *text, size_t size)
{
    size_t length = 0;
    char shape[256];

    for (unsigned i = 0; i < zip->count && length < size; i++) {
        const char *slash = strrchr(zip->column[i].name, '/');

        const struct input *input = &zip->column[i].input;

        length += (size_t)snprintf(
            text + length, size - length, "%s%s %s", i ? ", " : "{",
            input->variable_type.is_text ? ELEMENT_TEXT : mpm_shape_format(&input->row, shape, sizeof shape),
            slash + 1);
    }
    if (length < size)
        snprintf(text + length, size - length, "}");
}

/* Whether the next field of a description, at *at, is a column's; moves behind it. Names are the description's own. */
static bool is_field(const struct column *column, const char **at)
{
    char text[256];
    mpm_shape shape;
    size_t length;

    *at += strspn(*at, " \t\n");
    length = strcspn(*at, " \t\n[,}");
    if ((*at)[length] == '[')
        length += strcspn(*at + length, "]") + 1;
    if (length >= sizeof text || length > strlen(*at))
        return false;
    snprintf(text, sizeof text, "%.*s", (int)length, *at);
    *at += length;
    *at += strcspn(*at, ",}");
    if (!strcmp(text, ELEMENT_TEXT))
        return column->input.variable_type.is_text;
    return !mpm_shape_parse(text, &shape) && shape.type == column->input.row.type &&
           shape.rank == column->input.row.rank &&
           !memcmp(shape.extent, column->input.row.extent, shape.rank * sizeof shape.extent[0]);
}

static int check_wanted(const struct input *input, const struct zip *zip)
{
    const char *at = input->wanted;
    char text[1024];
    bool is = true;

    if (!at)
        return 0;
    at += strspn(at, " \t\n");
    is = *at == '{';
    for (unsigned i = 0; is && i < zip->count; i++)
        is = is_field(&zip->column[i], (at++, &at)) && *at == (i + 1 < zip->count ? ',' : '}');
    if (is)
        return 0;
    describe(zip, text, sizeof text);
    return error_set(MPM_ETYPE, "%s:%s has rows of %s, where the row is to be %s", input->file_name,
                     input->dataset_name, text, input->wanted);
}

static void take_facts(struct input *input, const struct zip *zip)
{
    input->file_rows = zip->column[0].input.file_rows;
    input->row = (mpm_shape){.type = MPM_U8, .rank = 1, .extent = {zip->size}};
    input->locking = zip->column[0].input.locking;
    input->has_swmr_writer = zip->column[0].input.has_swmr_writer;
    input->stamp = (struct input_stamp){.sum = SUM_EMPTY};
    input->chunk_rows = 1;
    for (unsigned i = 0; i < zip->count; i++) {
        const struct input *one = &zip->column[i].input;

        input->grows_elsewhere = input->grows_elsewhere || one->grows_elsewhere;
        input->stamp.size = one->stamp.size;
        if (one->stamp.time_s > input->stamp.time_s)
            input->stamp.time_s = one->stamp.time_s;
        input->stamp.sum = sum_add(input->stamp.sum, &one->stamp.sum, sizeof one->stamp.sum);
        if (one->chunk_rows > input->chunk_rows)
            input->chunk_rows = one->chunk_rows;
        if (one->file_rows < input->file_rows) /* of a file that grows: a row is there when all of it is */
            input->file_rows = one->file_rows;
        if (one->most_rows < input->most_rows)
            input->most_rows = one->most_rows;
    }
}

static int open_zip(const struct input_source *source, struct input *input)
{
    int status;

    if (source->cut.tiling.rank || source->cut.axis)
        return error_set(MPM_EINVAL,
                         "%s:%s are several data sets, which are read by rows: neither tiles nor another "
                         "axis go with that",
                         source->file_name, source->dataset_name);
    if ((status = open_columns(source, input->zip, &input->spans)) ||
        (status = check_wanted(input, input->zip)))
        return status;
    take_facts(input, input->zip);
    return input_choose(input);
}

int input_open_zip(const struct input_source *source, struct input *input)
{
    unsigned count = count_names(source->dataset_name);
    int status;

    *input = input_unopened(source);
    if (!(input->zip = calloc(1, sizeof *input->zip + count * sizeof(struct column))))
        return error_set(MPM_ENOMEM, "no memory for %u data sets side by side", count);
    if ((status = open_zip(source, input))) {
        spans_end(&input->spans);
        input_close_zip(input->zip);
        input->zip = NULL;
    }
    return status;
}

/* Rows of one data set, to their places in the structs. */
static int read_column(struct column *column, const hsize_t run[3], const struct input_target *target,
                       unsigned char *buffer)
{
    size_t most = MOST_BYTES / column->size ? MOST_BYTES / column->size : 1, count;
    const struct input_target own = {buffer, column->size, target->transfer};
    int status = 0;

    for (size_t at = 0; !status && at < run[2]; at += count) {
        const hsize_t piece[3] = {run[0] + at * run[1], run[1], run[2] - at < most ? run[2] - at : most};

        count = (size_t)piece[2];
        if (column->input.variable_type.is)
            memset(buffer, 0, count * column->size);
        status = input_read_run(&column->input, piece, &own);
        for (size_t i = 0; !status && i < count; i++)
            memcpy(target->rows + (at + i) * target->row_size + column->offset, buffer + i * column->size,
                   column->size);
    }
    return status;
}

int input_read_zip(const struct input *input, const hsize_t run[3], const struct input_target *target)
{
    struct zip *zip = input->zip;
    int status = 0;

    memset(target->rows, 0, (size_t)run[2] * target->row_size);
    for (unsigned i = 0; !status && i < zip->count; i++) {
        size_t most = MOST_BYTES > zip->column[i].size ? MOST_BYTES : zip->column[i].size;
        unsigned char *buffer = malloc(most);

        status = buffer ? read_column(&zip->column[i], run, target, buffer)
                        : error_set(MPM_ENOMEM, "no memory for %zu bytes of a data set", most);
        free(buffer);
    }
    return status;
}

const struct input *input_first(const struct input *input)
{
    return input->zip ? &input->zip->column[0].input : input;
}

void input_close_zip(struct zip *zip)
{
    for (unsigned i = 0; zip && i < zip->count; i++)
        input_close(&zip->column[i].input);
    free(zip);
}
