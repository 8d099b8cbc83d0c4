/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fork server's processes have started themselves, by fork, system() and the like, and what is to end with them.
 *
 * A process marks itself, and whatever descends from it inherits the mark: by fork and exec, after setsid(), when its
 * parent has ended, as another user. Fork servers are subreapers, so what a dead process has left is its fork server's
 * child, or, when that has died, too, its rank's; and by the mark, the fork server knows whose it was. What is started
 * next to a process, by a service that it asks (at, systemd-run, sbatch, docker), does not descend from it.
 *
 * The mark is the soft limit RLIMIT_LOCKS, which the kernel has not enforced since 2.4.25, but still hands on. What
 * sets that limit itself, and was detached from its parent, ends with the run.
 *
 * Where the kernel does not list a process's children (CONFIG_PROC_CHILDREN), nothing is found. For forkserver/. */
#ifndef FORKSERVER_OFFSPRING_H
#define FORKSERVER_OFFSPRING_H

#include <stdbool.h>
#include <sys/types.h>

/* In a fork server: the list of its children stays open, since it is read at each death. */
void offspring_keep_list(void);
/* In what it has forked: marks the calling process, and what it starts from here on. */
void offspring_mark(void);

/* Kills the children of the calling process, which has one thread, that descend from a process for which `is_alive` is
 * false. Does not wait. */
void offspring_kill_orphans(bool (*is_alive)(pid_t process));
/* Kills a child of the calling process. As kill(). From signal handlers, too. */
int offspring_kill(pid_t child);
/* Kills, and waits for, children of any thread of the calling process that descend from any marked process, unless that
 * is the caller itself; and what these leave. */
void offspring_end_marked(void);
/* Kills, and waits for, all children of the calling process, which has one thread, and what these leave, but for those
 * that it may not kill. From signal handlers, too. false where they are not listed. */
bool offspring_end_all(void);

#endif
