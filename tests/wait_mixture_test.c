/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for connections, queues, events and processes in one mixture, by processes of all nodes. On each
 * node a server has a kit of objects of that node, and does with it what it is ordered to. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define MOST_NODES 8u

/* The handles of a kit that are waited for. */
enum { CONNECTION, QUEUE, EVENT, PROCESS, KINDS };

enum order { SEND, PUT, SET, CLOSE, DIE, ORDERS };

struct kit {
    mpm_handle handle[KINDS];
    mpm_connection other_end; /* of the connection: the server's */
    mpm_queue orders;
};

struct scene {
    uint64_t count;
    struct kit kits[MOST_NODES];
};

/* The server's part. */

static struct kit make_kit(mpm_queue orders)
{
    struct kit kit = {.orders = orders};
    mpm_connection connection = {{0}};
    mpm_queue queue = {{0}};
    mpm_event event = {{0}};

    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &connection, &kit.other_end) && !mpm_queue_create(NULL, &queue) &&
           !mpm_event_create(&event));
    kit.handle[CONNECTION] = connection.handle;
    kit.handle[QUEUE] = queue.handle;
    kit.handle[EVENT] = event.handle;
    return kit;
}

/* Each of them when somebody waits for it. */
static void carry_out(const struct kit *kit, enum order order)
{
    static const int kinds[ORDERS] = {CONNECTION, QUEUE, EVENT, CONNECTION, CONNECTION};

    await_sleepers(&kit->handle[kinds[order]]);
    if (order == SEND)
        EXPECT(!mpm_connection_send(kit->other_end, "a", 1, 0));
    else if (order == PUT)
        EXPECT(!mpm_queue_put((mpm_queue){kit->handle[QUEUE]}, "b", 1, 0));
    else if (order == SET)
        EXPECT(!mpm_event_set((mpm_event){kit->handle[EVENT]}));
    else if (order == CLOSE)
        EXPECT(!mpm_connection_close(kit->other_end));
    else
        raise(SIGKILL);
}

struct server_args {
    mpm_queue made, orders;
};

/* It ends when its orders are closed. */
static int serve(const void *args, size_t size)
{
    const struct server_args *mine = args;
    struct kit kit = make_kit(mine->orders);
    enum order order;

    (void)size;
    EXPECT(!mpm_connection_send(kit.other_end, "hello", 5, 0)); /* so that it holds its end */
    EXPECT(!mpm_queue_put(mine->made, &kit, sizeof kit, 0));
    while (!mpm_queue_get(mine->orders, MPM_FOREVER, &order, sizeof order, NULL))
        carry_out(&kit, order);
    return everywhere_end();
}

/* Main's part. */

static void make_scene(struct scene *scene)
{
    struct server_args args = {.made = {{0}}};
    char hello[8];

    EXPECT(!mpm_queue_create(NULL, &args.made));
    *scene = (struct scene){.count = mpm_node_count()};
    for (unsigned i = 0; i < scene->count; i++) {
        struct kit *kit = &scene->kits[i];
        mpm_process server;

        EXPECT(!mpm_queue_create(NULL, &args.orders));
        server = start_on(i, serve, &args, sizeof args);
        EXPECT(!mpm_queue_get(args.made, PATIENCE_S, kit, sizeof *kit, NULL));
        kit->handle[PROCESS] = server.handle;
        EXPECT(!mpm_connection_recv((mpm_connection){kit->handle[CONNECTION]}, 0, hello, sizeof hello, NULL));
    }
    EXPECT(!mpm_queue_destroy(args.made));
}

static void end_scene(const struct scene *scene, int exitcode)
{
    for (unsigned i = 0; i < scene->count; i++) {
        const struct kit *kit = &scene->kits[i];

        EXPECT(!mpm_queue_close(kit->orders));
        expect_end((mpm_process){kit->handle[PROCESS]}, exitcode);
        EXPECT(!mpm_queue_destroy(kit->orders));
        EXPECT(!mpm_queue_destroy((mpm_queue){kit->handle[QUEUE]}));
        EXPECT(!mpm_event_destroy((mpm_event){kit->handle[EVENT]}));
        EXPECT(!mpm_connection_close((mpm_connection){kit->handle[CONNECTION]}));
        EXPECT(!mpm_connection_close(kit->other_end) || exitcode == 0);
    }
    everywhere_assert();
}

