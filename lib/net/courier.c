/* SPDX-License-Identifier: BSD-3-Clause */
/* The courier. Its outbox is the only thing that other threads touch: for each node a list of buffers and one of large
 * messages, under one mutex; each buffer is a frame in the making, and a message that does not fit into the last one
 * begins another.
 *
 * A frame is a header, then messages, each a header and a payload, all of them padded to 8 bytes.
 *
 * Order. Messages for one node are in order, but that a large one goes in pieces (wire.h), and others pass it. Which
 * may is said by the rules that courier_start() is given (run/messages.h); those that may not go the same way, behind
 * it. A large message comes behind what was posted before it, since it is announced by a frame; and a frame says how
 * many large ones had left before it, so the other side opens it behind those, though the last piece may have come a
 * moment later than the frame. */
#include "net/courier.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread_role.h"
#include "forkserver/own_thread.h"
#include "net/heartbeat.h"
#include "net/look_on.h"
#include "net/wire.h"
#include "shm/kill_point.h"

#define FRAME_MAGIC   0x4d50464du
#define FRAME_VERSION 3u
#define FRAME_SIZE    ((size_t)256 << 10) /* messages are gathered up to this; a larger one goes alone, */
#define WHOLE_SIZE    PIECE_SIZE          /* and one larger than that in pieces, */
#define LEND_SIZE     ((size_t)32 << 10)  /* as one that is lent and has that many does: two copies less */

#define NAP_MIN_NS     50000u /* after a look it naps, longer and longer */
#define TIMER_SLACK_NS 1000u /* and no longer than that: the kernel adds 50 us to each where it is not told */
#define LIVELY_NS      5000000u /* but not before so long after a call, since another often follows */
#define NAP_BUSY_NS    100000u  /* up to this while bytes are under way */
#define NAP_MAX_NS     1000000u /* and up to this while they are not */
#define SLEEP_PART     50u      /* in a silence of so many of those it sleeps for a part of the silence */

#define FLUSH_NS \
    UINT64_C(500000000) /* how long what was posted may take to leave when the run ends with a loss */

#define MAX_WORK   8
#define LENT_PARTS 4u                 /* of the head of a lent message */
#define HEAD_LIMIT ((size_t)64 << 10) /* bytes of one that comes: more makes no sense */

struct frame_header {
    uint32_t magic;
    uint32_t version;
    uint64_t size;   /* of the frame, this header included */
    uint64_t behind; /* how many large messages go before it, of all */
};

struct message_header {
    uint32_t kind;
    uint32_t reserved;
    uint64_t size; /* of the payload, without padding */
};

/* A frame in the making. */
struct parcel {
    struct parcel *next;
    size_t size, room;
    char *bytes;
};

struct outbox {
    struct parcel *first, *last;
    struct large_message *large, **large_end;
    unsigned under_way[MESSAGE_LANES]; /* those in `large`, or on the wire */
};

/* How a node stands. */
enum presence {
    PRESENT,
    DROPPED, /* the run goes on without it */
    REFUSED, /* the same, and it was told */
};

/* A frame that has come before a large message that it goes behind, or behind such a frame. */
struct held {
    struct held *next;
    struct frame frame;
};

/* What it is to do. */
enum order {
    ORDER_CARRY,
    ORDER_STOP,    /* end when all nodes are as far */
    ORDER_ABANDON, /* end without the others, after a moment */
    ORDER_ABORT,
};

static struct {
    const struct transport *transport;
    struct eventcount *doorbell;
    unsigned node, node_count;
    pthread_t thread;
    bool runs;
    sem_t gate;        /* its thread waits here until it may begin, */
    bool is_cancelled; /* or has nothing to do: written before the gate is opened */
    _Atomic enum order order;
    int exit_code;                    /* written before ORDER_ABORT */
    pthread_mutex_t mutex;            /* guards the outboxes */
    struct outbox *outbox;            /* by node */
    _Atomic uint64_t lively_until_ns; /* any thread sets it, before it posts: the mutex orders that */
    _Atomic bool has_mail;            /* something may be in an outbox: set after it was put there */
    message_rule_of *rule_of;
    courier_handler *handler[MESSAGE_KINDS];
    const struct courier_large *large[MESSAGE_KINDS];
    courier_work *work[MAX_WORK];
    unsigned work_count;
    void (*before_post)(unsigned node, uint32_t kind);
    struct heartbeat heartbeat; /* its own, but before it starts */
    uint64_t limit_ns;
    void (*lost)(unsigned node);
    void (*expelled)(void);
    enum presence *presence;       /* by node: its own */
    bool has_news;                 /* what came was not beats only: its own */
    bool has_lost;                 /* a node: its own */
    bool has_left;                 /* it has told the others that it says no more: its own */
    struct held *held, **held_end; /* in order of arrival: its own */
    uint64_t left_ns;              /* when, in awake time */
    uint64_t flush_until_ns;       /* 0: it does not end with a loss yet */
} courier = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void courier_forget(void)
{
    assert(!courier.runs);
    memset(courier.handler, 0, sizeof courier.handler);
    memset(courier.large, 0, sizeof courier.large);
    courier.work_count = 0;
    courier.before_post = NULL;
    atomic_store(&courier.lively_until_ns, 0);
    atomic_store(&courier.has_mail, false);
}

