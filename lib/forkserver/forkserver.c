/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork servers. Who writes what in the arena:
 *
 * A process record belongs to whoever reserved it (a compare-and-swap of its word from FREE) until WANTED is
 * stored, which commits its fields; to the fork server from then until ENDED is stored, which commits `wait_status`;
 * then to whoever wanted it, until FREE; the fork server stores FREE at once where nobody will ask. The word names
 * the one that reserves: if it dies before WANTED, its reaper sets the record free again, with the argument
 * if that is the record's; if it dies between WANTED and the ring, its reaper puts the record where its fork server
 * finds it, so a fork server may find one twice, and forks what is WANTED only. An argument that the record is to
 * own is named there first and given up by its owner then, so at any moment one of them frees it: the reaper
 * looks through the records first. It need not where `records_in_hand` of the dead one's own record is 0: that counts
 * those that it is about to take or free, from before it does until behind the ring.
 *
 * If the fork server dies, the kernel kills its processes, and gives them to its rank, which is their next subreaper.
 * The rank stores `lost`, and from then on does what the fork server would do at each death, but forks nothing:
 * whatever is WANTED or RUNNING of that fork server is over when its process is dead. It finds each process by `pid`,
 * which the process itself stores under the generation before all else; one that has not done so by then finds that its
 * parent is another, and ends (die_with). The fork server may have died at any step of the same work: it looks at a
 * death first, does its part, stores the outcome in `word`, and lets go of the dead process last, so the rank
 * finds either the dead one, and a word that says nothing of it, and does all of it again (every step may be
 * done twice), or a word that has gone on. What the fork server had not told of then, the rank tells (forkserver_lost).
 * An argument that the fork server was just freeing is lost. Who reads that the fork server is not lost, and then
 * stores WANTED, rings, and the rank looks again.
 *
 * `request` is anybody's: a signal is a bit, under the generation that it is for, and the fork server takes them
 * all. A bit of another generation means nothing. Who dies between the bit and the ring has asked for nothing
 * yet; the fork server may see the bit later all the same.
 *
 * What cannot be forked now may be waited for (PROCESS_WAITS), also what has died as it started: its record stays or
 * becomes WANTED, with `fork_errno`, which the fork server takes back before each try. It tries again after pauses that
 * grow, one record of its own after the other until one fails; who rings for such a record has it ask only whether the
 * process is wanted still.
 *
 * A spare is a process that the fork server has forked in advance, once somebody has asked for a user's process. It
 * has done all of its beginning that does not depend on which process it will be, and sleeps. `given` is 0,
 * or a spare's pid and the number, from 1, of the record that it is to be. The fork server stores it when it is 0,
 * and counts the spare as that process from then on. The spare takes it back to 0 when it blocks signals, and
 * says RUNNING itself, so nobody knows its pid before. Until then it ignores what a terminal sends, as the
 * fork server does, and the fork server leaves signals for it in `request`; the spare looks there after its store. If
 * it dies before its store, the fork server that reaps it takes `given` back, and forks another process in its place.
 * Who wants a user's process rings for the spare, too: that means nothing, but that it is awake when it is given.
 *
 * The fork server sleeps on one word, `doorbell`: requests ring it from outside, and its own SIGCHLD handler moves it
 * on, so that no death falls between looking and sleeping. */
#include "forkserver/forkserver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread_role.h"
#include "forkserver/forkserver_inside.h"
#include "forkserver/offspring.h"
#include "shm/index_set.h"
#include "shm/kill_point.h"

#define FIRST_PAUSE_NS 10000000u /* before a fork that has failed is tried again */
#define CALM_NS        (4 * (uint64_t)FORKSERVER_LONGEST_PAUSE_NS) /* what has been forked by then has started */
#define GIVEN_SOON_NS  50000u                                      /* after a spare was rung for */
#define MAX_PID        (1 << 22)                                   /* the kernel's own bound */
#define DEATHS_A_LOOK  64
#define FEW_PROCESSES  64u /* whose list is read at each death */
#define PAUSE_TO_LOOK  20u /* between two looks at the list of more, and the length of a look */

/* The fork server itself: its own memory, not the arena's. */

struct own_tables {
    pid_t pid_of[MAX_PROCESSES]; /* by process; 0 is none */
    uint8_t is_own[MAX_PID / 8]; /* a bit for each pid: those of `pid_of` */
};

