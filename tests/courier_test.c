/* SPDX-License-Identifier: BSD-3-Clause */
/* The courier over a transport that leads back to itself: whatever is posted to a node comes from that node.
 * Messages arrive whole, aligned and in order, many to a frame, and nonsense from outside ends the run. A
 * process can have one courier in its thread token, so each has a child of its own. */
#include <CUnit/CUnit.h>
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread_role.h"
#include "child.h"
#include "net/courier.h"
#include "net/heartbeat.h"
#include "net/look_on.h"
#include "net/wire.h"
#include "object/message.h"
#include "pool/shared/message.h"
#include "process/message.h"
#include "run/message.h"
#include "run/messages.h"
#include "suite.h"

#define NODES      3
#define POSTERS    4
#define MESSAGES   5000u    /* of each poster */
#define BURST      999u     /* none of them large: a frame has room for all */
#define LARGE      1300000u /* goes in pieces */
#define ROOM       256
#define FUZZ_RUNS  600
#define ABORTED    42 /* exit status of a child whose courier ended the run */
#define WHERE_KIND 24 /* in a frame of one message */
#define WHERE_SIZE 32

/* A piece on its way, or a place for one. */
struct piece {
    unsigned node;
    void *bytes;
    size_t size;
};

struct pieces {
    struct piece piece[ROOM];
    unsigned count;
};

/* The transport: frames that have left and not come back yet. Only the courier's thread is here. */
static struct {
    struct frame frames[ROOM];
    unsigned first, count;
    _Atomic unsigned sent;
    unsigned polls, strangers; /* calls, and those of who is not the owner */
    struct pieces sent_pieces, places;
    unsigned piece_polls, piece_pause; /* a piece comes at every so many polls, and one more */
    unsigned most_pieces;              /* under way at once to a node */
    bool is_eager;                     /* pieces leave at once, though they come later */
    const char *watched[3];            /* pieces of LARGE bytes there are counted */
    unsigned watched_pieces[3];
    bool refuse;
    void (*spoil)(struct frame *frame);
} loop;

static int loop_send(unsigned node, void *bytes, size_t size)
{
    struct frame frame = {node, size, bytes};

    if (loop.refuse || loop.count == ROOM) {
        free(bytes);
        return error_set(MPM_EMPI, "the wire is cut");
    }
    if (loop.spoil)
        loop.spoil(&frame);
    loop.frames[(loop.first + loop.count++) % ROOM] = frame;
    atomic_fetch_add(&loop.sent, 1);
    return MPM_OK;
}

/* Every other time there is nothing yet. */
static bool loop_poll(struct frame *frame)
{
    loop.strangers += !transport_is_mine();
    if (++loop.polls % 2 || !loop.count)
        return false;
    *frame = loop.frames[loop.first++ % ROOM];
    loop.count--;
    return true;
}

static unsigned loop_pieces_left(unsigned node)
{
    unsigned count = 0;

    for (unsigned i = 0; !loop.is_eager && i < loop.sent_pieces.count; i++)
        count += loop.sent_pieces.piece[i].node == node;
    return count;
}

static int loop_send_piece(unsigned node, const void *bytes, size_t size)
{
    for (unsigned i = 0; i < 3; i++)
        loop.watched_pieces[i] += loop.watched[i] && (const char *)bytes >= loop.watched[i] &&
                                  (const char *)bytes < loop.watched[i] + LARGE;
    loop.sent_pieces.piece[loop.sent_pieces.count++] = (struct piece){node, memcpy(malloc(size), bytes, size),
                                                                      size};
    if (loop_pieces_left(node) > loop.most_pieces)
        loop.most_pieces = loop_pieces_left(node);
    return MPM_OK;
}

static int loop_expect_piece(unsigned node, void *bytes, size_t size)
{
    loop.places.piece[loop.places.count++] = (struct piece){node, bytes, size};
    return MPM_OK;
}

static struct piece take_piece(struct pieces *pieces, unsigned at)
{
    struct piece piece = pieces->piece[at];

    memmove(&pieces->piece[at], &pieces->piece[at + 1], (--pieces->count - at) * sizeof piece);
    return piece;
}

/* The first place for which a piece has come. */
static bool loop_poll_piece(unsigned *node)
{
    if (loop.piece_polls++ % (loop.piece_pause + 2))
        return false;
    for (unsigned i = 0; i < loop.places.count; i++) {
        for (unsigned j = 0; j < loop.sent_pieces.count; j++) {
            struct piece place, piece;

            if (loop.places.piece[i].node != loop.sent_pieces.piece[j].node)
                continue;
            place = take_piece(&loop.places, i);
            piece = take_piece(&loop.sent_pieces, j);
            assert(place.size == piece.size);
            memcpy(place.bytes, piece.bytes, piece.size);
            free(piece.bytes);
            *node = place.node;
            return true;
        }
    }
    return false;
}

static void loop_forget(unsigned node)
{
    (void)node;
}

static bool loop_is_busy(void)
{
    return loop.count > 0 || loop.sent_pieces.count > 0;
}

static bool loop_is_over(void)
{
    return !loop_is_busy();
}

/* By the owner only. Past _exit(), where ThreadSanitizer would wait a second for what other threads might find yet. */
static void loop_abort(int exit_code)
{
    (void)exit_code;
    syscall(SYS_exit_group, transport_is_mine() ? ABORTED : EXIT_FAILURE);
}

