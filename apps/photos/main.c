/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-photos: a photograph library made ready for the web and for search. Under a launcher every rank runs this, but
 * mpm_init returns in rank 0 only: whatever is behind it happens, and is printed, once. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <mpmap.h>

#include "catalogue.h"
#include "duplicates.h"
#include "first_map.h"
#include "gallery.h"
#include "journal.h"
#include "plan.h"
#include "settings.h"
#include "summary.h"
#include "support/command.h"
#include "walk.h"

#define SETUP_S 60.0 /* for a worker to start in, on a machine that is busy */

static const char help[] =
    "usage: mpmap photos FOLDER… --out OUT [options]\n"
    "\n"
    "Makes a library of photographs (JPEG, PNG, WebP, TIFF) ready for the web and for search:\n"
    "turns them upright, converts them to sRGB, writes each in several sizes, records what is\n"
    "known of each in one HDF5 catalogue, finds near-duplicates, and makes a gallery that\n"
    "opens without a server. Originals are only read. A broken or hostile file costs its row.\n"
    "Example:  mpmap photos ~/Pictures --out ~/web\n"
    "\n"
    "  FOLDER             is walked, however deep, and links are followed; a file is taken\n"
    "                     whatever its name; @LIST is a file with a path a line, or between\n"
    "                     null bytes (find -print0)\n"
    "  --out OUT          the folder for what is made: OUT/SIZE/NAME.jpg, OUT/photos.h5,\n"
    "                     OUT/index.html; and OUT/photos.journal, which --resume needs\n"
    "  --sizes LIST       pixels of the longer side of each output (2048,1024,512,256,128);\n"
    "                     no photograph is made larger than it is\n"
    "  --format WORD      jpeg or webp (jpeg)\n"
    "  --quality N        of the outputs, from 1 to 100 (80)\n"
    "  --distance N       how different near-duplicates may be: bits of 64 of their hashes, and a\n"
    "                     level of 255 of their colours for each 4 bits, 2 at least (8)\n"
    "  --resume           goes on with what an earlier run has left in OUT: does only what is\n"
    "                     new, has changed, or was not done. The first run may have it, too\n"
    "  --retry-failed     with --resume: also does those again that failed then\n"
    "  --restart          does all of them again\n"
    "  --workers N        workers in all (one a slot)\n"
    "  --attempts N       how often to try a photograph that kills its worker (2)\n"
    "  --timeout SECONDS  a photograph that takes longer is killed, and tried again (60)\n"
    "  --memory BYTES     the same for one that needs more memory: 500M, 2G (1G)\n"
    "  --json             prints a summary as a JSON object to stdout\n"
    "  --progress WHAT    SECONDS: a plain line on stderr that often; json: an object a line; off:\n"
    "                     none. The default is a line redrawn in place on a terminal, and\n"
    "                     elsewhere a plain one after 10 s, then at growing pauses up to a minute\n"
    "  --quiet            no progress line, no summary\n"
    "  --help             prints this\n"
    "\n"
    "SIGTERM, SIGINT and SIGUSR1 drain the run: those at work come to their end, and the same\n"
    "command with --resume goes on later. A second signal ends it at once, which loses no more\n"
    "than those at work; so does kill -9.\n"
    "Exit status: 0; 1 if a photograph or anything else failed; 2 if the usage was wrong; 75 if it\n"
    "was drained before all were done.\n";

/* What the command line asks for. */
struct request {
    struct settings settings;
    const char *out, *sizes, *format, *progress;
    size_t quality, distance, workers, attempts, memory;
    double timeout_s;
    bool resume, retry_failed, restart, json, quiet;
    mpm_line line;
    char **words;
    size_t word_count;
};

static int set_out(struct settings *settings, const char *out)
{
    size_t length = strlen(out);

    while (length > 1 && out[length - 1] == '/')
        length--;
    /* Behind it are a size, a name and suffixes. */
    if (length + 160 > sizeof settings->out)
        return usage_error("", "--out is %zu bytes long, but may have %zu", length,
                           sizeof settings->out - 160);
    memcpy(settings->out, out, length);
    settings->out[length] = '\0';
    return 0;
}

static int check(struct request *request)
{
    int exit_status;

    if (!request->word_count)
        return usage_error("", "no folder or file is given");
    if (!request->out || !*request->out)
        return usage_error("", "--out is missing: the folder for what is made");
    if (request->restart && request->resume)
        return usage_error("",
                           "--resume goes on with an earlier run, and --restart begins anew: give only one");
    if (request->retry_failed && !request->resume)
        return usage_error("",
                           "--retry-failed does photographs of an earlier run again: give --resume with it");
    if ((exit_status = set_out(&request->settings, request->out)) ||
        (exit_status = settings_read_format(request->format, &request->settings)) ||
        (exit_status = settings_read_sizes(request->sizes, &request->settings)))
        return exit_status;
    request->settings.quality = (unsigned)request->quality;
    return command_line_form("", request->progress, request->quiet, &request->line);
}

/* Makes a folder and those above it. */
static int make_folder(char *path)
{
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        if (mkdir(path, 0777) && errno != EEXIST && errno != EISDIR && errno != EROFS && errno != EACCES) {
            int exit_status = failure("the folder '%s' cannot be made: %s", path, strerror(errno));

            *slash = '/';
            return exit_status;
        }
        *slash = '/';
    }
    if (mkdir(path, 0777) && errno != EEXIST)
        return failure("the folder '%s' cannot be made: %s", path, strerror(errno));
    return 0;
}