static struct {
    const struct forkserver_callbacks *callbacks; /* whom it tells */
    struct arena *arena;
    struct forkserver_area *area;
    struct forkserver_record *record;
    uint32_t rank; /* in node */
    pid_t rank_pid;
    struct own_tables *own; /* what it has forked and not reaped */
    uint32_t processes_seen;
    pid_t spare;            /* 0 is none */
    pid_t zombie;           /* a dead process that the fork server is busy with; 0 is none */
    uint64_t try_again_ns;  /* when those are to be forked that could not be; CLOCK_FOREVER: there are none */
    uint64_t pause_ns;      /* until then */
    uint64_t look_again_ns; /* not before: at what dead processes have left */
    uint64_t starved_ns;    /* when something was last to wait that had died as it started */
    volatile sig_atomic_t
        child_has_ended;   /* perhaps: to ask the kernel takes as long as there are children */
    bool may_have_orphans; /* something has died since the last look */
    bool wants_spare;
    bool is_forkserver;
    bool is_subreaper; /* the rank, because of its fork server; */
    bool forks;        /* a process of the run: the program's own forks are another matter */
    int was_subreaper; /* what it was before */
} self;

bool forkserver_forks(void)
{
    return self.forks;
}

static pid_t fork_for_the_run(void)
{
    pid_t pid;

    self.forks = true;
    if ((pid = fork()) == 0)
        thread_become(THREAD_OF_PROGRAM);
    self.forks = false;
    return pid;
}

static void on_child(int signal_number)
{
    (void)signal_number;
    self.child_has_ended = 1;
    eventcount_notify_from_handler(&self.record->doorbell);
}

/* The fork server and the new process itself: whoever comes first. */
static void process_runs(struct process_record *process, uint32_t number, uint64_t wanted, pid_t pid)
{
    atomic_store(&process->pid, pid_word_of(process_generation_of(wanted), pid));
    if (!atomic_compare_exchange_strong(&process->word, &wanted,
                                        word_of(process_generation_of(wanted), 0, PROCESS_RUNNING)))
        return;
    eventcount_notify(&process->changed);
    self.callbacks->process_changed(number, false);
}

/* A new process says first of all which it is. Where it comes too late, because its fork server has died, the record
 * may be another's already: that is of another generation. */
static void store_own_pid(struct process_record *process, uint64_t wanted)
{
    uint64_t none = pid_word_of(process_generation_of(wanted), 0);

    atomic_compare_exchange_strong(&process->pid, &none, none | (uint32_t)getpid());
}

static void child_setup_in_child(pid_t forkserver)
{
    self.is_forkserver = false;
    child_setup_in(forkserver);
}

static _Noreturn void run_process(struct process_record *process)
{
    prctl(PR_SET_NAME, process->flags & PROCESS_IS_USERS ? "mpmap-process" : "mpmap-worker");
    exit(((process_entry *)forkserver_function_at(process->entry))(process));
}

/* Who signals the process from here on reaches it: signals are blocked. */
static _Noreturn void become_process(uint32_t number, uint64_t wanted)
{
    struct process_record *process = process_at(self.arena, number);

    forkserver_set_own_number(number + 1);
    process_runs(process, number, wanted, getpid());
    child_setup_take_signals(process->flags & PROCESS_IS_USERS);
    run_process(process);
}

/* For a while. Others run meanwhile, if there are any. */
static bool is_rung_soon(struct eventcount *word, uint32_t seen)
{
    uint64_t until_ns = clock_now_ns() + GIVEN_SOON_NS;

    while (eventcount_prepare(word) == seen) {
        if (clock_now_ns() >= until_ns)
            return false;
        sched_yield();
    }
    return true;
}

/* Waits until the fork server has given this spare a process to be. Who wants a process rings for both, so that they
 * wake together: the spare, awake, looks on for as long as the fork server may take to wake and to give. */
static uint32_t wait_to_be_given(void)
{
    struct eventcount *word = &self.record->spare;
    uint32_t pid = (uint32_t)getpid();
    uint64_t given;

    for (bool was_rung = false;; was_rung = true) {
        uint32_t seen = eventcount_prepare(word);

        given = atomic_load(&self.record->given);
        if (process_generation_of(given) == pid)
            return (uint32_t)given - 1;
        if (!was_rung || !is_rung_soon(word, seen))
            eventcount_wait(word, seen, 0, CLOCK_FOREVER);
    }
}

