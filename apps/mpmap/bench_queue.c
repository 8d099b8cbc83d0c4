/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench queue: messages of 8 bytes from one process to another by an mpm_queue, beside a bare bounded
 * ring in shared memory between two forked processes, and beside Python's queue. The bare ring is what the
 * hardware gives to many producers and consumers: no lock, no length, nobody who sleeps or may die. With more
 * nodes than one also from a process of another node, beside a bare connection by TCP on this machine, whose
 * writer gathers messages as well as one may who never waits for an answer. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mpmap.h>

#include "bench.h"

#define ROOM            ((size_t)4096) /* messages that the bare ring and the bounded queue hold */
#define BATCH           ((size_t)64)
#define CROWD           4u              /* producers, and consumers, of a crowded queue */
#define GATHERED        ((size_t)16384) /* bytes that the bare connection writes at once */
#define LOOKS           64              /* of the bare ring before it lets others run */
#define DEFAULT_SECONDS 0.3

static const char help[] =
    "usage: mpmap bench queue [--json] [--seconds S]\n"
    "\n"
    "Messages of 8 bytes a second, one producer and one consumer on this node, and four and\n"
    "four; with more nodes (MPMAP_RANKS_PER_NODE=1 mpirun -n 2 …) also with the producer on\n"
    "another one.\n"
    "\n"
    "  --seconds S   length of each of the 7 repetitions of a figure (0.3)\n"
    "  --json        prints a JSON array\n"
    "  --help        prints this\n";

/* A bounded ring for many producers and many consumers, after Dmitry Vyukov's: each cell has a line to
 * itself, and a turn that says whose it is next. */
struct bare_record {
    _Alignas(64) _Atomic uint64_t turn;
    uint64_t message;
};

struct bare_ring {
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) _Atomic uint64_t head;
    struct bare_record cell[ROOM];
};

/* Takes the next place of a counter once the cell there has its turn. */
static struct bare_record *take_place(struct bare_ring *ring, _Atomic uint64_t *counter, uint64_t turn_ahead,
                                      uint64_t *place)
{
    uint64_t at = atomic_load_explicit(counter, memory_order_relaxed);

    for (unsigned looks = 1;; looks++) {
        struct bare_record *cell = &ring->cell[at % ROOM];

        if (atomic_load_explicit(&cell->turn, memory_order_acquire) == at + turn_ahead &&
            atomic_compare_exchange_weak_explicit(counter, &at, at + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *place = at;
            return cell;
        }
        at = atomic_load_explicit(counter, memory_order_relaxed);
        if (looks % LOOKS == 0)
            sched_yield();
    }
}

static void bare_put(struct bare_ring *ring, uint64_t message)
{
    uint64_t place;
    struct bare_record *cell = take_place(ring, &ring->tail, 0, &place);

    cell->message = message;
    atomic_store_explicit(&cell->turn, place + 1, memory_order_release);
}

static uint64_t bare_get(struct bare_ring *ring)
{
    uint64_t place, message;
    struct bare_record *cell = take_place(ring, &ring->head, 1, &place);

    message = cell->message;
    atomic_store_explicit(&cell->turn, place + ROOM, memory_order_release);
    return message;
}

static _Noreturn void bare_producer(struct bare_ring *ring, uint64_t count, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t i = 0; getppid() == parent && i < count;) {
        for (uint64_t end = count - i < ROOM ? count : i + ROOM; i < end; i++)
            bare_put(ring, i);
    }
    _exit(0);
}

static int run_bare(const void *argument, uint64_t count)
{
    struct bare_ring *ring = *(struct bare_ring *const *)argument;
    pid_t parent = getpid(), child;
    bool is_right = true;

    memset(ring, 0, sizeof *ring);
    for (uint64_t i = 0; i < ROOM; i++)
        atomic_store_explicit(&ring->cell[i].turn, i, memory_order_relaxed);
    if ((child = fork()) == 0)
        bare_producer(ring, count, parent);
    if (child < 0)
        return MPM_ESYSTEM;
    for (uint64_t i = 0; i < count; i++)
        is_right &= bare_get(ring) == i;
    waitpid(child, NULL, 0);
    return is_right ? 0 : MPM_ESTATE;
}

/* A listening socket of this machine, and its address. */
static int listen_here(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (listener >= 0 &&
        (bind(listener, (struct sockaddr *)address, sizeof *address) || listen(listener, 1) ||
         getsockname(listener, (struct sockaddr *)address, &length))) {
        close(listener);
        return -1;
    }
    return listener;
}

