/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of two parts: PLUGIN.so:FUNCTION and FILE.h5:/DATASET. */
#ifndef MPMAP_SUPPORT_WORD_H
#define MPMAP_SUPPORT_WORD_H

/* Where to cut. Both a file and a data set may have colons in their names. The file that exists goes first, the one
 * with the longest name; else the first ":/", behind which a data set's path begins. NULL: nowhere. */
const char *word_dataset_colon(const char *word);
const char *word_last_colon(const char *word);

/* What a command takes, for errors: "map", and "PLUGIN.so:FUNCTION". */
struct word_form {
    const char *command, *right;
    const char *(*colon)(const char *word);
};

/* Cuts a copy of `word` in two at one of its colons. The caller frees the head, and the tail with it. 0, or the exit
 * status after saying what is wrong. */
int word_cut(const struct word_form *form, const char *word, char **head, char **tail);

#endif