static _Noreturn void spare_main(pid_t forkserver)
{
    struct process_record *process;
    uint32_t number;

    child_setup_drop_handlers();
    child_setup_mask(false);
    prctl(PR_SET_NAME, "mpmap-spare");
    child_setup_in_child(forkserver);
    number = wait_to_be_given();
    child_setup_mask(true);
    process = process_at(self.arena, number);
    atomic_store(&self.record->given, 0);
    if ((uint32_t)atomic_load(&process->request))
        forkserver_call(self.arena, self.rank, number);
    become_process(number, atomic_load(&process->word));
}

static void free_argument(struct process_record *process)
{
    uint64_t argument = process->argument;

    if (!(process->flags & PROCESS_OWNS_ARGUMENT))
        return;
    process->argument = 0;
    KILL_POINT();
    arena_free(self.arena, argument);
}

static void process_is_over(struct process_record *process, uint32_t number)
{
    KILL_POINT();
    forkserver_set_state(process, PROCESS_ENDED);
    KILL_POINT();
    eventcount_notify(&process->changed);
    self.callbacks->process_changed(number, true);
}

/* After its end, whatever that was. */
static enum process_fate decide_fate(struct process_record *process)
{
    free_argument(process);
    return process->ended ? ((process_ended *)forkserver_function_at(process->ended))(process)
                          : PROCESS_IS_OVER;
}

static void fork_again(struct process_record *process, uint32_t number);

/* One that could not be forked, and waits for the next try. */
static bool is_waiting(const struct process_record *process)
{
    return process->fork_errno && process->forkserver == self.rank &&
           process_state_of(atomic_load(&process->word)) == PROCESS_WANTED;
}

/* What has died, and is to be forked after a while only, waits as if there were no memory for it. */
static void want_later(struct process_record *process)
{
    uint32_t generation = process_generation_of(atomic_load(&process->word)) + 1;

    self.starved_ns = clock_now_ns();
    process->fork_errno = ENOMEM;
    KILL_POINT();
    atomic_store(&process->pid, pid_word_of(generation, 0));
    KILL_POINT();
    atomic_store(&process->word, word_of(generation, 0, PROCESS_WANTED));
    KILL_POINT();
}

/* A lack is told once, when it begins. */
static void wait_for_next_try(const struct process_record *process)
{
    char why[160];

    if (!self.pause_ns)
        log_write(MPM_LOG_ERROR, "cannot fork a process: %s; retrying",
                  describe_fork_errno(process->fork_errno, why, sizeof why));
    if (self.try_again_ns != CLOCK_FOREVER)
        return;
    self.pause_ns = self.pause_ns ? self.pause_ns * 2 : FIRST_PAUSE_NS;
    if (self.pause_ns > FORKSERVER_LONGEST_PAUSE_NS)
        self.pause_ns = FORKSERVER_LONGEST_PAUSE_NS;
    self.try_again_ns = clock_now_ns() + self.pause_ns;
}

static void settle(struct process_record *process, uint32_t number)
{
    switch (decide_fate(process)) {
    case PROCESS_IS_OVER:
        process_is_over(process, number);
        break;
    case PROCESS_COMES_AGAIN:
        fork_again(process, number);
        break;
    case PROCESS_IS_FORGOTTEN:
        process_release(self.arena, process);
        KILL_POINT();
        self.callbacks->process_changed(number, true);
        break;
    case PROCESS_WAITS:
        if (!process->fork_errno) {
            want_later(process);
            self.callbacks->process_changed(number, true);
        }
        wait_for_next_try(process);
        break;
    }
}

static bool is_own(pid_t pid)
{
    return pid >= 0 && pid < MAX_PID && (self.own->is_own[pid / 8] >> pid % 8 & 1 || pid == self.spare);
}

static void keep_in_mind(uint32_t number, pid_t pid)
{
    self.own->pid_of[number] = pid;
    self.own->is_own[pid / 8] |= (uint8_t)(1 << pid % 8);
    if (number >= self.processes_seen)
        self.processes_seen = number + 1;
    atomic_fetch_add_explicit(&self.record->load, 1, memory_order_relaxed);
}

static void forget_process(uint32_t number)
{
    pid_t pid = self.own->pid_of[number];

    self.own->pid_of[number] = 0;
    self.own->is_own[pid / 8] &= (uint8_t) ~(1 << pid % 8);
    atomic_fetch_sub_explicit(&self.record->load, 1, memory_order_relaxed);
}