void courier_handle(uint32_t kind, courier_handler *handler)
{
    assert(kind < MESSAGE_KINDS);
    courier.handler[kind] = handler;
}

void courier_handle_large(uint32_t kind, const struct courier_large *large)
{
    assert(kind < MESSAGE_KINDS && courier.handler[kind]);
    courier.large[kind] = large;
}

void courier_add_work(courier_work *work)
{
    assert(courier.work_count < MAX_WORK);
    courier.work[courier.work_count++] = work;
}

void courier_before_post(void (*before)(unsigned node, uint32_t kind))
{
    courier.before_post = before;
}

void courier_watch(uint64_t limit_ns, void (*lost)(unsigned node), void (*expelled)(void))
{
    courier.limit_ns = limit_ns;
    courier.lost = lost;
    courier.expelled = expelled;
}

void courier_be_lively(void)
{
    atomic_store_explicit(&courier.lively_until_ns, clock_now_ns() + LIVELY_NS, memory_order_relaxed);
}

/* The outbox. */

static struct parcel *parcel_create(size_t room)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (!parcel || !(parcel->bytes = malloc(room))) {
        free(parcel);
        return NULL;
    }
    memory_expect_all(parcel->bytes, room);
    parcel->room = room;
    parcel->size = sizeof(struct frame_header);
    return parcel;
}

/* A frame with room for `size` bytes more, at the end of the outbox; NULL if there is no memory. */
static struct parcel *frame_with_room(struct outbox *outbox, size_t size)
{
    size_t room = sizeof(struct frame_header) + size;
    struct parcel *parcel = outbox->last;

    if (parcel && parcel->room - parcel->size >= size)
        return parcel;
    if (!(parcel = parcel_create(room > FRAME_SIZE ? room : FRAME_SIZE)))
        return NULL;
    if (outbox->last)
        outbox->last->next = parcel;
    else
        outbox->first = parcel;
    return outbox->last = parcel;
}

static char *pack_parts(char *to, const struct message_part *parts, size_t part_count)
{
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size)
            memcpy(to, parts[i].bytes, parts[i].size);
        to += parts[i].size;
    }
    return to;
}

static size_t size_of(const struct message_part *parts, size_t part_count)
{
    size_t size = 0;

    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    return size;
}

static void pack(struct parcel *parcel, uint32_t kind, const struct message_part *parts, size_t part_count,
                 size_t payload)
{
    struct message_header header = {.kind = kind, .size = payload};
    char *to = parcel->bytes + parcel->size;

    memcpy(to, &header, sizeof header);
    to = pack_parts(to + sizeof header, parts, part_count);
    memset(to, 0, message_padded(payload) - payload);
    parcel->size += sizeof header + message_padded(payload);
}

/* Whether one of a kind goes behind large ones that have not left yet. */
static bool waits_for_large(const struct outbox *outbox, uint32_t kind)
{
    unsigned before = courier.rule_of(kind)->waits_for;

    for (unsigned lane = 0; lane < MESSAGE_LANES; lane++) {
        if (outbox->under_way[lane] && before >> lane & 1)
            return true;
    }
    return false;
}

static struct large_message *large_create(uint32_t kind, const struct message_part *head, size_t part_count)
{
    size_t size = size_of(head, part_count);
    struct large_message *large = calloc(1, sizeof *large + size);

    if (!large)
        return NULL;
    large->kind = kind;
    large->lane = courier.rule_of(kind)->lane;
    large->head_size = size;
    pack_parts(large->head, head, part_count);
    return large;
}

