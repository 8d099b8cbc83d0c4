/* SPDX-License-Identifier: BSD-3-Clause */
/* The MPI transport: the only file that calls MPI, which mpi_open() loads.
 *
 * Only the owner of the transport comes here, which every call of MPI asserts: so MPI_THREAD_SERIALIZED is enough.
 * Frames are matched by MPI_Improbe, and
 * received and sent without blocking; frames of one sender are handed on in the order in which they were
 * sent. One that is under way keeps back what its sender has sent later, and nobody else's: its sender may have died.
 * Pieces of large messages have a tag of their own, so they match the receives that wait for them, in order.
 *
 * Of a rank that has died MPI says nothing: what was to leave for it or to come from it is never done. When the courier
 * knows (forget), these passages are left as they are, with their memory, which MPI may still look at; nobody asks MPI
 * of them any more. */
#include "net/transport.h"

#include <assert.h>
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "net/launcher.h"
#include "net/launcher_end.h"
#include "net/shared_memory.h"
#include "net/mpi_table.h"

#define FRAME_TAG       1
#define PIECE_TAG       2
#define NO_TAG          3 /* nothing has it */
#define SETTLE_LOOKS    8 /* Open MPI looks at its sockets in every so manyth of its looks, at least */
#define WINDOW_OVERHEAD ((size_t)1 << 16) /* what Open MPI puts into a window's file beside the window */

static struct mpi_table loaded;

/* A frame on its way, in or out. */
struct passage {
    struct passage *next;
    MPI_Request request;
    unsigned node;
    size_t size;
    void *bytes; /* its own, but those of a piece */
    bool is_piece;
};

static struct {
    bool is_programs; /* the program has started MPI, and ends it */
    char host[64];
    struct sigaction before; /* of SIGPIPE */
    MPI_Comm given;          /* that the run is to be on */
    MPI_Comm world, machine, leaders;
    MPI_Win window;
    bool has_window;
    struct passage *sending;              /* in no order */
    struct passage *coming, **coming_end; /* in order of arrival */
    struct passage *expected;             /* pieces, in no order */
    unsigned *pieces_left;                /* by node: pieces in `sending` */
    bool *is_behind;                      /* by node: in mpi_poll(), a frame of it has not come whole yet */
    bool *is_gone;                        /* by node: see forget() */
    unsigned node_count;                  /* of the last three, and of the next */
    uint64_t *talked; /* by node: how often MPI had looked when it was last given something */
    uint64_t looks;   /* how often MPI has looked for what is new */
    bool must_settle; /* see let_settle() */
    MPI_Request end;  /* of the leaders' last barrier, if they are at it */
    bool is_at_end;
    char version[MPI_MAX_LIBRARY_VERSION_STRING]; /* anybody may ask for it */
} mpi;

/* What MPI opens by itself later looks for MPI's names in the scope of all. */
static int load_library(void)
{
    static const char *const names[] = {MPI_SYMBOLS(LIBRARY_NAME)};
    static const struct library description = {
        .title = "MPI",
        .soname = MPI_SONAME,
        .path = MPI_PATH,
        .flags = RTLD_NOW | RTLD_GLOBAL,
        .names = names,
        .name_count = sizeof names / sizeof *names,
    };

    return library_load(&description, &loaded);
}

/* The owner of the transport writes it. */
static _Atomic uint64_t calls;

static uint64_t mpi_calls(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

/* MPI, for a call of the owner of the transport. */
static const struct mpi_table *library_of_owner(void)
{
    assert(transport_is_mine());
    atomic_store_explicit(&calls, mpi_calls() + 1, memory_order_relaxed);
    return &loaded;
}

/* In place of a variable, so that no call goes past it. */
#define library (*library_of_owner())

static int mpi_failed(const char *what, int code)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;

    library.MPI_Error_string(code, text, &length);
    return error_set(MPM_EMPI, "%s failed: %.*s", what, length, text);
}