static const struct transport loop_transport = {.name = "loop",
                                                .send = loop_send,
                                                .poll = loop_poll,
                                                .send_piece = loop_send_piece,
                                                .pieces_left = loop_pieces_left,
                                                .expect_piece = loop_expect_piece,
                                                .poll_piece = loop_poll_piece,
                                                .forget = loop_forget,
                                                .is_busy = loop_is_busy,
                                                .is_over = loop_is_over,
                                                .abort = loop_abort};

static struct eventcount doorbell;

static bool start(void)
{
    if (courier_start(&loop_transport, &(struct topology){.node_count = NODES}, &doorbell,
                      messages_rule_of) ||
        !courier_runs())
        return false;
    courier_begin();
    return true;
}

/* A message of a poster. What follows has `size` bytes, each with the number of the message as its lowest
 * byte. */
struct parcel_tag {
    uint32_t poster, number;
    uint64_t size;
};

/* In the courier's thread. */
static unsigned expected[POSTERS], wrong;
static _Atomic unsigned delivered;

static unsigned node_of(unsigned poster)
{
    return 1 + poster % (NODES - 1);
}

static size_t size_of(unsigned number)
{
    return number % 1000 == 999 ? LARGE : number * 7 % 300;
}

static bool is_right(const struct parcel_tag *tag, unsigned node, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)(tag + 1);

    if ((uintptr_t)tag % 8 || size != sizeof *tag + tag->size || node != node_of(tag->poster) ||
        tag->number != expected[tag->poster] || tag->size != size_of(tag->number))
        return false;
    for (size_t i = 0; i < tag->size; i++) {
        if (bytes[i] != (unsigned char)tag->number)
            return false;
    }
    return true;
}

static bool take(unsigned node, const void *payload, size_t size)
{
    const struct parcel_tag *tag = payload;

    wrong += !is_right(tag, node, size);
    expected[tag->poster] = tag->number + 1;
    atomic_fetch_add(&delivered, 1);
    return true;
}

static unsigned ends;

static bool take_end(unsigned node, const void *payload, size_t size)
{
    (void)node;
    (void)payload;
    ends += size == 0;
    return true;
}

/* In two parts, of which the second may be empty. */
static bool post(unsigned poster, unsigned number)
{
    static _Thread_local unsigned char bytes[LARGE];
    struct parcel_tag tag = {poster, number, size_of(number)};
    const struct message_part parts[] = {{&tag, sizeof tag}, {bytes, tag.size}};
    bool posted;

    memset(bytes, (int)number, tag.size);
    posted = courier_post(node_of(poster), MESSAGE_LEASE, parts, 2) == MPM_OK;
    memset(bytes, 0xff, tag.size); /* it was copied */
    return posted;
}

static void *post_many(void *argument)
{
    const unsigned *poster = argument;
    bool posted = true;

    for (unsigned i = 0; i < MESSAGES; i++)
        posted &= post(*poster, i);
    return posted ? argument : NULL;
}

static bool threads_post(void *unused)
{
    static unsigned numbers[POSTERS];
    pthread_t threads[POSTERS];
    bool posted = true;
    void *result;

    (void)unused;
    courier_handle(MESSAGE_LEASE, take);
    courier_handle(MESSAGE_END, take_end);
    if (!start())
        return false;
    for (unsigned i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        posted &= !pthread_create(&threads[i], NULL, post_many, &numbers[i]);
    }
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], &result);
        posted &= result != NULL;
    }
    posted &= courier_post_one(0, MESSAGE_END, NULL, 0) == MPM_OK;
    courier_stop();
    return posted && !courier_runs() && wrong == 0 && delivered == POSTERS * MESSAGES && ends == 1;
}

static void messages_arrive_whole_and_in_order(void)
{
    CU_ASSERT(child_succeeds(threads_post, NULL));
}

/* Holds the courier back until all is posted. */
static _Atomic unsigned all_posted, courier_waits;

static bool wait_for_posts(void)
{
    atomic_store(&courier_waits, 1);
    return !child_reached(&all_posted, 1);
}

static bool burst(void *unused)
{
    bool posted = true;

    (void)unused;
    courier_handle(MESSAGE_LEASE, take);
    courier_add_work(wait_for_posts);
    if (!start() || !child_reached(&courier_waits, 1))
        return false;
    for (unsigned i = 0; i < BURST; i++)
        posted &= post(0, i);
    atomic_store(&all_posted, 1);
    courier_stop();
    return posted && wrong == 0 && delivered == BURST && loop.sent == 1;
}

static void what_has_gathered_leaves_in_one_frame(void)
{
    CU_ASSERT(child_succeeds(burst, NULL));
}

/* Large messages: what passes them, and what does not. Each message says its number. */

#define HUGE_SIZE ((size_t)24 << 20)
#define NUMBERS   16

static uint32_t came[NUMBERS]; /* numbers, in order */
static _Atomic unsigned order_count;

static bool note_number(unsigned node, const void *payload, size_t size)
{
    const unsigned char *bytes = payload;
    uint32_t number;

    if (size < sizeof number || order_count >= NUMBERS)
        return false;
    memcpy(&number, payload, sizeof number);
    for (size_t i = sizeof number; i < size; i++) {
        if (bytes[i] != (unsigned char)(i * 7 + i / PIECE_SIZE + number))
            return false;
    }
    came[order_count] = number + 100 * node;
    atomic_fetch_add(&order_count, 1);
    return true;
}