/* With a body of its own, which is all of it. */
static struct large_message *large_copy(uint32_t kind, const struct message_part *parts, size_t part_count,
                                        size_t payload)
{
    struct large_message *large = large_create(kind, NULL, 0);
    char *bytes = large ? malloc(payload ? payload : 1) : NULL;

    if (!bytes) {
        free(large);
        return NULL;
    }
    memory_expect_all(bytes, payload);
    pack_parts(bytes, parts, part_count);
    large->body = (struct message_body){bytes, payload, free, bytes};
    return large;
}

/* Under the mutex. */
static void put_large(struct outbox *outbox, struct large_message *large)
{
    outbox->under_way[large->lane]++;
    *outbox->large_end = large;
    outbox->large_end = &large->next;
}

/* Under the mutex: one that is not large, but may have to go behind one that is. */
static bool put_small(struct outbox *outbox, uint32_t kind, const struct message_part *parts,
                      size_t part_count, size_t payload)
{
    struct large_message *large;
    struct parcel *parcel;

    if (!waits_for_large(outbox, kind)) {
        if ((parcel = frame_with_room(outbox, sizeof(struct message_header) + message_padded(payload))))
            pack(parcel, kind, parts, part_count, payload);
        return parcel;
    }
    if ((large = large_copy(kind, parts, part_count, payload)))
        put_large(outbox, large);
    return large;
}

static int no_memory(unsigned node, size_t payload)
{
    return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes to node %u", payload, node);
}

static void ring_courier(void)
{
    DELAY_POINT();
    atomic_store(&courier.has_mail, true);
    eventcount_notify(courier.doorbell);
}

static void go_before(unsigned node, uint32_t kind)
{
    assert(courier.runs && node < courier.node_count && courier.rule_of(kind));
    if (courier.before_post)
        courier.before_post(node, kind);
}

static bool is_large(uint32_t kind, size_t payload)
{
    return payload > WHOLE_SIZE && !courier.rule_of(kind)->is_never_large;
}

bool courier_would_lend(size_t body_size)
{
    return body_size >= LEND_SIZE;
}

/* A large one is copied before others have to wait for the mutex. */
int courier_post(unsigned node, uint32_t kind, const struct message_part *parts, size_t part_count)
{
    size_t payload = size_of(parts, part_count);
    struct large_message *large = NULL;
    bool is_put = true;

    go_before(node, kind);
    if (is_large(kind, payload) && !(large = large_copy(kind, parts, part_count, payload)))
        return no_memory(node, payload);
    pthread_mutex_lock(&courier.mutex);
    if (large)
        put_large(&courier.outbox[node], large);
    else
        is_put = put_small(&courier.outbox[node], kind, parts, part_count, payload);
    pthread_mutex_unlock(&courier.mutex);
    ring_courier();
    return is_put ? MPM_OK : no_memory(node, payload);
}

/* One that is not large goes as any other. */
static int post_copied(unsigned node, uint32_t kind, const struct message_part *head, size_t part_count,
                       const struct message_body *body)
{
    struct message_part parts[LENT_PARTS + 1];
    int status;

    memcpy(parts, head, part_count * sizeof *parts);
    parts[part_count] = (struct message_part){body->bytes, body->size};
    status = courier_post(node, kind, parts, part_count + 1);
    body->left(body->owner);
    return status;
}

int courier_post_lent(unsigned node, uint32_t kind, const struct message_part *head, size_t part_count,
                      const struct message_body *body)
{
    struct large_message *large;

    assert(thread_is(THREAD_COURIER) && part_count <= LENT_PARTS);
    assert(!courier.rule_of(kind)->is_never_large);
    if (!courier_would_lend(body->size))
        return post_copied(node, kind, head, part_count, body);
    go_before(node, kind);
    if (!(large = large_create(kind, head, part_count))) {
        body->left(body->owner);
        return no_memory(node, body->size);
    }
    large->body = *body;
    pthread_mutex_lock(&courier.mutex);
    put_large(&courier.outbox[node], large);
    pthread_mutex_unlock(&courier.mutex);
    ring_courier();
    return MPM_OK;
}

int courier_post_one(unsigned node, uint32_t kind, const void *bytes, size_t size)
{
    return courier_post(node, kind, &(struct message_part){bytes, size}, 1);
}

