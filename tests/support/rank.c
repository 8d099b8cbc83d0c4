/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranks that are stopped; see the header. */
#include "rank.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* What /proc says of a process: its state, and its parent. */
static bool look(int pid, char *state, int *parent)
{
    char path[64];
    bool is_there;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!(file = fopen(path, "r")))
        return false;
    is_there = fscanf(file, "%*d (%*[^)]) %c %d", state, parent) == 2;
    fclose(file);
    return is_there;
}

int rank_of_caller(void)
{
    int rank = 0;
    char state;

    return look(getppid(), &state, &rank) ? rank : 0;
}

bool rank_stop(int pid)
{
    char state = 0;
    int parent;

    if (!pid || kill(pid, SIGSTOP))
        return false;
    while (look(pid, &state, &parent) && state != 'T' && state != 'Z')
        sched_yield();
    return state == 'T';
}

void rank_go_on(int pid)
{
    kill(pid, SIGCONT);
}

bool process_sleeps(int pid)
{
    char state = 0;
    int parent;

    return look(pid, &state, &parent) && state == 'S';
}
