/* SPDX-License-Identifier: BSD-3-Clause */
/* Tries a plugin in a process of its own. What that process finds out it puts into a queue, stage by stage; the last
 * report that is there when it has ended says what it was at. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"
#include "plugin.h"

#define TRY_S 120.0 /* for all of it: file systems may be slow, and constructors, too */

/* For the process: where to put its reports, and what to try. */
struct trial {
    mpm_queue reports;
    char path[PATH_MAX];
    char name[256]; /* empty: all tasks */
};

/* The tasks that a process has told of. */
struct task_list {
    struct plugin_task *tasks;
    size_t count;
    bool has_no_memory;
};

static void put_report(const struct plugin_report *report, void *argument)
{
    const struct trial *trial = argument;

    if (mpm_queue_put(trial->reports, report, sizeof *report, 0))
        mpm_exit(mpm_report_error());
}

static int examine(const void *args, size_t size)
{
    struct trial trial;

    (void)size;
    memcpy(&trial, args, sizeof trial);
    if (trial.name[0])
        plugin_examine(trial.path, trial.name, put_report, &trial);
    else
        plugin_examine_all(trial.path, put_report, &trial);
    return 0;
}

/* What a process was at that has ended in the middle. */
static const char *stage_text(const struct plugin_report *report)
{
    switch (report->stage) {
    case PLUGIN_LOADING:
        return "while it was loaded";
    case PLUGIN_SEARCHING:
        return "while its tasks were searched for";
    default:
        return "while the task's description was read";
    }
}

static int died(const struct plugin_report *report, const char *path, int exitcode)
{
    const char *advice = report->stage == PLUGIN_LOADING && exitcode == -SIGBUS ? " (is the file whole?)"
                                                                                : "";

    if (exitcode < 0)
        return failure("'%s' cannot be used: it crashed by SIG%s %s%s", path, sigabbrev_np(-exitcode),
                       stage_text(report), advice);
    return failure("'%s' cannot be used: it ended its process with status %d %s", path, exitcode,
                   stage_text(report));
}

static void keep_task(struct task_list *list, const struct plugin_report *report)
{
    struct plugin_task *grown = realloc(list->tasks, (list->count + 1) * sizeof *grown);

    if (!grown) {
        list->has_no_memory = true;
        return;
    }
    list->tasks = grown;
    grown[list->count] = (struct plugin_task){
        .result = report->result, .row = report->row, .parameters = report->parameters, .rows = report->rows};
    memcpy(grown[list->count++].name, report->task, sizeof report->task);
}

/* Reads all reports, of which the last one stays. */
static int read_reports(const struct trial *trial, struct plugin_report *report, struct task_list *list)
{
    int status;

    *report = (struct plugin_report){.stage = PLUGIN_LOADING};
    while (!(status = mpm_queue_get(trial->reports, 0, report, sizeof *report, NULL))) {
        if (list && report->task[0])
            keep_task(list, report);
    }
    return status == MPM_EEMPTY ? 0 : mpm_report_error();
}

static int judge(const struct trial *trial, mpm_process process, struct plugin_report *report,
                 struct task_list *list)
{
    int exitcode, status = mpm_process_join(process, TRY_S);

    if (status == MPM_ETIMEDOUT) {
        if (mpm_process_kill(process) || mpm_process_join(process, MPM_FOREVER))
            return mpm_report_error();
        return failure("'%s' cannot be used: it did not load within %g s", trial->path, TRY_S);
    }
    if (status || mpm_process_exitcode(process, &exitcode))
        return mpm_report_error();
    if (read_reports(trial, report, list))
        return EXIT_FAILURE;
    if (report->stage != PLUGIN_TRIED)
        return died(report, trial->path, exitcode);
    if (list && list->has_no_memory)
        return failure("out of memory");
    return report->error[0] ? failure("%s", report->error) : 0;
}

static int try(const char *path, const char *name, struct plugin_report *report, struct task_list *list)
{
    mpm_process_options options = {.name = "plugin", .place = MPM_ON_NODE(mpm_node_id())};
    struct trial trial = {0};
    mpm_process process;
    int exit_status;

    if (snprintf(trial.path, sizeof trial.path, "%s", path) >= (int)sizeof trial.path ||
        snprintf(trial.name, sizeof trial.name, "%s", name) >= (int)sizeof trial.name)
        return failure("the name of the plugin or of its task is too long: '%s:%s'", path, name);
    if (mpm_queue_create(NULL, &trial.reports) ||
        mpm_process_start(examine, &trial, sizeof trial, &options, &process))
        return mpm_report_error();
    exit_status = judge(&trial, process, report, list);
    if ((mpm_process_close(process) || mpm_queue_destroy(trial.reports)) && !exit_status)
        return mpm_report_error();
    return exit_status;
}

int plugin_try(const char *path, const char *name, struct plugin_report *report)
{
    return try(path, name, report, NULL);
}

int plugin_try_all(const char *path, struct plugin_task **tasks, size_t *count)
{
    struct task_list list = {NULL, 0, false};
    struct plugin_report report;
    int exit_status = try(path, "", &report, &list);

    if (exit_status) {
        free(list.tasks);
        return exit_status;
    }
    *tasks = list.tasks;
    *count = list.count;
    return 0;
}