static bool post_number(unsigned node, uint32_t kind, uint32_t number, size_t size)
{
    unsigned char *bytes = malloc(size);
    bool posted;

    for (size_t i = sizeof number; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + i / PIECE_SIZE + number);
    memcpy(bytes, &number, sizeof number);
    posted = !courier_post_one(node, kind, bytes, size);
    free(bytes);
    return posted;
}

static bool start_numbers(void)
{
    static const uint32_t kinds[] = {MESSAGE_CALL,  MESSAGE_CANCEL, MESSAGE_PROCESS_ENDED, MESSAGE_REPLY,
                                     MESSAGE_LEASE, MESSAGE_RECALL, MESSAGE_POSTED,        MESSAGE_END};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        courier_handle(kinds[i], note_number);
    loop.piece_pause = 3;
    return start();
}

static bool came_as(const uint32_t *wanted, unsigned count)
{
    bool same = order_count == count && !memcmp(came, wanted, count * sizeof *wanted);

    for (unsigned i = 0; !same && i < order_count; i++)
        fprintf(stderr, "%u. came %u, not %u\n", i, came[i], i < count ? wanted[i] : 0);
    return same;
}

static bool pass_a_call(void *unused)
{
    static const uint32_t wanted[] = {100, 102, 103, 104, 107, 209, 101, 105, 106, 108};
    bool posted;

    (void)unused;
    courier_add_work(wait_for_posts);
    if (!start_numbers() || !child_reached(&courier_waits, 1))
        return false;
    posted = post_number(1, MESSAGE_POSTED, 0, 8) && post_number(1, MESSAGE_CALL, 1, HUGE_SIZE) &&
             post_number(1, MESSAGE_CALL, 2, 64) && post_number(1, MESSAGE_REPLY, 3, 64) &&
             post_number(1, MESSAGE_LEASE, 4, 64) && post_number(1, MESSAGE_CANCEL, 5, 64) &&
             post_number(1, MESSAGE_PROCESS_ENDED, 6, 64) && post_number(1, MESSAGE_POSTED, 7, 64) &&
             post_number(1, MESSAGE_END, 8, 64) && post_number(2, MESSAGE_CANCEL, 9, 64);
    atomic_store(&all_posted, 1);
    courier_stop();
    return posted && came_as(wanted, sizeof wanted / sizeof *wanted) && loop.most_pieces > 1 &&
           loop.most_pieces <= 4;
}

static void others_pass_a_large_call_but_what_depends_on_it(void)
{
    CU_ASSERT(child_succeeds(pass_a_call, NULL));
}

/* One after another of a lane, and other lanes wait for none of them. */
static bool keep_lanes(void *unused)
{
    static const uint32_t wanted[] = {105, 106, 101, 102, 103, 104};
    bool posted;

    (void)unused;
    courier_add_work(wait_for_posts);
    if (!start_numbers() || !child_reached(&courier_waits, 1))
        return false;
    posted = post_number(1, MESSAGE_LEASE, 1, HUGE_SIZE) && post_number(1, MESSAGE_LEASE, 2, 64) &&
             post_number(1, MESSAGE_LEASE, 3, HUGE_SIZE / 3) && post_number(1, MESSAGE_RECALL, 4, 64) &&
             post_number(1, MESSAGE_CANCEL, 5, 64) && post_number(1, MESSAGE_REPLY, 6, 64);
    atomic_store(&all_posted, 1);
    courier_stop();
    return posted && came_as(wanted, sizeof wanted / sizeof *wanted);
}

/* A call may pass a large one, but not what was taken back before it. */
static bool follow_a_cancel(void *unused)
{
    static const uint32_t wanted[] = {102, 105, 101, 103, 104};
    bool posted;

    (void)unused;
    courier_add_work(wait_for_posts);
    if (!start_numbers() || !child_reached(&courier_waits, 1))
        return false;
    posted = post_number(1, MESSAGE_CALL, 1, HUGE_SIZE) && post_number(1, MESSAGE_CALL, 2, 64) &&
             post_number(1, MESSAGE_CANCEL, 3, 64) && post_number(1, MESSAGE_CALL, 4, 64) &&
             post_number(1, MESSAGE_REPLY, 5, 64);
    atomic_store(&all_posted, 1);
    courier_stop();
    return posted && came_as(wanted, sizeof wanted / sizeof *wanted);
}

static void no_call_passes_what_was_taken_back_before_it(void)
{
    CU_ASSERT(child_succeeds(follow_a_cancel, NULL));
}

static void a_lane_stays_in_order(void)
{
    CU_ASSERT(child_succeeds(keep_lanes, NULL));
}

/* Lent bodies: one that has its place, one that has none, one that would go in a frame if it was not lent, and one that
 * goes in a frame. */

enum { LENT_PLACED, LENT_GATHERED, LENT_SHORT, LENT_SMALL, LENTS };
#define SHORT_SIZE   65536u
#define SHORT_PIECES 2u /* each is short enough to leave before the other side has a place for it */
static struct {
    unsigned char body[LARGE];
    unsigned came, given_back;
} lent[LENTS];
static unsigned char lent_place[LARGE];

