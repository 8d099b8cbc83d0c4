/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts that say what a map was. What is too large for a text is there as its size and a checksum. */
#include "data/origin.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/sum.h"

#define ANY_NUMBER  "any number of " /* rows of an input that grows */
#define VALUE_SHOWN 160              /* bytes of a text in a sentence */

static const struct {
    const char *attribute;
    const char *name; /* in a sentence */
    bool is_layout;
} fields[ORIGIN_FIELDS] = {
    [ORIGIN_INPUT_FILE] = {"input_file", "the input file", false},
    [ORIGIN_INPUT_DATASET] = {"input_dataset", "the input data set", false},
    [ORIGIN_INPUT_SHAPE] = {"input_shape", "the input's shape", true},
    [ORIGIN_INPUT_SIZE] = {"input_size", "the input's size", false},
    [ORIGIN_INPUT_CHANGED] = {"input_changed", "the time of the input's last change", false},
    [ORIGIN_INPUT_SUM] = {"input_checksum", "the input's checksum", false},
    [ORIGIN_TASK] = {"task", "the task", false},
    [ORIGIN_TASK_FILE] = {"task_checksum", "the checksum of the file with the task", false},
    [ORIGIN_TASK_BUILD] = {"task_build", "the build of the task", false},
    [ORIGIN_TASK_OFFSET] = {"task_offset", "the task's offset in its file", false},
    [ORIGIN_CONTEXT] = {"context", "the context (--param)", false},
    [ORIGIN_RESULT_SHAPE] = {"result_shape", "the result's type and shape", true},
    [ORIGIN_RESULT_DATASET] = {"result_dataset", "the result's data set", true},
    [ORIGIN_ROWS] = {"rows", "the choice of rows", true},
};

const char *origin_attribute(enum origin_field field)
{
    return fields[field].attribute;
}

bool origin_is_layout(enum origin_field field)
{
    return fields[field].is_layout;
}

const char *origin_text(const struct origin *origin, enum origin_field field)
{
    const char *at = origin->text, *end = at + sizeof origin->text;

    for (unsigned i = 0; i < field && at < end; i++)
        at += strnlen(at, (size_t)(end - at)) + 1;
    return at < end && memchr(at, '\0', (size_t)(end - at)) ? at : "";
}

bool origin_put(struct origin *origin, const char *const *texts)
{
    size_t at = 0;

    memset(origin, 0, sizeof *origin);
    for (unsigned i = 0; i < ORIGIN_FIELDS; i++) {
        size_t size = strlen(texts[i]) + 1;

        if (size > sizeof origin->text - at)
            return false;
        memcpy(origin->text + at, texts[i], size);
        at += size;
    }
    return true;
}

/* Of the whole file, since constants and tables count as the code does. 0 if it cannot be read. */
static uint64_t sum_of_file(const char *path)
{
    uint64_t sum = 0;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes;

    if (fd < 0)
        return 0;
    if (fstat(fd, &status) == 0 && status.st_size > 0 &&
        (bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) != MAP_FAILED) {
        sum = sum_add(SUM_EMPTY, bytes, (size_t)status.st_size);
        munmap(bytes, (size_t)status.st_size);
    }
    close(fd);
    return sum;
}

/* A struct with its fields, since others may have the same size. */
static void describe_rows(const mpm_dataset_map *map, const struct input *input, char *text, size_t size)
{
    char row[512];
    int length;

    mpm_shape_format(&input->row, row, sizeof row);
    length = input->follows ? snprintf(text, size, ANY_NUMBER "%s", row)
                            : snprintf(text, size, "%" PRIu64 " x %s", input->rows, row);

    if (map->row && strchr(map->row, '{'))
        snprintf(text + length, size - (size_t)length, " %.400s, checksum %016" PRIx64, map->row,
                 sum_add(SUM_EMPTY, map->row, strlen(map->row)));
}

int origin_make(struct origin *origin, const mpm_dataset_map *map, const struct input *input,
                const struct function *task, const char *result)
{
    char path[2 * PATH_MAX + 64], shape[1200], size[32], changed[32], sum[32], file[32], build[32],
        offset[32], context[64], rows[512];
    const char *texts[ORIGIN_FIELDS] = {
        path,
        map->input_dataset,
        shape,
        size,
        changed,
        sum,
        map->task_name ? map->task_name : "",
        file,
        build,
        offset,
        context,
        result,
        map->output_dataset,
        input_describe_choice(input, rows, sizeof rows),
    };

    input_describe_files(input, path);
    describe_rows(map, input, shape, sizeof shape);
    input_describe_stamp(input, size, changed, sum);
    snprintf(file, sizeof file, "%016" PRIx64,
             sum_of_file(task->module[0] ? task->module : "/proc/self/exe"));
    snprintf(build, sizeof build, "%016" PRIx64, task->build);
    snprintf(offset, sizeof offset, "%" PRIu64, task->offset);
    snprintf(context, sizeof context, "%zu bytes, checksum %016" PRIx64, map->context_size,
             sum_add(SUM_EMPTY, map->context_size ? map->context : "", map->context_size));
    return origin_put(origin, texts)
               ? 0
               : error_set(MPM_EINVAL,
                           "the names of input, output and task must have at most %d bytes together",
                           ORIGIN_SIZE);
}

enum origin_field origin_difference(const struct origin *was, const struct origin *is, unsigned from)
{
    for (unsigned field = from; field < ORIGIN_FIELDS; field++) {
        if (strcmp(origin_text(was, field), origin_text(is, field)))
            return field;
    }
    return ORIGIN_FIELDS;
}

/* "740 x f32[8]" and "any number of f32[8]". */
static bool is_same_row(const char *was, const char *is)
{
    const char *row = strstr(was, " x ");

    return row && !strncmp(is, ANY_NUMBER, strlen(ANY_NUMBER)) && !strcmp(row + 3, is + strlen(ANY_NUMBER));
}

/* "1:740:3" and "1::3"; nothing is all rows. */
static bool is_same_choice(const char *was, const char *is)
{
    unsigned long long first[2] = {0}, step[2] = {1, 1};

    sscanf(was, "%llu:%*u:%llu", &first[0], &step[0]);
    sscanf(is, "%llu::%llu", &first[1], &step[1]);
    return first[0] == first[1] && (step[0] ? step[0] : 1) == (step[1] ? step[1] : 1);
}

enum origin_field origin_followed_difference(const struct origin *was, const struct origin *is)
{
    for (unsigned field = 0; field < ORIGIN_FIELDS; field++) {
        const char *before = origin_text(was, field), *now = origin_text(is, field);
        bool is_same = field == ORIGIN_INPUT_SHAPE ? is_same_row(before, now)
                       : field == ORIGIN_ROWS      ? is_same_choice(before, now)
                       : field == ORIGIN_INPUT_SIZE || field == ORIGIN_INPUT_CHANGED ||
                               field == ORIGIN_INPUT_SUM
                           ? true
                           : !strcmp(before, now);

        if (!is_same)
            return field;
    }
    return ORIGIN_FIELDS;
}

char *origin_describe(const struct origin *was, const struct origin *is, enum origin_field field, char *text,
                      size_t size)
{
    const char *before = origin_text(was, field), *now = origin_text(is, field);

    snprintf(text, size, "%s was %.*s and is %.*s now", fields[field].name, VALUE_SHOWN,
             *before ? before : "not given", VALUE_SHOWN, *now ? now : "not given");
    return text;
}