static void give_order(const struct kit *kit, enum order order)
{
    EXPECT(!mpm_queue_put(kit->orders, &order, sizeof order, 0));
}

/* Waiting for all handles of a scene: the place of the only one that is ready, -1 if none is. */
static int wait_for_one(const struct scene *scene, double timeout_s)
{
    mpm_handle handles[KINDS * MOST_NODES];
    size_t ready[KINDS * MOST_NODES], count = 0;
    int status;

    for (unsigned i = 0; i < scene->count; i++)
        memcpy(&handles[i * KINDS], scene->kits[i].handle, sizeof scene->kits[i].handle);
    status = mpm_wait_any(handles, KINDS * scene->count, timeout_s, ready, &count);
    EXPECT(status == MPM_OK || status == MPM_ETIMEDOUT);
    EXPECT(status || count == 1);
    return status ? -1 : (int)ready[0];
}

/* Takes away what an order has brought. */
static void take_away(const struct kit *kit, enum order order)
{
    char byte = 0;

    if (order == SEND)
        EXPECT(!mpm_connection_recv((mpm_connection){kit->handle[CONNECTION]}, 0, &byte, 1, NULL));
    else if (order == PUT)
        EXPECT(!mpm_queue_get((mpm_queue){kit->handle[QUEUE]}, 0, &byte, 1, NULL));
    else
        EXPECT(!mpm_event_clear((mpm_event){kit->handle[EVENT]}));
    EXPECT(byte == (order == SEND ? 'a' : order == PUT ? 'b' : 0));
}

static int wait_for_each_kind(const void *args, size_t size)
{
    static const int kinds[] = {CONNECTION, QUEUE, EVENT};
    const struct scene *scene = args;

    (void)size;
    EXPECT(wait_for_one(scene, 0) == -1);
    for (unsigned i = 0; i < scene->count; i++) {
        for (enum order order = SEND; order <= SET; order++) {
            int place = (int)i * KINDS + kinds[order];

            give_order(&scene->kits[i], order);
            EXPECT(wait_for_one(scene, PATIENCE_S) == place);
            EXPECT(wait_for_one(scene, 0) == place); /* nothing was taken */
            take_away(&scene->kits[i], order);
            EXPECT(wait_for_one(scene, 0.001) == -1);
        }
    }
    return everywhere_end();
}

static void each_kind_wakes_who_waits_for_a_mixture(void)
{
    struct scene scene;

    make_scene(&scene);
    run_on_each_node(wait_for_each_kind, &scene, sizeof scene);
    EXPECT(!wait_for_each_kind(&scene, sizeof scene));
    end_scene(&scene, 0);
}

/* The other end of the connection is closed, or its holder is killed, while somebody waits for it. The
 * waiter must not get the other end among its args: it would hold it. */
static int wait_for_end(const void *args, size_t size)
{
    const mpm_handle *handle = args;
    size_t ready, count = 0;

    (void)size;
    EXPECT(!mpm_wait_any(handle, 1, PATIENCE_S, &ready, &count) && count == 1);
    EXPECT(mpm_connection_recv((mpm_connection){*handle}, 0, NULL, 0, NULL) == MPM_EEOF);
    return everywhere_end();
}

static void check_end(enum order order, int exitcode)
{
    struct scene scene;

    make_scene(&scene);
    for (unsigned i = 0; i < scene.count; i++) {
        mpm_process waiters[MOST_NODES];

        for (unsigned node = 0; node < scene.count; node++)
            waiters[node] = start_on(node, wait_for_end, &scene.kits[i].handle[CONNECTION],
                                     sizeof(mpm_handle));
        give_order(&scene.kits[i], order);
        for (unsigned node = 0; node < scene.count; node++)
            expect_end(waiters[node], 0);
    }
    end_scene(&scene, exitcode);
}

static void the_end_of_the_other_side_makes_a_connection_ready(void)
{
    check_end(CLOSE, 0);
}

static void a_writer_that_dies_makes_a_connection_ready(void)
{
    check_end(DIE, -SIGKILL);
}