static size_t lent_size(uint64_t number)
{
    return number == LENT_SMALL ? 1000 : number == LENT_SHORT ? SHORT_SIZE : LARGE;
}

static bool is_lent(uint64_t number, const void *body, size_t size)
{
    return number < LENTS && size == lent_size(number) && !memcmp(body, lent[number].body, size);
}

static void *place_lent(unsigned node, const void *head, size_t head_size, size_t body_size)
{
    uint64_t number;

    memcpy(&number, head, sizeof number);
    return node == 1 && head_size == sizeof number && body_size == LARGE && number == LENT_PLACED ? lent_place
                                                                                                  : NULL;
}

static bool take_placed(unsigned node, const void *head, size_t head_size, void *body, size_t body_size)
{
    (void)node;
    (void)head_size;
    lent[LENT_PLACED].came += *(const uint64_t *)head == LENT_PLACED && body == lent_place &&
                              is_lent(LENT_PLACED, body, body_size);
    return true;
}

static bool take_gathered(unsigned node, const void *payload, size_t size)
{
    const uint64_t *number = payload;

    (void)node;
    if (*number < LENTS && *number != LENT_PLACED)
        lent[*number].came += is_lent(*number, number + 1, size - sizeof *number);
    return true;
}

static void give_lent_back(void *owner)
{
    ++*(unsigned *)owner;
}

/* Once, in the courier. */
static bool lend_all(void)
{
    static bool is_done;

    for (uint64_t i = 0; !is_done && i < LENTS; i++) {
        struct message_part head = {&i, sizeof i};
        struct message_body body = {lent[i].body, lent_size(i), give_lent_back, &lent[i].given_back};

        memset(lent[i].body, (int)(i + 1), LARGE);
        lent[i].body[lent_size(i) - 1] = 77;
        if (courier_post_lent(1, MESSAGE_REPLY, &head, 1, &body))
            abort();
    }
    is_done = true;
    return false;
}

static bool lend(void *unused)
{
    static const struct courier_large large = {.place = place_lent, .take = take_placed};
    bool is_right = true;

    (void)unused;
    loop.watched[0] = (const char *)lent[LENT_PLACED].body;
    loop.watched[1] = (const char *)lent[LENT_SHORT].body;
    loop.watched[2] = (const char *)lent[LENT_SMALL].body;
    courier_handle(MESSAGE_REPLY, take_gathered);
    courier_handle_large(MESSAGE_REPLY, &large);
    courier_add_work(lend_all);
    if (!start())
        return false;
    courier_stop();
    for (unsigned i = 0; i < LENTS; i++)
        is_right &= lent[i].came == 1 && lent[i].given_back == 1;
    return is_right && loop.watched_pieces[0] == (LARGE + PIECE_SIZE - 1) / PIECE_SIZE &&
           loop.watched_pieces[1] == SHORT_PIECES && !loop.watched_pieces[2];
}

static void what_is_lent_leaves_from_where_it_is_and_comes_where_it_is_wanted(void)
{
    CU_ASSERT(child_succeeds(lend, NULL));
}

/* Looking on. */

/* So many lively events, after each of which it finds nothing: how many of the looks are long. */
static unsigned look_in_vain(struct look_on *look, unsigned events)
{
    unsigned count = 0;

    for (unsigned i = 0; i < events; i++) {
        look_on_begin(look, true);
        count += look_on_time_ns(look, false) == LOOK_LONG_NS;
        look_on_missed(look);
    }
    return count;
}

static void a_courier_looks_on_for_as_long_as_that_pays(void)
{
    struct look_on look = {0};

    look_on_begin(&look, false);
    CU_ASSERT_EQUAL(look_on_time_ns(&look, false), LOOK_SHORT_NS);
    CU_ASSERT_EQUAL(look_on_time_ns(&look, true), LOOK_BUSY_NS);
    look_on_begin(&look, true);
    CU_ASSERT_EQUAL(look_on_time_ns(&look, false), LOOK_LONG_NS);
    look_on_found(&look, LOOK_LONG_NS / 2);
    for (unsigned i = 0; i < 100; i++) {
        look_on_begin(&look, true);
        CU_ASSERT_EQUAL(look_on_time_ns(&look, false), LOOK_LONG_NS);
        look_on_found(&look, LOOK_LONG_NS);
    }
    CU_ASSERT_EQUAL(look_in_vain(&look, LOOK_LONG_LOOKS), LOOK_LONG_LOOKS);
    CU_ASSERT(look_in_vain(&look, 100 * LOOK_TRIAL) <= 101);
}

static void what_a_short_look_finds_makes_no_look_longer(void)
{
    struct look_on look = {0};

    for (unsigned i = 0; i < 100; i++) {
        look_on_begin(&look, true);
        look_on_found(&look, LOOK_SHORT_NS);
    }
    CU_ASSERT(look_in_vain(&look, 100 * LOOK_TRIAL) <= 101);
}

/* Small messages all the time, while a large one is on its way: each of a lane that it holds comes behind it, though it
 * may be posted when the last piece has left and not come. */
