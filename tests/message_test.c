/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages in place: they change hands where they stand, at home and between nodes; a put that fails leaves them to
 * their owner; what is none is refused; and they are freed with the process that has them. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "node/context.h"
#include "shm/arena.h"
#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define LONG       ((size_t)3 << 20)

/* None, short ones, the first that is long, and such as go in a frame, in short pieces and in long ones. */
static const size_t sizes[] = {0, 1, 300, 16368, 16369, 40000, 1 << 16, 1 << 17, 5000000};
#define SIZES (sizeof sizes / sizeof *sizes)

static mpm_queue create_queue(size_t maxsize)
{
    mpm_queue queue = {{0}};

    EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = maxsize}, &queue));
    return queue;
}

/* Each byte is known by its place and by the message's size. */
static void fill(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(size * 7 + i % 251);
}

static bool is_filled(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)bytes)[i] != (unsigned char)(size * 7 + i % 251))
            return false;
    }
    return true;
}

static mpm_message make(size_t size)
{
    mpm_message message = {0};

    EXPECT(!mpm_message_create(size, &message) && message.bytes && message.size == size);
    EXPECT((uintptr_t)message.bytes % 64 == 0);
    fill(message.bytes, size);
    return message;
}

static void put(mpm_queue queue, size_t size)
{
    mpm_message message = make(size);

    EXPECT(!mpm_queue_put_message(queue, &message, PATIENCE_S) && !message.bytes && !message.size);
}

static mpm_message get(mpm_queue queue, size_t size)
{
    mpm_message message = {0};

    EXPECT(!mpm_queue_get_message(queue, PATIENCE_S, &message) && message.bytes && message.size == size);
    EXPECT((uintptr_t)message.bytes % 64 == 0);
    EXPECT(is_filled(message.bytes, message.size));
    return message;
}

static void get_and_free(mpm_queue queue, size_t size)
{
    mpm_message message = get(queue, size);

    mpm_message_destroy(&message);
    EXPECT(!message.bytes && !message.size);
}

static int change_hands(const void *args, size_t args_size)
{
    const mpm_queue *queue = args;
    mpm_message message = {0};

    (void)args_size;
    for (size_t i = 0; i < SIZES; i++)
        put(*queue, sizes[i]);
    for (size_t i = 0; i < SIZES; i++) { /* once more round, with what has come */
        message = get(*queue, sizes[i]);
        EXPECT(!mpm_queue_put_message(*queue, &message, 0) && !message.bytes);
    }
    for (size_t i = 0; i < SIZES; i++)
        get_and_free(*queue, sizes[i]);
    EXPECT(mpm_queue_get_message(*queue, 0, &message) == MPM_EEMPTY && !message.bytes);
    EXPECT(mpm_queue_get_message(*queue, 0.001, &message) == MPM_EEMPTY && !message.bytes);
    return everywhere_end();
}

static void messages_change_hands_on_all_nodes(void)
{
    mpm_queue queue = create_queue(0), bounded = create_queue(SIZES);

    run_on_each_node(change_hands, &queue, sizeof queue);
    run_on_each_node(change_hands, &bounded, sizeof bounded);
    CU_ASSERT(!change_hands(&queue, sizeof queue));
    CU_ASSERT(!mpm_queue_destroy(queue) && !mpm_queue_destroy(bounded));
    everywhere_assert();
}

static void at_home_a_long_message_stays_where_it_is(void)
{
    mpm_queue queue = create_queue(0);
    mpm_message message = make(LONG);
    const void *bytes = message.bytes;

    EXPECT(!mpm_queue_put_message(queue, &message, 0));
    message = get(queue, LONG);
    EXPECT(message.bytes == bytes);
    mpm_message_destroy(&message);
    EXPECT(!mpm_queue_destroy(queue));
    everywhere_assert();
}

static int mix(const void *args, size_t args_size)
{
    const mpm_queue *queue = args;

    (void)args_size;
    for (size_t i = 0; i < SIZES; i++) {
        char *bytes = malloc(sizes[i] + 1);
        size_t size = 0;

        fill(bytes, sizes[i]);
        EXPECT(!mpm_queue_put(*queue, bytes, sizes[i], 0));
        get_and_free(*queue, sizes[i]);
        put(*queue, sizes[i]);
        EXPECT(!mpm_queue_get(*queue, PATIENCE_S, bytes, sizes[i], &size) && size == sizes[i] &&
               is_filled(bytes, size));
        free(bytes);
    }
    return everywhere_end();
}

static void either_side_may_copy(void)
{
    mpm_queue queue = create_queue(0);

    run_on_each_node(mix, &queue, sizeof queue);
    CU_ASSERT(!mpm_queue_destroy(queue));
    everywhere_assert();
}

struct refusing {
    mpm_queue full, closed, stale, good;
};

static int fail_to_put(const void *args, size_t args_size)
{
    const struct refusing *queues = args;

    (void)args_size;
    for (size_t i = 0; i < SIZES; i++) {
        mpm_message message = make(sizes[i]);
        const void *bytes = message.bytes;

        EXPECT(mpm_queue_put_message(queues->full, &message, 0) == MPM_EFULL);
        EXPECT(mpm_queue_put_message(queues->full, &message, 0.001) == MPM_EFULL);
        EXPECT(mpm_queue_put_message(queues->closed, &message, PATIENCE_S) == MPM_ECLOSED);
        EXPECT(mpm_queue_put_message(queues->stale, &message, PATIENCE_S) == MPM_ESTALE);
        EXPECT(message.bytes == bytes && message.size == sizes[i] && is_filled(bytes, sizes[i]));
        EXPECT(!mpm_queue_put_message(queues->good, &message, PATIENCE_S));
        get_and_free(queues->good, sizes[i]);
    }
    return everywhere_end();
}

