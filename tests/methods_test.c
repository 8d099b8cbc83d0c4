/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that no caller would make, on an object of every kind at another node: each method with a byte too few and one
 * too many, with a tail where none may be, methods that there are not, and those of another kind. They are made from
 * the tables of methods, so a new method is tried from its first build on. Each is refused with a sentence that names
 * it, and has changed nothing. */
#include <CUnit/CUnit.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "object/call.h"
#include "object/method.h"
#include "support/everywhere.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"
#include "sync/pipe.h"

#define KINDS 32u
#define HOME  (mpm_node_count() - 1)

/* What all processes see. */
static struct shared {
    mpm_handle handle[KINDS]; /* by kind: an object of the home */
    char body[KINDS][OBJECT_BODY_SIZE];
    _Atomic int is_made, may_end;
} * shared;

/* At the home. */

static void make_things(void)
{
    mpm_handle *handle = shared->handle;
    mpm_connection one, other;
    mpm_condition condition;
    mpm_process self;

    EXPECT(!mpm_queue_create(NULL, (mpm_queue *)&handle[OBJECT_QUEUE]));
    EXPECT(!mpm_queue_put(*(mpm_queue *)&handle[OBJECT_QUEUE], "one", 3, 0));
    EXPECT(!mpm_value_create(MPM_I64, NULL, (mpm_value *)&handle[OBJECT_VALUE]));
    EXPECT(!mpm_array_create(MPM_I64, 4, NULL, (mpm_array *)&handle[OBJECT_ARRAY]));
    EXPECT(!mpm_bytes_create(8, NULL, (mpm_bytes *)&handle[OBJECT_BYTES]));
    EXPECT(!mpm_lock_create((mpm_lock *)&handle[OBJECT_LOCK]));
    EXPECT(!mpm_semaphore_create(1, (mpm_semaphore *)&handle[OBJECT_SEMAPHORE]));
    EXPECT(!mpm_event_create((mpm_event *)&handle[OBJECT_EVENT]));
    EXPECT(!mpm_barrier_create(2, NULL, (mpm_barrier *)&handle[OBJECT_BARRIER]));
    EXPECT(!mpm_condition_create(&condition) && !mpm_pipe_create(MPM_DUPLEX, &one, &other));
    EXPECT(!mpm_current_process(&self));
    handle[OBJECT_CONDITION] = condition.handle;
    handle[OBJECT_PIPE] = one.handle;
    handle[OBJECT_PIPE].place = object_place(&one.handle); /* as it goes between nodes */
    handle[OBJECT_PROCESS] = self.handle;
    handle[OBJECT_NODE] = call_node(mpm_node_id());
}

/* Results are waited for like objects, but are in the memory of one process, and nobody else calls them. */
static bool has_objects(unsigned kind)
{
    return kind_of(kind) && kind_of(kind)->count;
}

static int stay(const void *args, size_t size)
{
    (void)args;
    (void)size;
    make_things();
    for (unsigned kind = OBJECT_PROCESS + 1; kind < KINDS; kind++) {
        if (has_objects(kind))
            memcpy(shared->body[kind], object_record(&shared->handle[kind])->body, OBJECT_BODY_SIZE);
    }
    atomic_store(&shared->is_made, 1);
    EXPECT(gate_reached(&shared->may_end, 1));
    for (unsigned kind = OBJECT_PROCESS + 1; kind < KINDS; kind++) {
        const struct object *object = has_objects(kind) ? object_record(&shared->handle[kind]) : NULL;

        EXPECT(!object || object_is(object, &shared->handle[kind]));
        EXPECT(!object || !memcmp(shared->body[kind], object->body, OBJECT_BODY_SIZE));
    }
    return everywhere_end();
}

/* From another node. */

static unsigned tried;

/* A call with these bytes, whatever its method takes, is refused with a sentence that has these words. */
static void expect_refused(const mpm_handle *handle, const struct method *method, void *in, size_t tail,
                           const char *word, const char *other_word)
{
    static char out[METHOD_OUT_LIMIT], more[64];
    struct invocation invocation = {.method = method,
                                    .in = in,
                                    .tail = more,
                                    .tail_size = tail,
                                    .out = out,
                                    .more = more,
                                    .room = sizeof more};
    int status = call_run(handle, &invocation, 0);

    tried++;
    if (status == MPM_EPROTOCOL && strstr(mpm_error(), word) && strstr(mpm_error(), other_word))
        return;
    fprintf(stderr, "\"%s\" of a %s, with %u + %zu bytes: %s: %s\n", method->name,
            object_kind_name(method->kind), method->in_size, tail, mpm_status_name(status),
            status ? mpm_error() : "");
    CU_FAIL("a call that no caller would make is not refused");
}

