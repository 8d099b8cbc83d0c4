/* SPDX-License-Identifier: BSD-3-Clause */
/* A process of its own brings the launcher down, since that needs the rank's last words and its exit first. It is in a
 * session of its own, since a launcher kills its ranks' process groups, and holds none of the rank's files, since it
 * waits for their ends. */
#include "net/launcher_end.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/process_file.h"

#define GRACE_NS   UINT64_C(1000000000) /* for the launcher after each step */
#define LOOK_NS    20000000
#define MOST_FILES 65536
#define END_S      10 /* a rank ends at last, whatever MPI does */

/* What may be brought down: each of them serves this one job. The kernel keeps 15 characters of a name. */
struct launcher {
    const char *name;
    bool
        takes_term; /* mpirun of Open MPI 4.1 has a segmentation fault of it when its job has ended without it */
};

static const struct launcher launchers[] = {
    {"mpirun", false},       {"mpiexec", false}, {"orterun", false},        {"orted", true},
    {"mpiexec.hydra", true}, {"prterun", true},  {"hydra_pmi_proxy", true},
};

/* NULL: it is none. */
static const struct launcher *find_launcher(pid_t pid)
{
    char name[32];

    if (!process_file_read(pid, "comm", name, sizeof name))
        return NULL;
    name[strcspn(name, "\n")] = 0;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        if (!strcmp(name, launchers[i].name))
            return &launchers[i];
    }
    return NULL;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

/* `file` is the launcher's pidfd, or -1 on a kernel without: then its number has to do. */
static bool is_gone(pid_t launcher, int file)
{
    struct pollfd poll_file = {.fd = file, .events = POLLIN};

    return file >= 0 ? poll(&poll_file, 1, 0) > 0 : kill(launcher, 0) && errno == ESRCH;
}

static bool is_gone_soon(pid_t launcher, int file)
{
    uint64_t deadline_ns = clock_now_ns() + GRACE_NS;

    while (!is_gone(launcher, file)) {
        if (clock_now_ns() >= deadline_ns)
            return false;
        nap();
    }
    return true;
}

static void send_signal(pid_t launcher, int file, int number)
{
    if (file < 0 || syscall(SYS_pidfd_send_signal, file, number, NULL, 0))
        kill(launcher, number);
}

/* All but one, which becomes file 0. */
static void close_files(int kept)
{
    unsigned first = kept >= 0 && dup2(kept, 0) == 0;

    if (!syscall(SYS_close_range, first, ~0u, 0u))
        return;
    for (unsigned file = first; file < MOST_FILES; file++)
        close((int)file);
}

static _Noreturn void bring_down(pid_t rank, pid_t launcher, int file, bool takes_term)
{
    setsid();
    prctl(PR_SET_NAME, "mpmap-end");
    close_files(file);
    if (file >= 0)
        file = 0;
    while (getppid() == rank)
        nap();
    if (!is_gone_soon(launcher, file) && takes_term)
        send_signal(launcher, file, SIGTERM);
    if (!is_gone_soon(launcher, file))
        send_signal(launcher, file, SIGKILL);
    _exit(0);
}

void launcher_end_after_rank(void)
{
    pid_t rank = getpid(), pid = getppid();
    const struct launcher *launcher = find_launcher(pid);
    int file;

    if (!launcher)
        return;
    file = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fork() == 0)
        bring_down(rank, pid, file, launcher->takes_term);
    if (file >= 0)
        close(file);
}

void launcher_bound_end(void)
{
    sigset_t alarms;

    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    alarm(END_S);
}
