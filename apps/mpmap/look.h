/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap look in two parts: what prints (look.c), and the process that looks (look_process.c). */
#ifndef MPMAP_LOOK_COMMAND_H
#define MPMAP_LOOK_COMMAND_H

#include <stddef.h>
#include <stdio.h>

#include <mpmap.h>

#include "plugin.h"

/* The tasks of a plugin, and the file that they are to work on. */
struct look_tasks {
    struct plugin_task *tasks;
    size_t count;
    const char *file;
    bool no_lock;
};

/* Writes an entry of a file, as a user or a program reads it. `tasks` are those of the plugin; NULL: there is none. */
void look_write_text(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks);
void look_write_json(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks);

typedef void look_write(FILE *file, const mpm_dataset_entry *entry, const struct look_tasks *tasks);

/* What is to be looked at, and how it is written. */
struct look_request {
    const char *file;
    bool no_lock, json;
    const struct look_tasks *tasks;
};

/* Has a process of its own look at the file, since a damaged one may crash HDF5, and calls take() with each entry as it
 * was written. Returns 0, or EXIT_FAILURE and in `error` what is wrong. */
int look_try(const struct look_request *request, void (*take)(const char *text, void *argument),
             void *argument, char error[4096]);

#endif
