/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts. Who writes what in the arena:
 *
 * A process record belongs to whoever reserved it (a compare-and-swap from FREE) until WANTED is stored,
 * which commits its fields; to the host from then until ENDED is stored, which commits `wait_status`; then to
 * whoever wanted it, until FREE; the host stores FREE at once where nobody will ask. If the one that reserves
 * dies before WANTED, the record stays RESERVED: it is lost until the end of the run, and nothing else is. If
 * it dies between WANTED and the ring, the host sees the bit at its next ring: the bit is set before WANTED
 * matters to anybody else, so somebody's later ring finds it. If the host dies, its processes die with it,
 * and its rank notices (host_wait) and ends the run.
 *
 * The host sleeps on one word, `bell`: requests ring it from outside, and its own SIGCHLD handler moves it
 * on, so that no death falls between looking and sleeping. */
#include "host/host.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#define SEGMENT_RECORDS 64u   /* process records are made so many at a time */
#define MAX_SEGMENTS    1024u /* so at most 65536 processes a node */
#define MAX_PROCESSES   (SEGMENT_RECORDS * MAX_SEGMENTS)
#define MAP_WORDS       (MAX_PROCESSES / 64)

struct host_record {
    _Atomic int32_t pid;
    _Atomic uint32_t ready;                        /* the host is in its loop */
    struct wait_word bell;                         /* the host's */
    _Atomic uint64_t wanted_words[MAP_WORDS / 64]; /* which words of `wanted` are not 0 */
    _Atomic uint64_t wanted[MAP_WORDS];            /* a bit a process that the host is asked to fork */
};

struct host_area {
    uint32_t host_count;
    _Atomic uint32_t ending;
    _Atomic uint64_t segment[MAX_SEGMENTS]; /* offsets of SEGMENT_RECORDS process records each */
    struct wait_word host_ready;
    struct host_record host[];
};

/* An address in libmpmap as a distance from this one: the same in all processes that run this build. */
static const char anchor;

static int64_t distance_of(void (*function)(void))
{
    return function ? (intptr_t)function - (intptr_t)&anchor : 0;
}

static void (*function_at(int64_t distance))(void)
{
    return (void (*)(void))((intptr_t)&anchor + distance);
}

struct host_area *host_area_of(struct arena *arena)
{
    return arena_at(arena, arena_root(arena, ARENA_ROOT_HOSTS));
}

int host_area_create(struct arena *arena, unsigned host_count)
{
    size_t size = sizeof(struct host_area) + host_count * sizeof(struct host_record);
    struct host_area *area;
    uint64_t offset;
    int status;

    if ((status = arena_alloc(arena, size, ARENA_NO_OWNER, &offset)))
        return status;
    area = arena_at(arena, offset);
    memset(area, 0, size);
    area->host_count = host_count;
    arena_set_root(arena, ARENA_ROOT_HOSTS, offset);
    return MPM_OK;
}

/* Process records. */

struct process_record *process_at(struct arena *arena, uint32_t process)
{
    struct host_area *area = host_area_of(arena);
    uint64_t segment = atomic_load_explicit(&area->segment[process / SEGMENT_RECORDS], memory_order_acquire);
    struct process_record *records = arena_at(arena, segment);

    return &records[process % SEGMENT_RECORDS];
}

/* Makes segment `number` if nobody has yet. A block that loses the race is freed again. */
static int make_segment(struct arena *arena, uint32_t number)
{
    struct host_area *area = host_area_of(arena);
    uint64_t none = 0, offset;
    int status;

    if (atomic_load(&area->segment[number]))
        return MPM_OK;
    if ((status = arena_alloc(arena, SEGMENT_RECORDS * sizeof(struct process_record), ARENA_NO_OWNER,
                              &offset)))
        return status;
    memset(arena_at(arena, offset), 0, SEGMENT_RECORDS * sizeof(struct process_record));
    if (!atomic_compare_exchange_strong(&area->segment[number], &none, offset))
        arena_free(arena, offset);
    return MPM_OK;
}

static int reserve_record(struct arena *arena, uint32_t *process)
{
    for (uint32_t i = 0; i < MAX_PROCESSES; i++) {
        uint32_t free_state = PROCESS_FREE;
        int status;

        if (i % SEGMENT_RECORDS == 0 && (status = make_segment(arena, i / SEGMENT_RECORDS)))
            return status;
        if (atomic_load_explicit(&process_at(arena, i)->state, memory_order_relaxed) == PROCESS_FREE &&
            atomic_compare_exchange_strong(&process_at(arena, i)->state, &free_state, PROCESS_RESERVED)) {
            *process = i;
            return MPM_OK;
        }
    }
    return error_set(MPM_ENOMEM, "a node cannot have more than %u processes", MAX_PROCESSES);
}

