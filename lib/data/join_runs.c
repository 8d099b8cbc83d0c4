/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a folder of claims, in which other processes rename files meanwhile: a file that is gone when it is to be
 * looked at is its run's under another name, and is looked for once more. */
#include "data/join_runs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "claim/claim.h"
#include "claim/claim_files.h"

#define TRIES 5u

struct found {
    uint64_t id;
    mpm_map_run run;
};

struct listing {
    struct found *found;
    size_t count, size;
    bool has_no_memory;
    int folder;
};

static struct found *find(struct listing *listing, uint64_t id)
{
    struct found *larger;

    for (size_t i = 0; i < listing->count; i++) {
        if (listing->found[i].id == id)
            return &listing->found[i];
    }
    if (listing->count == listing->size) {
        size_t size = listing->size ? listing->size * 2 : 64;

        if (!(larger = realloc(listing->found, size * sizeof *larger))) {
            listing->has_no_memory = true;
            return NULL;
        }
        listing->found = larger;
        listing->size = size;
    }
    larger = &listing->found[listing->count++];
    *larger = (struct found){.id = id};
    return larger;
}

/* Host and process, and when the file was renamed last. */
static void read_file(const struct listing *listing, const char *name, mpm_map_run *run)
{
    int fd = openat(listing->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct timespec now;
    struct stat status;
    char text[400];
    ssize_t size;

    if (fd < 0)
        return;
    size = pread(fd, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    clock_gettime(CLOCK_REALTIME, &now);
    if (sscanf(text, "%63s %ld", run->host, &run->pid) == 2 && !fstat(fd, &status))
        run->silent_s = (double)(now.tv_sec - status.st_ctim.tv_sec) +
                        (double)(now.tv_nsec - status.st_ctim.tv_nsec) * 1e-9;
    run->silent_s = run->silent_s > 0 ? run->silent_s : 0;
    close(fd);
}

static void see_entry(const char *name, void *argument)
{
    struct listing *listing = argument;
    struct claim_run run;
    struct claim claim;
    uint64_t owner;
    struct found *found;

    if (claim_parse_run(name, &run) && (found = find(listing, run.id))) {
        found->run.done = run.done;
        found->run.failed = run.failed;
        found->run.joined_s = (double)run.ms * 1e-3;
        read_file(listing, name, &found->run);
    } else if (claim_parse_range(name, &claim, &owner) && owner && (found = find(listing, owner))) {
        found->run.claimed += claim.end - claim.first;
    }
}

/* Whether each run's file could be read. */
static bool is_complete(const struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (!listing->found[i].run.host[0])
            return false;
    }
    return true;
}

static int by_work(const void *left, const void *right)
{
    const mpm_map_run *a = left, *b = right;

    return a->done < b->done ? 1 : a->done > b->done ? -1 : 0;
}

/* Of those that are known by a claim only, the files were removed: they are dead. */
static int hand_over(const struct listing *listing, mpm_map_run **runs, size_t *count)
{
    mpm_map_run *made = listing->count ? malloc(listing->count * sizeof *made) : NULL;

    if (listing->count && !made)
        return error_set(MPM_ENOMEM, "no memory for a list of %zu runs", listing->count);
    for (size_t i = 0; i < listing->count; i++)
        made[i] = listing->found[i].run;
    if (made)
        qsort(made, listing->count, sizeof *made, by_work);
    *runs = made;
    *count = listing->count;
    return 0;
}

static int list_runs(struct listing *listing)
{
    const struct claim_files files = claim_files_of(&listing->folder);
    int failed = 0;

    for (unsigned tries = 0; tries < TRIES && !failed; tries++) {
        listing->count = 0;
        failed = files.list(files.argument, see_entry, listing);
        if (is_complete(listing))
            break;
    }
    return failed;
}

int join_runs_read(const char *claims, mpm_map_run **runs, size_t *count)
{
    struct listing listing = {0};
    int failed = claim_folder_open(claims, &listing.folder), status = 0;

    *runs = NULL;
    *count = 0;
    if (!failed) {
        failed = list_runs(&listing);
        close(listing.folder);
    }
    if (failed && failed != ENOENT && failed != ESTALE) {
        errno = failed;
        status = error_set_errno(MPM_EIO, "cannot read %s", claims);
    } else if (listing.has_no_memory) {
        status = error_set(MPM_ENOMEM, "no memory for a list of runs");
    } else {
        status = hand_over(&listing, runs, count);
    }
    free(listing.found);
    return status;
}