static bool follow_closely(void *is_eager)
{
    loop.is_eager = *(bool *)is_eager;
    if (!start_numbers())
        return false;
    for (uint32_t round = 0; round < 40; round++) {
        order_count = 0;
        if (!post_number(1, MESSAGE_CALL, 1, PIECE_SIZE + 1 + round) || !post_number(1, MESSAGE_CANCEL, 2, 8))
            return false;
        for (unsigned i = 0; i < round % 50; i++)
            sched_yield();
        if (!post_number(1, MESSAGE_PROCESS_ENDED, 3, 8) || !child_reached(&order_count, 3) ||
            !came_as((const uint32_t[]){101, 102, 103}, 3))
            return false;
    }
    courier_stop();
    return true;
}

static void what_follows_a_large_one_comes_behind_it_at_any_moment(void)
{
    CU_ASSERT(child_succeeds(follow_closely, &(bool){false}));
    CU_ASSERT(child_succeeds(follow_closely, &(bool){true}));
}

static _Atomic unsigned looks;

static bool look(void)
{
    atomic_fetch_add(&looks, 1);
    return false;
}

static bool ring_often(void *unused)
{
    bool good;

    (void)unused;
    courier_add_work(look);
    good = start();
    for (unsigned i = 0; good && i < 1000; i++) {
        unsigned before = atomic_load(&looks);

        eventcount_notify(&doorbell);
        /* The look that was under way may have come before the ring, the one after it has not. */
        good = child_reached(&looks, before + 2);
    }
    courier_stop();
    return good;
}

static void the_courier_looks_again_after_every_ring(void)
{
    CU_ASSERT(child_succeeds(ring_often, NULL));
}

static void a_run_of_one_node_has_no_courier(void)
{
    CU_ASSERT_EQUAL(
        courier_start(&loop_transport, &(struct topology){.node_count = 1}, &doorbell, messages_rule_of),
        MPM_OK);
    CU_ASSERT_FALSE(courier_runs());
    courier_stop();
    CU_ASSERT_EQUAL(loop.polls, 0);
}

/* The transport is this thread's until the courier begins, and can be taken again when that has ended. */
static bool hand_over(void *unused)
{
    bool began;

    (void)unused;
    transport_take();
    courier_start(&loop_transport, &(struct topology){.node_count = NODES}, &doorbell, messages_rule_of);
    eventcount_notify(&doorbell);
    transport_give_up();
    courier_begin();
    courier_stop();
    transport_take();
    began = loop.polls > 0 && loop.strangers == 0;
    transport_give_up();
    return began && !transport_is_mine();
}

static bool cancel(void *unused)
{
    (void)unused;
    transport_take();
    courier_start(&loop_transport, &(struct topology){.node_count = NODES}, &doorbell, messages_rule_of);
    eventcount_notify(&doorbell);
    courier_cancel();
    return transport_is_mine() && !courier_runs() && loop.polls == 0;
}

/* A second owner is a fault of the library's, which ends the process. */
static bool take_twice(void *unused)
{
    (void)unused;
    fclose(stderr);
    transport_take();
    transport_take();
    return true;
}

/* So is another thread in what only the courier may do. */
static bool drop_node(void *unused)
{
    (void)unused;
    fclose(stderr);
    courier_drop(1);
    return true;
}

static bool stop_itself(void *unused)
{
    (void)unused;
    fclose(stderr);
    thread_become(THREAD_COURIER);
    courier_stop();
    return true;
}

static bool abort_run(void *unused)
{
    (void)unused;
    start();
    courier_abort(EXIT_FAILURE);
}

static void the_transport_has_one_owner_at_a_time(void)
{
    CU_ASSERT(child_succeeds(hand_over, NULL));
    CU_ASSERT(child_succeeds(cancel, NULL));
    CU_ASSERT_EQUAL(WTERMSIG(child_wait(child_start(take_twice, NULL))), SIGABRT);
    CU_ASSERT_EQUAL(child_wait(child_start(abort_run, NULL)), ABORTED << 8);
}

static void who_may_not_call_is_stopped(void)
{
    CU_ASSERT(thread_is(THREAD_OF_PROGRAM | THREAD_COURIER) && !thread_is(THREAD_COURIER | THREAD_WORKER));
    CU_ASSERT_EQUAL(WTERMSIG(child_wait(child_start(drop_node, NULL))), SIGABRT);
    CU_ASSERT_EQUAL(WTERMSIG(child_wait(child_start(stop_itself, NULL))), SIGABRT);
}

/* Silence, with simulated time: three observers, or one of them alone. */

#define LIMIT_NS UINT64_C(15000000000)
#define LOOK_NS  UINT64_C(50000000)

static struct heartbeat pulse;
static uint64_t clock_ns;

static void pulse_open(unsigned own)
{
    clock_ns = 7 * LIMIT_NS;
    CU_ASSERT_EQUAL(heartbeat_create(&pulse, own, NODES, LIMIT_NS, clock_ns), MPM_OK);
    for (unsigned node = 0; node < NODES; node++) {
        if (own == 0 || node == 0)
            heartbeat_meet(&pulse, node);
    }
}

/* What was found in a time. */
struct findings {
    unsigned beats[NODES], losses[NODES];
};

/* Looks at each step of the clock; what `hears` names is heard at each of them. */
static struct findings look_for(uint64_t time_ns, uint64_t step_ns, unsigned hears)
{
    struct findings found = {0};

