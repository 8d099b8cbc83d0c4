/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of tests; see the header. */
#include "everywhere.h"

#include <CUnit/CUnit.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "object/object.h"
#include "sync/state.h"

#define PATIENCE_S  100
#define PATIENCE_NS (PATIENCE_S * UINT64_C(1000000000))

static _Atomic unsigned wrong;

void everywhere_expect(bool is_so, const char *condition, const char *file, int line)
{
    if (is_so)
        return;
    atomic_fetch_add(&wrong, 1);
    fprintf(stderr, "%s:%d, node %u: not so: %s (%s)\n", file, line, mpm_node_id(), condition, mpm_error());
}

int everywhere_end(void)
{
    return atomic_exchange(&wrong, 0) ? 1 : 0;
}

void everywhere_assert(void)
{
    CU_ASSERT_EQUAL(everywhere_end(), 0);
}

mpm_process start_on(unsigned node, mpm_target *body, const void *args, size_t size)
{
    mpm_process process = {0};

    EXPECT(
        !mpm_process_start(body, args, size, &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
    return process;
}

void expect_end(mpm_process process, int exitcode)
{
    int ended = -1000;

    EXPECT(!mpm_process_join(process, PATIENCE_S));
    EXPECT(!mpm_process_exitcode(process, &ended));
    EXPECT(ended == exitcode);
    EXPECT(!mpm_process_close(process));
}

void run_on_each_node(mpm_target *body, const void *args, size_t size)
{
    for (unsigned node = 0; node < mpm_node_count(); node++)
        expect_end(start_on(node, body, args, size), 0);
}

static int count(struct draft *draft, struct state_request *request, struct state_reply *answer)
{
    (void)request;
    answer->number = draft->state->count;
    return 0;
}

uint64_t count_waiters(const mpm_handle *handle)
{
    struct state_request request = {.may_wait = 0};
    struct state_reply answer = {0};
    struct object *object = NULL;

    EXPECT(!object_find(handle, (enum object_kind)handle->kind, &object) &&
           !state_apply(object, handle, count, &request, &answer, NULL));
    return answer.number;
}

uint64_t count_sleepers(const mpm_handle *handle)
{
    struct object *object = NULL;
    mpm_handle name = *handle;

    name.place = object_place(handle);
    EXPECT(!object_find(&name, (enum object_kind)handle->kind, &object));
    return object
               ? (uint64_t)atomic_load(&object->wait[0].word.sleepers) + atomic_load(&object->remote_waiting)
               : 0;
}

void await_sleepers(const mpm_handle *handle)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (!count_sleepers(handle) && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(clock_now_ns() < end_ns);
}

bool took(uint64_t start_ns, double least_s)
{
    double took_s = (double)(clock_now_ns() - start_ns) * 1e-9;

    return took_s >= least_s && took_s < least_s + 60;
}
