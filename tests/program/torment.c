/* SPDX-License-Identifier: BSD-3-Clause */
/* Does things to the processes of a run, from outside, at random instants: for kills.sh and soak.sh.
 *
 *   torment kill PID SECONDS SEED    SIGKILL to a worker every few milliseconds
 *   torment stop PID SECONDS SEED    SIGSTOP to a worker or a host, and SIGCONT some milliseconds later
 *
 * Acts on what is below process PID, until it has ended or SECONDS have passed, and prints how often it has
 * struck. It strikes workers that have started only: when they die before that, three in a row, the pool
 * gives up, and rightly so. A process is named by a pidfd, so that no stranger is hit whose number is the
 * same. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST_PROCESSES 1024

struct crowd {
    pid_t pid[MOST_PROCESSES];
    unsigned count;
};

static uint64_t chance;

static unsigned draw(unsigned below)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((chance >> 33) % below);
}

/* Reads /proc/PID/`name`; "" if that is not there any more. */
static void read_about(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    FILE *file;
    size_t length = 0;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    if ((file = fopen(path, "re"))) {
        length = fread(text, 1, size - 1, file);
        fclose(file);
    }
    text[length] = 0;
}

static bool is_struck(pid_t pid, bool hosts_too)
{
    char name[32], score[32];

    read_about(pid, "comm", name, sizeof name);
    if (hosts_too && !strcmp(name, "mpmap-host\n"))
        return true;
    read_about(pid, "oom_score_adj", score, sizeof score);
    return !strcmp(name, "mpmap-worker\n") && !strcmp(score, "1000\n");
}

/* Adds all processes below one that may be struck. */
static void gather(pid_t pid, bool hosts_too, struct crowd *crowd)
{
    char name[64], children[8192], *at = children, *end;

    snprintf(name, sizeof name, "task/%d/children", (int)pid);
    read_about(pid, name, children, sizeof children);
    for (long child; (child = strtol(at, &end, 10)) > 0 && end != at; at = end) {
        if (crowd->count < MOST_PROCESSES && is_struck((pid_t)child, hosts_too))
            crowd->pid[crowd->count++] = (pid_t)child;
        gather((pid_t)child, hosts_too, crowd);
    }
}

static void pass(unsigned us)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

static bool send_signal(int process, int signal_number)
{
    return !syscall(SYS_pidfd_send_signal, process, signal_number, NULL, 0);
}

/* Strikes a process by chance; false if there was none. */
static bool strike(pid_t root, bool stops)
{
    struct crowd crowd = {.count = 0};
    bool struck = false;
    int process;
    pid_t pid;

    gather(root, stops, &crowd);
    if (!crowd.count)
        return false;
    pid = crowd.pid[draw(crowd.count)];
    if ((process = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
        return false;
    if (is_struck(pid, stops))
        struck = send_signal(process, stops ? SIGSTOP : SIGKILL);
    if (struck && stops) {
        pass(draw(50000));
        send_signal(process, SIGCONT);
    }
    close(process);
    return struck;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    unsigned long strikes = 0;
    double end_s;
    bool stops;
    pid_t root;

    if (argc != 5 || (strcmp(argv[1], "kill") && strcmp(argv[1], "stop"))) {
        fputs("usage: torment kill|stop PID SECONDS SEED\n", stderr);
        return EXIT_FAILURE;
    }
    stops = !strcmp(argv[1], "stop");
    root = (pid_t)atoi(argv[2]);
    end_s = now_s() + strtod(argv[3], NULL);
    chance = strtoul(argv[4], NULL, 10) * 2 + 1;
    while (now_s() < end_s && !kill(root, 0)) {
        strikes += strike(root, stops);
        pass(draw(10000));
    }
    printf("%lu\n", strikes);
    return EXIT_SUCCESS;
}