static void want(struct host_record *host, struct process_record *record, uint32_t process)
{
    atomic_store(&record->state, PROCESS_WANTED);
    atomic_fetch_or(&host->wanted[process / 64], UINT64_C(1) << process % 64);
    atomic_fetch_or(&host->wanted_words[process / 4096], UINT64_C(1) << process / 64 % 64);
    wait_ring(&host->bell);
}

int host_spawn(struct arena *arena, unsigned rank_in_node, process_entry *entry, process_ended *ended,
               uint64_t argument, uint32_t argument_index, uint32_t *process)
{
    struct host_area *area = host_area_of(arena);
    struct process_record *record;
    uint32_t number = 0;
    int status;

    assert(rank_in_node < area->host_count);
    if ((status = reserve_record(arena, &number)))
        return status;
    record = process_at(arena, number);
    record->host = rank_in_node;
    record->fork_errno = 0;
    record->entry = distance_of((void (*)(void))entry);
    record->ended = distance_of((void (*)(void))ended);
    record->argument = argument;
    record->argument_index = argument_index;
    atomic_store(&record->pid, 0);
    want(&area->host[rank_in_node], record, number);
    *process = number;
    return MPM_OK;
}

bool process_wait(struct process_record *process, uint64_t deadline_ns)
{
    for (;;) {
        uint32_t seen = wait_look(&process->changed);

        if (atomic_load(&process->state) == PROCESS_ENDED)
            return true;
        if (!wait_change(&process->changed, seen, 0, deadline_ns))
            return false;
    }
}

void process_release(struct process_record *process)
{
    atomic_store(&process->state, PROCESS_FREE);
}

/* The host itself: its own memory, not the arena's. */

static struct {
    struct arena *arena;
    struct host_area *area;
    struct host_record *record;
    pid_t *pid_of; /* by process: what this host has forked and not reaped; 0 is none */
    uint32_t processes_seen;
} self;

static void on_child(int signal_number)
{
    (void)signal_number;
    wait_ring_from_handler(&self.record->bell);
}

/* A process that a signal of the terminal or of a batch system reaches together with its rank leaves the
 * decision to the rank: it dies with it anyway. */
static void leave_to_the_rank(int signal_number)
{
    signal(signal_number, SIG_IGN);
}

/* Undoes what the program has set for signals before mpm_init. */
static void default_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Ties this process's life to the one that has forked it. */
static void die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); /* it died before the kernel knew */
}

/* Out of memory costs a worker, not a rank. Where it cannot be asked for, the kernel's own choice stands. */
static void be_first_in_line_for_memory(void)
{
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (file < 0)
        return;
    if (write(file, "1000", 4) < 0)
        log_write(LOG_DEBUG, "a worker's oom_score_adj cannot be set");
    close(file);
}

/* exit() in a task must not run exit handlers that the rank had before the fork: MPI's, for one. Handlers run
 * last in first out, so those that the task itself has added have run before this one. */
static void leave_now(int code, void *unused)
{
    (void)unused;
    fflush(stdout);
    fflush(stderr);
    _exit(code);
}

static _Noreturn void run_process(struct process_record *process, pid_t host)
{
    default_signals();
    leave_to_the_rank(SIGINT);
    die_with(host);
    prctl(PR_SET_NAME, "mpmap-worker");
    be_first_in_line_for_memory();
    on_exit(leave_now, NULL);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    exit(((process_entry *)function_at(process->entry))(process));
}

static void process_is_over(struct process_record *process)
{
    atomic_store(&process->state, PROCESS_ENDED);
    wait_ring(&process->changed);
}

static enum process_fate decide_fate(struct process_record *process)
{
    enum process_fate fate = PROCESS_IS_OVER;

    if (process->ended)
        fate = ((process_ended *)function_at(process->ended))(process);
    if (fate == PROCESS_IS_FORGOTTEN)
        process_release(process);
    return fate;
}

static void fork_process(uint32_t number)
{
    struct process_record *process = process_at(self.arena, number);
    pid_t host = getpid(), pid;

    if ((pid = fork()) == 0)
        run_process(process, host);
    if (pid < 0) {
        process->fork_errno = errno;
        log_write(LOG_ERROR, "a process cannot be forked: %s", strerror(errno));
        if (decide_fate(process) != PROCESS_IS_FORGOTTEN)
            process_is_over(process);
        return;
    }
    self.pid_of[number] = pid;
    if (number >= self.processes_seen)
        self.processes_seen = number + 1;
    atomic_store(&process->pid, pid);
    atomic_store(&process->state, PROCESS_RUNNING);
}

static void fork_wanted(void)
{
    for (unsigned group = 0; group < MAP_WORDS / 64; group++) {
        uint64_t words = atomic_exchange(&self.record->wanted_words[group], 0);

        for (; words; words &= words - 1) {
            unsigned word = group * 64 + (unsigned)__builtin_ctzll(words);
            uint64_t bits = atomic_exchange(&self.record->wanted[word], 0);

            for (; bits; bits &= bits - 1)
                fork_process(word * 64 + (unsigned)__builtin_ctzll(bits));
        }
    }
}

