/* SPDX-License-Identifier: BSD-3-Clause */
/* What all programs share: options, words, and how errors are told. Exit statuses are 0, 1 for what failed, 2 for what
 * was called wrongly, and 75 for work that was drained. */
#ifndef MPMAP_SUPPORT_COMMAND_H
#define MPMAP_SUPPORT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include <mpmap.h>

#define EXIT_USAGE   2
#define EXIT_DRAINED 75 /* EX_TEMPFAIL of sysexits.h: to be tried again */

enum option_kind {
    OPTION_FLAG,  /* bool: given or not */
    OPTION_TEXT,  /* const char * */
    OPTION_LIST,  /* struct text_list: may be given several times */
    OPTION_MODE,  /* const char *: "" if no value is given with =; the next argument is never taken for it */
    OPTION_COUNT, /* size_t, at least 1 */
    OPTION_SECONDS, /* double, above 0 */
    OPTION_BYTES,   /* size_t, at least 1: a number, and K, M, G or T */
};

/* In the order in which they were given. */
struct text_list {
    const char **texts; /* whoever has the list frees it with free() */
    size_t count;
};

struct option {
    const char *name; /* with its dashes */
    enum option_kind kind;
    void *value; /* of the type that the kind says; untouched if the option is not given */
    size_t most; /* the largest count or number of seconds; 0: no limit */
};

struct command {
    const char *name; /* as it is typed behind the program: "bench map"; "" for the program itself */
    const char *help; /* what --help prints */
    const struct option *options;
    size_t option_count;
    size_t most_words; /* words that are no options */
    char **words;      /* out: in argv, which is rearranged */
    size_t word_count; /* out */
};

/* What main() is: starts the run, has the program's arguments run, and ends the run. `name` is the program's in its
 * errors, "mpmap-tally", and stays where it is. `options` are mpm_init()'s; or NULL. The exit status: that of `run`, or
 * 1 if a run can be neither started nor ended, or what was printed cannot be written. */
int command_main(const char *name, const mpm_options *options, int argc, char **argv,
                 int (*run)(int argc, char **argv));

/* Reads the arguments behind argv[0]. Returns false if the command is over: after --help, which is printed,
 * or a mistake, which is told; the exit status says which. */
bool command_parse(struct command *command, int argc, char **argv, int *exit_status);

/* Prints "PROGRAM: WHAT; try PROGRAM COMMAND --help" on one line to stderr. Returns EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) MPM_FORMAT(2, 3);
/* Prints "PROGRAM: WHAT" to stderr. Returns EXIT_FAILURE. */
int failure(const char *format, ...) MPM_FORMAT(1, 2);

/* The same as usage_error(), for a word that is not among the names that would be right. */
int unknown_word(const char *command, const char *what, const char *word, const char *const *names,
                 size_t count);

/* What --progress, or NULL, and --quiet say of the progress line. Returns 0, or the exit status after saying what is
 * wrong. */
int command_line_form(const char *command, const char *word, bool quiet, mpm_line *line);

#endif