/* Between its last look and its sleep a waiter may be anywhere: it hears of each message all the same. */
static int answer_each(const void *args, size_t size)
{
    const struct kit *kit = args;
    mpm_handle handles[] = {kit->handle[EVENT], kit->other_end.handle};
    size_t ready[2], count = 0;

    (void)size;
    for (;;) {
        int status;

        EXPECT(!mpm_wait_any(handles, 2, PATIENCE_S, ready, &count) && count == 1 && ready[0] == 1);
        if ((status = mpm_connection_recv(kit->other_end, 0, NULL, 0, NULL)))
            break;
        EXPECT(!mpm_connection_send(kit->other_end, NULL, 0, 0));
    }
    return everywhere_end();
}

static void no_message_is_missed(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        struct kit kit = {.orders = {{0}}};
        mpm_connection own = {{0}};
        mpm_event event = {{0}};
        mpm_process process;

        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &own, &kit.other_end) && !mpm_event_create(&event));
        kit.handle[EVENT] = event.handle;
        process = start_on(node, answer_each, &kit, sizeof kit);
        for (unsigned i = 0; i < (node ? AMOUNT(300u, 30u) : AMOUNT(3000u, 200u)); i++)
            EXPECT(!mpm_connection_send(own, NULL, 0, 0) &&
                   !mpm_connection_recv(own, PATIENCE_S, NULL, 0, NULL));
        EXPECT(!mpm_connection_close(own));
        expect_end(process, 0);
        EXPECT(!mpm_connection_close(kit.other_end) && !mpm_event_destroy(event));
    }
    everywhere_assert();
}

static int status_of_wait(mpm_handle handle)
{
    size_t ready, count;

    return mpm_wait_any(&handle, 1, 0, &ready, &count);
}

static int wait_for_nonsense(const void *args, size_t size)
{
    const mpm_connection *ends = args;
    mpm_handle wrong_end = ends[0].handle;

    (void)size;
    wrong_end.place |= UINT64_C(0x7f) << 56;
    EXPECT(status_of_wait(ends[0].handle) == MPM_ETIMEDOUT);
    EXPECT(status_of_wait(ends[1].handle) == MPM_EINVAL); /* it sends only */
    EXPECT(status_of_wait(ends[2].handle) == MPM_ECLOSED);
    EXPECT(status_of_wait(ends[3].handle) == MPM_OK);
    EXPECT(status_of_wait(ends[4].handle) == MPM_ESTALE);
    EXPECT(status_of_wait(wrong_end) == MPM_EINVAL);
    return everywhere_end();
}

static void what_can_never_be_ready_is_told(void)
{
    mpm_connection ends[6] = {{{0}}};

    EXPECT(!mpm_pipe_create(MPM_ONEWAY, &ends[0], &ends[1]) &&
           !mpm_pipe_create(MPM_DUPLEX, &ends[2], &ends[3]) &&
           !mpm_pipe_create(MPM_DUPLEX, &ends[4], &ends[5]));
    EXPECT(!mpm_connection_close(ends[2]) && !mpm_connection_close(ends[4]) &&
           !mpm_connection_close(ends[5]));
    EXPECT(!wait_for_nonsense(ends, sizeof ends));
    run_on_each_node(wait_for_nonsense, ends, sizeof ends);
    EXPECT(!mpm_connection_close(ends[0]) && !mpm_connection_close(ends[1]) &&
           !mpm_connection_close(ends[3]));
    everywhere_assert();
}

static void a_closed_queue_is_ready(void)
{
    mpm_queue queue = {{0}};

    EXPECT(!mpm_queue_create(NULL, &queue));
    EXPECT(status_of_wait(queue.handle) == MPM_ETIMEDOUT);
    EXPECT(!mpm_queue_close(queue));
    EXPECT(status_of_wait(queue.handle) == MPM_OK);
    EXPECT(!mpm_queue_destroy(queue));
    EXPECT(status_of_wait(queue.handle) == MPM_ESTALE);
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"each_kind_wakes_who_waits_for_a_mixture", each_kind_wakes_who_waits_for_a_mixture},
        {"the_end_of_the_other_side_makes_a_connection_ready",
         the_end_of_the_other_side_makes_a_connection_ready},
        {"a_writer_that_dies_makes_a_connection_ready", a_writer_that_dies_makes_a_connection_ready},
        {"no_message_is_missed", no_message_is_missed},
        {"what_can_never_be_ready_is_told", what_can_never_be_ready_is_told},
        {"a_closed_queue_is_ready", a_closed_queue_is_ready},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("wait_mixture", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
