/* SPDX-License-Identifier: BSD-3-Clause */
/* Launchers, by what they leave in the environment; and the choice of a transport, which follows from that.
 *
 * An environment is inherited by everything that a rank starts, so a variable may speak of another run: an mpirun in a
 * step of Slurm's, in a rank of another mpirun's, a script that srun has started as one task of several. */
#include "net/launcher.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "net/transport.h"

#define SLURM_TASKS "SLURM_STEP_NUM_TASKS"

/* A whole number of at most INT_MAX - 1. */
static bool read_number(const char *variable, unsigned *number)
{
    const char *text = getenv(variable);
    unsigned long read;
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    read = strtoul(text, &end, 10);
    if (errno || *end || read >= INT_MAX)
        return false;
    *number = (unsigned)read;
    return true;
}

static void promise(struct launcher *launcher, const char *variable, unsigned ranks, bool is_exact)
{
    struct launcher_promise *made = &launcher->promises[launcher->count++];

    made->variable = variable;
    made->ranks = ranks;
    made->is_exact = is_exact;
    snprintf(made->value, sizeof made->value, "%s", getenv(variable));
}

/* Tasks of the step of srun's that this process belongs to. Not those of the job: a batch script is alone in its step,
 * whatever --ntasks says. Daemons by which another launcher reaches its nodes are a step as well, but its ranks have a
 * name space of its own. */
static bool slurm_tasks(unsigned *tasks)
{
    const char *name_space = getenv("PMIX_NAMESPACE");

    if (!getenv("SLURM_STEP_ID") || !getenv("SLURM_PROCID"))
        return false;
    return (!name_space || !strncmp(name_space, "slurm", strlen("slurm"))) && read_number(SLURM_TASKS, tasks);
}

bool launcher_is_there(void)
{
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD",
                                        "MV2_COMM_WORLD_SIZE"};

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (getenv(signs[i]))
            return true;
    }
    return false;
}

/* As Open MPI reads a boolean: a number, or a word. */
static bool is_set(const char *variable)
{
    static const char *const words[] = {"true", "t", "enabled", "yes"};
    const char *text = getenv(variable);

    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++) {
        if (!strcasecmp(text, words[i]))
            return true;
    }
    return text && strtol(text, NULL, 10);
}

bool launcher_lets_survivors_live(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") && is_set("OMPI_MCA_orte_enable_recovery");
}

void launcher_look(struct launcher *launcher)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"};
    static const char *const ranks[] = {"PMIX_RANK", "PMI_RANK"};
    unsigned number;

    launcher->count = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (read_number(sizes[i], &number))
            promise(launcher, sizes[i], number, true);
    }
    if (slurm_tasks(&number))
        promise(launcher, SLURM_TASKS, number, false);
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        if (read_number(ranks[i], &number))
            promise(launcher, ranks[i], number + 1, false);
    }
}

static bool is_kept(const struct launcher *launcher, unsigned ranks)
{
    for (unsigned i = 0; i < launcher->count; i++) {
        if (launcher->promises[i].is_exact && launcher->promises[i].ranks == ranks)
            return true;
    }
    return false;
}

int launcher_check(const struct launcher *launcher, unsigned ranks, const char *mpi)
{
    for (unsigned i = 0; i < launcher->count && !is_kept(launcher, ranks); i++) {
        const struct launcher_promise *made = &launcher->promises[i];

        if (made->ranks > ranks)
            return error_set(
                MPM_EINVAL,
                "%s is %s, so a launcher has started at least %u ranks, but MPI (%s) reports that there %s "
                "%u: start the program with the mpirun of that MPI, or with srun and an --mpi that it "
                "supports",
                made->variable, made->value, made->ranks, mpi, ranks == 1 ? "is" : "are", ranks);
    }
    return MPM_OK;
}

int transport_choose(const void *communicator, const struct transport **transport)
{
    unsigned tasks;

    if (communicator || launcher_is_there()) {
        *transport = &transport_mpi;
        return MPM_OK;
    }
    if (slurm_tasks(&tasks) && tasks > 1)
        return error_set(MPM_EINVAL,
                         "srun has started %u tasks (" SLURM_TASKS
                         " is %u) that cannot find each other, so MPI is not "
                         "used, and each would be a separate run: use srun --mpi=pmix, or mpirun",
                         tasks, tasks);
    *transport = &transport_solo;
    return MPM_OK;
}