/* Which ranks share memory: by rank, the lowest rank on its machine. */
static int find_machines(unsigned *machine_of)
{
    unsigned lowest;
    int rank, failed;

    library.MPI_Comm_rank(mpi.world, &rank);
    if ((failed = library.MPI_Comm_split_type(mpi.world, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL,
                                              &mpi.machine)))
        return mpi_failed("MPI_Comm_split_type", failed);
    lowest = (unsigned)rank;
    library.MPI_Bcast(&lowest, 1, MPI_UNSIGNED, 0, mpi.machine);
    if ((failed = library.MPI_Allgather(&lowest, 1, MPI_UNSIGNED, machine_of, 1, MPI_UNSIGNED, mpi.world)))
        return mpi_failed("MPI_Allgather", failed);
    return MPM_OK;
}

/* The lowest rank that failed tells all; its sentence is reported by rank 0. */
static int mpi_agree(int status)
{
    struct {
        int ok, rank;
    } own, first;
    struct {
        int status;
        char sentence[1024];
    } verdict = {.status = status};
    int count;

    library.MPI_Comm_rank(mpi.world, &own.rank);
    library.MPI_Comm_size(mpi.world, &count);
    own.ok = !status;
    library.MPI_Allreduce(&own, &first, 1, MPI_2INT, MPI_MINLOC, mpi.world);
    if (first.ok)
        return MPM_OK;
    if (count > 1)
        snprintf(verdict.sentence, sizeof verdict.sentence, "rank %d on %s: %s", first.rank, mpi.host,
                 mpm_error());
    else
        snprintf(verdict.sentence, sizeof verdict.sentence, "%s", mpm_error());
    library.MPI_Bcast(&verdict, sizeof verdict, MPI_BYTE, first.rank, mpi.world);
    error_set(verdict.status, "%s", verdict.sentence);
    if (own.rank)
        error_leave_report();
    return verdict.status;
}

static int gather_topology(const struct rank_card *card, struct topology *topology)
{
    struct rank_card *cards = NULL;
    unsigned *machine_of = NULL;
    int rank, count, status = MPM_OK, failed;

    library.MPI_Comm_rank(mpi.world, &rank);
    library.MPI_Comm_size(mpi.world, &count);
    cards = calloc((size_t)count, sizeof *cards);
    machine_of = calloc((size_t)count, sizeof *machine_of);
    if (!cards || !machine_of)
        status = error_set(MPM_ENOMEM, "no memory for the cards of %d ranks", count);
    if (!(status = mpi_agree(status)) && (failed = library.MPI_Allgather(card, sizeof *card, MPI_BYTE, cards,
                                                                         sizeof *card, MPI_BYTE, mpi.world)))
        status = mpi_failed("MPI_Allgather", failed);
    if (!status && !(status = find_machines(machine_of)))
        status = mpi_agree(topology_make(cards, machine_of, (unsigned)count, (unsigned)rank, topology));
    free(cards);
    free(machine_of);
    return status;
}

/* The first line. MPICH's is "MPICH Version:\t4.0.2". */
static void read_version(void)
{
    static const char label[] = " Version:\t";
    char *text = mpi.version, *found;
    int length = 0;

    library.MPI_Get_library_version(text, &length);
    text[strcspn(text, ",\n")] = 0;
    if ((found = strstr(text, label)))
        memmove(found + 1, found + strlen(label), strlen(found + strlen(label)) + 1);
}

/* MPICH would look for a place that is free in all ranks, page by page, for each window: a second for a gigabyte. */
static void tell_mpich(void)
{
#ifdef MPICH_VERSION
    setenv("MPIR_CVAR_SHM_SYMHEAP_RETRY", "0", 0);
#endif
}

/* Where ranks may die and others go on: Open MPI 4.1 waits for itself, for ever, when a connection breaks in the midst
 * of a large message that it writes into the receiver's memory (btl/tcp closes it under the lock that the last words of
 * such a message need). Then large messages are sent as small ones are. */
static void tell_open_mpi(void)
{
    if (launcher_lets_survivors_live())
        setenv("OMPI_MCA_btl_tcp_flags", "send,inplace", 0);
}

