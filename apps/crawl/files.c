/* SPDX-License-Identifier: BSD-3-Clause */
/* A fetcher appends pages in the order in which main hears of them, so all that is behind the last one that main has
 * noted belongs to pages that it has not. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "support/command.h"

#define MOST_PAUSES 3000 /* of 10 ms, until whoever writes has ended */

struct file_ends *files_ends(const struct frontier *frontier, size_t *count)
{
    struct file_ends *ends = NULL;
    struct facts facts;

    *count = 0;
    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state != PAGE_DONE)
            continue;
        frontier_facts(&frontier->pages[i], &facts);
        if (facts.outcome == OUTCOME_FORBIDDEN || facts.file > UINT16_MAX)
            continue;
        if (facts.file >= *count) {
            ends = must_realloc(ends, (facts.file + 1) * sizeof *ends);
            memset(ends + *count, 0, (facts.file + 1 - *count) * sizeof *ends);
            *count = facts.file + 1;
        }
        struct file_ends *end = &ends[facts.file];

        if (facts.warc_length && facts.warc_offset + facts.warc_length > end->warc)
            end->warc = facts.warc_offset + facts.warc_length;
        if (facts.edges_end > end->edges)
            end->edges = facts.edges_end;
    }
    return ends;
}

/* Waits until no process of an earlier run writes there any more: a fetcher whose main was killed ends some
 * milliseconds after it. Each has the lock of its file of links as long as it lives. Returns the file, or -1 after
 * saying what is wrong. */
static int lock(const char *path)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int file = open(path, O_RDWR | O_CLOEXEC);

    if (file < 0)
        failure("'%s' cannot be opened: %s", path, strerror(errno));
    for (int i = 0; file >= 0 && flock(file, LOCK_EX | LOCK_NB); i++) {
        if (errno == EWOULDBLOCK && i < MOST_PAUSES) {
            nanosleep(&pause, NULL);
        } else {
            failure("'%s' is in use: another process is writing to it", path);
            close(file);
            file = -1;
        }
    }
    return file;
}

static int cut(const char *path, uint64_t end)
{
    struct stat info;

    if (stat(path, &info)) {
        if (errno == ENOENT && !end)
            return 0;
        return failure("'%s' cannot be found: %s", path, strerror(errno));
    }
    if ((uint64_t)info.st_size < end)
        return failure(
            "'%s' has %llu bytes, but the journal knows of %llu: it is not the file that was written", path,
            (unsigned long long)info.st_size, (unsigned long long)end);
    if ((uint64_t)info.st_size > end && truncate(path, (off_t)end))
        return failure("'%s' cannot be cut: %s", path, strerror(errno));
    return 0;
}

int files_cut(const char *folder, size_t number, struct file_ends ends)
{
    struct buffer warc = {0}, edges = {0};
    int status, file;

    buffer_print(&warc, "%s/crawl-%zu.warc.gz", folder, number);
    buffer_print(&edges, "%s/links-%zu.bin", folder, number);
    if (access(edges.bytes, F_OK) && !ends.warc && !ends.edges) {
        status = 0; /* its fetcher never began */
    } else if ((file = lock(edges.bytes)) < 0) {
        status = 1;
    } else {
        status = cut(warc.bytes, ends.warc) || cut(edges.bytes, ends.edges);
        close(file);
    }
    buffer_free(&warc);
    buffer_free(&edges);
    return status;
}

static bool exists(const char *folder, size_t number)
{
    struct buffer name = {0};
    bool is_there;

    buffer_print(&name, "links-%zu.bin", number);
    is_there = !access(journal_path(folder, name.bytes), F_OK);
    buffer_free(&name);
    return is_there;
}

int files_cut_all(const struct frontier *frontier)
{
    const char *folder = frontier->settings->folder;
    size_t count;
    struct file_ends *ends = files_ends(frontier, &count);
    int status = 0;

    for (size_t i = 0; !status && (i < count || exists(folder, i)); i++)
        status = files_cut(folder, i, i < count ? ends[i] : (struct file_ends){0, 0});
    free(ends);
    return status;
}