/* What is under way stays counted. */
static void outbox_empty(unsigned node, struct parcel **frames, struct large_message **large)
{
    struct outbox *outbox = &courier.outbox[node];

    pthread_mutex_lock(&courier.mutex);
    *frames = outbox->first;
    *large = outbox->large;
    outbox->first = outbox->last = NULL;
    outbox->large = NULL;
    outbox->large_end = &outbox->large;
    pthread_mutex_unlock(&courier.mutex);
}

/* The courier's thread. */

static _Noreturn void give_up(unsigned node, const char *what)
{
    log_write(MPM_LOG_ERROR, "node %u: %s: the run ends", node, what);
    courier.transport->abort(EXIT_FAILURE);
    abort();
}

static void write_header(unsigned node, struct parcel *parcel)
{
    struct frame_header header = {FRAME_MAGIC, FRAME_VERSION, parcel->size, wire_sent(node)};

    memcpy(parcel->bytes, &header, sizeof header);
}

static void send_parcel(unsigned node, struct parcel *parcel)
{
    write_header(node, parcel);
    if (courier.transport->send(node, parcel->bytes, parcel->size))
        give_up(node, mpm_error());
    heartbeat_said(&courier.heartbeat, node);
    free(parcel);
}

static void send_large(unsigned node, struct large_message *large)
{
    wire_send(node, large);
}

static void drop_large(unsigned node, struct large_message *large)
{
    (void)node;
    large_message_drop(large);
}

static void drop_parcel(unsigned node, struct parcel *parcel)
{
    (void)node;
    free(parcel->bytes);
    free(parcel);
}

/* How many there were. */
static unsigned for_each_parcel(unsigned node, struct parcel *first,
                                void (*handle)(unsigned, struct parcel *))
{
    unsigned count = 0;

    for (struct parcel *parcel = first, *next; parcel; parcel = next, count++) {
        next = parcel->next;
        handle(node, parcel);
    }
    return count;
}

static unsigned for_each_large(unsigned node, struct large_message *first,
                               void (*handle)(unsigned, struct large_message *))
{
    unsigned count = 0;

    for (struct large_message *large = first, *next; large; large = next, count++) {
        next = large->next;
        handle(node, large);
    }
    return count;
}

/* Frames before large ones: they were posted before, or may go before. */
static bool send_all(void)
{
    struct large_message *large;
    struct parcel *frames;
    unsigned sent = 0;

    if (!atomic_exchange(&courier.has_mail, false))
        return false;
    for (unsigned node = 0; node < courier.node_count; node++) {
        bool has_left = heartbeat_has_left(&courier.heartbeat, node);

        outbox_empty(node, &frames, &large);
        sent += for_each_parcel(node, frames, has_left ? drop_parcel : send_parcel);
        sent += for_each_large(node, large, has_left ? drop_large : send_large);
    }
    return sent > 0;
}

/* Says a word of the courier's own, past the outbox. */
static void say_parts(unsigned node, uint32_t kind, const struct message_part *parts, size_t part_count)
{
    size_t size = size_of(parts, part_count);
    struct parcel *parcel = parcel_create(sizeof(struct frame_header) + sizeof(struct message_header) +
                                          message_padded(size));

    if (!parcel)
        give_up(node, "no memory for a short message to it");
    pack(parcel, kind, parts, part_count, size);
    send_parcel(node, parcel);
}

static void say(unsigned node, uint32_t kind)
{
    say_parts(node, kind, NULL, 0);
}

static void announce_large(unsigned node, const struct large_message *large)
{
    struct large_header header = {large->kind, (uint32_t)large->head_size, large->body.size};
    struct message_part parts[] = {{&header, sizeof header}, {large->head, large->head_size}};

    say_parts(node, MESSAGE_LARGE, parts, 2);
}

static void on_large_left(unsigned node, unsigned lane)
{
    pthread_mutex_lock(&courier.mutex);
    courier.outbox[node].under_way[lane]--;
    pthread_mutex_unlock(&courier.mutex);
}

static void on_piece_sent(unsigned node)
{
    heartbeat_said(&courier.heartbeat, node);
}

static void on_piece_come(unsigned node)
{
    heartbeat_heard(&courier.heartbeat, node);
    courier.has_news = true;
}

static void on_wire_failed(unsigned node)
{
    give_up(node, mpm_error());
}

