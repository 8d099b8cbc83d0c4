/* SPDX-License-Identifier: BSD-3-Clause */
/* What all commands share: options, words, and how errors are told. Exit statuses are 0, 1 for what failed, 2 for what
 * was called wrongly, and 75 for a map that was drained. */
#ifndef MPMAP_COMMAND_H
#define MPMAP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include <mpmap.h>

#define EXIT_USAGE         2
#define EXIT_DRAINED       75 /* EX_TEMPFAIL of sysexits.h: to be tried again */
#define COMMAND_MOST_WORDS 4

enum option_kind {
    OPTION_FLAG,  /* bool: given or not */
    OPTION_TEXT,  /* const char * */
    OPTION_MODE,  /* const char *: "" if no value is given with =; the next argument is never taken for it */
    OPTION_COUNT, /* size_t, at least 1 */
    OPTION_SECONDS, /* double, above 0 */
    OPTION_BYTES,   /* size_t, at least 1: a number, and K, M, G or T */
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
    size_t most_words;                     /* words that are no options */
    const char *words[COMMAND_MOST_WORDS]; /* out */
    size_t word_count;                     /* out */
};

/* Reads the arguments behind argv[0]. Returns false if the command is over: after --help, which is printed,
 * or a mistake, which is told; the exit status says which. */
bool command_parse(struct command *command, int argc, char **argv, int *exit_status);

/* Prints "mpmap: WHAT; try mpmap COMMAND --help" on one line to stderr. Returns EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) MPM_FORMAT(2, 3);
/* Prints "mpmap: WHAT" to stderr. Returns EXIT_FAILURE. */
int failure(const char *format, ...) MPM_FORMAT(1, 2);

/* The same as usage_error(), for a word that is not among the names that would be right. */
int unknown_word(const char *command, const char *what, const char *word, const char *const *names,
                 size_t count);

/* What --progress, or NULL, and --quiet say of the progress line. Returns 0, or the exit status after saying what is
 * wrong. */
int command_line_form(const char *command, const char *word, bool quiet, mpm_line *line);

/* The commands. argv[0] is the command's own name; they return the exit status. */
int command_map(int argc, char **argv);
int command_reduce(int argc, char **argv);
int command_status(int argc, char **argv);
int command_look(int argc, char **argv);
int command_info(int argc, char **argv);

#endif
