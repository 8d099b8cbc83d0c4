/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/failed_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/part.h"
#include "data/sum.h"

#define MOST_BYTES (64 << 20) /* of a log */
#define MOST_TEXT  ((size_t)4096)

#define MAGIC UINT64_C(0x0a776f5264656c69) /* where a record begins, behind one that is not whole */

struct entry {
    uint64_t magic;
    uint64_t sum; /* of what follows, and of the text */
    uint64_t row;
    int32_t cause, code;
    uint32_t attempts, length;
};

struct record {
    struct entry entry;
    char text[MOST_TEXT];
};

static uint64_t sum_of(const struct record *record)
{
    const char *from = (const char *)&record->entry.row;

    return sum_add(SUM_EMPTY, from, (size_t)(record->text + record->entry.length - from));
}

/* No character of several bytes is cut in its middle. */
static size_t length_of(const char *text)
{
    size_t length = strlen(text);

    if (length <= MOST_TEXT)
        return length;
    for (length = MOST_TEXT; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;)
        length--;
    return length;
}

/* Where records are added: not at all if the log is long enough. */
static bool open_log(struct failed_log *log)
{
    struct stat status;

    if (log->fd < 0)
        log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    return log->fd >= 0 && fstat(log->fd, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size < MOST_BYTES;
}

static bool append(const struct failed_log *log, const void *bytes, size_t size)
{
    ssize_t written;

    do
        written = write(log->fd, bytes, size);
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)size;
}

void failed_log_add(struct failed_log *log, const mpm_failure *failure)
{
    struct record record = {.entry = {.magic = MAGIC,
                                      .row = failure->index,
                                      .cause = (int32_t)failure->cause,
                                      .code = failure->code,
                                      .attempts = failure->attempts}};
    const char *text = failure->text ? failure->text : "";

    if (log->count >= FAILED_MOST || !open_log(log))
        return;
    record.entry.length = (uint32_t)length_of(text);
    memcpy(record.text, text, record.entry.length);
    record.entry.sum = sum_of(&record);
    log->count += append(log, &record, sizeof record.entry + record.entry.length);
}

/* All of a file; NULL if there is none. */
static char *read_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    char *bytes = NULL;
    ssize_t got = -1;

    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        status.st_size <= 2 * MOST_BYTES && (bytes = malloc((size_t)status.st_size)))
        got = read_at(fd, bytes, (size_t)status.st_size, 0);
    if (fd >= 0)
        close(fd);
    if (got <= 0) {
        free(bytes);
        return NULL;
    }
    *size = (size_t)got;
    return bytes;
}

void failed_log_append(struct failed_log *log, const char *path)
{
    size_t size;
    char *bytes = read_file(path, &size);

    if (bytes && open_log(log))
        (void)!append(log, bytes, size);
    free(bytes);
}

void failed_log_close(struct failed_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static int compare_rows(const void *a, const void *b)
{
    const struct failed_row *one = a, *other = b;

    if (one->row != other->row)
        return one->row < other->row ? -1 : 1;
    return (one->order > other->order) - (one->order < other->order);
}

/* The record at `at`; false if it is not whole. */
static bool read_entry(const char *bytes, size_t size, size_t at, struct record *record)
{
    if (size - at < sizeof record->entry)
        return false;
    memcpy(&record->entry, bytes + at, sizeof record->entry);
    if (record->entry.length > MOST_TEXT || size - at - sizeof record->entry < record->entry.length)
        return false;
    memcpy(record->text, bytes + at + sizeof record->entry, record->entry.length);
    return record->entry.magic == MAGIC && record->entry.sum == sum_of(record);
}

/* Without memory the rest is left out. */
static bool take_entry(struct failed_list *list, const struct record *record)
{
    struct failed_row *grown = list->rows;
    char *text = strndup(record->text, record->entry.length);

    if (text && list->count == list->room)
        grown = realloc(list->rows, (2 * list->room + 64) * sizeof *grown);
    if (!text || !grown) {
        free(text);
        return false;
    }
    if (list->count == list->room)
        list->room = 2 * list->room + 64;
    list->rows = grown;
    list->rows[list->count] = (struct failed_row){.row = record->entry.row,
                                                  .cause = record->entry.cause,
                                                  .code = record->entry.code,
                                                  .attempts = record->entry.attempts,
                                                  .text = text,
                                                  .order = list->count};
    list->count++;
    return true;
}

void failed_log_read(const char *path, struct failed_list *list)
{
    size_t size = 0;
    char *bytes = read_file(path, &size);
    struct record record;

    for (size_t at = 0; bytes && at < size;) {
        if (!read_entry(bytes, size, at, &record))
            at++;
        else if (take_entry(list, &record))
            at += sizeof record.entry + record.entry.length;
        else
            break;
    }
    free(bytes);
}

void failed_list_sort(struct failed_list *list)
{
    size_t kept = 0;

    if (list->count)
        qsort(list->rows, list->count, sizeof *list->rows, compare_rows);
    for (size_t i = 0; i < list->count; i++) {
        if (i + 1 == list->count || list->rows[i + 1].row != list->rows[i].row)
            list->rows[kept++] = list->rows[i];
        else
            free(list->rows[i].text);
    }
    list->count = kept;
}

void failed_list_free(struct failed_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->rows[i].text);
    free(list->rows);
    *list = (struct failed_list){0};
}

const struct failed_row *failed_list_find(const struct failed_list *list, uint64_t row)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->rows[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->rows[low].row == row ? &list->rows[low] : NULL;
}
