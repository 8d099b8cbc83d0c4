/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an output can be made where a map wants it: all that can be known beforehand. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/output.h"
#include "data/output_into.h"
#include "data/output_old.h"

static int check_dataset_name(const char *name)
{
    const char *last = strrchr(name, '/');

    last = last ? last + 1 : name;
    if (!*last || !strcmp(last, "."))
        return error_set(MPM_EINVAL, "\"%s\" is not the name of a data set: give one, such as /result", name);
    if (strlen(name) + sizeof ".done" > PATH_MAX)
        return error_set(MPM_EINVAL, "the name of the output data set must have at most %d bytes", PATH_MAX);
    return 0;
}

static int check_size(const struct output *output)
{
    uint64_t size;

    if (__builtin_mul_overflow(output->record.capacity, output->record.results.size, &size) ||
        size > INT64_MAX / 2)
        return error_set(MPM_EINVAL, "%" PRIu64 " results of %" PRIu64 " bytes are more than a file can hold",
                         output->record.rows, output->record.results.size);
    return 0;
}

/* The folder is found once, through whatever links lead to it; what is made in it is made there. */
static int find_path(struct output *output)
{
    char folder[PATH_MAX], absolute[PATH_MAX];
    const char *slash = strrchr(output->name, '/');
    const char *last = slash ? slash + 1 : output->name;
    int length = snprintf(folder, sizeof folder, "%.*s.", (int)(last - output->name), output->name);

    if (!*last)
        return error_set(MPM_EINVAL, "\"%s\" is not the name of a file", output->name);
    if (length >= PATH_MAX)
        return error_set(MPM_EINVAL, "the path of the output file must have at most %d bytes", PATH_MAX);
    if (!realpath(folder, absolute))
        return errno == ENOENT
                   ? error_set(MPM_ENOENT, "cannot create %s: its folder does not exist", output->name)
                   : error_set_errno(MPM_EIO, "cannot create %s", output->name);
    if (snprintf(output->path, sizeof output->path, "%s/%s", absolute, last) >= PATH_MAX ||
        snprintf(output->part, sizeof output->part, "%s.part", output->path) >= PATH_MAX ||
        snprintf(output->next, sizeof output->next, "%s.new", output->part) >= PATH_MAX ||
        snprintf(output->last, sizeof output->last, "%s.last", output->part) >= PATH_MAX ||
        snprintf(output->log.path, sizeof output->log.path, "%s.failed", output->part) >= PATH_MAX)
        return error_set(MPM_EINVAL, "the path of %s.part.failed must have at most %d bytes", output->name,
                         PATH_MAX);
    return access(absolute, W_OK | X_OK) ? error_set_errno(MPM_EIO, "cannot create %s", output->name) : 0;
}

static bool leads_to(const char *path, const struct stat *file)
{
    struct stat status;

    return stat(path, &status) == 0 && status.st_dev == file->st_dev && status.st_ino == file->st_ino;
}

static int check_is_not_input(struct output *output, const char *input_file)
{
    struct stat input;

    if (stat(input_file, &input))
        return error_set_errno(MPM_EIO, "cannot stat %s", input_file);
    output->is_into_input |= output->wants_into && leads_to(output->path, &input);
    if (leads_to(output->path, &input) && !output->wants_into)
        return error_set(MPM_EINVAL, "%s is the input file: choose another output file", output->name);
    if (leads_to(output->part, &input) || leads_to(output->next, &input))
        return error_set(MPM_EINVAL, "the input file is %s, where the output is to be written: rename it",
                         leads_to(output->part, &input) ? output->part : output->next);
    return 0;
}

static int check_is_no_input(struct output *output, const mpm_dataset_map *map)
{
    int status = map->input_file ? check_is_not_input(output, map->input_file) : 0;

    for (size_t i = 0; !status && i < map->input_file_count; i++)
        status = check_is_not_input(output, map->input_files[i]);
    return status;
}

static int is_a_link(const struct output *output)
{
    char target[PATH_MAX];
    ssize_t length = readlink(output->path, target, sizeof target - 1);

    target[length > 0 ? length : 0] = '\0';
    return error_set(MPM_EEXIST, "%s is a symbolic link to %s: name the file itself, or remove the link",
                     output->name, target);
}

static int check_may_overwrite(const struct output *output)
{
    if (output->is_into)
        return into_check(output);
    if (!output->overwrite)
        return error_set(
            MPM_EEXIST, "%s exists: choose another name, or overwrite it (--overwrite, MPM_OVERWRITE_RESULT)",
            output->name);
    return output->overwrite == MPM_OVERWRITE_FILE ? 0 : old_check_holds_only_result(output);
}

static bool resumes(const struct output *output)
{
    return output->joins || output->resume == MPM_RESUME_CONTINUE || output->resume == MPM_RESUME_FORCE;
}

