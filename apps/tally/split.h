/* SPDX-License-Identifier: BSD-3-Clause */
/* Cuts text into rows, and rows into fields. Text in which all lines have the right number of separators, and
 * which has neither quotes nor bytes of 0, is cut by the places that scan_text() finds. Other lines are read one
 * by one. */
#ifndef TALLY_SPLIT_H
#define TALLY_SPLIT_H

#include "batch.h"
#include "scan.h"

#define SEGMENT     32768   /* bytes that are cut at once */
#define MOST_RECORD 1048576 /* bytes of a row */

struct splitter {
    const struct plan *plan;
    struct batch *batch;
    struct scan scan;
    int16_t *used_of; /* of each column of the file: which one it is of the used ones; -1: none */
    char *unquoted;   /* texts of fields without their quotes, until the batch is flushed */
    size_t unquoted_size;
    bool is_skipping; /* the rest of a line that was bad and had no end yet */
};

bool splitter_open(struct splitter *splitter, const struct plan *plan, struct batch *batch);
void splitter_close(struct splitter *splitter);

/* Takes rows into the batch, and flushes it. `size` bytes of text are there; all rows that begin before `limit`
 * are wanted that are whole. At the end of the file the last row need not have a line end. Returns how many bytes
 * were taken: all rows that begin before the limit, or as many as are whole. `lines` is the line that the text
 * begins with, and is moved on. */
size_t splitter_take(struct splitter *splitter, const char *text, size_t limit, size_t size, bool is_at_end,
                     uint64_t *lines);

/* Reads one row, of which a function gets each field. Returns its bytes, 0 if there is too little text. */
struct field {
    const char *text;
    size_t length;
    bool has_quotes; /* doubled ones, in a field that was quoted */
};

struct row_reader {
    char separator;
    void (*take)(void *argument, uint32_t column, const struct field *field);
    void *argument;
    /* out */
    uint32_t columns;
    uint64_t lines;
    int bad; /* an enum bad_kind, or -1 */
};

/* The bytes of a line that begins with this character, with its end; 0 if it is another line, or not whole. */
size_t comment_length(char comment, const char *text, size_t size, bool is_at_end);

size_t row_read(struct row_reader *reader, const char *text, size_t size, bool is_at_end);

/* Copies a field with its doubled quotes made single ones; returns its length. */
size_t field_unquote(const struct field *field, char *to);

#endif