static _Noreturn void tcp_producer(const struct sockaddr_in *address, uint64_t count)
{
    static uint64_t messages[GATHERED / sizeof(uint64_t)];
    int connection = socket(AF_INET, SOCK_STREAM, 0);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (connect(connection, (const struct sockaddr *)address, sizeof *address))
        _exit(1);
    for (uint64_t left = count * sizeof *messages; left;) {
        ssize_t written = write(connection, messages, left < GATHERED ? left : GATHERED);

        if (written <= 0)
            _exit(1);
        left -= (uint64_t)written;
    }
    _exit(0);
}

static int tcp_consume(int listener, uint64_t count)
{
    static char bytes[GATHERED];
    int connection = accept(listener, NULL, NULL);
    uint64_t left = count * sizeof(uint64_t);

    while (left) {
        ssize_t got = read(connection, bytes, left < GATHERED ? left : GATHERED);

        if (got <= 0)
            break;
        left -= (uint64_t)got;
    }
    close(connection);
    return left ? MPM_ESYSTEM : 0;
}

static int run_tcp(const void *unused, uint64_t count)
{
    struct sockaddr_in address;
    int listener = listen_here(&address), status = MPM_ESYSTEM;
    pid_t child;

    (void)unused;
    if (listener < 0)
        return status;
    if ((child = fork()) == 0)
        tcp_producer(&address, count);
    if (child > 0) {
        status = tcp_consume(listener, count);
        waitpid(child, NULL, 0);
    }
    close(listener);
    return status;
}

/* A queue of this node, who puts into it, and how many messages go into it and out of it at once. */
struct bench_queue {
    mpm_queue queue;
    unsigned node; /* of the producer */
    uint64_t batch, count;
};

static int produce(const void *args, size_t size)
{
    const struct bench_queue *bench = args;
    uint64_t messages[BATCH];
    int status = 0;

    (void)size;
    for (uint64_t done = 0; !status && done < bench->count; done += bench->batch) {
        for (uint64_t i = 0; i < bench->batch; i++)
            messages[i] = done + i;
        if (bench->batch == 1)
            status = mpm_queue_put(bench->queue, messages, sizeof *messages, MPM_FOREVER);
        else
            status = mpm_queue_put_many(bench->queue, messages, sizeof *messages, bench->batch, MPM_FOREVER,
                                        NULL);
    }
    return status ? 1 : 0;
}

static int consume(const struct bench_queue *bench)
{
    uint64_t messages[BATCH];
    bool is_right = true;
    size_t got = 1;
    int status = 0;

    for (uint64_t done = 0; !status && done < bench->count; done += got) {
        if (bench->batch == 1)
            status = mpm_queue_get(bench->queue, MPM_FOREVER, messages, sizeof *messages, NULL);
        else
            status = mpm_queue_get_many(bench->queue, sizeof *messages, bench->batch, MPM_FOREVER, messages,
                                        &got);
        for (size_t i = 0; !status && i < got; i++)
            is_right &= messages[i] == done + i;
    }
    return status ? status : is_right ? 0 : MPM_ESTATE;
}

static int run_queue(const void *argument, uint64_t count)
{
    struct bench_queue bench = *(const struct bench_queue *)argument;
    mpm_process_options there = {.place = MPM_ON_NODE(bench.node)};
    mpm_process producer;
    int status;

    bench.count = (count + bench.batch - 1) / bench.batch * bench.batch;
    if ((status = mpm_process_start(produce, &bench, sizeof bench, &there, &producer)))
        return status;
    status = consume(&bench);
    if (status || (status = mpm_process_join(producer, MPM_FOREVER)))
        return status;
    return mpm_process_close(producer);
}

/* One of the crowd gets its share of the messages, whosever they are. */
static int consume_in_crowd(const void *args, size_t size)
{
    const struct bench_queue *bench = args;
    uint64_t message;

    (void)size;
    for (uint64_t done = 0; done < bench->count; done++) {
        if (mpm_queue_get(bench->queue, MPM_FOREVER, &message, sizeof message, NULL) ||
            message >= bench->count)
            return 1;
    }
    return 0;
}

static int run_crowd(const void *argument, uint64_t count)
{
    struct bench_queue bench = *(const struct bench_queue *)argument;
    mpm_process_options here = {.place = MPM_ON_NODE(mpm_node_id())};
    mpm_process crowd[2 * CROWD];
    int status, exitcode = 0;

    bench.count = (count + CROWD - 1) / CROWD;
    for (unsigned i = 0; i < 2 * CROWD; i++) {
        if ((status = mpm_process_start(i % 2 ? consume_in_crowd : produce, &bench, sizeof bench, &here,
                                        &crowd[i])))
            return status;
    }
    for (unsigned i = 0; i < 2 * CROWD; i++) {
        if ((status = mpm_process_join(crowd[i], MPM_FOREVER)) ||
            (status = mpm_process_exitcode(crowd[i], &exitcode)) || (status = mpm_process_close(crowd[i])))
            return status;
        if (exitcode)
            return MPM_ESTATE;
    }
    return 0;
}

