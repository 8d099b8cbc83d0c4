/* SPDX-License-Identifier: BSD-3-Clause */
/* Node 2 of three is lost while main, and a process of node 1, wait for its objects and its processes, and while it has
 * something of theirs; or, with "large", while nodes send large results all the time: for node_loss.sh, which kills it
 * once "running" is printed. Says how many expectations there were, and how many of them did not come true. */
#include <mpmap.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_S 100.0
#define DOOMED     2u
#define POSTS      200

static _Atomic unsigned expected, wrong;

static void expect(bool is_so, const char *what, int line)
{
    atomic_fetch_add(&expected, 1);
    if (is_so)
        return;
    atomic_fetch_add(&wrong, 1);
    printf("line %d: %s: %s\n", line, what, mpm_error());
    fflush(stdout);
}

#define EXPECT(condition) expect(condition, #condition, __LINE__)

/* What is at home on a node. */
struct belongings {
    mpm_queue queue; /* empty, for good */
    mpm_lock lock, free;
    mpm_event event;
    mpm_value value;
    mpm_array array;
    mpm_bytes bytes;
    mpm_semaphore semaphore;
};

struct scene {
    struct belongings of[DOOMED + 1];
    mpm_queue told, gate, posted, delegated;
    mpm_barrier barrier, quiet; /* of two and three parties */
    mpm_connection doomed_end;  /* the taker's, and of what it starts */
};

static void make_belongings(struct belongings *made)
{
    EXPECT(!mpm_queue_create(NULL, &made->queue));
    EXPECT(!mpm_lock_create(&made->lock));
    EXPECT(!mpm_lock_create(&made->free));
    EXPECT(!mpm_event_create(&made->event));
    EXPECT(!mpm_value_create(MPM_I64, NULL, &made->value));
    EXPECT(!mpm_array_create(MPM_I64, 8, NULL, &made->array));
    EXPECT(!mpm_bytes_create(100, NULL, &made->bytes));
    EXPECT(!mpm_semaphore_create(0, &made->semaphore));
}

/* On another node: makes what is at home there, and waits. */
static int be_home(const void *args, size_t size)
{
    const struct scene *scene = args;
    struct belongings made;

    (void)size;
    make_belongings(&made);
    EXPECT(!mpm_queue_put(scene->told, &made, sizeof made, PATIENCE_S));
    return atomic_load(&wrong) ? 1 : mpm_queue_get(scene->gate, MPM_FOREVER, NULL, 0, NULL) != 0;
}

static int sleep_on(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    return mpm_queue_get(scene->of[1].queue, MPM_FOREVER, NULL, 0, NULL);
}

static void *wait_at_barrier(void *scene)
{
    unsigned index;

    (void)!mpm_barrier_wait(((const struct scene *)scene)->quiet, MPM_FOREVER, &index);
    return NULL;
}

/* On the node that is lost: takes locks of others, has a daemon on node 1, posts, comes to a barrier. */
static int take_much(const void *args, size_t size)
{
    const struct scene *scene = args;
    mpm_process_options options = {.place = MPM_ON_NODE(1), .daemon = 1};
    mpm_process daemon;
    pthread_t thread;

    (void)size;
    for (unsigned node = 0; node < DOOMED; node++)
        EXPECT(!mpm_lock_acquire(scene->of[node].lock, 0));
    EXPECT(!mpm_process_start(sleep_on, args, size, &options, &daemon));
    for (int i = 0; i < POSTS; i++)
        EXPECT(!mpm_queue_put(scene->delegated, &i, sizeof i, PATIENCE_S));
    EXPECT(!pthread_create(&thread, NULL, wait_at_barrier, (void *)(uintptr_t)scene));
    EXPECT(!mpm_connection_send(scene->doomed_end, "there", 6, PATIENCE_S));
    EXPECT(!mpm_queue_put(scene->told, &daemon, sizeof daemon, PATIENCE_S));
    if (atomic_load(&wrong))
        return 1;
    return mpm_queue_get(scene->gate, MPM_FOREVER, NULL, 0, NULL) != 0;
}

/* On node 1: waits for what is at home on the lost one. */
static int wait_for_lost(const void *args, size_t size)
{
    const struct scene *scene = args;

    (void)size;
    EXPECT(!mpm_queue_put(scene->told, "", 1, PATIENCE_S));
    EXPECT(mpm_queue_get(scene->of[DOOMED].queue, MPM_FOREVER, NULL, 0, NULL) == MPM_ENODELOST);
    EXPECT(mpm_lock_acquire(scene->of[DOOMED].free, MPM_FOREVER) == MPM_ENODELOST);
    EXPECT(mpm_queue_put(scene->of[DOOMED].queue, "", 1, 0) == MPM_ENODELOST);
    return atomic_load(&wrong) ? 1 : 0;
}

/* What threads of main wait for. */

static struct scene scene;
static mpm_process owner, taker, waiter, orphan;
static mpm_connection main_end;

