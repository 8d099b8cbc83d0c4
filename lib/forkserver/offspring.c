/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. Nothing here is shared: the kernel's own lists are read. A list is not exact where children end while
 * it is read. Each of them that ends is looked at again, by which whatever was left out is found. */
#include "forkserver/offspring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define MARK UINT64_C(0x6d706d6100000000) /* and the pid below */

typedef void visit_child(pid_t child);

/* Of the children of a fork server, open while it runs. What it forks closes the file, and never looks here. */
static int own_list = -1;

/* Marks. */

void offspring_mark(void)
{
    struct rlimit limit;

    if (own_list >= 0)
        close(own_list);
    if (getrlimit(RLIMIT_LOCKS, &limit))
        return;
    limit.rlim_cur = MARK | (uint32_t)getpid();
    if (setrlimit(RLIMIT_LOCKS, &limit))
        log_write(MPM_LOG_DEBUG, "cannot set RLIMIT_LOCKS: processes that detach from a task are only killed "
                                 "at the end of the run");
}

/* The process that `pid` descends from, or is: 0 if it has no mark. */
static pid_t marked_by(pid_t pid)
{
    struct rlimit limit;

    if (prlimit(pid, RLIMIT_LOCKS, NULL, &limit) || (limit.rlim_cur & ~(rlim_t)UINT32_MAX) != MARK)
        return 0;
    return (pid_t)(uint32_t)limit.rlim_cur;
}

/* Children. */

/* In a signal handler, too. */
static void visit_listed(int file, visit_child *visit)
{
    char bytes[4096];
    pid_t child = 0;
    off_t place = 0;
    ssize_t got;

    while ((got = pread(file, bytes, sizeof bytes, place)) > 0 || (got < 0 && errno == EINTR)) {
        place += got > 0 ? got : 0;
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                child = child * 10 + (bytes[i] - '0');
                continue;
            }
            if (child)
                visit(child);
            child = 0;
        }
    }
}

static bool visit_children_in(const char *list, visit_child *visit)
{
    int file = open(list, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return false;
    visit_listed(file, visit);
    close(file);
    return true;
}

#define LIST "/proc/thread-self/children"

void offspring_keep_list(void)
{
    own_list = open(LIST, O_RDONLY | O_CLOEXEC);
}

/* Of a process of one thread. */
static bool visit_children(visit_child *visit)
{
    if (own_list < 0)
        return visit_children_in(LIST, visit);
    visit_listed(own_list, visit);
    return true;
}

/* Of all threads. */
static void visit_all_children(visit_child *visit)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *thread;
    char list[64];

    while (threads && (thread = readdir(threads))) {
        snprintf(list, sizeof list, "/proc/self/task/%.20s/children", thread->d_name);
        if (thread->d_name[0] != '.')
            visit_children_in(list, visit);
    }
    if (threads)
        closedir(threads);
}

/* Ends. */

static bool (*is_process_alive)(pid_t process);
static bool has_killed;

/* What is the caller's own is asked first: that costs no system call. */
static void kill_orphan(pid_t child)
{
    pid_t origin = is_process_alive(child) ? 0 : marked_by(child);

    if (origin && origin != marked_by(0) && !is_process_alive(origin))
        kill(child, SIGKILL);
}

void offspring_kill_orphans(bool (*is_alive)(pid_t process))
{
    is_process_alive = is_alive;
    visit_children(kill_orphan);
}

/* Out of its group first: see child_setup.c. What has called exec must stay there. */
int offspring_kill(pid_t child)
{
    (void)!setpgid(child, getpgrp());
    return kill(child, SIGKILL);
}

static void kill_child(pid_t child)
{
    (void)offspring_kill(child);
}

/* The caller's own child: its pid is no other's. */
static void end_child(pid_t child)
{
    if (offspring_kill(child))
        return;
    has_killed = true;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

bool offspring_end_all(void)
{
    if (!visit_children(kill_child))
        return false;
    do {
        has_killed = false;
        visit_children(end_child);
    } while (has_killed);
    return true;
}

static void end_marked_child(pid_t child)
{
    pid_t origin = marked_by(child);

    if (origin && origin != marked_by(0))
        end_child(child);
}

void offspring_end_marked(void)
{
    do {
        has_killed = false;
        visit_all_children(end_marked_child);
    } while (has_killed);
}
