/* SPDX-License-Identifier: BSD-3-Clause */
/* A record is its size, a checksum, and its bytes: the kind, and what the kind has. Main alone writes, records in one
 * piece; a page and the URLs that were found in it are one record, so that none is without the other. If main is killed
 * in a write, the file ends with a part of a record, whose checksum is wrong: it is cut off when the journal is opened.
 * What the lost record was about is in the files of a fetcher, and is cut off there (files.c), and asked for again. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "url.h"

enum { RECORD_BEGIN = 1, RECORD_URLS = 2, RECORD_PAGE = 3 };

#define HEAD_SIZE (2 * sizeof(uint64_t))

static const char version[] = "mpmap-crawl journal 1";

struct journal {
    int file;
    struct buffer noted;
};

const char *journal_path(const char *folder, const char *name)
{
    static struct buffer path;

    path.size = 0;
    buffer_print(&path, "%s/%s", folder, name);
    return path.bytes;
}

/* Leaves room for the head of a record. */
static size_t begin_record(struct buffer *noted, uint64_t kind)
{
    size_t at = noted->size;

    buffer_add_number(noted, 0);
    buffer_add_number(noted, 0);
    buffer_add_number(noted, kind);
    return at;
}

static void end_record(struct buffer *noted, size_t at)
{
    const char *bytes = noted->bytes + at + HEAD_SIZE;
    uint64_t head[2] = {noted->size - at - HEAD_SIZE, 0};

    head[1] = url_fingerprint(bytes, head[0]);
    memcpy(noted->bytes + at, head, sizeof head);
}

static void add_urls(struct buffer *noted, const struct frontier *frontier, uint32_t first)
{
    for (size_t i = first; i < frontier->page_count; i++) {
        const struct page *page = &frontier->pages[i];

        buffer_add_text(noted, page->url, strlen(page->url));
        buffer_add_number(noted, page->referrer);
        buffer_add_number(noted, (uint64_t)page->depth << 16 | (uint64_t)page->redirects << 8 | page->kind);
    }
}

void journal_urls(struct journal *journal, const struct frontier *frontier, uint32_t first)
{
    size_t at;

    if (first == frontier->page_count)
        return;
    at = begin_record(&journal->noted, RECORD_URLS);
    add_urls(&journal->noted, frontier, first);
    end_record(&journal->noted, at);
}

void journal_page(struct journal *journal, const struct frontier *frontier, uint32_t page, uint32_t first)
{
    size_t at = begin_record(&journal->noted, RECORD_PAGE);

    buffer_add_number(&journal->noted, page);
    buffer_add_text(&journal->noted, frontier->pages[page].facts, frontier->pages[page].facts_size);
    add_urls(&journal->noted, frontier, first);
    end_record(&journal->noted, at);
}

int journal_flush(struct journal *journal)
{
    size_t done = 0;

    while (done < journal->noted.size) {
        ssize_t written = write(journal->file, journal->noted.bytes + done, journal->noted.size - done);

        if (written < 0 && errno != EINTR)
            return failure("the journal cannot be written: %s", strerror(errno));
        done += written > 0 ? (size_t)written : 0;
    }
    journal->noted.size = 0;
    return 0;
}

static void read_urls(struct frontier *frontier, struct reader *reader)
{
    while (!reader->is_bad && reader->at < reader->end) {
        size_t length;
        const char *url = reader_text(reader, &length);
        uint64_t referrer = reader_number(reader), numbers = reader_number(reader);

        if (!reader->is_bad)
            frontier_take(frontier, &(struct offer){.url = url,
                                                    .length = length,
                                                    .fingerprint = url_fingerprint(url, length),
                                                    .referrer = referrer,
                                                    .depth = (unsigned)(numbers >> 16),
                                                    .redirects = numbers >> 8 & 255,
                                                    .kind = (enum order_kind)(numbers & 255)});
    }
}

static void read_page(struct frontier *frontier, struct reader *reader)
{
    uint64_t page = reader_number(reader);
    size_t size;
    const char *facts = reader_text(reader, &size);

    if (reader->is_bad || page >= frontier->page_count || frontier->pages[page].state == PAGE_DONE)
        return;
    frontier_done(frontier, (uint32_t)page, facts, size);
    read_urls(frontier, reader);
}