static void *get_from_lost(void *unused)
{
    EXPECT(mpm_queue_get(scene.of[DOOMED].queue, MPM_FOREVER, NULL, 0, NULL) == MPM_ENODELOST);
    EXPECT(strstr(mpm_error(), "and the run has gone on without it"));
    return unused;
}

static void *join_lost(void *unused)
{
    int code = 0;

    EXPECT(mpm_process_join(taker, MPM_FOREVER) == MPM_ENODELOST);
    EXPECT(mpm_process_exitcode(taker, &code) == MPM_ENODELOST);
    return unused;
}

static void *wait_for_any(void *unused)
{
    mpm_handle handles[] = {scene.of[0].queue.handle, scene.of[1].queue.handle,
                            scene.of[DOOMED].queue.handle};
    size_t ready[3], count;

    EXPECT(mpm_wait_any(handles, 3, MPM_FOREVER, ready, &count) == MPM_ENODELOST);
    return unused;
}

static void *acquire_of_dead(void *node)
{
    mpm_lock lock = scene.of[(uintptr_t)node].lock;

    EXPECT(mpm_lock_acquire(lock, MPM_FOREVER) == MPM_EOWNERDIED);
    EXPECT(!mpm_lock_release(lock));
    return NULL;
}

static void *wait_with_dead(void *unused)
{
    unsigned index;

    EXPECT(mpm_barrier_wait(scene.quiet, MPM_FOREVER, &index) == MPM_EBROKEN);
    return unused;
}

/* The other end is gone with the only process that had it. */
static void *receive_from_dead(void *unused)
{
    char text[8];

    EXPECT(mpm_connection_recv(main_end, MPM_FOREVER, text, sizeof text, NULL) == MPM_EEOF);
    return unused;
}

/* Posts go to the lost node until that is known. */
static void *post_to_lost(void *unused)
{
    int status = MPM_OK;

    while (!status)
        status = mpm_queue_put(scene.posted, "posted", 7, PATIENCE_S);
    EXPECT(status == MPM_ENODELOST);
    return unused;
}

static void *add_to_lost(void *unused)
{
    int status = MPM_OK;

    while (!status)
        status = mpm_value_add_i64(scene.of[DOOMED].value, 1);
    EXPECT(status == MPM_ENODELOST);
    return unused;
}

/* The scene. */

static mpm_process start_on(unsigned node, mpm_target *target)
{
    mpm_process_options options = {.place = MPM_ON_NODE(node)};
    mpm_process process = {0};

    EXPECT(!mpm_process_start(target, &scene, sizeof scene, &options, &process));
    return process;
}

static void set_scene(void)
{
    EXPECT(!mpm_queue_create(NULL, &scene.told));
    EXPECT(!mpm_queue_create(NULL, &scene.gate));
    EXPECT(!mpm_queue_create(NULL, &scene.delegated));
    EXPECT(!mpm_barrier_create(3, NULL, &scene.quiet));
    make_belongings(&scene.of[0]);
    for (unsigned node = 1; node <= DOOMED; node++) {
        mpm_process home = start_on(node, be_home);

        EXPECT(!mpm_queue_get_exact(scene.told, sizeof scene.of[node], PATIENCE_S, &scene.of[node]));
        if (node == DOOMED)
            owner = home;
    }
    scene.posted = scene.of[DOOMED].queue;
}

/* The taker's thread comes to it whenever it may. */
static void wait_for_party(mpm_barrier barrier)
{
    unsigned waiting = 0;
    int status = MPM_OK;

    for (; !status && !waiting; sched_yield())
        status = mpm_barrier_waiting(barrier, &waiting);
    EXPECT(!status);
}

static void start_all(void)
{
    char text[8];

    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &main_end, &scene.doomed_end));
    taker = start_on(DOOMED, take_much);
    scene.doomed_end = (mpm_connection){0};
    EXPECT(!mpm_queue_get_exact(scene.told, sizeof orphan, PATIENCE_S, &orphan));
    EXPECT(!mpm_connection_recv(main_end, PATIENCE_S, text, sizeof text, NULL));
    wait_for_party(scene.quiet);
    waiter = start_on(1, wait_for_lost);
    EXPECT(!mpm_queue_get(scene.told, PATIENCE_S, text, sizeof text, NULL));
}

static void wait_in_threads(void)
{
    static void *(*const bodies[])(void *) = {get_from_lost,     join_lost,       wait_for_any,
                                              acquire_of_dead,   acquire_of_dead, wait_with_dead,
                                              receive_from_dead, add_to_lost};
    static void *const arguments[] = {NULL, NULL, NULL, (void *)0, (void *)1, NULL, NULL, NULL};
    pthread_t thread[sizeof bodies / sizeof *bodies];

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        EXPECT(!pthread_create(&thread[i], NULL, bodies[i], arguments[i]));
    puts("running");
    fflush(stdout);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        pthread_join(thread[i], NULL);
}

static int end_at_once(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return mpm_node_id() == DOOMED;
}