/* The method, but with so many bytes in its fixed part; it waits for nothing. */
static struct method with_size(const struct method *method, uint32_t in_size)
{
    struct method other = *method;

    other.in_size = in_size;
    other.is_timed = false;
    return other;
}

/* Whether whatever follows the fixed part is a message. */
static bool takes_any_tail(const struct method *method)
{
    return method->tail_unit == 1 &&
           (!method->makes_sense || method->kind == OBJECT_PIPE || method->kind == OBJECT_NODE);
}

static void try_sizes(const mpm_handle *handle, const struct method *method)
{
    static char zeros[METHOD_IN_LIMIT];
    struct method right = with_size(method, method->in_size);
    struct method shorter = with_size(method, method->in_size - 1);

    if (method->in_size)
        expect_refused(handle, &shorter, zeros, 0, method->name, object_kind_name(method->kind));
    if (!takes_any_tail(method))
        expect_refused(handle, &right, zeros, 1, method->name, object_kind_name(method->kind));
}

static void try_kind(const struct kind *kind)
{
    const mpm_handle *handle = &shared->handle[kind->kind];
    const struct kind *other = kind_of(kind->kind == OBJECT_QUEUE ? OBJECT_LOCK : OBJECT_QUEUE);
    struct method unknown = {.kind = kind->kind, .verb = METHODS_PER_KIND - 1, .name = "unknown"};
    char nothing = 0;

    for (unsigned verb = 0; verb < METHODS_PER_KIND; verb++) {
        struct method look = {.kind = kind->kind, .verb = verb};
        const struct method *method = method_of(method_code(&look));

        if (method)
            try_sizes(handle, method);
    }
    expect_refused(handle, &unknown, &nothing, 0, "there is no call 15", object_kind_name(kind->kind));
    unknown.verb = 200;
    expect_refused(handle, &unknown, &nothing, 0, "there is no call 200", object_kind_name(kind->kind));
    for (size_t i = 0; i < other->count; i++) {
        static char in[METHOD_IN_LIMIT];
        struct method method = with_size(&other->methods[i], other->methods[i].in_size);

        expect_refused(handle, &method, in, 0, method.name, object_kind_name(kind->kind));
    }
}

/* What sizes do not say. */
static void try_contradictions(void)
{
    struct pipe_send_in send = {.transfer = 1};
    struct pipe_use nowhere = {.end = PIPE_ENDS};
    struct method sending = with_size(&pipe_methods[PIPE_SEND], sizeof send);
    struct method polling = with_size(&pipe_methods[PIPE_POLL], sizeof nowhere);
    struct method of_nothing = {.kind = (enum object_kind)(KINDS - 1), .verb = 1, .name = "of nothing"};
    const mpm_handle *handle = &shared->handle[OBJECT_PIPE];

    expect_refused(handle, &sending, &send, 1, "send", "pipe");
    expect_refused(handle, &polling, &nowhere, 0, "poll", "pipe");
    expect_refused(handle, &of_nothing, &send, 0, "there is no call 1", "object");
}

static void a_call_that_makes_no_sense_is_refused_and_changes_nothing(void)
{
    mpm_process home;
    bool is_alive = false;

    tried = 0;
    atomic_store(&shared->is_made, 0);
    home = start_on(HOME, stay, NULL, 0);
    EXPECT(gate_reached(&shared->is_made, 1));
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (has_objects(kind))
            try_kind(kind_of(kind));
    }
    try_contradictions();
    EXPECT(tried > 150);
    EXPECT(!mpm_process_is_alive(home, &is_alive) && is_alive);
    atomic_store(&shared->may_end, 1);
    expect_end(home, 0);
    everywhere_assert();
}

#define TEST(name)  \
    {               \
#name, name \
    }

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        TEST(a_call_that_makes_no_sense_is_refused_and_changes_nothing),
    };
    int status;

    shared = shared_file("methods", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (mpm_node_count() < 2) {
        puts("calls come from other nodes: there are none in a run of one node");
        return mpm_finalize();
    }
    status = suite_run("methods", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
