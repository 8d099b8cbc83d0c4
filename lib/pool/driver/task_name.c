/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of tasks; see the header. */
#include "pool/driver/task_name.h"

#include <assert.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "pool/driver/pool_state.h"

#define KEPT 4u

/* Each thread keeps the last few that it called: too large for the room that dlopen has for threads' own. */
struct named_tasks {
    unsigned next; /* to be replaced */
    struct named_task task[KEPT];
};

static pthread_key_t last_tasks;

void task_name_begin(void)
{
    static bool has_key;
    int failed = has_key ? 0 : pthread_key_create(&last_tasks, free);

    assert(!failed);
    has_key = !failed;
}

static struct named_tasks *tasks_of_thread(void)
{
    struct named_tasks *tasks = pthread_getspecific(last_tasks);

    if (!tasks && (tasks = calloc(1, sizeof *tasks)) && pthread_setspecific(last_tasks, tasks)) {
        free(tasks);
        tasks = NULL;
    }
    return tasks;
}

static int read_unloads(struct dl_phdr_info *module, size_t size, void *unloads)
{
    (void)size;
    *(unsigned long long *)unloads = module->dlpi_subs;
    return 1;
}

static int name_anew(struct named_task *task, function_pointer *pointer, unsigned long long unloads)
{
    int status;

    task->pointer = NULL;
    if ((status = function_name(pointer, &task->name)))
        return status;
    task->id = pool_state_new_id();
    task->unloads = unloads;
    task->pointer = pointer;
    return MPM_OK;
}

int task_name_of(uint64_t pool, function_pointer *pointer, const struct named_task **named)
{
    struct named_tasks *tasks = tasks_of_thread();
    unsigned long long unloads = 0;

    if (!tasks)
        return error_set(MPM_ENOMEM, "no memory for the name of a task");
    dl_iterate_phdr(read_unloads, &unloads);
    for (unsigned i = 0; i < KEPT; i++) {
        *named = &tasks->task[i];
        if (pointer && (*named)->pointer == pointer && (*named)->pool == pool && (*named)->unloads == unloads)
            return MPM_OK;
    }
    *named = &tasks->task[tasks->next];
    tasks->next = (tasks->next + 1) % KEPT;
    tasks->task[*named - tasks->task].pool = pool;
    return name_anew(&tasks->task[*named - tasks->task], pointer, unloads);
}
