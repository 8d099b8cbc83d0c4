/* SPDX-License-Identifier: BSD-3-Clause */
/* What a claim table does to its folder, as a table of functions: those of a real folder, and in tests those of one
 * that answers late, kills or stops whoever asks. For claim/claim.h, data/ and its tests. */
#ifndef CLAIM_CLAIM_FILES_H
#define CLAIM_CLAIM_FILES_H

#include <stdint.h>

/* Each returns 0 or an errno. Names are those of files in the folder. */
struct claim_files {
    void *argument; /* handed to each */
    /* Calls `entry` with each name that is there. One that is renamed meanwhile may be missed, or shown twice. */
    int (*list)(void *argument, void (*entry)(const char *name, void *to), void *to);
    /* Makes a file with that text. 0 also if it is there already. */
    int (*create)(void *argument, const char *name, const char *text);
    int (*rename)(void *argument, const char *from, const char *to);
    int (*remove)(void *argument, const char *name);
    uint64_t (*now_ns)(
        void *argument); /* of this machine's own clock, which nobody compares with another's */
};

/* Those of a real folder, which must stay open: `argument` points to its descriptor. */
struct claim_files claim_files_of(int *folder);

/* Makes the folder `path` with all in it, or leaves one that is there as it is. It is made under a name that only this
 * run uses, `fill` puts into it what it shall hold from its first moment on (0 or an errno), and it is renamed: so what
 * has the name is whole. 0 or an errno. What a run that dies leaves has a name that begins with that of the folder and
 * a dot. */
int claim_folder_make(const char *path, int (*fill)(int folder, void *argument), void *argument);
/* Opens it: 0 or an errno. */
int claim_folder_open(const char *path, int *folder);
/* Removes all folders whose paths begin so, with all that is in them. What cannot be removed stays. */
void claim_folders_remove(const char *prefix);

#endif