/* A program may have started MPI itself, on all ranks. Who has started it ends it. */
static int start_mpi(const MPI_Comm *communicator)
{
    int started = 0, ended = 0, granted, failed, status;

    tell_mpich();
    tell_open_mpi();
    if ((status = load_library()))
        return status;
    read_version();
    library.MPI_Initialized(&started);
    library.MPI_Finalized(&ended);
    if (ended)
        return error_set(MPM_ESTATE,
                         "MPI was finalized in this process, and cannot be initialized again: a program "
                         "that initializes MPI itself can have several runs before it finalizes it");
    if (communicator && !started)
        return error_set(
            MPM_EINVAL,
            "a communicator is given, but the program has not initialized MPI: call MPI_Init_thread first");
    if (communicator && *communicator == MPI_COMM_NULL)
        return error_set(
            MPM_EINVAL,
            "the communicator to run on is MPI_COMM_NULL: only ranks of the communicator may call mpm_init");
    mpi.is_programs = started;
    if (!started && (failed = library.MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &granted)))
        return mpi_failed("MPI_Init_thread", failed);
    return MPM_OK;
}

/* Ranks that MPI does not know of are found out before anything is done together. */
static int meet(const MPI_Comm *communicator)
{
    struct launcher launcher;
    int count, status;

    launcher_look(&launcher);
    if ((status = start_mpi(communicator)))
        return status;
    library.MPI_Comm_size(MPI_COMM_WORLD, &count);
    if ((status = launcher_check(&launcher, (unsigned)count, mpi.version)) && !mpi.is_programs)
        library.MPI_Finalize();
    return status;
}

static int check_threads(void)
{
    int granted;

    library.MPI_Query_thread(&granted);
    if (granted >= MPI_THREAD_SERIALIZED)
        return MPM_OK;
    if (mpi.is_programs)
        return error_set(MPM_EMPI,
                         "the program has initialized MPI without MPI_THREAD_SERIALIZED, which mpmap needs");
    return error_set(MPM_EMPI, "this MPI does not provide MPI_THREAD_SERIALIZED, which mpmap needs");
}

/* The run's own communicator. Split, as a duplicate would have what the program has said of its own: that nothing is
 * received from any source, for one. */
static int make_world(void)
{
    int is_inter = 0, failed;

    library.MPI_Comm_test_inter(mpi.given, &is_inter);
    if (is_inter)
        return error_set(
            MPM_EINVAL,
            "the communicator to run on is an intercommunicator: it must be an intracommunicator");
    if ((failed = library.MPI_Comm_split(mpi.given, 0, 0, &mpi.world)))
        return mpi_failed("MPI_Comm_split", failed);
    library.MPI_Comm_set_errhandler(mpi.world, MPI_ERRORS_RETURN);
    return MPM_OK;
}

/* Open MPI 4.1 goes on with the ranks that are left, where its mpirun does not end them. */
static bool mpi_outlives_ranks(void)
{
    static const char known[] = "Open MPI v4.";

    return !strncmp(mpi.version, known, strlen(known)) && launcher_lets_survivors_live();
}

/* Where there are more ranks than CPUs, Open MPI gives up the processor in each look that finds nothing. On a busy
 * machine that is for milliseconds, for each other program that wants it: with the looks before a frame (see
 * let_settle()) a node would fall silent. The courier naps by itself. Once MPI has begun, Open MPI 4.1 has no other way
 * to be told. */
static void keep_processor(void)
{
    bool (*set_yield)(bool);

    *(void **)&set_yield = dlsym(RTLD_DEFAULT, "opal_progress_set_yield_when_idle");
    if (set_yield)
        set_yield(false);
}

static int open_world(const struct rank_card *card, struct topology *topology)
{
    const struct rank_info *own;
    int failed, status;

    if ((status = make_world()) || (status = mpi_agree(check_threads())) ||
        (status = gather_topology(card, topology)))
        return status;
    own = &topology->ranks[topology->rank];
    if ((failed = library.MPI_Comm_split(mpi.world, own->rank_in_node ? MPI_UNDEFINED : 0,
                                         (int)topology->node, &mpi.leaders)))
        return mpi_failed("MPI_Comm_split", failed);
    if (mpi.leaders != MPI_COMM_NULL)
        library.MPI_Comm_set_errhandler(mpi.leaders, MPI_ERRORS_RETURN);
    status = MPM_OK;
    mpi.pieces_left = calloc(topology->node_count, sizeof *mpi.pieces_left);
    mpi.is_behind = calloc(topology->node_count, sizeof *mpi.is_behind);
    mpi.is_gone = calloc(topology->node_count, sizeof *mpi.is_gone);
    mpi.talked = calloc(topology->node_count, sizeof *mpi.talked);
    mpi.looks = SETTLE_LOOKS;
    mpi.node_count = topology->node_count;
    if ((mpi.must_settle = mpi_outlives_ranks()))
        keep_processor();
    if (!mpi.pieces_left || !mpi.is_behind || !mpi.is_gone || !mpi.talked)
        status = error_set(MPM_ENOMEM, "no memory for what is under way to %u nodes", topology->node_count);
    return mpi_agree(status);
}

