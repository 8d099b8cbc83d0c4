/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs of several files: "runs/run?.h5" and "@LIST". */
#ifndef MPMAP_SUPPORT_FILES_H
#define MPMAP_SUPPORT_FILES_H

#include <stddef.h>

struct file_list {
    char **names; /* NULL at its end */
    size_t count; /* 0: the word is a single file */
};

/* What the file of an input stands for: itself, if there is a file of that name; a pattern, all files that match, in
 * the order of their names; with @ before it, those that a text file lists, one a line. 0, or the exit status after
 * saying what is wrong. */
int files_expand(const char *word, struct file_list *list);
void files_free(struct file_list *list);

#endif