/* Only now: until its end was told of, the rank must be able to find it. */
static void let_go_of_zombie(void)
{
    if (!self.zombie)
        return;
    KILL_POINT();
    while (waitpid(self.zombie, NULL, 0) < 0 && errno == EINTR)
        ;
    self.zombie = 0;
}

/* false if that failed. */
static bool fork_process(uint32_t number)
{
    struct process_record *process = process_at(self.arena, number);
    uint64_t wanted = atomic_load(&process->word);
    pid_t forkserver = getpid(), pid;
    int failed;

    let_go_of_zombie();
    process->fork_errno = 0;
    KILL_POINT();
    child_setup_mask(true);
    if ((pid = fork_for_the_run()) == 0) {
        store_own_pid(process, wanted);
        child_setup_in_child(forkserver);
        become_process(number, wanted);
    }
    failed = errno;
    KILL_POINT();
    child_setup_mask(false);
    if (pid < 0) {
        process->fork_errno = failed;
        log_write(MPM_LOG_DEBUG, "cannot fork a process: %s", strerror(failed));
        settle(process, number);
        return false;
    }
    keep_in_mind(number, pid);
    process_runs(process, number, wanted, pid);
    return true;
}

/* Forks what could not be forked before, until one fails; of the others it is asked whether they still are wanted. */
static void try_again(void)
{
    struct process_record *process;
    bool can_fork = true;

    if (clock_now_ns() < self.try_again_ns)
        return;
    self.try_again_ns = CLOCK_FOREVER;
    for (uint32_t number = 0; (process = process_find(self.arena, number)); number++) {
        if (!is_waiting(process))
            continue;
        if (can_fork)
            can_fork = fork_process(number);
        else
            settle(process, number);
    }
    if (self.try_again_ns == CLOCK_FOREVER && clock_now_ns() > self.starved_ns + CALM_NS)
        self.pause_ns = 0;
}

/* false if there is none, or the last one is not awake yet. */
static bool give_to_spare(uint32_t number)
{
    struct process_record *process;
    pid_t pid = self.spare;

    if (!pid || atomic_load(&self.record->given))
        return false;
    self.spare = 0;
    keep_in_mind(number, pid);
    process = process_at(self.arena, number);
    atomic_store(&process->pid, pid_word_of(process_generation_of(atomic_load(&process->word)), pid));
    KILL_POINT();
    atomic_store(&self.record->given, (uint64_t)pid << 32 | (number + 1));
    KILL_POINT();
    eventcount_notify(&self.record->spare);
    atomic_store(&self.record->spare_pid, 0);
    return true;
}

static void fork_spare(void)
{
    pid_t forkserver = getpid(), pid;

    child_setup_mask(true);
    if ((pid = fork_for_the_run()) == 0)
        spare_main(forkserver);
    child_setup_mask(false);
    self.spare = pid > 0 ? pid : 0;
    atomic_store(&self.record->spare_pid, self.spare);
    self.wants_spare = false;
}

static void begin_process(uint32_t number)
{
    if (!(process_at(self.arena, number)->flags & PROCESS_IS_USERS)) {
        fork_process(number);
        return;
    }
    if (!give_to_spare(number))
        fork_process(number);
    self.wants_spare = !self.spare;
}

/* What a dead process has left half-way of the starts and ends of others. */
static void finish_starts(uint32_t starter)
{
    struct process_record *process;

    for (uint32_t number = 0; (process = process_find(self.arena, number)); number++) {
        uint64_t word = atomic_load(&process->word);

        if (process_state_of(word) == PROCESS_FREE)
            forkserver_note_free(self.arena, process);
        if (starter_of(word) != starter)
            continue;
        if (process_state_of(word) == PROCESS_WANTED) {
            forkserver_call(self.arena, process->forkserver, number);
        } else if (process_state_of(word) == PROCESS_RESERVED) {
            free_argument(process);
            process_release(self.arena, process);
        }
    }
}

static void clean_up_after(uint32_t number)
{
    struct process_record *process = process_at(self.arena, number);

    if (atomic_load(&process->records_in_hand))
        finish_starts(number + 1);
    KILL_POINT();
    atomic_store(&process->records_in_hand, 0);
    KILL_POINT();
    self.callbacks->process_died(number + 1);
    KILL_POINT();
    arena_free_owned(self.arena, number + 1);
    KILL_POINT();
}