/* A send to a rank that is gone would kill this one. */
static void ignore_broken_connections(void)
{
    sigaction(SIGPIPE, NULL, &mpi.before);
    signal(SIGPIPE, SIG_IGN);
}

/* What a rank finds before it can meet the others. */
static int say_where(int status, const char *host)
{
    char sentence[1024];

    snprintf(sentence, sizeof sentence, "%s", mpm_error());
    return error_set(status, "on %s: %s", host, sentence);
}

static void mpi_close(void);

static int mpi_start(const char *host, const void *communicator, bool *is_main)
{
    const MPI_Comm *given = communicator;
    int status, rank;

    if ((status = meet(given)))
        return say_where(status, host);
    ignore_broken_connections();
    mpi.given = given ? *given : MPI_COMM_WORLD;
    mpi.world = mpi.machine = mpi.leaders = MPI_COMM_NULL;
    mpi.coming_end = &mpi.coming;
    snprintf(mpi.host, sizeof mpi.host, "%s", host);
    library.MPI_Comm_rank(mpi.given, &rank);
    *is_main = !rank;
    return MPM_OK;
}

static int mpi_open(const struct rank_card *card, struct topology *topology)
{
    int status = open_world(card, topology);

    if (status) {
        topology_free(topology);
        mpi_close();
    }
    return status;
}

/* The ways out: an arena that fits there, if any does, or arenas of single ranks, which stand elsewhere. */
static int say_no_room(size_t size, uint64_t free_bytes)
{
    uint64_t fits = free_bytes > WINDOW_OVERHEAD ? (free_bytes - WINDOW_OVERHEAD) >> 20 : 0;
    char advice[64] = "";

    if (fits)
        snprintf(advice, sizeof advice, "MPMAP_ARENA to %lluM or less, or ", (unsigned long long)fits);
    return error_set(MPM_ENOMEM,
                     "an arena of %zu bytes does not fit into /dev/shm, which has %llu free: set %s"
                     "MPMAP_RANKS_PER_NODE to 1, which gives each rank its own arena outside /dev/shm",
                     size, (unsigned long long)free_bytes, advice);
}

/* Open MPI puts windows into /dev/shm, as files that take room only as they are touched. */
static int check_room(size_t size)
{
    struct statvfs shm;
    uint64_t free_bytes;

    if (statvfs("/dev/shm", &shm))
        return MPM_OK; /* it will stand elsewhere */
    free_bytes = (uint64_t)shm.f_bavail * shm.f_frsize;
    return size + WINDOW_OVERHEAD <= free_bytes ? MPM_OK : say_no_room(size, free_bytes);
}

/* A rank may be limited in its addresses. */
static int check_addresses(size_t size)
{
    void *memory = NULL;
    int status = memory_map(size, &memory);

    if (!status)
        munmap(memory, size);
    return status;
}

/* Where a window cannot be had on one rank, that one fails in Open MPI, and the others wait for it without end.
 * So that is found out before, on every rank of the node. */
static int check_window(const struct rank_info *own, size_t size)
{
    int status;

    if (!own->rank_in_node && (status = check_room(size)))
        return status;
    return check_addresses(size);
}

/* Another mapping of shared memory. MPI unmaps its window when that is freed, and threads of main may be in a call
 * still: what they use stays. Where there are no addresses for it, the window has to do. */
static void *map_again(void *memory, size_t size)
{
    void *again = mremap(memory, 0, size, MREMAP_MAYMOVE);

    if (again == MAP_FAILED)
        return memory;
    memory_keep(again, size);
    return again;
}