static int make_folders(const struct settings *settings)
{
    char path[sizeof settings->out + 32];
    int exit_status = 0;

    snprintf(path, sizeof path, "%s", settings->out);
    exit_status = make_folder(path);
    for (unsigned i = 0; i < settings->size_count && !exit_status; i++) {
        snprintf(path, sizeof path, "%s/%u", settings->out, settings->sizes[i]);
        exit_status = make_folder(path);
    }
    return exit_status;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Both maps, then what is written about all of them. */
static int run_maps(mpm_pool *pool, const struct request *request, struct originals *originals,
                    struct journal *journal, struct summary *summary)
{
    struct first_map map = {.pool = pool,
                            .settings = &request->settings,
                            .originals = originals,
                            .journal = journal,
                            .line = request->line,
                            .is_quiet = request->quiet};
    struct duplicates duplicates;
    int exit_status = first_map_run(&map);

    summary->done_now = map.done_now;
    summary->is_drained = map.is_drained;
    summary->workers = mpm_pool_worker_count(pool);
    if (exit_status || map.is_drained)
        return exit_status;
    summary->first_s = now_s() - summary->start_s;
    exit_status = duplicates_find(pool, originals, (unsigned)request->distance, &duplicates);
    summary->groups = duplicates.group_count;
    summary->members = duplicates.member_count;
    if (!exit_status)
        exit_status = catalogue_write(&request->settings, originals, &duplicates);
    if (!exit_status)
        exit_status = gallery_write(&request->settings, originals, &duplicates);
    free(duplicates.pairs);
    return exit_status;
}

static int open_and_run(const struct request *request, struct originals *originals, struct journal *journal,
                        struct summary *summary)
{
    mpm_pool_options options = {.workers = (unsigned)request->workers,
                                .max_attempts = (unsigned)request->attempts,
                                .item_timeout_s = request->timeout_s,
                                .item_memory_bytes = request->memory,
                                .initializer = first_map_start_worker,
                                .setup_timeout_s = fmax(request->timeout_s, SETUP_S)};
    mpm_pool *pool;
    int exit_status;

    if (mpm_pool_open(&options, &pool))
        return mpm_report_error();
    exit_status = run_maps(pool, request, originals, journal, summary);
    mpm_pool_close(pool);
    return exit_status;
}

/* With the journal open, so that nobody else is at work on the folder. */
static int run_library(const struct request *request, struct journal *journal, struct originals *earlier)
{
    struct summary summary = {.settings = &request->settings, .start_s = now_s()};
    struct originals originals;
    long long done;
    int exit_status = walk(request->words, request->word_count, request->settings.out, &originals,
                           &summary.walked);

    if (!exit_status && !originals.count)
        exit_status = failure(
            "there is no photograph: no file whose name ends in .jpg, .jpeg, .png, .webp, .tif …");
    if (!exit_status) {
        done = plan_make(&request->settings, &originals, earlier, request->retry_failed);
        summary.earlier = (uint64_t)done;
        exit_status = done < 0 ? failure("out of memory")
                               : open_and_run(request, &originals, journal, &summary);
    }
    if (!exit_status) {
        summary.seconds = now_s() - summary.start_s;
        exit_status = summary_tell(&summary, &originals, request->json, request->quiet);
    }
    originals_free(&originals);
    return exit_status;
}

static int run_request(const struct request *request)
{
    enum journal_mode mode = request->restart  ? JOURNAL_RESTART
                             : request->resume ? JOURNAL_CONTINUE
                                               : JOURNAL_REFUSE;
    struct originals earlier = {NULL, 0};
    struct journal journal;
    char line[256];
    int exit_status = make_folders(&request->settings);

    if (exit_status)
        return exit_status;
    settings_describe(&request->settings, line, sizeof line);
    exit_status = journal_open(&journal, request->settings.out, line, mode, &earlier);
    if (!exit_status) {
        exit_status = run_library(request, &journal, &earlier);
        journal_close(&journal);
    }
    originals_free(&earlier);
    return exit_status;
}

static int run_arguments(int argc, char **argv)
{
    struct request request = {.sizes = "2048,1024,512,256,128",
                              .format = "jpeg",
                              .quality = 80,
                              .distance = USUAL_DISTANCE,
                              .attempts = 2,
                              .memory = (size_t)1 << 30,
                              .timeout_s = 60};
    struct option options[] = {
        {"--out", OPTION_TEXT, &request.out, 0},
        {"--sizes", OPTION_TEXT, &request.sizes, 0},
        {"--format", OPTION_TEXT, &request.format, 0},
        {"--quality", OPTION_COUNT, &request.quality, 100},
        {"--distance", OPTION_COUNT, &request.distance, 32},
        {"--resume", OPTION_FLAG, &request.resume, 0},
        {"--retry-failed", OPTION_FLAG, &request.retry_failed, 0},
        {"--restart", OPTION_FLAG, &request.restart, 0},
        {"--workers", OPTION_COUNT, &request.workers, 65536},
        {"--attempts", OPTION_COUNT, &request.attempts, 1000000},
        {"--timeout", OPTION_SECONDS, &request.timeout_s, 1000000000},
        {"--memory", OPTION_BYTES, &request.memory, 0},
        {"--json", OPTION_FLAG, &request.json, 0},
        {"--progress", OPTION_TEXT, &request.progress, 0},
        {"--quiet", OPTION_FLAG, &request.quiet, 0},
    };
    struct command command = {.name = "",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof options[0],
                              .most_words = SIZE_MAX};
    int exit_status;

    if (!command_parse(&command, argc, argv, &exit_status))
        return exit_status;
    request.words = command.words;
    request.word_count = command.word_count;
    exit_status = check(&request);
    return exit_status ? exit_status : run_request(&request);
}

int main(int argc, char **argv)
{
    const mpm_options options = {.drain_at_signals = true};

    return command_main("mpmap-photos", &options, argc, argv, run_arguments);
}
