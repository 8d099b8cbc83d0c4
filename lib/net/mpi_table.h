/* SPDX-License-Identifier: BSD-3-Clause */
/* The MPI library, which is loaded when a run under a launcher begins. Nothing is linked with it: what is
 * used of it stands in this list, and is called through `library`: library.MPI_Isend(…). The objects behind
 * constants like MPI_COMM_WORLD are redirected into it, so that constants are written as ever. For
 * net/mpi_transport.c only. */
#ifndef NET_MPI_TABLE_H
#define NET_MPI_TABLE_H

#include <mpi.h>

#include "base/library.h"

/* The first name is one that only MPI itself has: a tool that watches a program has functions of the names below as
 * well, but no objects, and none of the names that MPI keeps for such tools. Open MPI has objects behind its
 * constants; others have numbers. */
#ifdef OPEN_MPI
#define MPI_OBJECTS(ENTRY)        \
    ENTRY(ompi_mpi_comm_world)    \
    ENTRY(ompi_mpi_comm_null)     \
    ENTRY(ompi_mpi_info_null)     \
    ENTRY(ompi_mpi_errors_return) \
    ENTRY(ompi_mpi_byte)          \
    ENTRY(ompi_mpi_unsigned)      \
    ENTRY(ompi_mpi_uint64_t)      \
    ENTRY(ompi_mpi_2int)          \
    ENTRY(ompi_mpi_op_minloc)
#else
#define MPI_OBJECTS(ENTRY) ENTRY(PMPI_Initialized)
#endif

#define MPI_FUNCTIONS(ENTRY)       \
    ENTRY(MPI_Abort)               \
    ENTRY(MPI_Allgather)           \
    ENTRY(MPI_Allreduce)           \
    ENTRY(MPI_Bcast)               \
    ENTRY(MPI_Comm_free)           \
    ENTRY(MPI_Comm_rank)           \
    ENTRY(MPI_Comm_set_errhandler) \
    ENTRY(MPI_Comm_size)           \
    ENTRY(MPI_Comm_split)          \
    ENTRY(MPI_Comm_split_type)     \
    ENTRY(MPI_Comm_test_inter)     \
    ENTRY(MPI_Error_string)        \
    ENTRY(MPI_Finalize)            \
    ENTRY(MPI_Finalized)           \
    ENTRY(MPI_Get_count)           \
    ENTRY(MPI_Get_library_version) \
    ENTRY(MPI_Ibarrier)            \
    ENTRY(MPI_Improbe)             \
    ENTRY(MPI_Imrecv)              \
    ENTRY(MPI_Init_thread)         \
    ENTRY(MPI_Initialized)         \
    ENTRY(MPI_Irecv)               \
    ENTRY(MPI_Isend)               \
    ENTRY(MPI_Query_thread)        \
    ENTRY(MPI_Test)                \
    ENTRY(MPI_Win_allocate_shared) \
    ENTRY(MPI_Win_free)            \
    ENTRY(MPI_Win_shared_query)

#define MPI_SYMBOLS(ENTRY) MPI_OBJECTS(ENTRY) MPI_FUNCTIONS(ENTRY)

struct mpi_table {
    MPI_SYMBOLS(LIBRARY_MEMBER)
};

#define ompi_mpi_comm_world    (*library.ompi_mpi_comm_world)
#define ompi_mpi_comm_null     (*library.ompi_mpi_comm_null)
#define ompi_mpi_info_null     (*library.ompi_mpi_info_null)
#define ompi_mpi_errors_return (*library.ompi_mpi_errors_return)
#define ompi_mpi_byte          (*library.ompi_mpi_byte)
#define ompi_mpi_unsigned      (*library.ompi_mpi_unsigned)
#define ompi_mpi_uint64_t      (*library.ompi_mpi_uint64_t)
#define ompi_mpi_2int          (*library.ompi_mpi_2int)
#define ompi_mpi_op_minloc     (*library.ompi_mpi_op_minloc)

#endif