static int make_window(size_t size, unsigned rank_in_node, MPI_Comm node, void **memory)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    MPI_Aint bytes;
    void *base;
    int unit;

    library.MPI_Comm_set_errhandler(node, MPI_ERRORS_RETURN);
    if (library.MPI_Win_allocate_shared(rank_in_node ? 0 : (MPI_Aint)(size + page), 1, MPI_INFO_NULL, node,
                                        &base, &mpi.window))
        return error_set(
            MPM_ENOMEM,
            "MPI_Win_allocate_shared cannot make an arena of %zu bytes: set MPMAP_RANKS_PER_NODE to 1, by "
            "which each rank gets its own arena, not from MPI",
            size);
    mpi.has_window = true;
    library.MPI_Win_shared_query(mpi.window, 0, &bytes, &unit, &base);
    base = (void *)(((uintptr_t)base + page - 1) / page * page);
    *memory = map_again(base, size);
    memory_leave_out_of_dumps(base, size);
    memory_leave_out_of_dumps(*memory, size);
    return MPM_OK;
}

/* A window of MPI for two ranks and more. What Open MPI gives a single rank is private memory. What it gives
 * several begins somewhere in a page, at the same place of it in all of them: the arena begins with the next.
 */
static int mpi_memory(const struct topology *topology, size_t size, void **memory)
{
    const struct rank_info *own = &topology->ranks[topology->rank];
    bool is_shared = topology->nodes[own->node].ranks > 1;
    uint64_t wanted = size;
    MPI_Comm node;
    int status;

    library.MPI_Comm_split(mpi.machine, (int)own->node, (int)own->rank_in_node, &node);
    library.MPI_Bcast(&wanted, 1, MPI_UINT64_T, 0, node);
    if ((status = mpi_agree(is_shared ? check_window(own, wanted) : MPM_OK))) {
        library.MPI_Comm_free(&node);
        return status;
    }
    if (is_shared)
        status = make_window(wanted, own->rank_in_node, node, memory);
    else if (!(status = memory_map(wanted, memory)))
        memory_keep(*memory, wanted);
    library.MPI_Comm_free(&node);
    return mpi_agree(status);
}

static int mpi_gather(uint64_t own, uint64_t *all)
{
    int failed = library.MPI_Allgather(&own, 1, MPI_UINT64_T, all, 1, MPI_UINT64_T, mpi.world);

    return failed ? mpi_failed("MPI_Allgather", failed) : MPM_OK;
}

static bool look_for(int tag, MPI_Message *message, MPI_Status *from)
{
    int there = 0;

    return !library.MPI_Improbe(MPI_ANY_SOURCE, tag, mpi.leaders, &there, message, from) && there;
}

/* Before MPI is given anything that may make it talk to a node.
 *
 * When a write fails at once, since the other rank has just died, Open MPI 4.1 closes the connection, and then waits
 * until the closed socket can be written to (mca_btl_tcp_endpoint_send). The next look at its sockets takes that back.
 * But what it is to send before that look opens a new connection in the same place, the list of those who wait becomes
 * a ring, and the look after it never ends, or complains of an "invalid connection state" for ever. So between any two
 * talks there is a look at its sockets. While few are open that is only one in eight of its looks. */
static void let_settle(unsigned node)
{
    MPI_Message message;
    MPI_Status from;

    if (!mpi.must_settle)
        return;
    for (; mpi.looks - mpi.talked[node] < SETTLE_LOOKS; mpi.looks++)
        look_for(NO_TAG, &message, &from);
    mpi.talked[node] = mpi.looks;
}

static int mpi_send(unsigned node, void *bytes, size_t size)
{
    struct passage *passage = malloc(sizeof *passage);
    int failed;

    if (!passage || size > INT_MAX) {
        free(passage);
        free(bytes);
        return passage ? error_set(MPM_EMPI, "a frame of %zu bytes exceeds what MPI can send", size)
                       : error_set(MPM_ENOMEM, "no memory for a frame to node %u", node);
    }
    *passage = (struct passage){.next = mpi.sending, .node = node, .size = size, .bytes = bytes};
    let_settle(node);
    if ((failed = library.MPI_Isend(bytes, (int)size, MPI_BYTE, (int)node, FRAME_TAG, mpi.leaders,
                                    &passage->request))) {
        free(bytes);
        free(passage);
        return mpi_failed("MPI_Isend", failed);
    }
    mpi.sending = passage;
    return MPM_OK;
}

