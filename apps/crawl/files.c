/* SPDX-License-Identifier: BSD-3-Clause */
/* A fetcher appends pages in the order in which main hears of them, so all that is behind the last one that main has
 * noted belongs to pages that it has not. */
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "support/command.h"

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

static int cut(const char *folder, const char *name, uint64_t end)
{
    const char *path = journal_path(folder, name);
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
    int status;

    buffer_print(&warc, "crawl-%zu.warc.gz", number);
    buffer_print(&edges, "links-%zu.bin", number);
    status = cut(folder, warc.bytes, ends.warc) || cut(folder, edges.bytes, ends.edges);
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
