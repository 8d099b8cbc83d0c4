/* SPDX-License-Identifier: BSD-3-Clause */
/* What fork servers and their processes make of themselves when they are new: signals, and whose thread token they
 * share. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread_role.h"
#include "forkserver/forkserver_inside.h"
#include "forkserver/offspring.h"

/* A process that a signal of the terminal or of a batch system reaches together with its rank leaves the
 * decision to the rank: it dies with it anyway. */
static const int left_to_rank[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP, SIGUSR1,
                                   SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
#define LEFT_TO_RANK (sizeof left_to_rank / sizeof *left_to_rank)

/* What the program had ignored before the run, as nohup has it, or a shell for what it starts by `&`. */
static sigset_t ignored;

void forkserver_note_ignored_signals(void)
{
    struct sigaction now;

    sigemptyset(&ignored);
    for (int i = 1; i < NSIG; i++) {
        if (!sigaction(i, NULL, &now) && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN)
            sigaddset(&ignored, i);
    }
    sigdelset(&ignored, SIGCHLD);
}

const int drain_signals[DRAIN_SIGNALS] = {SIGTERM, SIGINT, SIGUSR1};
static bool drain_signals_are_taken;

void forkserver_note_drain_signals(bool are_taken)
{
    drain_signals_are_taken = are_taken;
}

static void set_as_before_the_run(int signal_number)
{
    signal(signal_number, sigismember(&ignored, signal_number) == 1 ? SIG_IGN : SIG_DFL);
}

void child_setup_signals(void)
{
    for (int i = 1; i < NSIG; i++)
        set_as_before_the_run(i);
}

void child_setup_leave_to_rank(void)
{
    assert(thread_is(THREAD_FORKSERVER));
    for (size_t i = 0; i < LEFT_TO_RANK; i++)
        signal(left_to_rank[i], SIG_IGN);
}

/* A stream that is opened anew would set back the place in a file, which the rank reads at, too. */
void child_setup_leave_stdin_to_rank(void)
{
    int nothing = open("/dev/null", O_RDONLY);

    assert(thread_is(THREAD_FORKSERVER));
    __fpurge(stdin);
    if (nothing <= STDIN_FILENO)
        return;
    dup2(nothing, STDIN_FILENO);
    close(nothing);
}

void child_setup_mask(bool all_blocked)
{
    sigset_t mask;

    if (all_blocked)
        sigfillset(&mask);
    else
        sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

void child_setup_drop_handlers(void)
{
    assert(!thread_is(THREAD_FORKSERVER));
    set_as_before_the_run(SIGCHLD);
    set_as_before_the_run(SIGCONT);
}

void child_setup_take_signals(bool is_users)
{
    assert(!thread_is(THREAD_FORKSERVER));
    child_setup_drop_handlers();
    for (size_t i = 0; i < LEFT_TO_RANK; i++)
        set_as_before_the_run(left_to_rank[i]);
    if (!is_users)
        signal(SIGINT, SIG_IGN);
    for (size_t i = 0; !is_users && drain_signals_are_taken && i < DRAIN_SIGNALS; i++)
        signal(drain_signals[i], SIG_IGN);
    child_setup_mask(false);
}

/* A launcher, or a shell, kills a rank together with its process group. The fork server is to outlive that for a
 * moment, as it ends what has left the group or changed its user; all else stays in the rank's group, for the
 * terminal's signals.
 *
 * So the group has members whose parent is in another group of the session, and where it has no others, as in a
 * script without a terminal, it becomes an orphan when the last of them ends. If anything in it is stopped then, the
 * kernel sends SIGHUP to all of it (setpgid(2)): the script, and whatever else that has started. So each leaves the
 * group before it ends by itself, or is killed at the end of the run (offspring.c). */
static pid_t group_of_rank;

void child_setup_note_group(void)
{
    group_of_rank = getpgrp();
}

void child_setup_leave_group(void)
{
    assert(thread_is(THREAD_FORKSERVER));
    if (setpgid(0, 0))
        log_write(
            MPM_LOG_DEBUG,
            "a fork server stays in the process group of its rank"); /* it leads a session: no rank does */
}

void child_setup_die_with(pid_t parent, int signal_number)
{
    prctl(PR_SET_PDEATHSIG, signal_number);
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
        log_write(MPM_LOG_DEBUG, "cannot set a worker's oom_score_adj");
    close(file);
}

/* exit() in a task must not run exit handlers that the rank had before the fork: MPI's, for one. Handlers run
 * last in first out, so those that the task itself has added have run before this one. */
static void leave_now(int code, void *unused)
{
    (void)unused;
    fflush(NULL);
    (void)!setpgid(0, getppid()); /* the fork server's, or none if that has ended */
    _exit(code);
}

/* Lines leave whole, as they end. Without a buffer of its own the stream goes on with the one that it has, and glibc
 * fills that up first (from 2.37 on) if something was printed before. */
static void print_by_lines(void)
{
    static char buffer[BUFSIZ];

    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
}

/* Copies have both: each would have to make the pages its own otherwise. A fork server neither prints nor exits so. */
void child_setup_for_copies(void)
{
    assert(thread_is(THREAD_FORKSERVER));
    on_exit(leave_now, NULL);
    print_by_lines();
}

void child_setup_in(pid_t forkserver)
{
    assert(!thread_is(THREAD_FORKSERVER));
    child_setup_die_with(forkserver, SIGKILL);
    (void)!setpgid(0, group_of_rank); /* EPERM, if the rank and all else in it have ended */
    offspring_mark();
    be_first_in_line_for_memory();
}