static bool has_completed(struct passage *passage)
{
    int completed = 0;

    return library.MPI_Test(&passage->request, &completed, MPI_STATUS_IGNORE) || completed;
}

static void forget_sent(void)
{
    for (struct passage **at = &mpi.sending, *passage; (passage = *at);) {
        if (has_completed(passage)) {
            *at = passage->next;
            if (passage->is_piece)
                mpi.pieces_left[passage->node]--;
            else
                free(passage->bytes);
            free(passage);
        } else {
            at = &passage->next;
        }
    }
}

/* Starts to receive a frame that has arrived, if there is one. */
static void accept_next(void)
{
    struct passage *passage;
    MPI_Message message;
    MPI_Status from;
    int size = 0;

    if (!look_for(FRAME_TAG, &message, &from)) {
        mpi.looks++;
        return;
    }
    library.MPI_Get_count(&from, MPI_BYTE, &size);
    passage = calloc(1, sizeof *passage);
    if (!passage || !(passage->bytes = malloc(size ? (size_t)size : 1))) {
        log_write(MPM_LOG_ERROR, "no memory for a frame of %d bytes from node %d: the run ends", size,
                  from.MPI_SOURCE);
        library.MPI_Abort(mpi.world, EXIT_FAILURE);
        _Exit(EXIT_FAILURE); /* MPI_Abort does not return, but says nothing of it */
    }
    passage->node = (unsigned)from.MPI_SOURCE;
    passage->size = (size_t)size;
    let_settle(passage->node); /* MPI may reply */
    library.MPI_Imrecv(passage->bytes, size, MPI_BYTE, &message, &passage->request);
    *mpi.coming_end = passage;
    mpi.coming_end = &passage->next;
}

/* The oldest frame that has come whole, and all that its sender has sent before it; NULL if there is none. */
static struct passage **find_come(void)
{
    if (mpi.coming)
        memset(mpi.is_behind, 0, mpi.node_count * sizeof *mpi.is_behind);
    for (struct passage **at = &mpi.coming, *passage; (passage = *at); at = &passage->next) {
        if (!mpi.is_behind[passage->node] && has_completed(passage))
            return at;
        mpi.is_behind[passage->node] = true;
    }
    return NULL;
}

static bool mpi_poll(struct frame *frame)
{
    struct passage **at, *come;

    forget_sent();
    accept_next();
    if (!(at = find_come()))
        return false;
    come = *at;
    if (!(*at = come->next))
        mpi.coming_end = at;
    *frame = (struct frame){.node = come->node, .size = come->size, .bytes = come->bytes};
    free(come);
    return true;
}

static struct passage *piece_create(unsigned node, size_t size, struct passage *next)
{
    struct passage *passage = malloc(sizeof *passage);

    if (passage)
        *passage = (struct passage){.next = next, .node = node, .size = size, .is_piece = true};
    else
        error_set(MPM_ENOMEM, "no memory for a piece of a message");
    return passage;
}

static int mpi_send_piece(unsigned node, const void *bytes, size_t size)
{
    struct passage *passage = piece_create(node, size, mpi.sending);
    int failed;

    if (!passage)
        return MPM_ENOMEM;
    let_settle(node);
    if ((failed = library.MPI_Isend(bytes, (int)size, MPI_BYTE, (int)node, PIECE_TAG, mpi.leaders,
                                    &passage->request))) {
        free(passage);
        return mpi_failed("MPI_Isend", failed);
    }
    mpi.sending = passage;
    mpi.pieces_left[node]++;
    return MPM_OK;
}

static unsigned mpi_pieces_left(unsigned node)
{
    return mpi.pieces_left[node];
}

static int mpi_expect_piece(unsigned node, void *bytes, size_t size)
{
    struct passage *passage = piece_create(node, size, mpi.expected);
    int failed;

    if (!passage)
        return MPM_ENOMEM;
    let_settle(node); /* MPI may reply to a piece that is there */
    if ((failed = library.MPI_Irecv(bytes, (int)size, MPI_BYTE, (int)node, PIECE_TAG, mpi.leaders,
                                    &passage->request))) {
        free(passage);
        return mpi_failed("MPI_Irecv", failed);
    }
    mpi.expected = passage;
    return MPM_OK;
}