    for (uint64_t end_ns = clock_ns + time_ns; clock_ns < end_ns;) {
        clock_ns += step_ns;
        for (unsigned node = 0; node < NODES; node++) {
            if (hears >> node & 1)
                heartbeat_heard(&pulse, node);
        }
        for (unsigned node = heartbeat_look(&pulse, clock_ns) ? 0 : NODES; node < NODES; node++) {
            enum heartbeat_order order;

            while ((order = heartbeat_order(&pulse, node)) == HEARTBEAT_BEAT) {
                found.beats[node]++;
                heartbeat_said(&pulse, node);
            }
            found.losses[node] += order == HEARTBEAT_LOST;
        }
    }
    return found;
}

static void silence_for_the_limit_is_a_loss_and_is_said_once(void)
{
    struct findings found;

    pulse_open(0);
    found = look_for(LIMIT_NS - LIMIT_NS / 10, LOOK_NS, 1u << 2);
    CU_ASSERT_EQUAL(found.losses[1] + found.losses[2], 0);
    found = look_for(LIMIT_NS / 5, LOOK_NS, 1u << 2);
    CU_ASSERT_EQUAL(found.losses[1], 1);
    found = look_for(3 * LIMIT_NS, LOOK_NS, 1u << 2);
    CU_ASSERT_EQUAL(found.losses[1] + found.losses[2] + found.losses[0], 0);
    CU_ASSERT_EQUAL(found.beats[1], 0);
    CU_ASSERT(found.beats[2] > 0);
    heartbeat_destroy(&pulse);
}

static void who_answers_late_is_not_lost(void)
{
    struct findings found;

    pulse_open(0);
    for (unsigned i = 0; i < 10; i++) {
        found = look_for(LIMIT_NS - LIMIT_NS / 10, LOOK_NS, 1u << 2);
        CU_ASSERT_EQUAL(found.losses[1] + found.losses[2], 0);
        heartbeat_heard(&pulse, 1);
    }
    heartbeat_destroy(&pulse);
}

/* Beats go to whoever would get nothing else, in every fifth of the limit. */
static void beats_fill_silence_and_no_more(void)
{
    struct findings found;

    pulse_open(0);
    found = look_for(10 * LIMIT_NS, LOOK_NS, 7);
    CU_ASSERT(found.beats[1] >= 30 && found.beats[1] <= 50);
    CU_ASSERT_EQUAL(found.beats[0], 0);
    for (unsigned i = 0; i < 100; i++) {
        heartbeat_said(&pulse, 1);
        found = look_for(LIMIT_NS / 10, LOOK_NS, 7);
        CU_ASSERT_EQUAL(found.beats[1], 0);
    }
    heartbeat_destroy(&pulse);
}

/* Stopped for an hour, or looking in only now and then: what the others have said lies there to be received. */
static void an_observer_that_was_away_blames_nobody(void)
{
    struct findings found;

    pulse_open(0);
    found = look_for(LIMIT_NS * 8 / 10, LOOK_NS, 0);
    clock_ns += UINT64_C(3600) * 1000000000;
    found = look_for(LOOK_NS, LOOK_NS, 6);
    CU_ASSERT_EQUAL(found.losses[1] + found.losses[2], 0);
    found = look_for(20 * LIMIT_NS, 4 * LIMIT_NS, 0); /* 5 looks */
    CU_ASSERT_EQUAL(found.losses[1] + found.losses[2], 0);
    found = look_for(LIMIT_NS, LOOK_NS, 0);
    CU_ASSERT_EQUAL(found.losses[1] + found.losses[2], 2);
    heartbeat_destroy(&pulse);
}

static void nodes_watch_main_and_whom_they_have_met(void)
{
    struct findings found;

    pulse_open(1);
    CU_ASSERT(heartbeat_watches(&pulse, 0));
    CU_ASSERT_FALSE(heartbeat_watches(&pulse, 2));
    found = look_for(2 * LIMIT_NS, LOOK_NS, 1);
    CU_ASSERT(found.beats[0] > 0);
    CU_ASSERT_EQUAL(found.beats[2] + found.losses[2], 0);
    heartbeat_said(&pulse, 2);
    found = look_for(2 * LIMIT_NS, LOOK_NS, 1);
    CU_ASSERT(found.beats[2] > 0);
    CU_ASSERT_EQUAL(found.losses[2], 1);
    CU_ASSERT_EQUAL(found.losses[0], 0);
    heartbeat_destroy(&pulse);
}

static void who_has_left_may_be_silent(void)
{
    struct findings found;

    pulse_open(0);
    heartbeat_left(&pulse, 1);
    heartbeat_heard(&pulse, 1); /* in the same frame */
    found = look_for(5 * LIMIT_NS, LOOK_NS, 1u << 2);
    CU_ASSERT_EQUAL(found.losses[1] + found.beats[1], 0);
    CU_ASSERT(heartbeat_has_left(&pulse, 1) && heartbeat_knows(&pulse, 1) && !heartbeat_watches(&pulse, 1));
    heartbeat_destroy(&pulse);
}

