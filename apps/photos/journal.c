/* SPDX-License-Identifier: BSD-3-Clause */
/* A row in the file: struct frame, struct photo, then path, name and error, each with a null byte behind it. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/text.h"

#define FIRST_WORDS "mpmap-photos journal 1: "

struct frame {
    uint64_t size;     /* bytes behind this struct */
    uint64_t checksum; /* of these bytes */
};

static uint64_t checksum(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static int fail(const struct journal *journal, const char *what)
{
    return failure("'%s' cannot be %s: %s", journal->path, what, strerror(errno));
}

/* Takes three texts out of a row; false if they are not there. An empty error is none. */
static bool read_texts(const char *bytes, size_t size, struct original *original)
{
    char **texts[] = {&original->path, &original->name, &original->error};

    for (size_t i = 0; i < 3; i++) {
        const char *end = memchr(bytes, '\0', size);

        if (!end || !(*texts[i] = strdup(bytes)))
            return false;
        size -= (size_t)(end + 1 - bytes);
        bytes = end + 1;
    }
    if (!*original->error) {
        free(original->error);
        original->error = NULL;
    }
    return !size;
}

/* Adds the row at `bytes` to the rows. Returns its whole size; 0 if it is not whole, or there is no memory. */
static size_t read_row(const char *bytes, size_t size, struct originals *rows)
{
    struct original original = {.group = NO_GROUP, .is_done = 1};
    struct frame frame;
    size_t count = rows->count;

    if (size < sizeof frame)
        return 0;
    memcpy(&frame, bytes, sizeof frame);
    bytes += sizeof frame;
    if (frame.size > size - sizeof frame || frame.size < sizeof original.photo ||
        frame.checksum != checksum(bytes, frame.size))
        return 0;
    if (!(count & (count - 1))) { /* room for a power of two at each */
        struct original *items = realloc(rows->items, (count ? 2 * count : 1) * sizeof *items);

        if (!items)
            return 0;
        rows->items = items;
    }
    memcpy(&original.photo, bytes, sizeof original.photo);
    if (!read_texts(bytes + sizeof original.photo, frame.size - sizeof original.photo, &original)) {
        free(original.path);
        free(original.name);
        free(original.error);
        return 0;
    }
    rows->items[rows->count++] = original;
    return sizeof frame + frame.size;
}

static int by_path_and_place(const void *a, const void *b)
{
    const struct original *left = a, *right = b;
    int order = strcmp(left->path, right->path);

    /* `group` holds the place while the rows are read. */
    return order ? order : (left->group > right->group) - (left->group < right->group);
}

/* Keeps the last row of each path. */
static void keep_last(struct originals *rows)
{
    size_t kept = 0;

    for (size_t i = 0; i < rows->count; i++)
        rows->items[i].group = (int64_t)i;
    if (rows->count)
        qsort(rows->items, rows->count, sizeof *rows->items, by_path_and_place);
    for (size_t i = 0; i < rows->count; i++) {
        if (i + 1 < rows->count && !strcmp(rows->items[i].path, rows->items[i + 1].path)) {
            struct originals one = {&rows->items[i], 1};

            free(one.items[0].path);
            free(one.items[0].name);
            free(one.items[0].error);
        } else {
            rows->items[kept++] = rows->items[i];
        }
    }
    rows->count = kept;
    for (size_t i = 0; i < rows->count; i++)
        rows->items[i].group = NO_GROUP;
}

static int begin(struct journal *journal, const char *settings)
{
    if (ftruncate(journal->file, 0) || lseek(journal->file, 0, SEEK_SET) < 0 ||
        dprintf(journal->file, "%s%s\n", FIRST_WORDS, settings) < 0)
        return fail(journal, "written");
    return 0;
}

/* Whether the journal is one, and of the same settings. */
static int check_settings(const struct journal *journal, const char *bytes, size_t size, const char *settings)
{
    size_t words = strlen(FIRST_WORDS);
    const char *end = memchr(bytes, '\n', size);
    int length = end ? (int)(end - bytes) - (int)words : 0;

    if (!end || length < 0 || memcmp(bytes, FIRST_WORDS, words))
        return failure("'%s' is no journal of this program, or of another version of it", journal->path);
    if ((size_t)length != strlen(settings) || memcmp(bytes + words, settings, (size_t)length))
        return failure(
            "'%s' is of a run that made other outputs (%.*s), and this one would make %s: give the same "
            "options, or --restart",
            journal->path, length, bytes + words, settings);
    return 0;
}

static int read_rows(struct journal *journal, const char *bytes, size_t size, const char *settings,
                     struct originals *earlier)
{
    int exit_status = check_settings(journal, bytes, size, settings);
    size_t at, row;

    if (exit_status)
        return exit_status;
    at = (size_t)((const char *)memchr(bytes, '\n', size) + 1 - bytes);
    while ((row = read_row(bytes + at, size - at, earlier)))
        at += row;
    if (at < size && ftruncate(journal->file, (off_t)at))
        return fail(journal, "cut to its last whole row");
    return lseek(journal->file, (off_t)at, SEEK_SET) < 0 ? fail(journal, "read") : 0;
}

static int go_on(struct journal *journal, const char *settings, enum journal_mode mode,
                 struct originals *earlier)
{
    struct stat status;
    char *bytes;
    int exit_status;

    if (fstat(journal->file, &status))
        return fail(journal, "read");
    if (mode == JOURNAL_RESTART || !status.st_size)
        return begin(journal, settings);
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, journal->file, 0);
    if (bytes == MAP_FAILED)
        return fail(journal, "read");
    /* A run that was killed while it wrote the first line has done nothing. */
    if (!memchr(bytes, '\n', (size_t)status.st_size) && status.st_size < 4096)
        exit_status = begin(journal, settings);
    else
        exit_status = read_rows(journal, bytes, (size_t)status.st_size, settings, earlier);
    munmap(bytes, (size_t)status.st_size);
    keep_last(earlier);
    if (!exit_status && mode == JOURNAL_REFUSE && earlier->count)
        exit_status = failure(
            "'%s' has %zu photographs of an earlier run: give --resume to go on with them, or --restart "
            "to do them again",
            journal->path, earlier->count);
    return exit_status;
}

