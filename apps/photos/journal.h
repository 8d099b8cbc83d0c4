/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of what is done: OUT/photos.journal, to which a row is appended as soon as a photograph is. What
 * --resume finds there is not done again, whatever has ended the run.
 *
 * * The file begins with a line that says what outputs are made. A row is its length, a checksum, and its bytes,
 * written by one call; a row that was cut by the end of a run is the last one, is known by its checksum, and is cut
 * off. A row that comes later goes before an earlier one of the same path. Only main writes, and holds a lock on the
 * file, so that two runs do not work on one folder. */
#ifndef MPMAP_PHOTOS_JOURNAL_H
#define MPMAP_PHOTOS_JOURNAL_H

#include <stddef.h>

#include "photo.h"

struct journal {
    int file;
    char *path;
};

enum journal_mode {
    JOURNAL_REFUSE,   /* a journal with rows is an error */
    JOURNAL_CONTINUE, /* goes on with it; there need not be one */
    JOURNAL_RESTART,  /* begins anew */
};

/* Opens OUT/photos.journal. `settings` is the line of settings_describe(). `earlier` are the rows that are there,
 * sorted by path, each path once. Returns 0, or the exit status after saying what is wrong. */
int journal_open(struct journal *journal, const char *out, const char *settings, enum journal_mode mode,
                 struct originals *earlier);

/* Appends the row of an original. Returns 0, or -1 after saying what is wrong. */
int journal_add(struct journal *journal, const struct original *original);

void journal_close(struct journal *journal);

#endif
