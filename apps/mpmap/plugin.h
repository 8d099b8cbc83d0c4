/* SPDX-License-Identifier: BSD-3-Clause */
/* Plugins: shared objects with tasks in them. */
#ifndef MPMAP_PLUGIN_FILE_H
#define MPMAP_PLUGIN_FILE_H

#include <limits.h>
#include <stdbool.h>

#include <mpmap.h>

#define PLUGIN_TEXT_SIZE 2048

/* What a plugin's description says of a task, copied: the plugin's own strings may be anywhere. */
struct plugin_text {
    bool is_given;
    char text[PLUGIN_TEXT_SIZE];
};

struct plugin {
    void *handle;
    mpm_task *task;
    bool is_described;
    struct plugin_text result, row,
        attributes; /* of the description; not given: NULL there, or no description */
    struct plugin_text parameters;
    size_t rows; /* that the task takes in one call, by its description; 0: one */
};

/* Opens the plugin at `path` (without a slash: in the working directory, else where the loader looks) and finds the
 * task `name` in it. A process of its own does all that first, so that a file that is cut short, a constructor that
 * crashes or exits, or a description that points nowhere costs that process only. Returns 0, or the exit status after
 * saying what is wrong. */
int plugin_open(const char *path, const char *name, struct plugin *plugin);
void plugin_close(struct plugin *plugin);
/* Whether rows of IN:/SET are what the description of FUNCTION wants, if it says: 0, or the exit status after saying
 * what is wrong. */
int plugin_check_row(const struct plugin *plugin, const char *function, const char *file, const char *dataset,
                     const mpm_shape *row);
/* The variable FUNCTION_reduction of the plugin, with FUNCTION as its accumulate if it has none: 0, or the exit
 * status. */
int plugin_find_reduction(const struct plugin *plugin, const char *path, const char *function,
                          mpm_reduction *reduction);

/* What the process that tries a plugin has found out. */
struct plugin_report {
    enum { PLUGIN_LOADING, PLUGIN_SEARCHING, PLUGIN_DESCRIBING, PLUGIN_TRIED } stage;
    char error[1024]; /* empty: none so far */
    char task[256];   /* which one is described; empty: the one that was asked for */
    bool is_described;
    struct plugin_text result, row, attributes, parameters;
    size_t rows;
};

/* Loads the plugin, and looks for the task and its description. Calls tell(report) as it begins each stage and at the
 * end: whatever ends the process meanwhile happened in the stage that it has told last. */
void plugin_examine(const char *path, const char *name, void (*tell)(const struct plugin_report *, void *),
                    void *argument);

/* The same for all tasks that have a description: each is told once, with its name. */
void plugin_examine_all(const char *path, void (*tell)(const struct plugin_report *, void *), void *argument);

/* A task of a plugin, as its description has it. */
struct plugin_task {
    char name[256];
    struct plugin_text result, row, parameters;
    size_t rows;
};

/* Has a process of its own list the tasks of the plugin that have a description. The caller frees them. Returns 0, or
 * the exit status after saying what is wrong. */
int plugin_list(const char *path, struct plugin_task **tasks, size_t *count);
/* Whether rows are what a task's description wants, if it says: true also if it says nothing. A struct is the
 * library's to check. */
bool plugin_row_fits(const struct plugin_text *wanted, const mpm_shape *row);
/* The struct that a task takes, for mpm_dataset_map.row; NULL if it takes none. */
const char *plugin_struct(const struct plugin_text *wanted);

/* The same for a path that dlopen() takes. */
int plugin_try_all(const char *path, struct plugin_task **tasks, size_t *count);
/* Has a process of its own examine the plugin. Returns 0, or the exit status after saying what is wrong. */
int plugin_try(const char *path, const char *name, struct plugin_report *report);

#endif
