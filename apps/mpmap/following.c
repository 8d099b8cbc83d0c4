/* SPDX-License-Identifier: BSD-3-Clause */
#include "following.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "input_try.h"
#include "support/command.h"

#define AGAIN_S 0.25 /* between two looks for an input: each is a process */

int following_choose(const struct following_request *request, mpm_follow_options *follow)
{
    const char *word = request->follow, *end = request->end;

    if (!word && (end || request->poll_s > 0 || request->idle_s > 0))
        return usage_error("map",
                           "--follow-end, --follow-poll and --follow-idle say how a map follows its input: "
                           "give --follow with them");
    if (word && *word && strcmp(word, "always"))
        return usage_error("map", "--follow is '%s': it must be 'always', or have no value", word);
    if (end && *end == ':')
        end++;
    if (end && *end != '/')
        return usage_error("map",
                           "--follow-end is '%s', but must be :/SET, or :/SET@ATTRIBUTE, of the input's file",
                           request->end);
    *follow = (mpm_follow_options){.mode = !word   ? MPM_FOLLOW_NOT
                                           : *word ? MPM_FOLLOW_ALWAYS
                                                   : MPM_FOLLOW_WRITER,
                                   .poll_s = request->poll_s,
                                   .idle_s = request->idle_s,
                                   .end = end};
    return 0;
}

/* A file that was just made is empty. */
static bool may_come(const char *file, int status)
{
    struct stat now;

    return status == MPM_ENOENT || status == MPM_EBUSY ||
           (status == MPM_EIO && !stat(file, &now) && !now.st_size);
}

static int look(const char *file, const mpm_dataset_map *input, bool *is_there)
{
    struct stat now;
    int exit_status = stat(file, &now) ? 0 : input_try(file, input), status;

    if (exit_status)
        return exit_status;
    status = mpm_dataset_describe_input(input, NULL, NULL);
    *is_there = !status;
    return !status || may_come(file, status) ? 0 : mpm_report_error();
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)(AGAIN_S * 1e9)}, NULL);
}

int following_wait(const char *file, const mpm_dataset_map *input)
{
    double waited_s = 0;
    bool is_there;
    int exit_status;

    if (!input->follow.mode)
        return 0;
    while (!(exit_status = look(file, input, &is_there)) && !is_there) {
        if (waited_s <= 0)
            fprintf(stderr, "mpmap: waiting: %s\n", mpm_error());
        if (mpm_draining())
            return EXIT_DRAINED;
        if (input->follow.idle_s > 0 && waited_s >= input->follow.idle_s)
            return mpm_report_error();
        wait_a_little();
        waited_s += AGAIN_S;
    }
    return exit_status;
}