static void without_a_limit_nobody_is_watched(void)
{
    CU_ASSERT_EQUAL(heartbeat_create(&pulse, 0, NODES, 0, clock_ns = 0), MPM_OK);
    heartbeat_meet(&pulse, 1);
    heartbeat_said(&pulse, 2);
    CU_ASSERT_FALSE(heartbeat_look(&pulse, clock_ns += LIMIT_NS));
    CU_ASSERT_FALSE(heartbeat_watches(&pulse, 1) || heartbeat_watches(&pulse, 2));
    heartbeat_destroy(&pulse);
}

/* The courier with that: what it sends comes back, so all nodes answer; then the wire swallows everything. */
static _Atomic unsigned silent_nodes;
static unsigned lost_nodes;

static void note_lost(unsigned node)
{
    lost_nodes |= 1u << node;
    atomic_fetch_add(&silent_nodes, 1);
}

static void swallow(struct frame *frame)
{
    frame->node = 2;
}

static bool watch_silent_node(void *unused)
{
    (void)unused;
    courier_handle(MESSAGE_END, take_end);
    courier_watch(1000000000, note_lost, NULL);
    loop.spoil = swallow; /* whatever comes, comes from node 2 */
    if (!start() || !child_reached(&silent_nodes, 1))
        return false;
    courier_stop(); /* though the others will never say that they leave */
    return lost_nodes == 1u << 1 && loop.sent > 3;
}

static void a_node_that_says_nothing_is_lost_and_others_are_not(void)
{
    CU_ASSERT(child_succeeds(watch_silent_node, NULL));
}

/* A node that is dropped says something all the same: what goes to node 2 comes from node 1. */
static unsigned heard;
static _Atomic unsigned has_dropped;

static bool hear(unsigned node, const void *payload, size_t size)
{
    (void)payload;
    (void)size;
    heard |= 1u << node;
    return true;
}

static bool drop_one(void)
{
    if (atomic_exchange(&has_dropped, 1))
        return false;
    courier_drop(1);
    courier_drop(1);
    return true;
}

static void come_from_dropped(struct frame *frame)
{
    frame->node = frame->node == 2 ? 1 : frame->node;
}

static bool hear_dropped_node(void *unused)
{
    (void)unused;
    courier_handle(MESSAGE_END, hear);
    courier_watch(0, note_lost, NULL);
    courier_add_work(drop_one);
    loop.spoil = come_from_dropped;
    if (!start() || !child_reached(&has_dropped, 1))
        return false;
    for (unsigned count = 1; count <= 3; count++) {
        if (courier_post_one(1, MESSAGE_END, NULL, 0) || courier_post_one(2, MESSAGE_END, NULL, 0) ||
            !child_reached(&loop.sent, count + 1)) /* one frame, and one word to the dropped node, once */
            return false;
    }
    if (courier_post_one(0, MESSAGE_END, NULL, 0) || !child_reached(&loop.sent, 5))
        return false;
    courier_stop(); /* though the dropped one never leaves */
    return heard == 1u << 0 && loop.sent == 5;
}

static void a_node_that_is_dropped_is_not_heard_and_is_told_once(void)
{
    CU_ASSERT(child_succeeds(hear_dropped_node, NULL));
}

/* Nonsense. Frames of one message of 8 bytes are spoilt on their way; the run must end, not go on with it. */

static void cut_to_nothing(struct frame *frame)
{
    frame->size = 0;
}

static void cut_header(struct frame *frame)
{
    frame->size = 15;
}

static void cut_end(struct frame *frame)
{
    frame->size -= 8;
}

static void spoil_magic(struct frame *frame)
{
    ((unsigned char *)frame->bytes)[0] ^= 1;
}

static void spoil_version(struct frame *frame)
{
    ((unsigned char *)frame->bytes)[4] ^= 2;
}

static void spoil_kind(struct frame *frame)
{
    memcpy((char *)frame->bytes + WHERE_KIND, &(uint32_t){MESSAGE_KINDS}, 4);
}

static void spoil_kind_to_unhandled(struct frame *frame)
{
    memcpy((char *)frame->bytes + WHERE_KIND, &(uint32_t){MESSAGE_RECALL}, 4);
}

static void set_message_size(struct frame *frame, uint64_t size)
{
    memcpy((char *)frame->bytes + WHERE_SIZE, &size, sizeof size);
}

static void enlarge_message(struct frame *frame)
{
    set_message_size(frame, 9);
}

static void enlarge_message_beyond_numbers(struct frame *frame)
{
    set_message_size(frame, UINT64_MAX - 3);
}

static void shrink_message(struct frame *frame)
{
    set_message_size(frame, 0);
}

static bool take_eight(unsigned node, const void *payload, size_t size)
{
    uint64_t number;

    (void)node;
    if (size != sizeof number)
        return false;
    memcpy(&number, payload, sizeof number);
    atomic_fetch_add(&delivered, 1);
    return number == 42;
}

/* true if the courier got through; it does not return where it ends the run. */
static bool post_spoilt(void (*spoil)(struct frame *frame))
{
    uint64_t number = 42;
    bool posted;

    log_open(MPM_LOG_OFF, "");
    courier_handle(MESSAGE_LEASE, take_eight);
    loop.spoil = spoil;
    if (!start())
        return false;
    posted = courier_post_one(1, MESSAGE_LEASE, &number, sizeof number) == MPM_OK;
    courier_stop();
    return posted && delivered == 1;
}

static bool post_one_spoilt(void *argument)
{
    void (**spoil)(struct frame *) = argument;

    return post_spoilt(*spoil);
}