static const struct wire_owner wire_owner = {.announce = announce_large,
                                             .has_left = on_large_left,
                                             .said = on_piece_sent,
                                             .heard = on_piece_come,
                                             .failed = on_wire_failed};

void courier_drop(unsigned node)
{
    assert(thread_is(THREAD_COURIER) && node != courier.node);
    if (courier.presence[node] != PRESENT)
        return;
    courier.presence[node] = DROPPED;
    courier.has_lost = true;
    heartbeat_left(&courier.heartbeat, node);
    wire_drop(node);
    wire_leave(node);
    courier.transport->forget(node);
}

/* What a dropped node says. It was stopped, or its link was cut, and it does not know. */
static void refuse(const struct frame *frame)
{
    free(frame->bytes);
    if (courier.node || courier.presence[frame->node] == REFUSED)
        return;
    courier.presence[frame->node] = REFUSED;
    say(frame->node, MESSAGE_EXPELLED);
}

static void on_loss(unsigned node)
{
    courier.has_lost = true;
    wire_drop(node);
    courier.lost(node);
}

/* Sends beats, and finds out who is lost. Who has left waits for the others to agree on the end, and that is bounded,
 * too, once there is nobody left to watch. */
static void watch(uint64_t now_ns)
{
    struct heartbeat *heartbeat = &courier.heartbeat;
    bool watches = false;

    if (!heartbeat_look(heartbeat, now_ns))
        return;
    for (unsigned node = 0; node < courier.node_count; node++) {
        enum heartbeat_order order = heartbeat_order(heartbeat, node);

        if (order == HEARTBEAT_LOST)
            on_loss(node);
        else if (order == HEARTBEAT_BEAT && !courier.has_left)
            say(node, MESSAGE_BEAT);
        watches |= heartbeat_watches(heartbeat, node);
    }
    if (courier.has_left && !courier.has_lost && !watches &&
        heartbeat->awake_ns - courier.left_ns >= heartbeat->limit_ns)
        on_loss(courier.node);
}

static bool is_own_word(uint32_t kind)
{
    return kind == MESSAGE_LEAVING || kind == MESSAGE_BEAT || kind == MESSAGE_LARGE ||
           kind == MESSAGE_EXPELLED;
}

/* Room for what comes: where the kind wants its body, or behind its head. */
static struct large_coming prepare_large(unsigned node, const struct large_header *header, const char *head)
{
    const struct courier_large *large = courier.large[header->kind];
    struct large_coming coming = {.header = *header, .node = node};
    size_t size = header->head_size;

    if (large)
        coming.place = large->place(node, head, size, header->body_size);
    if (!coming.place)
        size += header->body_size;
    if (!(coming.payload = malloc(size ? size : 1)))
        give_up(node, "no memory for a large message from it");
    memory_expect_all(coming.payload, size);
    if (header->head_size)
        memcpy(coming.payload, head, header->head_size);
    return coming;
}

static bool expect_large(unsigned node, const char *payload, size_t size)
{
    struct large_header header;
    struct large_coming coming;

    if (size < sizeof header)
        return false;
    memcpy(&header, payload, sizeof header);
    if (header.kind >= MESSAGE_KINDS || !courier.handler[header.kind] || header.head_size > HEAD_LIMIT ||
        header.head_size != size - sizeof header || header.body_size > MESSAGE_LIMIT)
        return false;
    coming = prepare_large(node, &header, payload + sizeof header);
    if (wire_expect(node, &coming))
        give_up(node, mpm_error());
    return true;
}

/* What couriers say to each other themselves. false if it makes no sense. */
static bool take_own_word(unsigned node, uint32_t kind, const void *payload, size_t size)
{
    if (kind != MESSAGE_LARGE && size)
        return false;
    if (kind == MESSAGE_BEAT)
        return true;
    courier.has_news = true;
    if (kind == MESSAGE_LARGE)
        return expect_large(node, payload, size);
    if (kind == MESSAGE_LEAVING) {
        heartbeat_left(&courier.heartbeat, node);
        return true;
    }
    courier.has_lost = true; /* all others, as it were */
    courier.expelled();
    return node == 0;
}

static bool take_message(unsigned node, uint32_t kind, const void *payload, size_t size)
{
    if (is_own_word(kind))
        return take_own_word(node, kind, payload, size);
    courier.has_news = true;
    return courier.handler[kind] && courier.handler[kind](node, payload, size);
}

