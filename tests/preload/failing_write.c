/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands before the C library in rank 0 of a run (LD_PRELOAD): once the file that MPMAP_TEST_KILLS names is there, with
 * the numbers of processes, its next write to another rank by TCP kills these, and fails as it does when the other side
 * has just died. For stuck_mpi.sh. Open MPI's connections between ranks have ports from 1024 on; no others are below
 * 2048. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PORTS_END 2048

static bool goes_to_rank(int file)
{
    struct sockaddr_in own = {0}, other = {0};
    socklen_t size = sizeof own;

    if (getsockname(file, (struct sockaddr *)&own, &size) || own.sin_family != AF_INET)
        return false;
    size = sizeof other;
    return !getpeername(file, (struct sockaddr *)&other, &size) &&
           (ntohs(own.sin_port) < PORTS_END || ntohs(other.sin_port) < PORTS_END);
}

static bool kill_all(const char *path)
{
    FILE *numbers = fopen(path, "r");
    int pid;

    if (!numbers)
        return false;
    while (fscanf(numbers, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    fclose(numbers);
    return true;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    static bool has_failed;
    ssize_t (*next)(int, const struct iovec *, int);
    void *found = dlsym(RTLD_NEXT, "writev");
    const char *path = getenv("MPMAP_TEST_KILLS"), *rank = getenv("OMPI_COMM_WORLD_RANK");

    memcpy(&next, &found, sizeof next);
    if (has_failed || !path || !rank || strcmp(rank, "0") || !goes_to_rank(file) || !kill_all(path))
        return next(file, parts, count);
    has_failed = true;
    errno = ECONNRESET;
    return -1;
}