static const char python_script[] = "count = 100000\n"
                                    "def produce(queue):\n"
                                    "    for i in range(count): queue.put(i)\n"
                                    "def once():\n"
                                    "    context = multiprocessing.get_context(\"fork\")\n"
                                    "    queue = context.Queue()\n"
                                    "    producer = context.Process(target=produce, args=(queue,))\n"
                                    "    start = time.perf_counter()\n"
                                    "    producer.start()\n"
                                    "    for i in range(count): queue.get()\n"
                                    "    rate = count / (time.perf_counter() - start)\n"
                                    "    producer.join()\n"
                                    "    return rate\n"
                                    "print(statistics.median(once() for _ in range(3)))\n";

static int measure(double seconds, struct bench_figure *figures)
{
    static const char *const names[] = {"8-byte messages, one at a time", "8-byte messages, no bound",
                                        "8-byte messages, batches of 64"};
    struct bare_ring *ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                  0);
    struct bench_queue bounded = {.batch = 1}, unbounded = {.batch = 1}, batches = {.batch = BATCH};
    struct bench_case cases[] = {{.run = run_bare, .argument = &ring},
                                 {.run = run_queue, .argument = &bounded},
                                 {.run = run_queue, .argument = &unbounded},
                                 {.run = run_queue, .argument = &batches},
                                 {.run = run_crowd, .argument = &bounded}};
    mpm_queue_options options = {.maxsize = ROOM};
    int status;

    if (ring == MAP_FAILED)
        return MPM_ENOMEM;
    if ((status = mpm_queue_create(&options, &bounded.queue)) ||
        (status = mpm_queue_create(NULL, &unbounded.queue)) ||
        (status = mpm_queue_create(&options, &batches.queue)))
        return status;
    status = bench_measure(cases, sizeof cases / sizeof *cases, seconds);
    for (size_t i = 0; !status && i < sizeof names / sizeof *names; i++)
        *figures++ = (struct bench_figure){names[i], bench_rate(&cases[i + 1]), "/s", bench_rate(&cases[0]),
                                           "a bare ring in shared memory"};
    if (!status)
        *figures = (struct bench_figure){"four producers, four consumers", bench_rate(&cases[4]), "/s",
                                         bench_rate(&cases[1]), "one producer, one consumer"};
    munmap(ring, sizeof *ring);
    return status;
}

/* With a producer on node 1. */
static int measure_far(double seconds, struct bench_figure *figures)
{
    struct bench_queue one = {.node = 1, .batch = 1}, batches = {.node = 1, .batch = BATCH};
    struct bench_case cases[] = {
        {.run = run_tcp}, {.run = run_queue, .argument = &one}, {.run = run_queue, .argument = &batches}};
    int status;

    if ((status = mpm_queue_create(NULL, &one.queue)) || (status = mpm_queue_create(NULL, &batches.queue)) ||
        (status = bench_measure(cases, sizeof cases / sizeof *cases, seconds)))
        return status;
    figures[0] = (struct bench_figure){"8-byte messages from another node, one at a time",
                                       bench_rate(&cases[1]), "/s", bench_rate(&cases[0]),
                                       "a bare connection"};
    figures[1] = (struct bench_figure){"8-byte messages from another node, batches of 64",
                                       bench_rate(&cases[2]), "/s", bench_rate(&cases[0]),
                                       "a bare connection"};
    return 0;
}

int bench_queue(int argc, char **argv)
{
    struct bench_options options = {.name = "bench queue", .help = help, .seconds = DEFAULT_SECONDS};
    struct bench_figure figures[7];
    size_t count = 4;
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    if (measure(options.seconds, figures) ||
        (mpm_node_count() > 1 && measure_far(options.seconds, figures + count)))
        return mpm_report_error();
    count += mpm_node_count() > 1 ? 2 : 0;
    count = bench_add_python(figures, count,
                             (struct bench_figure){"8-byte messages, one at a time, beside Python",
                                                   figures[0].value, "/s", 0, "Python multiprocessing.Queue"},
                             python_script);
    bench_print(figures, count, options.json);
    return 0;
}
