/* SPDX-License-Identifier: BSD-3-Clause */
/* What launchers write into the environment of the processes that they start. For net/. */
#ifndef NET_LAUNCHER_H
#define NET_LAUNCHER_H

#include <stdbool.h>

#define LAUNCHER_PROMISES 8

/* A variable that says how many ranks there are, or that there are so many at least. */
struct launcher_promise {
    const char *variable;
    unsigned ranks;
    bool is_exact;
    char value[32];
};

struct launcher {
    struct launcher_promise promises[LAUNCHER_PROMISES];
    unsigned count;
};

/* Whether there is one by which MPI can find its peers: mpirun of Open MPI, srun --mpi=pmix, Hydra. */
bool launcher_is_there(void);

/* Whether mpirun of Open MPI was told to let the other ranks live when one has died (--enable-recovery, which is a
 * parameter of its own in the environment of all ranks). */
bool launcher_lets_survivors_live(void);

/* Reads what the environment promises. Before MPI is started, which may write there. */
void launcher_look(struct launcher *launcher);

/* MPM_EINVAL with the variable, and what would be right, if more ranks were promised than `ranks`, which are all that
 * `mpi` knows of: it cannot find the others, and each would be a run of its own. A promise that holds is that of the
 * nearest launcher; what others have promised was for processes above this one. */
int launcher_check(const struct launcher *launcher, unsigned ranks, const char *mpi);

#endif