static bool mpi_poll_piece(unsigned *node)
{
    for (struct passage **at = &mpi.expected, *passage; (passage = *at); at = &passage->next) {
        if (!has_completed(passage))
            continue;
        *node = passage->node;
        *at = passage->next;
        free(passage);
        return true;
    }
    return false;
}

/* What MPI may still read or write stays where it is for good. */
static void leave_passages(struct passage **at, unsigned node)
{
    for (struct passage *passage; (passage = *at);) {
        if (passage->node == node)
            *at = passage->next;
        else
            at = &passage->next;
    }
}

static void mpi_forget(unsigned node)
{
    assert(transport_is_mine());
    mpi.is_gone[node] = true;
    leave_passages(&mpi.sending, node);
    leave_passages(&mpi.expected, node);
    leave_passages(&mpi.coming, node);
    for (mpi.coming_end = &mpi.coming; *mpi.coming_end;)
        mpi.coming_end = &(*mpi.coming_end)->next;
    mpi.pieces_left[node] = 0;
}

static bool any_of_the_living(const struct passage *first)
{
    while (first && mpi.is_gone[first->node])
        first = first->next;
    return first;
}

static bool mpi_is_busy(void)
{
    assert(transport_is_mine());
    return any_of_the_living(mpi.sending) || any_of_the_living(mpi.coming) || any_of_the_living(mpi.expected);
}

/* All leaders come to the barrier when what they have sent has left, and receive until all are there. */
static bool mpi_is_over(void)
{
    int all_are_there = 0;

    if (mpi_is_busy())
        return false;
    if (!mpi.is_at_end && library.MPI_Ibarrier(mpi.leaders, &mpi.end))
        return true;
    mpi.is_at_end = true;
    return library.MPI_Test(&mpi.end, &all_are_there, MPI_STATUS_IGNORE) || all_are_there;
}

static bool mpi_goes_on(void)
{
    return mpi.is_programs;
}

static void free_communicator(MPI_Comm *communicator)
{
    if (*communicator != MPI_COMM_NULL)
        library.MPI_Comm_free(communicator);
}

/* What the program has said of SIGPIPE holds again, unless it has said something else since. */
static void restore_signals(void)
{
    struct sigaction now;

    if (!sigaction(SIGPIPE, NULL, &now) && now.sa_handler == SIG_IGN)
        sigaction(SIGPIPE, &mpi.before, NULL);
}

static void mpi_close(void)
{
    if (mpi.has_window)
        library.MPI_Win_free(&mpi.window);
    mpi.has_window = mpi.is_at_end = false;
    free_communicator(&mpi.leaders);
    free_communicator(&mpi.machine);
    free_communicator(&mpi.world);
    free(mpi.pieces_left);
    free(mpi.is_behind);
    free(mpi.is_gone);
    free(mpi.talked);
    mpi.pieces_left = NULL;
    mpi.talked = NULL;
    mpi.is_behind = mpi.is_gone = NULL;
    if (!mpi.is_programs)
        library.MPI_Finalize();
    restore_signals();
}

/* With a node lost MPI_Abort may wait for it for ever. */
static void mpi_abort(int exit_code)
{
    launcher_bound_end();
    library.MPI_Abort(mpi.world, exit_code);
    _Exit(exit_code);
}

static const char *mpi_version(void)
{
    return mpi.version;
}

const struct transport transport_mpi = {
    .name = "mpi",
    .start = mpi_start,
    .open = mpi_open,
    .memory = mpi_memory,
    .agree = mpi_agree,
    .gather = mpi_gather,
    .send = mpi_send,
    .poll = mpi_poll,
    .send_piece = mpi_send_piece,
    .pieces_left = mpi_pieces_left,
    .expect_piece = mpi_expect_piece,
    .poll_piece = mpi_poll_piece,
    .forget = mpi_forget,
    .is_busy = mpi_is_busy,
    .is_over = mpi_is_over,
    .outlives_ranks = mpi_outlives_ranks,
    .goes_on = mpi_goes_on,
    .close = mpi_close,
    .abort = mpi_abort,
    .calls = mpi_calls,
    .version = mpi_version,
};