static void fork_again(struct process_record *process, uint32_t number)
{
    uint32_t generation = process_generation_of(atomic_load(&process->word)) + 1;

    KILL_POINT();
    atomic_store(&process->pid, pid_word_of(generation, 0));
    KILL_POINT();
    atomic_store(&process->word, word_of(generation, 0, PROCESS_WANTED));
    KILL_POINT();
    self.callbacks->process_changed(number, true);
    fork_process(number);
}

/* Whether it was a spare that had not become a process. If one was given to it, another process is forked for
 * that: nobody has heard of this one. */
static bool reap_spare(pid_t pid)
{
    uint64_t given = atomic_load(&self.record->given);
    uint32_t number = (uint32_t)given - 1;
    struct process_record *process;

    if (self.spare == pid) {
        self.spare = 0;
        atomic_store(&self.record->spare_pid, 0);
        return true;
    }
    if (process_generation_of(given) != (uint32_t)pid)
        return false;
    forget_process(number);
    process = process_at(self.arena, number);
    atomic_store(&process->pid, pid_word_of(process_generation_of(atomic_load(&process->word)), 0));
    KILL_POINT();
    atomic_store(&self.record->given, 0);
    fork_process(number);
    return true;
}

/* A look at thousands of them takes some microseconds, and a table by pid of 16 MiB is copied with each fork. */
static void reap(pid_t pid, int wait_status)
{
    if (reap_spare(pid))
        return;
    for (uint32_t number = 0; number < self.processes_seen; number++) {
        struct process_record *process;

        if (self.own->pid_of[number] != pid)
            continue;
        forget_process(number);
        process = process_at(self.arena, number);
        process->wait_status = wait_status;
        clean_up_after(number);
        settle(process, number);
        return;
    }
}

/* Sends it the signals that were asked for. A spare that has not woken yet asks for them when it has. */
static void send_signals(struct process_record *process, uint32_t number)
{
    uint64_t request = atomic_load(&process->request);

    if (!(uint32_t)request || !self.own->pid_of[number] ||
        (uint32_t)atomic_load(&self.record->given) == number + 1 ||
        process_generation_of(request) != process_generation_of(atomic_load(&process->word)))
        return;
    request = atomic_exchange(&process->request, 0);
    for (int i = 1; i < 32; i++) {
        if (request >> i & 1)
            kill(self.own->pid_of[number], i);
    }
}

/* Somebody wants something of the process: a bit may be late, and mean another fork server's. */
static void serve(uint32_t number)
{
    struct process_record *process = process_at(self.arena, number);
    enum process_state state = process_state_of(atomic_load(&process->word));

    if (process->forkserver != self.rank)
        return;
    if (is_waiting(process))
        settle(process, number);
    else if (state == PROCESS_WANTED && !self.own->pid_of[number])
        begin_process(number);
    if (state == PROCESS_WANTED || state == PROCESS_RUNNING)
        send_signals(process, number);
}

/* A status as waitpid gives it. */
static int wait_status_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return info->si_code == CLD_DUMPED ? info->si_status | WCOREFLAG : info->si_status;
}

static bool reap_one(void)
{
    siginfo_t info = {0};

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
        return false;
    self.zombie = info.si_pid;
    KILL_POINT();
    reap(info.si_pid, wait_status_of(&info));
    let_go_of_zombie();
    return true;
}

/* What a dead one has left has become the fork server's, be it one of its own processes, or what such a one had left.
 * To look for it takes as long as there are children, so it is done once for many deaths: where there are many
 * processes, after a pause, lest each death beside them cost a look at all of them. */
static void kill_orphans(void)
{
    uint64_t begin_ns, end_ns;

    if (!self.may_have_orphans ||
        (forkserver_load(self.arena, self.rank) > FEW_PROCESSES && clock_now_ns() < self.look_again_ns))
        return;
    self.may_have_orphans = false;
    begin_ns = clock_now_ns();
    offspring_kill_orphans(is_own);
    end_ns = clock_now_ns();
    self.look_again_ns = end_ns + PAUSE_TO_LOOK * (end_ns - begin_ns);
}

static void reap_all(void)
{
    unsigned deaths = 0;

    if (self.child_has_ended) {
        self.child_has_ended = 0; /* before the look */
        do {
            for (deaths = 0; deaths < DEATHS_A_LOOK && reap_one();)
                deaths++;
            self.may_have_orphans |= deaths > 0;
            kill_orphans();
        } while (deaths == DEATHS_A_LOOK);
    }
    kill_orphans();
}

