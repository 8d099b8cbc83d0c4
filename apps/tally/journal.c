/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "support/command.h"
#include "table.h"

static const uint64_t magic = UINT64_C(0x31594C4C41544D70);

struct head {
    uint64_t magic, fingerprint;
};

struct entry {
    uint64_t size, checksum;
};

uint64_t journal_checksum(const void *bytes, size_t size, uint64_t seed)
{
    const char *at = bytes;
    uint64_t sum = seed ^ size, word;

    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        sum ^= sum >> 29;
    }
    word = 0;
    memcpy(&word, at, size);
    sum = (sum ^ word) * UINT64_C(0xD6E8FEB86659FD93);
    return sum ^ sum >> 32;
}

static bool read_whole(int file, void *bytes, size_t size, uint64_t offset)
{
    for (size_t have = 0; have < size;) {
        ssize_t count = pread(file, (char *)bytes + have, size - have, (off_t)(offset + have));

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        have += (size_t)count;
    }
    return true;
}

static bool write_whole(int file, const void *bytes, size_t size, uint64_t offset)
{
    for (size_t have = 0; have < size;) {
        ssize_t count = pwrite(file, (const char *)bytes + have, size - have, (off_t)(offset + have));

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        have += (size_t)count;
    }
    return true;
}

static int write_head(struct journal *journal)
{
    const struct head head = {magic, journal->fingerprint};

    journal->offset = sizeof head;
    if (ftruncate(journal->file, 0) || !write_whole(journal->file, &head, sizeof head, 0))
        return failure("'%s' cannot be written: %s", journal->path, strerror(errno));
    return 0;
}

static int check_head(struct journal *journal, enum journal_mode mode)
{
    struct head head = {0, 0};
    bool is_new = !read_whole(journal->file, &head, sizeof head, 0);

    if (is_new || (mode == JOURNAL_RESTART && head.magic == magic))
        return write_head(journal);
    if (head.magic != magic)
        return failure("'%s' exists, and is not what an earlier run has left: it stays as it is",
                       journal->path);
    if (mode == JOURNAL_REFUSE)
        return failure("'%s' is what an earlier run has left; --resume goes on with it, --restart removes it",
                       journal->path);
    if (head.fingerprint != journal->fingerprint)
        return failure("'%s' is of another question, or the files have changed since; --restart removes it",
                       journal->path);
    journal->offset = sizeof head;
    return 0;
}

int journal_open(struct journal *journal, const char *output, uint64_t fingerprint, enum journal_mode mode)
{
    int exit_status;

    *journal = (struct journal){.file = -1, .fingerprint = fingerprint};
    if (asprintf(&journal->path, "%s.part", output) < 0)
        return failure("out of memory");
    journal->file = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (journal->file < 0) {
        exit_status = failure("'%s' cannot be made: %s", journal->path, strerror(errno));
    } else if (flock(journal->file, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        exit_status = failure("another run is making '%s'", output);
    } else {
        exit_status = check_head(journal, mode);
    }
    if (exit_status)
        journal_close(journal, false);
    return exit_status;
}

char *journal_next(struct journal *journal, size_t *size)
{
    struct entry entry;
    char *bytes;

    if (!read_whole(journal->file, &entry, sizeof entry, journal->offset) || entry.size > UINT32_MAX)
        return NULL;
    bytes = memory_resize(NULL, entry.size);
    if (!read_whole(journal->file, bytes, entry.size, journal->offset + sizeof entry) ||
        journal_checksum(bytes, entry.size, journal->offset) != entry.checksum) {
        free(bytes);
        return NULL;
    }
    journal->offset += sizeof entry + entry.size;
    *size = entry.size;
    return bytes;
}

bool journal_append(struct journal *journal, const char *bytes, size_t size)
{
    const struct entry entry = {size, journal_checksum(bytes, size, journal->offset)};

    if (!write_whole(journal->file, &entry, sizeof entry, journal->offset) ||
        !write_whole(journal->file, bytes, size, journal->offset + sizeof entry)) {
        failure("'%s' cannot be written: %s", journal->path, strerror(errno));
        return false;
    }
    journal->offset += sizeof entry + size;
    return true;
}

void journal_close(struct journal *journal, bool is_done)
{
    if (is_done)
        unlink(journal->path);
    if (journal->file >= 0)
        close(journal->file);
    free(journal->path);
    *journal = (struct journal){.file = -1};
}

int journal_end_complete(const char *output, uint64_t fingerprint)
{
    struct journal journal;
    char *part;
    int exit_status = 0;

    if (asprintf(&part, "%s.part", output) < 0)
        return failure("out of memory");
    if (!access(part, F_OK) && !(exit_status = journal_open(&journal, output, fingerprint, JOURNAL_RESUME)))
        journal_close(&journal, true);
    free(part);
    return exit_status;
}
