/* SPDX-License-Identifier: BSD-3-Clause */
/* A line is written by one write() behind the last one, and ends with a checksum of itself, so a death in the middle
 * leaves at most one line that is not whole, at the end; it is cut off when the file is opened again. The lock is the
 * open file's: it ends with the process. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "support/command.h"

#define LINE_SIZE 2048
#define WHY_MOST  600
#define CHECKSUM  16 /* digits */

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct fit_key));
}

/* Everything but the checksum; one line, whatever the text is. */
static size_t print_record(const struct fit_record *record, char *line)
{
    const struct fit_result *result = &record->result;
    size_t text, length = (size_t)snprintf(
                     line, LINE_SIZE,
                     "%016" PRIx64 "%016" PRIx64 " %d %u %a %u %u %u %u %" PRIu64 " %a %" PRIu64 " %a",
                     record->key.words[0], record->key.words[1], record->is_good, record->attempts,
                     result->wall_s, result->tested, result->right, result->trained, result->node,
                     result->model_size, result->cpu_s, result->peak_bytes, result->fitted_C);

    for (int i = 0; i < SCORE_COUNT; i++)
        length += (size_t)snprintf(line + length, LINE_SIZE - length, " %a", result->scores[i]);
    text = length + 2;
    length += (size_t)snprintf(line + length, LINE_SIZE - length, " |%.*s|", WHY_MOST,
                               record->why ? record->why : "");
    for (size_t i = text; i < length - 1; i++) {
        if (line[i] == '|' || (line[i] >= 0 && line[i] < ' '))
            line[i] = ' ';
    }
    return length;
}

static bool parse_record(const char *line, size_t length, struct fit_record *record)
{
    struct fit_result *result = &record->result;
    const char *bar = memchr(line, '|', length);
    int is_good, used = 0;

    *record = (struct fit_record){0};
    if (!bar || length < CHECKSUM + 2 ||
        sscanf(line, "%16" SCNx64 "%16" SCNx64 " %d %u %la %u %u %u %u %" SCNu64 " %la %" SCNu64 " %la%n",
               &record->key.words[0], &record->key.words[1], &is_good, &record->attempts, &result->wall_s,
               &result->tested, &result->right, &result->trained, &result->node, &result->model_size,
               &result->cpu_s, &result->peak_bytes, &result->fitted_C, &used) < 13)
        return false;
    result->same_from = (double)INFINITY;
    line += used;
    for (int i = 0; i < SCORE_COUNT; i++) {
        char *end;

        result->scores[i] = strtod(line, &end);
        if (end == line)
            return false;
        line = end;
    }
    record->is_good = is_good;
    if (bar[1] != '|')
        record->why = strndup(bar + 1, strcspn(bar + 1, "|"));
    return true;
}

static bool is_whole(const char *line, size_t length)
{
    char checksum[CHECKSUM + 1];

    if (length <= CHECKSUM)
        return false;
    snprintf(checksum, sizeof checksum, "%016" PRIx64, hash_bytes(0, line, length - CHECKSUM));
    return !memcmp(checksum, line + length - CHECKSUM, CHECKSUM);
}

static int keep(struct journal *journal, const struct fit_record *record)
{
    if (journal->count == journal->room) {
        size_t room = journal->room ? journal->room * 2 : 256;
        struct fit_record *records = realloc(journal->records, room * sizeof *records);

        if (!records)
            return failure("out of memory for the records of '%s'", journal->path);
        journal->records = records;
        journal->room = room;
    }
    journal->records[journal->count++] = *record;
    return 0;
}

/* `text` ends with a 0. Sets where the last whole line ends. */
static int read_lines(struct journal *journal, char *text, off_t *end)
{
    char *line = text, *next;

    for (; (next = strchr(line, '\n')); line = next + 1) {
        struct fit_record record;

        *next = 0;
        if (!is_whole(line, (size_t)(next - line)) || !parse_record(line, (size_t)(next - line), &record))
            journal->damaged++;
        else if (keep(journal, &record))
            return EXIT_FAILURE;
    }
    *end = line - text;
    if (journal->count)
        qsort(journal->records, journal->count, sizeof *journal->records, compare_keys);
    return 0;
}

static int read_file(struct journal *journal)
{
    struct stat state;
    char *text;
    ssize_t length = 1;
    off_t done = 0, end = 0;
    int exit_status;

    if (fstat(journal->file, &state) || !(text = malloc((size_t)state.st_size + 1)))
        return failure("cannot read '%s': %s", journal->path, strerror(errno));
    for (; length > 0 && done < state.st_size; done += length)
        length = pread(journal->file, text + done, (size_t)(state.st_size - done), done);
    text[done > 0 ? done : 0] = 0;
    exit_status = length < 0 ? failure("cannot read '%s': %s", journal->path, strerror(errno))
                             : read_lines(journal, text, &end);
    free(text);
    if (!exit_status && end < state.st_size && ftruncate(journal->file, end))
        return failure("cannot cut off the unfinished end of '%s': %s", journal->path, strerror(errno));
    return exit_status;
}

int journal_open(const char *path, struct journal *journal)
{
    *journal = (struct journal){.file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)};
    if (journal->file < 0)
        return failure("cannot open '%s': %s", path, strerror(errno));
    if (!(journal->path = strdup(path)))
        return failure("out of memory");
    if (flock(journal->file, LOCK_EX | LOCK_NB))
        return failure(errno == EWOULDBLOCK ? "'%s' is in use: another run writes it" : "cannot lock '%s'",
                       path);
    return read_file(journal);
}

const struct fit_record *journal_find(const struct journal *journal, const struct fit_key *key)
{
    return journal->count
               ? bsearch(key, journal->records, journal->count, sizeof *journal->records, compare_keys)
               : NULL;
}

int journal_add(struct journal *journal, const struct fit_record *record)
{
    char line[LINE_SIZE + CHECKSUM + 2];
    size_t length = print_record(record, line);
    ssize_t written;

    length += (size_t)snprintf(line + length, CHECKSUM + 2, "%016" PRIx64 "\n", hash_bytes(0, line, length));
    written = write(journal->file, line, length);
    if (written == (ssize_t)length)
        return 0;
    return failure("cannot write '%s': %s", journal->path,
                   written < 0 ? strerror(errno) : "the disk is full");
}

static void forget(struct journal *journal)
{
    for (size_t i = 0; i < journal->count; i++)
        free(journal->records[i].why);
    free(journal->records);
    journal->records = NULL;
    journal->count = journal->room = journal->damaged = 0;
}

int journal_clear(struct journal *journal)
{
    forget(journal);
    return ftruncate(journal->file, 0) ? failure("cannot empty '%s': %s", journal->path, strerror(errno)) : 0;
}

void journal_close(struct journal *journal)
{
    forget(journal);
    if (journal->file >= 0)
        close(journal->file);
    free(journal->path);
    *journal = (struct journal){.file = -1};
}