/* When the fork server is to do something though nobody rings. */
static uint64_t next_duty_ns(void)
{
    return self.may_have_orphans && self.look_again_ns < self.try_again_ns ? self.look_again_ns
                                                                           : self.try_again_ns;
}

/* Kills it if it is alive, and waits for its end; its status then, or that of a killed one if that is not known
 * any more. Of a child of the calling process: its pid is no other's. */
static int see_it_end(pid_t pid)
{
    int wait_status = SIGKILL;

    if (waitpid(pid, &wait_status, WNOHANG))
        return wait_status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    return wait_status;
}

/* Where the kernel does not list all that there is. */
static void end_own(void)
{
    if (self.spare)
        (void)offspring_kill(self.spare);
    for (uint32_t number = 0; number < self.processes_seen; number++) {
        if (self.own->pid_of[number])
            (void)offspring_kill(self.own->pid_of[number]);
    }
    if (self.spare)
        see_it_end(self.spare);
    for (uint32_t number = 0; number < self.processes_seen; number++) {
        if (self.own->pid_of[number])
            see_it_end(self.own->pid_of[number]);
    }
}

/* The run is over: whatever still runs is killed, and reaped, so that nothing is left when the rank goes on. In a
 * signal handler, too. */
static _Noreturn void forkserver_finish(void)
{
    if (!offspring_end_all())
        end_own();
    _exit(EXIT_SUCCESS);
}

/* The rank may have died: SIGCONT says so, and wakes a fork server that is stopped. All is done here, because the fork
 * server may be waiting for a lock of one that is stopped, too. */
static void on_continue(int signal_number)
{
    (void)signal_number;
    if (getppid() != self.rank_pid)
        forkserver_finish();
}

/* What a process leaves behind that it had forked itself is adopted, and reaped, here, not by the rank. */
static _Noreturn void forkserver_main(pid_t rank)
{
    thread_become(THREAD_FORKSERVER);
    self.is_forkserver = true;
    self.rank_pid = rank;
    (void)madvise(self.own, sizeof *self.own, MADV_DONTFORK); /* else all is well, and slower */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    child_setup_signals();
    child_setup_leave_to_rank();
    child_setup_leave_stdin_to_rank();
    child_setup_leave_group();
    child_setup_for_copies();
    offspring_keep_list();
    signal(SIGCONT, on_continue);
    child_setup_mask(false);
    child_setup_die_with(rank, SIGCONT);
    prctl(PR_SET_NAME, "mpmap-forker");
    signal(SIGCHLD, on_child);
    atomic_store(&self.record->ready, 1);
    eventcount_notify(&self.area->forkserver_ready);
    for (;;) {
        uint32_t seen = eventcount_prepare(&self.record->doorbell);

        reap_all();
        if (atomic_load(&self.area->ending))
            forkserver_finish();
        index_set_take_all(&self.record->wanted, serve);
        try_again();
        if (self.wants_spare)
            fork_spare();
        eventcount_wait(&self.record->doorbell, seen, 0, next_duty_ns());
    }
}

/* The rank's side. */

static int wait_until_ready(struct forkserver_area *area, struct forkserver_record *forkserver, pid_t pid)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(&area->forkserver_ready);

        if (atomic_load(&forkserver->ready))
            return MPM_OK;
        if (waitpid(pid, NULL, WNOHANG)) /* ECHILD, where the program ignores SIGCHLD */
            return error_set(MPM_EFORKSERVER, "the fork server process %d died while it started", (int)pid);
        eventcount_wait(&area->forkserver_ready, seen, 0, clock_now_ns() + 10000000);
    }
}

/* The fork server's alone: what it forks has no copy, for which the kernel would make each page anew that the fork server
 * writes to next, and that takes microseconds of a start and of an end. */