static void look_at_processes(void)
{
    mpm_process_options there = {.place = MPM_ON_NODE(DOOMED)};
    mpm_process process, children[16];
    bool is_alive;
    size_t count;
    int code;

    EXPECT(mpm_process_is_alive(owner, &is_alive) == MPM_ENODELOST);
    EXPECT(mpm_process_kill(owner) == MPM_ENODELOST);
    EXPECT(mpm_process_close(owner) == MPM_ENODELOST);
    EXPECT(!mpm_process_reap(waiter, PATIENCE_S, &code) && code == 0);
    EXPECT(!mpm_process_reap(orphan, PATIENCE_S, &code) && code == -9);
    EXPECT(!mpm_active_children(children, 16, &count));
    EXPECT(mpm_process_start(end_at_once, NULL, 0, &there, &process) == MPM_ENODELOST);
    for (int i = 0; i < 7; i++) {
        EXPECT(!mpm_process_start(end_at_once, NULL, 0, NULL, &process));
        EXPECT(!mpm_process_reap(process, PATIENCE_S, &code) && code == 0);
    }
}

static void look_at_objects(void)
{
    const struct belongings *lost = &scene.of[DOOMED];
    int64_t number = 0;
    size_t size;
    bool is_set;

    EXPECT(mpm_value_get(lost->value, &number) == MPM_ENODELOST);
    EXPECT(mpm_array_get(lost->array, 1, &number) == MPM_ENODELOST);
    EXPECT(mpm_bytes_size(lost->bytes, &size) == MPM_ENODELOST);
    EXPECT(mpm_event_is_set(lost->event, &is_set) == MPM_ENODELOST);
    EXPECT(mpm_event_wait(lost->event, 0) == MPM_ENODELOST);
    EXPECT(mpm_semaphore_acquire(lost->semaphore, PATIENCE_S) == MPM_ENODELOST);
    EXPECT(mpm_queue_destroy(lost->queue) == MPM_ENODELOST);
    EXPECT(!mpm_queue_size(scene.delegated, &size) && size == POSTS);
    EXPECT(!mpm_queue_close(scene.delegated)); /* a delegation that is lost is not waited for */
    EXPECT(!mpm_queue_destroy(scene.delegated));
    EXPECT(!mpm_value_add_i64(scene.of[1].value, 3));
    EXPECT(!mpm_value_get(scene.of[1].value, &number) && number == 3);
}

static void look_at_nodes(void)
{
    mpm_node info;

    for (unsigned node = 0; node <= DOOMED; node++)
        EXPECT(!mpm_node_info(node, &info) && info.is_lost == (node == DOOMED));
    EXPECT(!mpm_queue_put(scene.gate, NULL, 0, PATIENCE_S));
}

/* Large results. What the lost node has sent half of must not keep anything back that others send. */

#define RESULTS     64u
#define RESULT_SIZE ((size_t)200000)

static int fill(mpm_call *call, const void *item, void *result)
{
    (void)item;
    memset(result, (int)(mpm_call_index(call) & 0xff), RESULT_SIZE);
    return 0;
}

static bool is_lost(unsigned node)
{
    mpm_node info;

    return !mpm_node_info(node, &info) && info.is_lost;
}

static bool are_right(const unsigned char *results)
{
    for (size_t i = 0; i < RESULTS * RESULT_SIZE; i++) {
        if (results[i] != (i / RESULT_SIZE & 0xff))
            return false;
    }
    return true;
}

static void map_large(mpm_pool *pool, unsigned char *results)
{
    const mpm_map_options options = {.chunk = 1};

    memset(results, 0xff, RESULTS * RESULT_SIZE);
    EXPECT(!mpm_pool_map(pool, fill, NULL, RESULTS, 0, RESULT_SIZE, &options, results));
    EXPECT(are_right(results));
}

static void send_large_results(void)
{
    unsigned char *results = malloc(RESULTS * RESULT_SIZE);
    mpm_pool *pool = NULL;

    EXPECT(results && !mpm_pool_open(NULL, &pool));
    map_large(pool, results);
    puts("running");
    fflush(stdout);
    while (!is_lost(DOOMED) && !atomic_load(&wrong))
        map_large(pool, results);
    map_large(pool, results);
    EXPECT(is_lost(DOOMED) && !is_lost(1));
    EXPECT(!mpm_pool_close(pool));
    free(results);
}

static int end(void)
{
    EXPECT(mpm_finalize() == MPM_ENODELOST);
    printf("%u expectations, %u wrong\n", atomic_load(&expected), atomic_load(&wrong));
    return atomic_load(&wrong) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    EXPECT(mpm_survives_node_loss());
    if (argc > 1 && !strcmp(argv[1], "large")) {
        send_large_results();
        return end();
    }
    set_scene();
    start_all();
    wait_in_threads();
    (void)post_to_lost(NULL);
    look_at_processes();
    look_at_objects();
    look_at_nodes();
    return end();
}