/* Hands on what has come, and frees it. */
static void open_large(const struct large_coming *come)
{
    const struct large_header *header = &come->header;
    bool makes_sense;

    if (courier.presence[come->node] != PRESENT)
        makes_sense = true;
    else if (come->place)
        makes_sense = courier.large[header->kind]->take(come->node, come->payload, header->head_size,
                                                        come->place, header->body_size);
    else
        makes_sense = courier.handler[header->kind](come->node, come->payload,
                                                    header->head_size + header->body_size);
    if (!makes_sense)
        give_up(come->node, "sent a message that is not valid");
    free(come->payload);
}

/* Hands on the message at `bytes`; how long it is, or 0 if it makes no sense. */
static size_t deliver(unsigned node, const char *bytes, size_t size)
{
    struct message_header header;

    if (size < sizeof header)
        return 0;
    memcpy(&header, bytes, sizeof header);
    if (header.kind >= MESSAGE_KINDS || header.size > size - sizeof header ||
        message_padded(header.size) > size - sizeof header ||
        !take_message(node, header.kind, bytes + sizeof header, header.size))
        return 0;
    return sizeof header + message_padded(header.size);
}

/* The header of a frame that has come. */
static struct frame_header read_header(const struct frame *frame)
{
    struct frame_header header = {0};

    if (frame->size >= sizeof header)
        memcpy(&header, frame->bytes, sizeof header);
    if (header.magic != FRAME_MAGIC || header.version != FRAME_VERSION || header.size != frame->size)
        give_up(frame->node, "sent a frame that is not valid");
    return header;
}

/* Hands on what is in it, and frees it. */
static void open_frame(const struct frame *frame)
{
    const char *bytes = frame->bytes;
    size_t at = sizeof(struct frame_header), length;

    for (; at < frame->size && courier.presence[frame->node] == PRESENT; at += length) {
        if (!(length = deliver(frame->node, bytes + at, frame->size - at)))
            give_up(frame->node, "sent a message that is not valid");
    }
    free(frame->bytes);
}

static bool is_held(unsigned node)
{
    for (const struct held *held = courier.held; held; held = held->next) {
        if (held->frame.node == node)
            return true;
    }
    return false;
}

/* A frame cannot go behind what was never announced, unless that is held itself. */
static bool comes_early(const struct frame *frame)
{
    uint64_t behind = read_header(frame).behind;

    if (is_held(frame->node))
        return true;
    if (!wire_knows(frame->node, behind))
        give_up(frame->node, "sent a frame that is not valid");
    return behind > wire_received(frame->node);
}

static void hold(const struct frame *frame)
{
    struct held *held = calloc(1, sizeof *held);

    if (!held)
        give_up(frame->node, "no memory for a frame that arrived early");
    held->frame = *frame;
    *courier.held_end = held;
    courier.held_end = &held->next;
}

/* A large message has come. */
static void open_held(unsigned node)
{
    for (struct held **at = &courier.held, *held; (held = *at);) {
        if (held->frame.node != node) {
            at = &held->next;
            continue;
        }
        if (read_header(&held->frame).behind > wire_received(node))
            return;
        open_frame(&held->frame);
        if (!(*at = held->next))
            courier.held_end = at;
        free(held);
    }
}

static bool receive_all(void)
{
    struct large_coming come;
    struct frame frame;

    courier.has_news = false;
    while (courier.transport->poll(&frame)) {
        if (courier.presence[frame.node] != PRESENT) {
            refuse(&frame);
            continue;
        }
        heartbeat_heard(&courier.heartbeat, frame.node);
        if (comes_early(&frame))
            hold(&frame);
        else
            open_frame(&frame);
    }
    while (wires_receive(&come)) {
        courier.has_news = true;
        open_large(&come);
        open_held(come.node);
    }
    return courier.has_news;
}

static bool do_work(void)
{
    bool worked = false;

    for (unsigned i = 0; i < courier.work_count; i++)
        worked |= courier.work[i]();
    return worked;
}

static bool is_lively(uint64_t now_ns)
{
    return now_ns < atomic_load_explicit(&courier.lively_until_ns, memory_order_relaxed);
}

