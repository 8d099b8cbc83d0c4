/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done of a long pass, so that a killed one can go on: the file OUTPUT.part, to which the result of each
 * block is appended, in the order of the blocks. An entry that was cut off by a kill is found by its checksum, and
 * dropped with all that follows it. */
#ifndef TALLY_JOURNAL_H
#define TALLY_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal {
    char *path;
    int file;
    uint64_t fingerprint; /* of the plan and the files: another one is another pass */
    uint64_t offset;      /* behind the last entry that is whole */
};

enum journal_mode { JOURNAL_REFUSE, JOURNAL_RESUME, JOURNAL_RESTART };

/* 0, or the exit status after saying what is wrong. */
int journal_open(struct journal *journal, const char *output, uint64_t fingerprint, enum journal_mode mode);

/* The next entry, from the first one on; NULL at the end. The caller frees it with free(). */
char *journal_next(struct journal *journal, size_t *size);

/* Appends an entry. Returns false if it cannot be written: the sentence was printed. */
bool journal_append(struct journal *journal, const char *bytes, size_t size);

/* Closes it; the file is removed if all is done. */
void journal_close(struct journal *journal, bool is_done);

/* The output of a run that was complete is there: removes the record, if the run was killed before it did so. 0, or the
 * exit status after saying what is wrong. */
int journal_end_complete(const char *output, uint64_t fingerprint);

uint64_t journal_checksum(const void *bytes, size_t size, uint64_t seed);

#endif