static bool has_part(const struct output *output)
{
    return faccessat(AT_FDCWD, output->part, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* There is a file of that name, and the map is to go on. Where it is the finished output of this map, that is done; or
 * its failed rows are run again, in a part, or rows are added that have come. A part beside it is of a map that was to
 * replace it. */
static int check_resumed(struct output *output)
{
    char difference[700];
    bool is_same;
    int status = output_compare_finished(output, &is_same, difference, sizeof difference);

    if (status || (!is_same && output->overwrite) || (is_same && output->overwrite && has_part(output)))
        return status ? status : check_may_overwrite(output);
    if (!is_same && output->is_into)
        return into_check(output);
    if (!is_same)
        return error_set(MPM_EEXIST,
                         "%s exists and belongs to another map: %s; choose another name, or overwrite it "
                         "(--overwrite, MPM_OVERWRITE_RESULT)",
                         output->name, difference);
    output->is_finished = !output->record.is_live && (!output->retry_failed || !output->failed);
    output->is_redone = !output->is_finished;
    return 0;
}

static int check_existing(struct output *output)
{
    if (lstat(output->path, &output->old))
        return errno == ENOENT ? 0 : error_set_errno(MPM_EIO, "cannot stat %s", output->name);
    output->replaces = true;
    output->is_into = output->wants_into;
    if (S_ISLNK(output->old.st_mode))
        return is_a_link(output);
    if (!S_ISREG(output->old.st_mode))
        return error_set(MPM_EEXIST, "%s exists and is not a file: choose another name", output->name);
    return resumes(output) ? check_resumed(output) : check_may_overwrite(output);
}

/* What a result is, in memory and in the file, and what a failed row leaves. */
static int plan_result(struct output *output, const mpm_dataset_map *map)
{
    struct result_places *places = &output->record.results;
    int status = result_of_map(map, &output->result);

    if (status)
        return status;
    *places = (struct result_places){.count = output->result.count, .size = output->result.size};
    for (unsigned i = 0; i < places->count; i++) {
        places->field[i].offset = output->result.field[i].offset;
        places->field[i].size = output->result.field[i].size;
        places->field[i].is_vlen = output->result.field[i].vlen != MPM_NO_TYPE;
    }
    output->has_fill = map->fill;
    if (!map->fill)
        return 0;
    if (!output_failed_result(output))
        return error_set(MPM_ENOMEM, "no memory for a result of %" PRIu64 " bytes", places->size);
    return result_parse_fill(&output->result, map->fill, output->fill);
}

int output_describe_origin(struct output *output, const mpm_dataset_map *map, const struct input *input,
                           const struct function *task)
{
    char text[2 * RESULT_TEXT_SIZE];

    snprintf(text, sizeof text, "%s%s%s", output->result.text, map->fill ? RESULT_FILL : "",
             map->fill ? map->fill : "");
    return origin_make(&output->record.origin, map, input, task, text);
}

const void *output_failed_result(struct output *output)
{
    if (!output->fill)
        output->fill = calloc(1, output->record.results.size);
    return output->fill;
}

void output_end(struct output *output)
{
    failed_log_close(&output->log);
    scales_free(output->scales);
    output->scales = NULL;
    output_live_end(output);
    free(output->fill);
    output->fill = NULL;
}

static int plan_grid(struct output *output, const mpm_dataset_map *map, const struct input *input)
{
    int status = grid_of(map, input, &output->grid);

    if (!status && output->grid.is_stitched && output->result.has_vlen)
        return error_set(MPM_EINVAL,
                         "results of variable length cannot be stitched (--stitch): leave it out");
    for (unsigned i = 0; !status && i < output->result.count; i++)
        status = grid_check(&output->grid, &output->result.field[i].shape);
    return status || !map->follow.mode ? status : output_live_plan(output, input_most_rows(input));
}

int output_plan(const mpm_dataset_map *map, const struct input *input, const struct function *task,
                struct output *output)
{
    int status;

    *output = (struct output){
        .name = map->output_file,
        .dataset = map->output_dataset,
        .overwrite = map->overwrite,
        .joins = map->join,
        .wants_into = map->into,
        .fd = -1,
        .checks = -1,
        .old_fd = -1,
        .log.fd = -1,
        .attributes = map->attributes,
        .record = {.rows = input->rows, .capacity = input->rows},
        .resume = map->resume,
        .retry_failed = map->retry_failed,
        .notice = map->notice,
        .notice_argument = map->notice_argument,
    };
    if ((status = plan_result(output, map)) || (status = plan_grid(output, map, input)) ||
        (status = check_dataset_name(output->dataset)) ||
        (status = packing_parse(map->compress, map->compress_rows, &output->packing)) ||
        (status = check_size(output)) || (status = find_path(output)) ||
        (status = check_is_no_input(output, map)) ||
        (status = output_describe_origin(output, map, input, task)))
        return status;
    return check_existing(output);
}
