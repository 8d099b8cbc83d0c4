/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes the files of each fold, as svm-train and svm-predict read them, so that anybody can check a score: numbers
 * have all their digits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "output.h"
#include "support/text.h"
#include "support/whole_file.h"

static void write_rows(FILE *file, const struct data *data, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct data_node *node = data_row(data, rows[i]);

        fprintf(file, "%.17g", data_targets(data)[rows[i]]);
        /* A bias is the trainer's own: its option -B. */
        for (; node->index >= 0 && (uint64_t)node->index <= data->features; node++)
            fprintf(file, " %d:%.17g", node->index, node->value);
        fputc('\n', file);
    }
}

/* What a file holds. */
struct part {
    const char *folder, *name;
    const struct split_place *place;
    const uint32_t *rows;
    uint32_t count;
};

static int write_part(const struct data *data, const struct part *part)
{
    char *path = part->place->outer == NO_OUTER
                     ? text_format("%s/repeat%u.fold%u.%s", part->folder, part->place->repeat,
                                   part->place->fold, part->name)
                     : text_format("%s/outer%u.%s", part->folder, part->place->outer, part->name);
    struct whole_file file;
    int exit_status = 0;

    if (!path)
        return failure("out of memory");
    if (whole_file_begin(&file, path)) {
        exit_status = failure("cannot write '%s': %s", path, strerror(errno));
    } else {
        write_rows(file.stream, data, part->rows, part->count);
        if (whole_file_end(&file))
            exit_status = failure("cannot write '%s': %s", path, strerror(errno));
    }
    free(path);
    return exit_status;
}

static int write_split(const char *folder, const struct data *data, const struct plan *plan,
                       const struct split_place *place)
{
    struct split split;
    int exit_status;

    if (!split_make(data, plan, place, &split))
        return failure("out of memory");
    if (!(exit_status = write_part(data,
                                   &(struct part){folder, "train", place, split.train, split.train_count})))
        exit_status = write_part(data, &(struct part){folder, "test", place, split.test, split.test_count});
    split_free(&split);
    return exit_status;
}

int folds_write(const struct request *request, const struct data *data, const struct plan *plan)
{
    struct split_place place = {.outer = NO_OUTER, .fraction = 1};
    int exit_status = 0;

    if (mkdir(request->folds_out, 0777) && errno != EEXIST)
        return failure("the folder '%s' cannot be made: %s", request->folds_out, strerror(errno));
    for (place.repeat = 0; !exit_status && place.repeat < plan->repeats; place.repeat++) {
        for (place.fold = 0; !exit_status && place.fold < plan->folds; place.fold++)
            exit_status = write_split(request->folds_out, data, plan, &place);
    }
    place = (struct split_place){.fold = WHOLE_FOLD, .fraction = 1};
    for (; !exit_status && place.outer < plan->outer_folds; place.outer++)
        exit_status = write_split(request->folds_out, data, plan, &place);
    return exit_status;
}
