/* SPDX-License-Identifier: BSD-3-Clause */
/* The transport of a run that is one process: nobody to send to, no MPI. Its memory is an anonymous shared
 * mapping: it has no name anywhere, so nothing of it can be left behind. */
#include "net/transport.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "base/error.h"
#include "net/shared_memory.h"

static int solo_start(const char *host, const void *communicator, bool *is_main)
{
    (void)host;
    (void)communicator;
    *is_main = true;
    return MPM_OK;
}

static int solo_open(const struct rank_card *card, struct topology *topology)
{
    unsigned machine = 0;

    return topology_make(card, &machine, 1, 0, topology);
}

static int solo_memory(const struct topology *topology, size_t size, void **memory)
{
    int status = memory_map(size, memory);

    (void)topology;
    if (!status)
        memory_keep(*memory, size);
    return status;
}

static int solo_agree(int status)
{
    return status;
}

static int solo_gather(uint64_t own, uint64_t *all)
{
    all[0] = own;
    return MPM_OK;
}

static int solo_send(unsigned node, void *bytes, size_t size)
{
    free(bytes);
    return error_set(MPM_EINVAL, "there is no node %u to send %zu bytes to", node, size);
}

static bool solo_poll(struct frame *frame)
{
    (void)frame;
    return false;
}

static int solo_send_piece(unsigned node, const void *bytes, size_t size)
{
    (void)bytes;
    return error_set(MPM_EINVAL, "there is no node %u to send %zu bytes to", node, size);
}

static unsigned solo_pieces_left(unsigned node)
{
    (void)node;
    return 0;
}

static int solo_expect_piece(unsigned node, void *bytes, size_t size)
{
    (void)bytes;
    return error_set(MPM_EINVAL, "there is no node %u to get %zu bytes from", node, size);
}

static bool solo_poll_piece(unsigned *node)
{
    (void)node;
    return false;
}

static bool solo_is_busy(void)
{
    return false;
}

static bool solo_is_over(void)
{
    return true;
}

static void solo_close(void)
{
}

static void solo_forget(unsigned node)
{
    (void)node;
}

static bool solo_outlives_ranks(void)
{
    return false;
}

static bool solo_goes_on(void)
{
    return true;
}

static void solo_abort(int exit_code)
{
    _Exit(exit_code);
}

static uint64_t solo_calls(void)
{
    return 0;
}

static const char *solo_version(void)
{
    return "none";
}

const struct transport transport_solo = {
    .name = "solo",
    .start = solo_start,
    .open = solo_open,
    .memory = solo_memory,
    .agree = solo_agree,
    .gather = solo_gather,
    .send = solo_send,
    .poll = solo_poll,
    .send_piece = solo_send_piece,
    .pieces_left = solo_pieces_left,
    .expect_piece = solo_expect_piece,
    .poll_piece = solo_poll_piece,
    .forget = solo_forget,
    .is_busy = solo_is_busy,
    .is_over = solo_is_over,
    .outlives_ranks = solo_outlives_ranks,
    .goes_on = solo_goes_on,
    .close = solo_close,
    .abort = solo_abort,
    .calls = solo_calls,
    .version = solo_version,
};

bool transport_program_has_mpi(void)
{
    int (*initialized)(int *) = NULL;
    int yes = 0;

    *(void **)&initialized = dlsym(RTLD_DEFAULT, "MPI_Initialized");
    return initialized && !initialized(&yes) && yes;
}