/* How long to sleep, after `quiet_ns` without an event and a last nap of `nap_ns`. */
static uint64_t next_nap(uint64_t quiet_ns, uint64_t nap_ns)
{
    uint64_t limit_ns = courier.transport->is_busy() ? NAP_BUSY_NS : NAP_MAX_NS;

    if (is_lively(clock_now_ns()))
        return NAP_MIN_NS;
    if (quiet_ns > (uint64_t)NAP_MAX_NS * SLEEP_PART && !courier.transport->is_busy())
        return quiet_ns / SLEEP_PART < COURIER_SLEEP_NS ? quiet_ns / SLEEP_PART : COURIER_SLEEP_NS;
    nap_ns = nap_ns ? nap_ns * 2 : NAP_MIN_NS;
    return nap_ns < limit_ns ? nap_ns : limit_ns;
}

/* Main stays until all others have left, so that each of them is watched to the end, and watches. */
static bool may_leave(void)
{
    for (unsigned node = 0; node < courier.node_count; node++) {
        if (courier.node == 0 && heartbeat_watches(&courier.heartbeat, node))
            return false;
    }
    return true;
}

static void leave(void)
{
    for (unsigned node = 0; node < courier.node_count; node++) {
        if (heartbeat_knows(&courier.heartbeat, node))
            say(node, MESSAGE_LEAVING);
    }
    courier.left_ns = courier.heartbeat.awake_ns;
    courier.has_left = true;
}

/* While another node sends, somebody must be here to receive: a large frame leaves when it is received, and not
 * before. */
static bool is_over_together(void)
{
    if (!courier.has_left && wires_are_clear() && may_leave())
        leave();
    return courier.has_left && courier.transport->is_over();
}

/* What goes to a lost node never leaves. */
static bool is_flushed(uint64_t now_ns)
{
    if (!courier.flush_until_ns)
        courier.flush_until_ns = now_ns + FLUSH_NS;
    return (wires_are_clear() && !courier.transport->is_busy()) || now_ns >= courier.flush_until_ns;
}

/* Whether it may end. */
static bool is_over(enum order order, uint64_t now_ns)
{
    if (order == ORDER_STOP)
        return is_over_together();
    return order == ORDER_ABANDON && is_flushed(now_ns);
}

/* With a node lost the others would wait for it. */
static enum order look_at_order(void)
{
    enum order order = atomic_load(&courier.order);

    if (order == ORDER_ABORT) {
        courier.transport->abort(courier.exit_code);
        abort();
    }
    return order == ORDER_STOP && courier.has_lost ? ORDER_ABANDON : order;
}

/* What the courier does between events. */
struct pause {
    struct look_on look;
    bool is_looking;
    uint64_t last_event_ns, nap_ns;
};

static void note_event(struct pause *pause, uint64_t now_ns)
{
    if (pause->is_looking)
        look_on_found(&pause->look, now_ns - pause->last_event_ns);
    look_on_begin(&pause->look, is_lively(now_ns));
    *pause = (struct pause){.look = pause->look, .is_looking = true, .last_event_ns = now_ns};
}

/* Looks on, or naps. While it looks on, whoever it has woken may have the processor. */
static void pause_courier(struct pause *pause, uint32_t seen, uint64_t now_ns)
{
    uint64_t quiet_ns = now_ns - pause->last_event_ns;

    if (quiet_ns <= look_on_time_ns(&pause->look, courier.transport->is_busy())) {
        sched_yield();
        return;
    }
    if (pause->is_looking)
        look_on_missed(&pause->look);
    pause->is_looking = false;
    pause->nap_ns = next_nap(quiet_ns, pause->nap_ns);
    if (eventcount_wait(courier.doorbell, seen, 0, now_ns + pause->nap_ns))
        pause->nap_ns = 0;
}

/* When it is to stop it looks once more for what is to be sent, and then for what comes in only: whoever is still
 * at work on this node might post for ever. While another node sends, somebody must be here to receive: a large frame
 * leaves when it is received, and not before. */
static void carry(void)
{
    struct pause pause = {.last_event_ns = clock_now_ns()};
    bool sends = true;

    for (;;) {
        uint32_t seen = eventcount_prepare(courier.doorbell);
        enum order order = look_at_order();
        bool active = receive_all();
        uint64_t now_ns;

        if (sends) {
            active |= do_work();
            active |= send_all();
        }
        active |= wires_send();
        sends = order == ORDER_CARRY;
        now_ns = clock_now_ns();
        watch(now_ns);
        if (!active && is_over(order, now_ns))
            return;
        if (active)
            note_event(&pause, now_ns);
        else
            pause_courier(&pause, seen, now_ns);
    }
}

