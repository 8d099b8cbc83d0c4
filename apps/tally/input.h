/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that are read, the names of their columns, and what the first rows say of these. */
#ifndef TALLY_INPUT_H
#define TALLY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "plan.h"
#include "support/command.h"
#include "support/files.h"

struct input_file {
    char *path;  /* as it is called: "stdin" if it is that */
    char *place; /* what is opened */
    uint64_t size;
    int64_t changed_ns;  /* when it was changed last */
    uint64_t first;      /* where its rows begin, behind the header */
    uint64_t first_line; /* the line of these, from 1 */
    bool is_plain;
    struct frames frames; /* where it can be entered, if it is compressed in parts */
};

/* What a column has in the first rows of the first file. */
struct sample {
    uint64_t values, numbers; /* that are not missing */
    uint32_t scale;           /* the most decimals */
    char text[32];            /* the first value that is no number */
};

struct input {
    char separator, point; /* between fields; before decimals */
    char comment;          /* lines that begin so are skipped; 0: none are */
    bool has_header;
    bool fills_rows; /* columns that a row lacks at its end are as if they were empty */
    int spool;       /* what has come from stdin; or 0 */
    uint32_t missing_count;
    char missing[MOST_MISSING][MISSING_SIZE]; /* fields that are as if they were empty */
    struct input_file *files;
    size_t file_count;
    char **names; /* of the columns */
    uint32_t column_count;
    struct sample *samples;
};

/* Opens what the words name, and reads the headers, which must be the same. `names`: those of the columns in files
 * without a header, or NULL. 0, or the exit status after saying what is wrong. */
int input_open(struct input *input, char **words, size_t word_count, const char *names);
void input_close(struct input *input);

/* The column of this name, or "#N" for the N-th one; -1 after saying that there is none, or several. */
int64_t input_column(const struct input *input, const char *name);

/* Whether a column has that name. */
bool input_has(const struct input *input, const char *name);

/* Whether no other column has its name. */
bool input_is_unique(const struct input *input, uint32_t column);

/* Whether the sampled values are numbers, half of them at least. */
bool input_is_number(const struct input *input, uint32_t column);

#endif