/* Reads records into the frontier. Returns where the last whole one ends; `request` is set to that of the crawl. */
static size_t read_records(const char *bytes, size_t size, struct frontier *frontier, const char **request)
{
    size_t at = 0;

    while (size - at > HEAD_SIZE) {
        uint64_t head[2];
        struct reader reader;
        uint64_t kind;

        memcpy(head, bytes + at, sizeof head);
        if (head[0] > size - at - HEAD_SIZE || url_fingerprint(bytes + at + HEAD_SIZE, head[0]) != head[1])
            break;
        reader = (struct reader){bytes + at + HEAD_SIZE, bytes + at + HEAD_SIZE + head[0], false};
        kind = reader_number(&reader);
        if (kind == RECORD_BEGIN && !strcmp(reader_text(&reader, NULL), version))
            *request = reader_text(&reader, NULL);
        else if (!*request)
            break;
        else if (kind == RECORD_URLS)
            read_urls(frontier, &reader);
        else if (kind == RECORD_PAGE)
            read_page(frontier, &reader);
        at += HEAD_SIZE + head[0];
    }
    return at;
}

static int read_file(int file, const char *name, struct buffer *contents)
{
    struct stat info;

    if (fstat(file, &info))
        return failure("'%s' cannot be read: %s", name, strerror(errno));
    buffer_reserve(contents, (size_t)info.st_size + 1);
    while (contents->size < (size_t)info.st_size) {
        ssize_t got = read(file, contents->bytes + contents->size, (size_t)info.st_size - contents->size);

        if (got <= 0)
            return failure("'%s' cannot be read: %s", name, got ? strerror(errno) : "it has become shorter");
        contents->size += (size_t)got;
    }
    return 0;
}

/* Says which line of the request is another one. */
static int compare_requests(const char *folder, const char *then, const char *now)
{
    while (*then && *now) {
        int then_length = (int)strcspn(then, "\n"), now_length = (int)strcspn(now, "\n");

        if (then_length != now_length || memcmp(then, now, (size_t)now_length))
            return failure("the crawl in '%s' was begun with \"%.*s\", and this is \"%.*s\": --resume goes "
                           "on with the same "
                           "command, and another crawl needs another folder",
                           folder, then_length, then, now_length, now);
        then += then_length + (then[then_length] == '\n');
        now += now_length + (now[now_length] == '\n');
    }
    if (*then || *now)
        return failure("the crawl in '%s' was begun with another command: --resume goes on with the same one",
                       folder);
    return 0;
}

static int continue_journal(struct journal *journal, const char *name, struct frontier *frontier,
                            const char *request)
{
    const struct settings *settings = frontier->settings;
    struct buffer contents = {0};
    const char *begun = NULL;
    size_t end;
    int status = read_file(journal->file, name, &contents);

    if (!status && contents.size && !settings->resume)
        status = failure(
            "'%s' holds a crawl: --resume goes on with it, and another crawl needs another folder",
            settings->folder);
    if (!status) {
        end = read_records(contents.bytes, contents.size, frontier, &begun);
        if (begun && compare_requests(settings->folder, begun, request))
            status = 1;
        else if (!begun && end == 0 && contents.size > 4096)
            status = failure("'%s' is no journal of this program: remove it, or choose another folder", name);
        else if (ftruncate(journal->file, (off_t)end) || lseek(journal->file, (off_t)end, SEEK_SET) < 0)
            status = failure("'%s' cannot be cut: %s", name, strerror(errno));
    }
    if (!status && !begun) {
        size_t at = begin_record(&journal->noted, RECORD_BEGIN);

        buffer_add_text(&journal->noted, version, strlen(version));
        buffer_add_text(&journal->noted, request, strlen(request));
        end_record(&journal->noted, at);
    }
    buffer_free(&contents);
    return status;
}

struct journal *journal_open(struct frontier *frontier, const char *request)
{
    const char *folder = frontier->settings->folder, *name;
    struct journal *journal = must_realloc(NULL, sizeof *journal);

    *journal = (struct journal){.file = -1};
    if (mkdir(folder, 0777) && errno != EEXIST) {
        failure("the folder '%s' cannot be made: %s", folder, strerror(errno));
    } else {
        name = journal_path(folder, "journal");
        journal->file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (journal->file < 0)
            failure("'%s' cannot be opened: %s", name, strerror(errno));
        else if (flock(journal->file, LOCK_EX | LOCK_NB))
            failure("'%s' is in use: another crawl is writing to it", name);
        else if (!continue_journal(journal, name, frontier, request))
            return journal;
    }
    journal_close(journal);
    return NULL;
}

int journal_read(const char *folder, struct frontier *frontier)
{
    const char *name = journal_path(folder, "journal"), *request = NULL;
    int file = open(name, O_RDONLY | O_CLOEXEC), status;
    struct buffer contents = {0};

    if (file < 0)
        return failure("'%s' cannot be opened: %s", name, strerror(errno));
    status = read_file(file, name, &contents);
    if (!status) {
        read_records(contents.bytes, contents.size, frontier, &request);
        if (!request)
            status = failure("'%s' is no journal of this program", name);
    }
    buffer_free(&contents);
    close(file);
    return status;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->file >= 0)
        close(journal->file);
    buffer_free(&journal->noted);
    free(journal);
}
