/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be asked of a process, and of a node about its processes. */
#include "mpmap/status.h"

#include "node/context.h"
#include "object/method.h"
#include "process/process.h"
#include "process/process_parts.h"

/* A record stays where it is, whatever process has it by then. */
static struct eventcount *process_word(const mpm_handle *handle)
{
    return &process_at(context_arena(), (uint32_t)handle->place)->changed;
}

static struct eventcount *node_word(const mpm_handle *node)
{
    (void)node;
    return context_doorbell();
}

const struct method process_methods[PROCESS_METHODS] = {
    [PROCESS_LOOK] = {OBJECT_PROCESS, PROCESS_LOOK, "look", .out_size = sizeof(struct process_look),
                      .try = process_try_look, .sleeps_on = process_word, .late_status = MPM_ETIMEDOUT,
                      .late_sentence = "the process was not started in time"},
    [PROCESS_JOIN] = {OBJECT_PROCESS, PROCESS_JOIN, "join", .out_size = sizeof(struct process_look),
                      .try = process_try_join, .sleeps_on = process_word, .is_timed = true,
                      .late_status = MPM_ETIMEDOUT, .late = process_late_join},
    [PROCESS_SIGNAL] = {OBJECT_PROCESS, PROCESS_SIGNAL, "signal", .in_size = sizeof(int32_t),
                        .makes_sense = process_signal_makes_sense, .try = process_try_signal},
    [PROCESS_CLOSE] = {OBJECT_PROCESS, PROCESS_CLOSE, "close", .try = process_try_close},
};

#define NODE_METHOD(verb, name, ...) [(verb)-NODE_START_PROCESS] = {OBJECT_NODE, verb, name, __VA_ARGS__}

const struct method node_methods[] = {
    NODE_METHOD(NODE_START_PROCESS, "start process", .in_size = sizeof(struct process_start), .tail_unit = 1,
                .out_size = sizeof(mpm_handle), .try = process_try_start),
    NODE_METHOD(NODE_CHILDREN, "children", .in_size = sizeof(mpm_handle), .has_more = true,
                .try = process_try_children),
    NODE_METHOD(NODE_IS_OVER, "is over", .out_size = sizeof(uint64_t), .has_more = true,
                .try = process_try_is_over, .sleeps_on = node_word),
};

void process_begin(void)
{
    static const struct kind process = {.kind = OBJECT_PROCESS,
                                        .methods = process_methods,
                                        .count = PROCESS_METHODS,
                                        .looks = process_look_at_end};
    static const struct kind node = {
        .kind = OBJECT_NODE, .methods = node_methods, .count = sizeof node_methods / sizeof *node_methods};
    static const struct kind *const kinds[] = {&process, &node};

    kind_register(kinds, sizeof kinds / sizeof *kinds);
}
