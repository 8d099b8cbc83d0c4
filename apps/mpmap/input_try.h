/* SPDX-License-Identifier: BSD-3-Clause */
/* What is read of an input before workers read it, by a process of its own: a hostile file, or a filter that crashes,
 * costs that process only. */
#ifndef MPMAP_INPUT_TRY_H
#define MPMAP_INPUT_TRY_H

#include <mpmap.h>

/* Beside the rows themselves, as the command line has it. */
struct input_words {
    const char *command;      /* "map" */
    const char *rows, *where; /* --rows and --where; NULL: not given */
    bool probes;              /* whether main will read coordinates or attributes of the input */
    bool refuses_missing;     /* --no-missing: sources of virtual data sets that are missing are an error */
    const char *cost;         /* --cost; NULL: not given */
    const char *cost_file, *costs; /* what that says: the file, NULL if it is the input's; and the data set */
};

/* What they choose. */
struct input_choice {
    mpm_row_choice choice;
    uint64_t *list; /* of the choice; or NULL */
    double *costs;  /* or NULL */
    uint64_t cost_count;
};

/* Has a process open IN.h5:/DATA as main will do it. Returns 0 if main may go on, which hears then of any error that is
 * no crash; else the exit status, after saying what has happened. */
int input_try(const char *file, const mpm_dataset_map *input);

/* Has a process open IN.h5:/DATA, and read what the words name. 0, or the exit status after saying what is wrong. The
 * caller frees the lists with free(), also then. */
int input_choose(const char *file, const mpm_dataset_map *input, const struct input_words *words,
                 struct input_choice *choice);

#endif
