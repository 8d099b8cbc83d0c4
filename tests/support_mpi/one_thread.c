/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands between a program and MPI (LD_PRELOAD), and ends it if two threads are inside MPI at once, or if a process
 * that was forked from a rank goes there: for one_thread.sh.
 *
 * Every function that the library uses is here, which the compiler checks; the program's own use is watched where it
 * calls the same ones. Calls that all ranks make together take a while longer than they would, so that another thread
 * that polls meanwhile is met. As MPI is ended, a line with the number of calls goes to the file that
 * MPMAP_MPI_CALLS names. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/mpi_table.h"
#include "tell.h"

#define LINGER_US 3000

static _Atomic(const char *) inside; /* the function that a thread is in */
static _Thread_local unsigned depth; /* MPI may call itself */
static unsigned long calls;          /* written inside */
static pid_t rank;                   /* whose MPI it is */

static _Noreturn void complain(const char *function, const char *trouble, const char *other)
{
    char line[200];
    int length = snprintf(line, sizeof line, "one_thread: process %d enters %s %s%s\n", (int)getpid(),
                          function, trouble, other);

    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(EXIT_FAILURE);
    _exit(EXIT_FAILURE);
}

static void enter(const char *function, bool lingers)
{
    const char *nobody = NULL;

    if (depth++)
        return;
    if (!atomic_compare_exchange_strong(&inside, &nobody, function))
        complain(function, "while another thread is in ", nobody);
    if (!rank)
        rank = getpid();
    if (rank != getpid())
        complain(function, "and is no rank", "");
    calls++;
    if (lingers)
        usleep(LINGER_US);
}

static void leave(void)
{
    if (--depth == 0)
        atomic_store(&inside, NULL);
}

#define WATCH(function, lingers, parameters, arguments) \
    enum { function##_is_watched };                     \
    int function parameters                             \
    {                                                   \
        int result;                                     \
                                                        \
        enter(#function, lingers);                      \
        result = P##function arguments;                 \
        leave();                                        \
        return result;                                  \
    }

WATCH(MPI_Abort, false, (MPI_Comm comm, int code), (comm, code))
WATCH(MPI_Allgather, true,
      (const void *out, int out_count, MPI_Datatype out_type, void *in, int in_count, MPI_Datatype in_type,
       MPI_Comm comm),
      (out, out_count, out_type, in, in_count, in_type, comm))
WATCH(MPI_Allreduce, true,
      (const void *out, void *in, int count, MPI_Datatype type, MPI_Op operation, MPI_Comm comm),
      (out, in, count, type, operation, comm))
WATCH(MPI_Bcast, true, (void *bytes, int count, MPI_Datatype type, int root, MPI_Comm comm),
      (bytes, count, type, root, comm))
WATCH(MPI_Comm_free, true, (MPI_Comm * comm), (comm))
WATCH(MPI_Comm_rank, false, (MPI_Comm comm, int *number), (comm, number))
WATCH(MPI_Comm_set_errhandler, false, (MPI_Comm comm, MPI_Errhandler handler), (comm, handler))
WATCH(MPI_Comm_size, false, (MPI_Comm comm, int *size), (comm, size))
WATCH(MPI_Comm_split, true, (MPI_Comm comm, int color, int key, MPI_Comm *made), (comm, color, key, made))
WATCH(MPI_Comm_split_type, true, (MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *made),
      (comm, type, key, info, made))
WATCH(MPI_Comm_test_inter, false, (MPI_Comm comm, int *is_so), (comm, is_so))
WATCH(MPI_Error_string, false, (int code, char *text, int *length), (code, text, length))
WATCH(MPI_Finalized, false, (int *is_so), (is_so))
WATCH(MPI_Get_count, false, (const MPI_Status *status, MPI_Datatype type, int *count), (status, type, count))
WATCH(MPI_Get_library_version, true, (char *text, int *length), (text, length))
WATCH(MPI_Ibarrier, false, (MPI_Comm comm, MPI_Request *request), (comm, request))
WATCH(MPI_Improbe, false,
      (int source, int tag, MPI_Comm comm, int *there, MPI_Message *message, MPI_Status *status),
      (source, tag, comm, there, message, status))
WATCH(MPI_Imrecv, false,
      (void *bytes, int count, MPI_Datatype type, MPI_Message *message, MPI_Request *request),
      (bytes, count, type, message, request))
WATCH(MPI_Init_thread, true, (int *argc, char ***argv, int required, int *provided),
      (argc, argv, required, provided))
WATCH(MPI_Initialized, false, (int *is_so), (is_so))
WATCH(MPI_Irecv, false,
      (void *bytes, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm, MPI_Request *request),
      (bytes, count, type, source, tag, comm, request))
WATCH(MPI_Isend, false,
      (const void *bytes, int count, MPI_Datatype type, int target, int tag, MPI_Comm comm,
       MPI_Request *request),
      (bytes, count, type, target, tag, comm, request))
WATCH(MPI_Query_thread, false, (int *provided), (provided))
WATCH(MPI_Test, false, (MPI_Request * request, int *is_over, MPI_Status *status), (request, is_over, status))
WATCH(MPI_Win_allocate_shared, true,
      (MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm, void *base, MPI_Win *window),
      (size, unit, info, comm, base, window))
WATCH(MPI_Win_free, true, (MPI_Win * window), (window))
WATCH(MPI_Win_shared_query, false, (MPI_Win window, int owner, MPI_Aint *size, int *unit, void *base),
      (window, owner, size, unit, base))

enum { MPI_Finalize_is_watched };
int MPI_Finalize(void)
{
    int result;

    enter("MPI_Finalize", true);
    result = PMPI_Finalize();
    leave();
    tell("MPMAP_MPI_CALLS", "rank with ", calls, " calls");
    return result;
}

/* Does not compile unless each is there. */
#define IS_WATCHED(function) function##_is_watched,
const int one_thread_watches[] = {MPI_FUNCTIONS(IS_WATCHED)};
