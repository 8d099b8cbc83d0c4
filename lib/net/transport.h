/* SPDX-License-Identifier: BSD-3-Clause */
/* A transport: how ranks find each other, get memory that they share, and how frames of bytes go from node to
 * node. `mpi` is the real one, `solo` the one of a run that is a single process. For net/ and the layers above it.
 *
 * All is for its owner (see below), but for name, calls and version. start, open, memory, agree, gather and close are
 * collective; send, poll, is_over and those of pieces are the courier's alone (leaders'), after memory and before close.
 * Nothing else blocks. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "net/topology.h"

/* Who may call the transport of this process: one thread at a time, its owner. There is none at first, and while
 * nobody needs it. Who calls open() takes it before, and the courier after that, from when it begins until it has
 * ended; whoever closes it takes it once more. */

/* Nobody is its owner; from here on the calling thread is. */
void transport_take(void);
/* The calling thread is, and is so no longer. */
void transport_give_up(void);
/* Whether the calling thread is. */
bool transport_is_mine(void);

/* A frame that has come. The receiver frees `bytes` with free(). */
struct frame {
    unsigned node; /* that has sent it */
    size_t size;
    void *bytes;
};

struct transport {
    const char *name;
    /* Starts what is below, unless the program has. `host` is the own machine's name, `communicator` the address of the
     * MPI_Comm that the run is to be on; NULL: all ranks. `is_main`: whether this is its first rank. What fails leaves
     * nothing started by it. */
    int (*start)(const char *host, const void *communicator, bool *is_main);
    /* Tells who is there; `card` is the own one. What fails leaves nothing open, on any rank, nor started. */
    int (*open)(const struct rank_card *card, struct topology *topology);
    /* Memory of `size` bytes that all ranks of the own node share, and processes forked later, too; zeroed,
     * and not touched yet. The leader's size counts. Where it is a mapping of its own: memory_keep(). What fails
     * fails on all ranks. */
    int (*memory)(const struct topology *topology, size_t size, void **memory);
    /* All ranks together: 0 if `status` is 0 in all of them, else the first failing rank's, with its
     * sentence, which names the rank and its host if there are several ranks. */
    int (*agree)(int status);
    /* All ranks together: every rank's number, by rank. MPM_EMPI. */
    int (*gather)(uint64_t own, uint64_t *all);
    /* Sends bytes that malloc gave, and frees them when they have left. MPM_EMPI, with the bytes freed. */
    int (*send)(unsigned node, void *bytes, size_t size);
    /* Moves what is under way; true with a frame if one has come. */
    bool (*poll)(struct frame *frame);
    /* Sends a piece of a large message past the frames: it is received by expect_piece() only. `bytes` are read until
     * it has left. In order among the pieces for a node. MPM_EMPI, MPM_ENOMEM. */
    int (*send_piece)(unsigned node, const void *bytes, size_t size);
    /* How many pieces for a node have not left yet, as of the last poll(). */
    unsigned (*pieces_left)(unsigned node);
    /* Where the next piece from a node is to stand: `size` is its size. MPM_EMPI, MPM_ENOMEM. */
    int (*expect_piece)(unsigned node, void *bytes, size_t size);
    /* true with the node if an expected piece has come; of one node in any order. */
    bool (*poll_piece)(unsigned *node);
    /* A node is gone: what was to leave for it, or to come from it, is not waited for any more. What comes from it
     * all the same is handed on, and what is sent to it may leave. */
    void (*forget)(unsigned node);
    /* Bytes of frames are still to leave or to come in, but for nodes that are gone. */
    bool (*is_busy)(void);
    /* Of a leader that sends no more: true when no leader does, and all that was sent has come in. Until then it
     * is called again and again, and polled meanwhile. */
    bool (*is_over)(void);
    /* Whether ranks that are left can go on when others have died: the launcher lets them, and so does MPI. After
     * open(). */
    bool (*outlives_ranks)(void);
    /* Whether the program goes on on every rank after close(), as it has started MPI itself. After start(). */
    bool (*goes_on)(void);
    /* Ends it in good order, all ranks together: MPI as well, unless the program goes on. */
    void (*close)(void);
    /* Ends the whole run at once, without the others. */
    void (*abort)(int exit_code);
    /* How many calls of what is below have begun: on a busy machine many may take long, and what is stuck is in one. */
    uint64_t (*calls)(void);
    /* The version of what is below, a constant. */
    const char *(*version)(void);
};

extern const struct transport transport_mpi, transport_solo;

/* The transport that the launcher calls for: solo where there is none, and no communicator is given. MPM_EINVAL, with
 * what to do, where a launcher has started several processes in a way that they cannot meet. */
int transport_choose(const void *communicator, const struct transport **transport);
/* Whether the program itself has started MPI, which has threads of its own. */
bool transport_program_has_mpi(void);

#endif