static void *courier_main(void *unused)
{
    (void)unused;
    while (sem_wait(&courier.gate))
        ; /* interrupted by a debugger */
    if (courier.is_cancelled)
        return NULL;
    thread_become(THREAD_COURIER);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    transport_take();
    carry();
    transport_give_up();
    return NULL;
}

static int start_thread(void)
{
    sem_init(&courier.gate, 0, 0);
    return own_thread_start(&courier.thread, courier_main, NULL);
}

static void free_memory(void)
{
    heartbeat_destroy(&courier.heartbeat);
    wires_destroy();
    free(courier.outbox);
    free(courier.presence);
    courier.outbox = NULL;
    courier.presence = NULL;
    for (struct held *held = courier.held, *next; held; held = next) {
        next = held->next;
        free(held->frame.bytes);
        free(held);
    }
    courier.held = NULL;
}

static int make_memory(void)
{
    int status = heartbeat_create(&courier.heartbeat, courier.node, courier.node_count, courier.limit_ns,
                                  clock_now_ns());

    if (status)
        return status;
    if ((status = wires_create(courier.transport, courier.node_count, &wire_owner))) {
        heartbeat_destroy(&courier.heartbeat);
        return status;
    }
    courier.held_end = &courier.held;
    courier.outbox = calloc(courier.node_count, sizeof *courier.outbox);
    courier.presence = calloc(courier.node_count, sizeof *courier.presence);
    if (!courier.outbox || !courier.presence) {
        free_memory();
        return error_set(MPM_ENOMEM, "no memory for the courier's outbox");
    }
    for (unsigned node = 0; node < courier.node_count; node++)
        courier.outbox[node].large_end = &courier.outbox[node].large;
    return MPM_OK;
}

/* Main watches all, and is watched by all. */
static void meet(void)
{
    for (unsigned node = 0; node < courier.node_count; node++) {
        if (courier.node == 0 || node == 0)
            heartbeat_meet(&courier.heartbeat, node);
    }
}

int courier_start(const struct transport *transport, const struct topology *topology,
                  struct eventcount *doorbell, message_rule_of *rule_of)
{
    int status;

    if (topology->node_count < 2)
        return MPM_OK;
    courier.transport = transport;
    courier.doorbell = doorbell;
    courier.rule_of = rule_of;
    courier.node = topology->node;
    courier.node_count = topology->node_count;
    courier.is_cancelled = courier.has_lost = courier.has_left = false;
    courier.flush_until_ns = 0;
    atomic_store(&courier.order, ORDER_CARRY);
    if ((status = make_memory()))
        return status;
    meet();
    courier.runs = true;
    if ((status = start_thread())) {
        courier.runs = false;
        free_memory();
    }
    return status;
}

void courier_begin(void)
{
    if (courier.runs)
        sem_post(&courier.gate);
}

bool courier_runs(void)
{
    return courier.runs;
}

/* What was posted too late. */
static void empty_outboxes(void)
{
    struct large_message *large;
    struct parcel *frames;

    for (unsigned node = 0; node < courier.node_count; node++) {
        outbox_empty(node, &frames, &large);
        for_each_parcel(node, frames, drop_parcel);
        for_each_large(node, large, drop_large);
    }
}

static void await_end(void)
{
    pthread_join(courier.thread, NULL);
    sem_destroy(&courier.gate);
    courier.runs = false;
    empty_outboxes();
    free_memory();
}

static void end(enum order order)
{
    if (!courier.runs)
        return;
    atomic_store(&courier.order, order);
    eventcount_notify(courier.doorbell);
    await_end();
}

void courier_stop(void)
{
    assert(!thread_is(THREAD_COURIER));
    end(ORDER_STOP);
}

void courier_abandon(void)
{
    assert(!thread_is(THREAD_COURIER));
    end(ORDER_ABANDON);
}

void courier_cancel(void)
{
    if (!courier.runs)
        return;
    courier.is_cancelled = true;
    sem_post(&courier.gate);
    await_end();
}

void courier_abort(int exit_code)
{
    assert(!thread_is(THREAD_COURIER));
    assert(courier.runs);
    courier.exit_code = exit_code;
    atomic_store(&courier.order, ORDER_ABORT);
    eventcount_notify(courier.doorbell);
    pthread_join(courier.thread, NULL);
    abort();
}
