/* SPDX-License-Identifier: BSD-3-Clause */
/* Does things to the processes of a run, from outside, at random instants: for kills.sh and soak.sh.
 *
 *   torment kill PID SECONDS SEED STRIKES    SIGKILL to a worker every few milliseconds
 *   torment stop PID SECONDS SEED STRIKES    SIGSTOP to a worker or a fork server, and SIGCONT some milliseconds later
 *   torment mix PID SECONDS SEED STRIKES     the one or the other, of which STRIKES are to kill
 *   torment forkserver PID SECONDS SEED STRIKES    the same, and SIGKILL to one fork server when half of them have been
 * done
 *
 * Acts on what is below process PID, until it has ended or SECONDS have passed. After STRIKES it makes the file
 * MPMAP_TEST_STOP, so that the run ends when it likes to. Prints how many workers it has killed, how many processes it
 * has stopped, and how many fork servers it has killed. It strikes workers that have started only: when they die before
 * that, three in a row, the pool gives up, and rightly so; and none that is dead already. A process is named by a
 * pidfd, so that no stranger is hit whose number is the same. */
#include <errno.h>
#include <fcntl.h>
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

enum victim { WORKERS, FORKSERVERS, ALL };

static uint64_t chance;
static unsigned long kills, stops, forkserver_kills;

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

static bool is_dead(pid_t pid)
{
    char text[512], *state;

    read_about(pid, "stat", text, sizeof text);
    state = strrchr(text, ')');
    return !state || strchr("ZX", state[2]);
}

static bool is_named(pid_t pid, const char *name)
{
    char text[32];

    read_about(pid, "comm", text, sizeof text);
    text[strcspn(text, "\n")] = 0;
    return !strcmp(text, name);
}

static pid_t parent_of(pid_t pid)
{
    char text[512], *state;

    read_about(pid, "stat", text, sizeof text);
    state = strrchr(text, ')');
    return state ? (pid_t)strtol(state + 3, NULL, 10) : 0;
}

/* What a fork server has just forked bears its name until it has its own. */
static bool is_forkserver(pid_t pid)
{
    return is_named(pid, "mpmap-forker") && !is_named(parent_of(pid), "mpmap-forker");
}

static bool is_started_worker(pid_t pid)
{
    char score[32];

    read_about(pid, "oom_score_adj", score, sizeof score);
    return is_named(pid, "mpmap-worker") && !strcmp(score, "1000\n");
}

static bool is_struck(pid_t pid, enum victim victims)
{
    if (is_dead(pid))
        return false;
    return (victims != WORKERS && is_forkserver(pid)) || (victims != FORKSERVERS && is_started_worker(pid));
}

/* Adds all processes below one that may be struck. */
static void gather(pid_t pid, enum victim victims, struct crowd *crowd)
{
    char name[64], children[8192], *at = children, *end;

    snprintf(name, sizeof name, "task/%d/children", (int)pid);
    read_about(pid, name, children, sizeof children);
    for (long child; (child = strtol(at, &end, 10)) > 0 && end != at; at = end) {
        if (crowd->count < MOST_PROCESSES && is_struck((pid_t)child, victims))
            crowd->pid[crowd->count++] = (pid_t)child;
        gather((pid_t)child, victims, crowd);
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
static bool strike(pid_t root, enum victim victims, int signal_number)
{
    struct crowd crowd = {.count = 0};
    bool struck = false;
    int process;
    pid_t pid;

    gather(root, victims, &crowd);
    if (!crowd.count)
        return false;
    pid = crowd.pid[draw(crowd.count)];
    if ((process = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
        return false;
    if (is_struck(pid, victims))
        struck = send_signal(process, signal_number);
    if (struck && signal_number == SIGSTOP) {
        pass(draw(50000));
        send_signal(process, SIGCONT);
    }
    close(process);
    return struck;
}

static void strike_once(pid_t root, bool stops_too, bool kills_too)
{
    if (!kills_too || (stops_too && !draw(4)))
        stops += strike(root, ALL, SIGSTOP);
    else
        kills += strike(root, WORKERS, SIGKILL);
}

/* Says that there were enough. */
static void tell_enough(void)
{
    const char *stop = getenv("MPMAP_TEST_STOP");
    int file = stop ? open(stop, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (file >= 0)
        close(file);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    bool stops_too, kills_too, forkservers_too;
    unsigned long enough;
    double end_s;
    pid_t root;

    if (argc != 6) {
        fputs("usage: torment kill|stop|mix|forkserver PID SECONDS SEED STRIKES\n", stderr);
        return EXIT_FAILURE;
    }
    forkservers_too = !strcmp(argv[1], "forkserver");
    stops_too = strcmp(argv[1], "kill") != 0;
    kills_too = strcmp(argv[1], "stop") != 0;
    root = (pid_t)atoi(argv[2]);
    end_s = now_s() + strtod(argv[3], NULL);
    chance = strtoul(argv[4], NULL, 10) * 2 + 1;
    enough = strtoul(argv[5], NULL, 10);
    while (now_s() < end_s && !kill(root, 0)) {
        strike_once(root, stops_too, kills_too);
        if (forkservers_too && !forkserver_kills && kills >= enough / 2)
            forkserver_kills += strike(root, FORKSERVERS, SIGKILL);
        if ((kills_too ? kills : stops) >= enough)
            tell_enough();
        pass(draw(10000));
    }
    printf("%lu %lu %lu\n", kills, stops, forkserver_kills);
    return EXIT_SUCCESS;
}