static int make_tables(void)
{
    void *made = mmap(NULL, sizeof *self.own, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (made == MAP_FAILED)
        return error_set(MPM_ENOMEM, "no memory for the table of processes");
    self.own = made;
    return MPM_OK;
}

static void free_tables(void)
{
    munmap(self.own, sizeof *self.own);
    self.own = NULL;
}

int forkserver_start(struct arena *arena, unsigned rank_in_node, const struct forkserver_callbacks *callbacks)
{
    struct forkserver_area *area = forkserver_area_of(arena);
    pid_t rank = getpid(), pid;
    int status;
    char why[160];

    forkserver_set_own_number(MAX_PROCESSES + 1 + rank_in_node);
    memset(&self, 0, sizeof self);
    self.callbacks = callbacks;
    self.arena = arena;
    self.area = area;
    self.record = &area->forkserver[rank_in_node];
    self.rank = rank_in_node;
    child_setup_note_group();
    self.try_again_ns = CLOCK_FOREVER;
    if (prctl(PR_GET_CHILD_SUBREAPER, &self.was_subreaper) || prctl(PR_SET_CHILD_SUBREAPER, 1))
        return error_set_errno(MPM_ESYSTEM,
                               "the rank cannot become a subreaper for its fork server's children");
    self.is_subreaper = true;
    if ((status = make_tables()))
        return status;
    fflush(NULL); /* lest a process write it once more */
    if ((pid = fork_for_the_run()) == 0)
        forkserver_main(rank);
    free_tables();
    if (pid < 0)
        return error_set(MPM_ESYSTEM, "cannot fork the fork server process: %s",
                         describe_fork_errno(errno, why, sizeof why));
    atomic_store(&self.record->pid, pid);
    return wait_until_ready(area, self.record, pid);
}

bool forkserver_wait(struct arena *arena, unsigned rank_in_node)
{
    struct forkserver_record *forkserver = &forkserver_area_of(arena)->forkserver[rank_in_node];
    int wait_status = SIGKILL; /* where somebody else has reaped it */

    while (waitpid(atomic_load(&forkserver->pid), &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (forkserver_is_ending(arena))
        return true;
    forkserver->wait_status = wait_status;
    atomic_store(&forkserver->lost, 1);
    return false;
}

bool forkserver_is_lost(struct arena *arena, unsigned rank_in_node)
{
    return atomic_load(&forkserver_area_of(arena)->forkserver[rank_in_node].lost) != 0;
}

int forkserver_loss(struct arena *arena, unsigned rank_in_node)
{
    return forkserver_area_of(arena)->forkserver[rank_in_node].wait_status;
}

bool forkserver_is_self(void)
{
    return self.is_forkserver;
}

/* Ends what the dead fork server has left of a process. */
static void inherit(struct process_record *process, uint32_t number)
{
    uint64_t word = atomic_load(&process->word), pid_word;
    pid_t pid;

    if ((process_state_of(word) != PROCESS_WANTED && process_state_of(word) != PROCESS_RUNNING) ||
        process->forkserver != self.rank)
        return;
    pid_word = atomic_load(&process->pid);
    pid = process_generation_of(pid_word) == process_generation_of(word) ? (pid_t)(uint32_t)pid_word : 0;
    process->wait_status = pid ? see_it_end(pid) : SIGKILL;
    clean_up_after(number);
    settle(process, number);
}

/* All of its processes are dead. */
static void end_loss(void)
{
    pid_t spare = atomic_exchange(&self.record->spare_pid, 0);

    if (spare)
        see_it_end(spare);
    self.callbacks->forkserver_lost();
}

static void stand_in(struct arena *arena)
{
    bool has_told = false;

    for (;;) {
        uint32_t seen = eventcount_prepare(&self.record->doorbell);
        struct process_record *process;

        if (forkserver_is_ending(arena))
            return;
        for (uint32_t number = 0; (process = process_find(arena, number)); number++)
            inherit(process, number);
        offspring_end_marked();
        if (!has_told)
            end_loss();
        has_told = true;
        eventcount_wait(&self.record->doorbell, seen, 0, CLOCK_FOREVER);
    }
}

void forkserver_stand_in(struct arena *arena)
{
    thread_become(THREAD_FORKSERVER);
    stand_in(arena);
    thread_become(THREAD_OF_PROGRAM);
}

void forkserver_leave(void)
{
    if (self.is_subreaper)
        prctl(PR_SET_CHILD_SUBREAPER, self.was_subreaper);
    self.is_subreaper = false;
}

void forkserver_end_all(struct arena *arena)
{
    struct forkserver_area *area = forkserver_area_of(arena);

    forkserver_leave(); /* what processes have left is nobody's here */
    atomic_store(&area->ending, 1);
    for (unsigned i = 0; i < area->forkserver_count; i++)
        eventcount_notify(&area->forkserver[i].doorbell);
}

bool forkserver_is_ending(struct arena *arena)
{
    return atomic_load(&forkserver_area_of(arena)->ending) != 0;
}
