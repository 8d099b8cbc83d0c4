/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream of numbers goes to the workers, largest files first; the paths that they stand for, and the settings, are
 * in the map's context, which each node has once. Results come back in the order in which they are ready. A file that
 * ends its worker (a crash, the limit of time or of memory) costs its row: the pool says so by MPM_ETASK, and goes
 * on. */
#include "first_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "develop.h"
#include "support/command.h"

#define LOOK_S 0.1 /* between two drawings of the progress line */

/* The context: this, then `count` offsets from its beginning, at each of which are two texts: path and name. */
struct library {
    struct settings settings;
    uint64_t count;
    uint64_t offsets[];
};

/* What the generator needs. It runs in a thread of the stream's own. */
struct feed {
    uint64_t next, count;
};

int first_map_start_worker(mpm_call *call, const void *argument, size_t size, void **state)
{
    char error[256];

    (void)argument, (void)size, (void)state;
    return develop_start(error, sizeof error) ? mpm_fail(call, "%s", error) : 0;
}

static int develop_item(mpm_call *call, const void *item, void *result)
{
    const struct library *library = mpm_call_context(call);
    const char *path = (const char *)library + library->offsets[*(const uint64_t *)item];
    const char *name = path + strlen(path) + 1;
    char error[1024];

    struct photo *photo = result;

    if (!develop(&library->settings, path, name, photo, error, sizeof error))
        return 0;
    /* A disk that is full fails the run, not the photograph: main hears of it by a result. */
    return photo->output_error ? 0 : mpm_fail(call, "%s", error);
}

/* Draining, it says that there are no more photographs; those that it has given come to their end. */
static int give_next(void *argument, void *item)
{
    struct feed *feed = argument;

    if (feed->next == feed->count || mpm_draining())
        return 0;
    *(uint64_t *)item = feed->next++;
    return 1;
}

static struct library *make_library(const struct settings *settings, struct original *const *left,
                                    size_t count, size_t *size)
{
    struct library *library;
    size_t at = sizeof *library + count * sizeof library->offsets[0];

    *size = at;
    for (size_t i = 0; i < count; i++)
        *size += strlen(left[i]->path) + strlen(left[i]->name) + 2;
    if (!(library = malloc(*size)))
        return NULL;
    library->settings = *settings;
    library->count = count;
    for (size_t i = 0; i < count; i++) {
        library->offsets[i] = at;
        at = (size_t)(stpcpy((char *)library + at, left[i]->path) + 1 - (char *)library);
        at = (size_t)(stpcpy((char *)library + at, left[i]->name) + 1 - (char *)library);
    }
    return library;
}

static int larger_first(const void *a, const void *b)
{
    const struct original *left = *(struct original *const *)a, *right = *(struct original *const *)b;

    if (left->photo.file_size != right->photo.file_size)
        return left->photo.file_size < right->photo.file_size ? 1 : -1;
    return strcmp(left->path, right->path);
}

/* Those that are not done, which the caller frees; NULL without memory. */
static struct original **list_left(const struct originals *originals, size_t *count)
{
    struct original **left = malloc((originals->count + 1) * sizeof(struct original *));

    *count = 0;
    for (size_t i = 0; left && i < originals->count; i++) {
        if (!originals->items[i].is_done)
            left[(*count)++] = &originals->items[i];
    }
    if (left)
        qsort(left, *count, sizeof(struct original *), larger_first);
    return left;
}

void first_map_remove_outputs(const struct settings *settings, const char *name)
{
    char path[4096];

    for (unsigned i = 0; i < settings->size_count; i++) {
        if (settings_output_path(settings, i, name, false, path))
            unlink(path);
        if (settings_output_path(settings, i, name, true, path))
            unlink(path);
    }
}

/* The sentence of a failure without the number of its item, which nobody but this file knows. */
static char *copy_cause(uint64_t index)
{
    const char *sentence = mpm_error();
    char head[64];
    size_t length = (size_t)snprintf(head, sizeof head, "item %llu failed: ", (unsigned long long)index);

    return strdup(strncmp(sentence, head, length) ? sentence : sentence + length);
}

/* Takes what a worker has said of a photograph. What is in the journal is done. */
static int record(struct first_map *map, struct original *original, int status, const struct photo *photo,
                  uint64_t index)
{
    if (!status && photo->output_error)
        return failure("outputs of '%s' cannot be written to '%s': %s; --resume goes on when that is mended",
                       original->path, map->settings->out, strerror(photo->output_error));
    if (status == MPM_ETASK) {
        if (!(original->error = copy_cause(index)))
            return failure("out of memory");
        first_map_remove_outputs(map->settings, original->name);
    } else {
        original->photo = *photo;
    }
    if (journal_add(map->journal, original))
        return EXIT_FAILURE;
    original->is_done = 1;
    map->done_now++;
    return 0;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void show_progress(struct first_map *map, mpm_progress *progress, double start_s)
{
    progress->elapsed_s = now_s() - start_s;
    if (mpm_draining() && !map->is_drained) {
        map->is_drained = true;
        mpm_progress_line_end(&map->line);
        if (!map->is_quiet)
            fprintf(
                stderr,
                "mpmap-photos: draining: no more photographs start; another signal ends the run at once\n");
    }
    mpm_progress_line(progress, &map->line);
}

/* Takes results until the end of the stream. */
static int take_results(struct first_map *map, mpm_stream *stream, struct original *const *left, size_t count)
{
    mpm_progress progress = {.total = map->originals->count, .nodes = mpm_node_count()};
    double start_s = now_s();
    int exit_status = 0;

    progress.earlier = progress.done = map->originals->count - count;
    while (!exit_status) {
        struct photo photo;
        uint64_t index;
        int status = mpm_stream_next(stream, LOOK_S, &photo, &index);

        if (status == MPM_ECLOSED)
            break;
        if (!status || status == MPM_ETASK) {
            exit_status = record(map, left[index], status, &photo, index);
            progress.done++;
            progress.failed += status == MPM_ETASK;
        } else if (status != MPM_ETIMEDOUT && status != MPM_EINTERRUPTED) {
            exit_status = mpm_report_error();
        }
        show_progress(map, &progress, start_s);
    }
    mpm_progress_line_end(&map->line);
    return exit_status;
}

static int run_stream(struct first_map *map, struct original *const *left, size_t count)
{
    struct feed feed = {0, count};
    size_t size;
    struct library *library = make_library(map->settings, left, count, &size);
    mpm_stream_options options = {.order = MPM_UNORDERED,
                                  .buffer = 2 * mpm_pool_worker_count(map->pool),
                                  .chunk = 1,
                                  .context = library,
                                  .context_size = size};
    mpm_stream *stream;
    int exit_status;

    if (!library)
        return failure("out of memory");
    if (mpm_pool_imap(map->pool, develop_item, give_next, &feed, sizeof(uint64_t), sizeof(struct photo),
                      &options, &stream)) {
        free(library);
        return mpm_report_error();
    }
    exit_status = take_results(map, stream, left, count);
    mpm_stream_close(stream);
    free(library);
    map->is_drained = map->done_now < count;
    return exit_status;
}

int first_map_run(struct first_map *map)
{
    size_t count;
    struct original **left = list_left(map->originals, &count);
    int exit_status;

    map->done_now = 0;
    map->is_drained = false;
    if (!left)
        return failure("out of memory");
    exit_status = count ? run_stream(map, left, count) : 0;
    free(left);
    return exit_status;
}
