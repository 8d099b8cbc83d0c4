/* SPDX-License-Identifier: BSD-3-Clause */
/* The launcher of a rank that ends without MPI_Finalize. After a node is lost mpirun waits for its daemon there, for a
 * quarter of an hour or for ever, and so do daemons that have lost mpirun. For net/mpi_transport.c and run/. */
#ifndef NET_LAUNCHER_END_H
#define NET_LAUNCHER_END_H

/* Sees that the process that has started this rank ends soon after it: mpirun, or its daemon on this node. It has a
 * moment to end by itself, and to hand on what the rank has printed; then it is ended by signals. A process that is no
 * such launcher (a shell, Slurm's step daemon) is left alone. Does not block. Call it once. */
void launcher_end_after_rank(void);

/* Sees that this process ends within ten seconds, whatever its threads are in then, and whatever the program has said
 * of SIGALRM. */
void launcher_bound_end(void);

#endif
