/* SPDX-License-Identifier: BSD-3-Clause */
/** @file status.h  What functions return, and the sentence that goes with a failure. */
#ifndef MPMAP_STATUS_H
#define MPMAP_STATUS_H

#include "api.h"

/** Every status: name, value, and what it says when nothing more is known. `ENTRY(name, value, text)` is expanded
 * once for each. */
#define MPM_STATUS_LIST(ENTRY)                                                \
    ENTRY(OK, 0, "success")                                                   \
    ENTRY(EINVAL, -1, "an argument is not valid")                             \
    ENTRY(ENOMEM, -2, "out of memory")                                        \
    ENTRY(ESTATE, -3, "not possible at this point of the run")                \
    ENTRY(ESYSTEM, -4, "a system call failed")                                \
    ENTRY(EMPI, -5, "an MPI call failed")                                     \
    ENTRY(EBUILD, -6, "the ranks do not run the same program")                \
    ENTRY(EPROTOCOL, -7, "a message from another node is not valid")          \
    ENTRY(EFORKSERVER, -8, "the fork server of a rank is gone")               \
    ENTRY(ENODELOST, -9, "a node is gone")                                    \
    ENTRY(ETASK, -10, "an item failed")                                       \
    ENTRY(EWORKER, -11, "no worker could be started")                         \
    ENTRY(EIO, -12, "a file cannot be read or written")                       \
    ENTRY(EEXIST, -13, "it exists already")                                   \
    ENTRY(ENOENT, -14, "there is no such thing")                              \
    ENTRY(ETYPE, -15, "the type or the shape does not fit")                   \
    ENTRY(ECANCELED, -16, "canceled")                                         \
    ENTRY(ETIMEDOUT, -17, "the time is up")                                   \
    ENTRY(ESTALE, -18, "the object was destroyed")                            \
    ENTRY(EBUSY, -19, "not while it is in use")                               \
    ENTRY(EFULL, -20, "it is full")                                           \
    ENTRY(EEMPTY, -21, "it is empty")                                         \
    ENTRY(ECLOSED, -22, "it is closed")                                       \
    ENTRY(ETOOSMALL, -23, "the buffer is too small")                          \
    ENTRY(EOWNERDIED, -24, "its holder died; the caller has it now")          \
    ENTRY(EPIPE, -25, "the other end is closed or gone")                      \
    ENTRY(EEOF, -26, "the other end is closed or gone, and all was received") \
    ENTRY(EBROKEN, -27, "the barrier is broken")                              \
    ENTRY(EGENERATOR, -28, "the generator failed")                            \
    ENTRY(EINTERRUPTED, -29, "the wait was interrupted by a signal handler")  \
    ENTRY(EDRAINED, -30, "it was drained before all was done")                \
    ENTRY(SERVED, -64, "this rank has served a run, which has ended")

MPM_BEGIN

/** The status of a call: MPM_OK, or a negative value; the names and texts are in MPM_STATUS_LIST. MPM_SERVED, of
 * mpm_init(), is not a failure. */
enum mpm_status {
#define MPM_STATUS_VALUE(name, value, text) MPM_##name = value,
    MPM_STATUS_LIST(MPM_STATUS_VALUE)
#undef MPM_STATUS_VALUE
};

/** The calling thread's last failure as one sentence, with the names and numbers that matter. May be called at any
 * time; never blocks.
 * @return the sentence, valid until this thread's next failing call; "" if nothing has failed yet; never NULL. */
MPM_API const char *mpm_error(void);

/** The name of a status.
 * @param status  what a call has returned
 * @return for example "MPM_EINVAL", a constant; "MPM_E?" if there is no such status. */
MPM_API const char *mpm_status_name(int status);

/** Prints "PROGRAM: SENTENCE" with the calling thread's last failure to stderr; where that has more than one line, as
 * the text of a failed item may, the others are indented. An mpm_init() that fails does so on
 * all ranks; of those that go on, rank 0 prints it, and the others print nothing.
 * @return EXIT_FAILURE (1), so that main can `return mpm_report_error();`. */
MPM_API int mpm_report_error(void);

MPM_END

#endif