int journal_open(struct journal *journal, const char *out, const char *settings, enum journal_mode mode,
                 struct originals *earlier)
{
    int exit_status;

    *earlier = (struct originals){NULL, 0};
    *journal = (struct journal){.file = -1};
    if (!(journal->path = text_format("%s/photos.journal", out)))
        return failure("out of memory");
    journal->file = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (journal->file < 0)
        exit_status = fail(journal, "opened");
    else if (flock(journal->file, LOCK_EX | LOCK_NB))
        exit_status = errno == EWOULDBLOCK ? failure("another run is at work on '%s'", out)
                                           : fail(journal, "locked");
    else
        exit_status = go_on(journal, settings, mode, earlier);
    if (exit_status)
        journal_close(journal);
    return exit_status;
}

static size_t add_bytes(char *row, size_t at, const void *bytes, size_t size)
{
    memcpy(row + at, bytes, size);
    return at + size;
}

int journal_add(struct journal *journal, const struct original *original)
{
    const char *error = original->error ? original->error : "";
    size_t path = strlen(original->path) + 1, name = strlen(original->name) + 1, text = strlen(error) + 1;
    struct frame frame = {.size = sizeof original->photo + path + name + text};
    size_t size = sizeof frame + frame.size, at = sizeof frame;
    char *row = malloc(size);
    ssize_t written;

    if (!row)
        return failure("out of memory"), -1;
    at = add_bytes(row, at, &original->photo, sizeof original->photo);
    at = add_bytes(row, at, original->path, path);
    at = add_bytes(row, at, original->name, name);
    add_bytes(row, at, error, text);
    frame.checksum = checksum(row + sizeof frame, frame.size);
    memcpy(row, &frame, sizeof frame);
    written = write(journal->file, row, size);
    free(row);
    if (written == (ssize_t)size)
        return 0;
    if (written >= 0)
        errno = ENOSPC; /* a file takes less than all only for want of room */
    return fail(journal, "written"), -1;
}

void journal_close(struct journal *journal)
{
    if (journal->file >= 0)
        close(journal->file);
    free(journal->path);
    *journal = (struct journal){.file = -1};
}