static void a_put_that_fails_leaves_the_message(void)
{
    struct refusing queues = {create_queue(1), create_queue(0), create_queue(0), create_queue(0)};

    EXPECT(!mpm_queue_put(queues.full, "", 1, 0) && !mpm_queue_close(queues.closed) &&
           !mpm_queue_destroy(queues.stale));
    run_on_each_node(fail_to_put, &queues, sizeof queues);
    EXPECT(!mpm_queue_destroy(queues.full) && !mpm_queue_destroy(queues.closed) &&
           !mpm_queue_destroy(queues.good));
    everywhere_assert();
}

static int be_interrupted(const void *args, size_t args_size)
{
    const mpm_queue *full = args;
    mpm_message message = make(LONG);
    bool is_home = mpm_node_id() == full->handle.home;

    (void)args_size;
    mpm_interrupt_waits();
    EXPECT(mpm_queue_put_message(*full, &message, PATIENCE_S) == MPM_EINTERRUPTED);
    EXPECT(is_home ? is_filled(message.bytes, LONG) : !message.bytes);
    mpm_message_destroy(&message);
    return everywhere_end();
}

static void an_interrupted_put_frees_what_was_on_its_way(void)
{
    mpm_queue full = create_queue(1);

    EXPECT(!mpm_queue_put(full, "", 1, 0));
    run_on_each_node(be_interrupted, &full, sizeof full);
    EXPECT(!mpm_queue_destroy(full));
    everywhere_assert();
}

static void what_is_no_message_is_refused(void)
{
    mpm_queue queue = create_queue(0);
    mpm_message message = make(LONG), none = {0}, other = message, foreign = {&queue, sizeof queue};

    EXPECT(mpm_message_create(1, NULL) == MPM_EINVAL && mpm_queue_get_message(queue, 0, NULL) == MPM_EINVAL);
    EXPECT(mpm_message_create(SIZE_MAX / 4, &none) == MPM_ENOMEM && !none.bytes);
    EXPECT(mpm_queue_put_message(queue, NULL, 0) == MPM_EINVAL && error_has("the pointer to it is NULL"));
    EXPECT(mpm_queue_put_message(queue, &none, 0) == MPM_EINVAL && error_has("was never made"));
    EXPECT(mpm_queue_put_message(queue, &foreign, 0) == MPM_EINVAL && error_has("not those of a message"));
    other.bytes = (char *)message.bytes + 64;
    EXPECT(mpm_queue_put_message(queue, &other, 0) == MPM_EINVAL && error_has("not those of a message"));
    other = message;
    other.size = LONG + 64;
    EXPECT(mpm_queue_put_message(queue, &other, 0) == MPM_EINVAL && error_has("there is room for"));
    other = message;
    other.size = 20000;
    fill(other.bytes, other.size);
    EXPECT(!mpm_queue_put_message(queue, &other, 0)); /* made smaller */
    EXPECT(mpm_queue_put_message(queue, &message, 0) == MPM_EINVAL && error_has("its own still"));
    get_and_free(queue, 20000);
    mpm_message_destroy(NULL);
    mpm_message_destroy(&none);
    EXPECT(!mpm_queue_destroy(queue));
    everywhere_assert();
}

static size_t used(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used;
}

static int keep_all(const void *args, size_t args_size)
{
    const mpm_queue *queue = args;

    (void)args_size;
    for (size_t i = 0; i < SIZES; i++) {
        (void)make(sizes[i]);
        put(*queue, sizes[i]);
        (void)get(*queue, sizes[i]);
    }
    return everywhere_end();
}

static int tell_used(const void *args, size_t args_size)
{
    const mpm_queue *queue = args;
    size_t bytes = used();

    (void)args_size;
    EXPECT(!mpm_put(*queue, &bytes));
    return everywhere_end();
}

/* As a process there sees it. */
static size_t used_on(unsigned node, mpm_queue queue)
{
    size_t bytes = 0;

    expect_end(start_on(node, tell_used, &queue, sizeof queue), 0);
    EXPECT(!mpm_get(queue, &bytes));
    return bytes;
}

/* What has arrived is forgotten with the next call from the same request: a second one of the kind leaves no more. */
static void messages_are_freed_with_their_process(void)
{
    mpm_queue queue = create_queue(0);

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        size_t before;

        expect_end(start_on(node, keep_all, &queue, sizeof queue), 0);
        before = used_on(node, queue);
        for (unsigned i = 0; i < 3; i++)
            expect_end(start_on(node, keep_all, &queue, sizeof queue), 0);
        EXPECT(used_on(node, queue) <= before);
    }
    EXPECT(!mpm_queue_destroy(queue));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"messages_change_hands_on_all_nodes", messages_change_hands_on_all_nodes},
        {"at_home_a_long_message_stays_where_it_is", at_home_a_long_message_stays_where_it_is},
        {"either_side_may_copy", either_side_may_copy},
        {"a_put_that_fails_leaves_the_message", a_put_that_fails_leaves_the_message},
        {"an_interrupted_put_frees_what_was_on_its_way", an_interrupted_put_frees_what_was_on_its_way},
        {"what_is_no_message_is_refused", what_is_no_message_is_refused},
        {"messages_are_freed_with_their_process", messages_are_freed_with_their_process},
    };
    int failed;

    if (mpm_message_create(1, &(mpm_message){0}) != MPM_ESTATE ||
        mpm_queue_get_message((mpm_queue){{0}}, 0, &(mpm_message){0}) != MPM_ESTATE)
        return EXIT_FAILURE;
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("message", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
