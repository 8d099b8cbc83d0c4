/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a process is: main, a process, or a pool's worker. It looks at records. */
#include "process/process_info.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpmap/process.h"

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "process/process_parts.h"

_Static_assert(sizeof((mpm_process_info){.pid = 0}.name) == PROCESS_NAME_SIZE, "there is room for a name");

static void name_it(mpm_process_info *info, enum mpm_process_kind kind, const char *name)
{
    info->kind = kind;
    snprintf(info->name, sizeof info->name, "%s", name);
}

static void describe_main(mpm_process_info *info)
{
    info->node = context_topology()->ranks[0].node;
    info->pid = context_topology()->ranks[0].card.pid;
    name_it(info, MPM_KIND_MAIN, "main");
}

/* No rank but main is ever a thread reference. */
void process_describe(const struct thread_ref *thread_ref, mpm_process_info *info)
{
    mpm_handle handle = {.kind = OBJECT_PROCESS,
                         .home = thread_ref->node,
                         .generation = thread_ref->generation,
                         .place = thread_ref->number - 1};
    struct process_look look;

    *info = (mpm_process_info){.kind = MPM_KIND_PROCESS, .node = thread_ref->node};
    if (!thread_ref->generation) {
        describe_main(info);
        return;
    }
    if (!process_look(&handle, &look)) {
        info->pid = look.pid;
        if (look.is_users)
            name_it(info, MPM_KIND_PROCESS, look.about.name);
        else
            name_it(info, MPM_KIND_WORKER, "worker");
    }
    if (info->kind == MPM_KIND_PROCESS)
        info->process.handle = handle;
}

const char *process_in_words(const struct thread_ref *thread_ref, char words[PROCESS_WORDS_SIZE])
{
    unsigned node = thread_ref->node;
    struct process_record *record = node == context_topology()->node
                                        ? process_find(context_arena(), thread_ref->number - 1)
                                        : NULL;
    struct process_about about;
    uint64_t word;

    if (!thread_ref->generation)
        return "main";
    snprintf(words, PROCESS_WORDS_SIZE, "a process of node %u", node);
    if (!record)
        return words;
    word = process_read_about(record, &about);
    if (process_generation_of(word) != thread_ref->generation || process_state_of(word) == PROCESS_FREE)
        return words;
    if (record->flags & PROCESS_IS_USERS)
        snprintf(words, PROCESS_WORDS_SIZE, "process %s of node %u", about.name, node);
    else
        snprintf(words, PROCESS_WORDS_SIZE, "a pool's worker of node %u", node);
    return words;
}

int mpm_process_self(mpm_process_info *self)
{
    struct process_record *record;
    struct process_about about;
    int status;

    if ((status = process_check_place("mpm_process_self", self)) ||
        (status = context_check_somebody("mpm_process_self")))
        return status;
    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_process_self");
    *self = (mpm_process_info){.node = context_topology()->node, .pid = (int)getpid()};
    if (!(record = process_own_record())) {
        name_it(self, MPM_KIND_MAIN, "main");
    } else if (!(record->flags & PROCESS_IS_USERS)) {
        name_it(self, MPM_KIND_WORKER, "worker");
    } else {
        process_read_about(record, &about);
        name_it(self, MPM_KIND_PROCESS, about.name);
        self->process.handle = process_own_handle();
    }
    return MPM_OK;
}
