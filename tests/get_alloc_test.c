/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages whose length nobody knows come whole, into memory of their own; and where there is no memory for one, it
 * stays where it is. malloc fails here for what has as many bytes as it is told, or more. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 100.0

static size_t failing_size = SIZE_MAX;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return size >= failing_size ? NULL : __real_malloc(size);
}

/* A way for messages: through a queue, or a pipe. */
struct way {
    mpm_queue queue;
    mpm_connection from, to;
    uint64_t is_pipe;
};

static int put(const struct way *way, const void *message, size_t size)
{
    return way->is_pipe ? mpm_connection_send(way->from, message, size, PATIENCE_S)
                        : mpm_queue_put(way->queue, message, size, PATIENCE_S);
}

static int get(const struct way *way, double timeout_s, void **message, size_t *size)
{
    return way->is_pipe ? mpm_connection_recv_alloc(way->to, timeout_s, message, size)
                        : mpm_queue_get_alloc(way->queue, timeout_s, message, size);
}

static const size_t sizes[] = {0, 10, 1 << 16, (1 << 16) + 1, 5 << 20, 3, 1 << 20};
#define SIZES (sizeof sizes / sizeof *sizes)

static void put_one(const struct way *way, size_t size)
{
    char *message = __real_malloc(size + 1);

    memset(message, (int)(size % 127), size);
    EXPECT(!put(way, message, size));
    free(message);
}

static void expect_one(const struct way *way, size_t expected)
{
    void *message = NULL;
    size_t size = 0, right = 0;

    EXPECT(!get(way, PATIENCE_S, &message, &size) && message && size == expected);
    for (size_t i = 0; message && i < size; i++)
        right += ((char *)message)[i] == (char)(expected % 127);
    EXPECT(right == expected);
    free(message);
}

static int get_all(const void *args, size_t size)
{
    const struct way *way = args;
    void *message = NULL;
    size_t got = 77;

    (void)size;
    for (size_t i = 0; i < SIZES; i++)
        put_one(way, sizes[i]);
    for (size_t i = 0; i < SIZES; i++)
        expect_one(way, sizes[i]);
    EXPECT(get(way, 0, &message, &got) == (way->is_pipe ? MPM_ETIMEDOUT : MPM_EEMPTY));
    EXPECT(get(way, 0.001, &message, &got) == (way->is_pipe ? MPM_ETIMEDOUT : MPM_EEMPTY));
    EXPECT(get(way, 0, NULL, &got) == MPM_EINVAL && get(way, 0, &message, NULL) == MPM_EINVAL);
    EXPECT(!message && got == 77);
    return everywhere_end();
}

static int get_without_memory(const void *args, size_t size)
{
    const struct way *way = args;
    void *message = NULL;
    size_t got;

    (void)size;
    put_one(way, 1 << 20);
    put_one(way, 4);
    for (int i = 0; i < 2; i++) {
        failing_size = i ? 1 << 20 : 1 << 16;
        EXPECT(get(way, PATIENCE_S, &message, &got) == MPM_ENOMEM && !message);
        failing_size = SIZE_MAX;
    }
    expect_one(way, 1 << 20);
    expect_one(way, 4);
    return everywhere_end();
}

static int get_to_the_end(const void *args, size_t size)
{
    const struct way *way = args;
    void *message = NULL;
    size_t got;

    (void)size;
    expect_one(way, 5);
    EXPECT(get(way, PATIENCE_S, &message, &got) == (way->is_pipe ? MPM_EEOF : MPM_ECLOSED) && !message);
    return everywhere_end();
}

static void make(struct way *way, bool is_pipe)
{
    *way = (struct way){.is_pipe = is_pipe};
    if (is_pipe)
        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &way->from, &way->to));
    else
        EXPECT(!mpm_queue_create(NULL, &way->queue));
}

static void end(const struct way *way)
{
    if (way->is_pipe)
        EXPECT(!mpm_connection_close(way->from) && !mpm_connection_close(way->to));
    else
        EXPECT(!mpm_queue_destroy(way->queue));
}

static void run_both_ways(mpm_target *body)
{
    for (int is_pipe = 0; is_pipe < 2; is_pipe++) {
        struct way way;

        make(&way, is_pipe);
        run_on_each_node(body, &way, sizeof way);
        end(&way);
    }
    everywhere_assert();
}

static void messages_of_any_length_come_whole(void)
{
    run_both_ways(get_all);
}

static void without_memory_a_message_stays_where_it_is(void)
{
    run_both_ways(get_without_memory);
}

static void the_end_is_told(void)
{
    for (unsigned i = 0; i < 2 * mpm_node_count(); i++) {
        struct way way;

        make(&way, i % 2);
        put_one(&way, 5);
        EXPECT(!(way.is_pipe ? mpm_connection_close(way.from) : mpm_queue_close(way.queue)));
        expect_end(start_on(i / 2, get_to_the_end, &way, sizeof way), 0);
        EXPECT(!(way.is_pipe ? mpm_connection_close(way.to) : mpm_queue_destroy(way.queue)));
    }
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"messages_of_any_length_come_whole", messages_of_any_length_come_whole},
        {"without_memory_a_message_stays_where_it_is", without_memory_a_message_stays_where_it_is},
        {"the_end_is_told", the_end_is_told},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("get_alloc", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
