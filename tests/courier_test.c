/* SPDX-License-Identifier: BSD-3-Clause */
/* The courier over a transport that leads back to itself: whatever is posted to a node comes from that node.
 * Messages arrive whole, aligned and in order, many to a frame, and nonsense from outside ends the run. A
 * process can have one courier in its life, so each has a child of its own. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "child.h"
#include "net/courier.h"
#include "suite.h"

#define NODES      3
#define POSTERS    4
#define MESSAGES   5000u /* of each poster */
#define BURST      1000u
#define LARGE      300000u /* more than a frame has room for */
#define FUZZ_RUNS  600
#define ABORTED    42 /* exit status of a child whose courier ended the run */
#define WHERE_KIND 16 /* in a frame of one message */
#define WHERE_SIZE 24

/* The transport: frames that have left and not come back yet. Only the courier's thread is here. */
static struct {
    struct frame frames[64];
    unsigned first, count;
    _Atomic unsigned sent;
    unsigned polls;
    bool refuse;
    void (*spoil)(struct frame *frame);
} loop;

static int loop_send(unsigned node, void *bytes, size_t size)
{
    struct frame frame = {node, size, bytes};

    if (loop.refuse || loop.count == sizeof loop.frames / sizeof *loop.frames) {
        free(bytes);
        return error_set(MPM_EMPI, "the wire is cut");
    }
    if (loop.spoil)
        loop.spoil(&frame);
    loop.frames[(loop.first + loop.count++) % 64] = frame;
    atomic_fetch_add(&loop.sent, 1);
    return MPM_OK;
}

/* Every other time there is nothing yet. */
static bool loop_poll(struct frame *frame)
{
    if (++loop.polls % 2 || !loop.count)
        return false;
    *frame = loop.frames[loop.first++ % 64];
    loop.count--;
    return true;
}

static bool loop_is_busy(void)
{
    return loop.count > 0;
}

static void loop_abort(int exit_code)
{
    (void)exit_code;
    _exit(ABORTED);
}

static const struct transport loop_transport = {
    .name = "loop", .send = loop_send, .poll = loop_poll, .is_busy = loop_is_busy, .abort = loop_abort};

static struct wait_word bell;

static bool start(void)
{
    return courier_start(&loop_transport, &(struct topology){.node_count = NODES}, &bell) == MPM_OK &&
           courier_runs();
}

/* A message of a poster. What follows has `size` bytes, each with the number of the message as its lowest byte. */
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
    static unsigned char bytes[256][LARGE];
    struct parcel_tag tag = {poster, number, size_of(number)};
    const struct message_part parts[] = {{&tag, sizeof tag}, {bytes[number % 256], tag.size}};

    return courier_post(node_of(poster), MESSAGE_LEASE, parts, 2) == MPM_OK;
}

int main(void)
{
    return 0;
}
