/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands before the C library (LD_PRELOAD): the first connection of a rank to another one that its MPI asks about has
 * failed, as where a link was down for a moment. For stuck_mpi.sh. Of several ranks that connect to each other each one
 * must fail: a connection that one of them has made serves both. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int getsockopt(int file, int level, int name, void *value, socklen_t *size)
{
    static bool has_failed;
    int (*next)(int, int, int, void *, socklen_t *), failed;
    void *found = dlsym(RTLD_NEXT, "getsockopt");
    int unreachable = EHOSTUNREACH;

    memcpy(&next, &found, sizeof next);
    failed = next(file, level, name, value, size);
    if (failed || level != SOL_SOCKET || name != SO_ERROR || has_failed || !getenv("OMPI_COMM_WORLD_RANK"))
        return failed;
    has_failed = true;
    memcpy(value, &unreachable, sizeof unreachable);
    return 0;
}