static void nonsense_ends_the_run(void)
{
    static void (*const spoilers[])(struct frame *) = {
        cut_to_nothing,
        cut_header,
        cut_end,
        spoil_magic,
        spoil_version,
        spoil_kind,
        enlarge_message,
        shrink_message,
        spoil_kind_to_unhandled,
        enlarge_message_beyond_numbers,
    };
    void (*none)(struct frame *) = NULL;

    CU_ASSERT(child_succeeds(post_one_spoilt, &none));
    for (size_t i = 0; i < sizeof spoilers / sizeof *spoilers; i++) {
        void (*spoil)(struct frame *) = spoilers[i];
        int wait_status = child_wait(child_start(post_one_spoilt, &spoil));

        if (wait_status != ABORTED << 8)
            fprintf(stderr, "after spoiler %zu the courier ended with status %d\n", i, wait_status);
        CU_ASSERT_EQUAL(wait_status, ABORTED << 8);
    }
}

static unsigned seed;

/* One to four bytes anywhere get any value. The memory ends where the frame does, so that reading on shows.
 */
static void spoil_anything(struct frame *frame)
{
    unsigned count = 1 + (unsigned)rand_r(&seed) % 4;
    void *exact = malloc(frame->size);

    memcpy(exact, frame->bytes, frame->size);
    free(frame->bytes);
    frame->bytes = exact;
    for (unsigned i = 0; i < count; i++)
        ((unsigned char *)exact)[(unsigned)rand_r(&seed) % frame->size] = (unsigned char)rand_r(&seed);
}

static bool post_fuzzed(void *argument)
{
    seed = *(unsigned *)argument;
    return post_spoilt(spoil_anything);
}

static void any_bytes_are_taken_or_end_the_run(void)
{
    unsigned ended = 0, other = 0;

    for (unsigned run = 1; run <= FUZZ_RUNS; run++) {
        int wait_status = child_wait(child_start(post_fuzzed, &run));

        ended += wait_status == ABORTED << 8;
        other += wait_status != ABORTED << 8 && wait_status != 0;
    }
    CU_ASSERT_EQUAL(other, 0);
    CU_ASSERT(ended > FUZZ_RUNS / 2);
}

static bool post_over_cut_wire(void *unused)
{
    (void)unused;
    loop.refuse = true;
    return post_spoilt(NULL);
}

static void a_wire_that_fails_ends_the_run(void)
{
    CU_ASSERT_EQUAL(child_wait(child_start(post_over_cut_wire, NULL)), ABORTED << 8);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"messages_arrive_whole_and_in_order", messages_arrive_whole_and_in_order},
        {"what_has_gathered_leaves_in_one_frame", what_has_gathered_leaves_in_one_frame},
        {"others_pass_a_large_call_but_what_depends_on_it", others_pass_a_large_call_but_what_depends_on_it},
        {"a_lane_stays_in_order", a_lane_stays_in_order},
        {"no_call_passes_what_was_taken_back_before_it", no_call_passes_what_was_taken_back_before_it},
        {"what_follows_a_large_one_comes_behind_it_at_any_moment",
         what_follows_a_large_one_comes_behind_it_at_any_moment},
        {"what_is_lent_leaves_from_where_it_is_and_comes_where_it_is_wanted",
         what_is_lent_leaves_from_where_it_is_and_comes_where_it_is_wanted},
        {"a_courier_looks_on_for_as_long_as_that_pays", a_courier_looks_on_for_as_long_as_that_pays},
        {"what_a_short_look_finds_makes_no_look_longer", what_a_short_look_finds_makes_no_look_longer},
        {"the_courier_looks_again_after_every_ring", the_courier_looks_again_after_every_ring},
        {"a_run_of_one_node_has_no_courier", a_run_of_one_node_has_no_courier},
        {"the_transport_has_one_owner_at_a_time", the_transport_has_one_owner_at_a_time},
        {"who_may_not_call_is_stopped", who_may_not_call_is_stopped},
        {"silence_for_the_limit_is_a_loss_and_is_said_once",
         silence_for_the_limit_is_a_loss_and_is_said_once},
        {"who_answers_late_is_not_lost", who_answers_late_is_not_lost},
        {"beats_fill_silence_and_no_more", beats_fill_silence_and_no_more},
        {"an_observer_that_was_away_blames_nobody", an_observer_that_was_away_blames_nobody},
        {"nodes_watch_main_and_whom_they_have_met", nodes_watch_main_and_whom_they_have_met},
        {"who_has_left_may_be_silent", who_has_left_may_be_silent},
        {"without_a_limit_nobody_is_watched", without_a_limit_nobody_is_watched},
        {"a_node_that_says_nothing_is_lost_and_others_are_not",
         a_node_that_says_nothing_is_lost_and_others_are_not},
        {"a_node_that_is_dropped_is_not_heard_and_is_told_once",
         a_node_that_is_dropped_is_not_heard_and_is_told_once},
        {"nonsense_ends_the_run", nonsense_ends_the_run},
        {"any_bytes_are_taken_or_end_the_run", any_bytes_are_taken_or_end_the_run},
        {"a_wire_that_fails_ends_the_run", a_wire_that_fails_ends_the_run},
    };

    return suite_run("courier", tests, sizeof tests / sizeof *tests);
}