static void reap(pid_t pid, int wait_status)
{
    for (uint32_t number = 0; number < self.processes_seen; number++) {
        struct process_record *process;

        if (self.pid_of[number] != pid)
            continue;
        self.pid_of[number] = 0;
        process = process_at(self.arena, number);
        process->wait_status = wait_status;
        arena_free_owned(self.arena, number + 1);
        switch (decide_fate(process)) {
        case PROCESS_IS_OVER:
            process_is_over(process);
            return;
        case PROCESS_COMES_AGAIN:
            fork_process(number);
            return;
        case PROCESS_IS_FORGOTTEN:
            return;
        }
        return;
    }
}

static void reap_all(void)
{
    int wait_status;
    pid_t pid;

    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
        reap(pid, wait_status);
}

/* The run is over: whatever still runs is killed, and reaped, so that nothing is left when the rank goes on.
 */
static _Noreturn void host_finish(void)
{
    for (uint32_t number = 0; number < self.processes_seen; number++) {
        if (self.pid_of[number])
            kill(self.pid_of[number], SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    _exit(EXIT_SUCCESS);
}

static _Noreturn void host_main(pid_t rank)
{
    static const int left_to_rank[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP};

    default_signals();
    for (size_t i = 0; i < sizeof left_to_rank / sizeof *left_to_rank; i++)
        leave_to_the_rank(left_to_rank[i]);
    die_with(rank);
    prctl(PR_SET_NAME, "mpmap-host");
    signal(SIGCHLD, on_child);
    atomic_store(&self.record->ready, 1);
    wait_ring(&self.area->host_ready);
    for (;;) {
        uint32_t seen = wait_look(&self.record->bell);

        reap_all();
        if (atomic_load(&self.area->ending))
            host_finish();
        fork_wanted();
        wait_change(&self.record->bell, seen, 0, CLOCK_FOREVER);
    }
}

/* The rank's side. */

static int wait_until_ready(struct host_area *area, struct host_record *host, pid_t pid)
{
    for (;;) {
        uint32_t seen = wait_look(&area->host_ready);

        if (atomic_load(&host->ready))
            return MPM_OK;
        if (waitpid(pid, NULL, WNOHANG)) /* ECHILD, where the program ignores SIGCHLD */
            return error_set(MPM_EHOSTLOST, "the host process %d died as it started", (int)pid);
        wait_change(&area->host_ready, seen, 0, clock_now_ns() + 10000000);
    }
}

int host_start(struct arena *arena, unsigned rank_in_node)
{
    struct host_area *area = host_area_of(arena);
    pid_t rank = getpid(), pid;

    self.arena = arena;
    self.area = area;
    self.record = &area->host[rank_in_node];
    self.processes_seen = 0;
    if (!(self.pid_of = calloc(MAX_PROCESSES, sizeof *self.pid_of)))
        return error_set(MPM_ENOMEM, "no memory for the table of processes");
    fflush(stdout);
    fflush(stderr);
    if ((pid = fork()) == 0)
        host_main(rank);
    free(self.pid_of);
    self.pid_of = NULL;
    if (pid < 0)
        return error_set_errno(MPM_ESYSTEM, "the host process cannot be forked");
    atomic_store(&self.record->pid, pid);
    return wait_until_ready(area, self.record, pid);
}

bool host_wait(struct arena *arena, unsigned rank_in_node, char *how, size_t how_size)
{
    struct host_area *area = host_area_of(arena);
    pid_t pid = atomic_load(&area->host[rank_in_node].pid), ended;
    int wait_status = 0;

    while ((ended = waitpid(pid, &wait_status, 0)) < 0 && errno == EINTR)
        ;
    if (ended < 0)
        snprintf(how, how_size, "was reaped by somebody else");
    else
        describe_wait_status(wait_status, how, how_size);
    return host_is_ending(arena);
}

void host_end_all(struct arena *arena)
{
    struct host_area *area = host_area_of(arena);

    atomic_store(&area->ending, 1);
    for (unsigned i = 0; i < area->host_count; i++)
        wait_ring(&area->host[i].bell);
}

bool host_is_ending(struct arena *arena)
{
    return atomic_load(&host_area_of(arena)->ending) != 0;
}

char *describe_wait_status(int wait_status, char *text, size_t size)
{
    const char *name;

    if (WIFSIGNALED(wait_status)) {
        name = sigabbrev_np(WTERMSIG(wait_status));
        snprintf(text, size, "was killed by SIG%s%s", name ? name : "?",
                 WTERMSIG(wait_status) == SIGKILL ? " (out of memory?)" : "");
    } else {
        snprintf(text, size, "exited with code %d", WEXITSTATUS(wait_status));
    }
    return text;
}
