/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of a pipe when a process is killed at any point of making, holding, sending, receiving,
 * polling or closing, at home or on another node: the search of support_kill/kill_run.h. Each message is its
 * number; main uses the first end, the process the second one. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "shm/kill_point.h"

#include "kill_run.h"
#include "suite.h"
#include "predicate.h"

#define PATIENCE_S 100.0
#define PREFILL    300u
#define LONGEST    70000u /* has a segment to itself */
#define NUMBERS    8u     /* of a batch that a process receives */

enum { BLOCKS, MESSAGES, HIDDEN, HIDDEN_TOO };

static size_t size_of(unsigned number)
{
    return number % 8 == 5 ? LONGEST : sizeof number + number % 5 * 100;
}

static bool send_number(mpm_connection end, unsigned number)
{
    static char message[LONGEST];

    memset(message, (char)number, sizeof message);
    memcpy(message, &number, sizeof number);
    return !mpm_connection_send(end, message, size_of(number), PATIENCE_S);
}

/* 0 if that message has come, or a status. */
static int receive_number(mpm_connection end, unsigned number)
{
    static char message[LONGEST];
    unsigned got;
    size_t size;
    int status = mpm_connection_recv(end, PATIENCE_S, message, sizeof message, &size);

    if (status)
        return status;
    memcpy(&got, message, sizeof got);
    if (got != number || size != size_of(number))
        return MPM_EPROTOCOL;
    for (size_t i = sizeof got; i < size; i++) {
        if (message[i] != (char)number)
            return MPM_EPROTOCOL;
    }
    return MPM_OK;
}

static mpm_connection end_of(const struct kill_scene *scene, unsigned end)
{
    return (mpm_connection){scene->handle[end]};
}

/* The number of the next message at the second end. */
static unsigned next_number(const struct kill_scene *scene)
{
    static char message[LONGEST];
    unsigned number = UINT32_MAX;

    if (!mpm_connection_recv(end_of(scene, 1), 0, message, sizeof message, NULL))
        memcpy(&number, message, sizeof number);
    return number;
}

/* Scenes. */

static void make_scene(struct kill_scene *scene, unsigned sent_by_first, unsigned sent_by_second)
{
    mpm_connection a = {{0}}, b = {{0}};

    scene->number[BLOCKS] = kill_blocks_in_use();
    CU_ASSERT(!mpm_pipe_create(MPM_DUPLEX, &a, &b));
    for (unsigned i = 0; i < sent_by_first; i++)
        CU_ASSERT(send_number(a, i));
    for (unsigned i = 0; i < sent_by_second; i++)
        CU_ASSERT(send_number(b, i));
    scene->number[MESSAGES] = sent_by_first + sent_by_second;
    scene->handle[0] = a.handle;
    scene->handle[1] = b.handle;
}

static void an_empty_pipe(struct kill_scene *scene)
{
    make_scene(scene, 0, 0);
}

/* Both ends are used by main then: the second one is never gone. */
static void a_pipe_with_messages_to_main(struct kill_scene *scene)
{
    make_scene(scene, 0, 5);
}

static void a_pipe_with_messages_to_the_process(struct kill_scene *scene)
{
    make_scene(scene, PREFILL, 0);
}

static int send_to_death(const void *args, size_t size)
{
    const struct kill_scene *scene = args;

    (void)size;
    kill_point_count = 0;
    kill_point_target = 6;
    send_number(end_of(scene, 1), 5);
    return 0;
}

static int receive_to_death(const void *args, size_t size)
{
    const struct kill_scene *scene = args;

    (void)size;
    kill_point_count = 0;
    kill_point_target = 2;
    receive_number(end_of(scene, 1), 0);
    return 0;
}

/* Its process was killed. */
static void let_die(mpm_target *target, const struct kill_scene *scene)
{
    mpm_process process;
    int code = 0;

    CU_ASSERT(!mpm_process_start(target, scene, sizeof *scene,
                                 &(mpm_process_options){.place = MPM_ON_NODE(0)}, &process) &&
              !mpm_process_join(process, PATIENCE_S) && !mpm_process_exitcode(process, &code) &&
              !mpm_process_close(process));
    CU_ASSERT_EQUAL(code, -SIGKILL);
}

static void a_pipe_in_which_a_sender_has_died(struct kill_scene *scene)
{
    make_scene(scene, 0, 5);
    let_die(send_to_death, scene);
}

static void a_pipe_in_which_a_receiver_has_died(struct kill_scene *scene)
{
    make_scene(scene, PREFILL, 0);
    let_die(receive_to_death, scene);
}

/* So that it is not found in args. */
static void hide_second_end(struct kill_scene *scene)
{
    memcpy(&scene->number[HIDDEN], &scene->handle[1], sizeof scene->handle[1]);
    scene->number[HIDDEN] ^= UINT64_MAX;
    scene->handle[1] = (mpm_handle){0};
}

static mpm_connection hidden_end(const struct kill_scene *scene)
{
    uint64_t words[2] = {scene->number[HIDDEN] ^ UINT64_MAX, scene->number[HIDDEN_TOO]};
    mpm_connection end;

    memcpy(&end.handle, words, sizeof end.handle);
    return end;
}

static void an_end_that_nobody_has_held(struct kill_scene *scene)
{
    make_scene(scene, 0, 0);
    hide_second_end(scene);
}

static int end_at_once(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

/* As many holders as the first block has room for. */
static void an_end_that_dead_ones_have_held(struct kill_scene *scene)
{
    make_scene(scene, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        mpm_process process;

        CU_ASSERT(!mpm_process_start(end_at_once, scene, sizeof *scene, NULL, &process) &&
                  !mpm_process_join(process, PATIENCE_S) && !mpm_process_close(process));
    }
    hide_second_end(scene);
}

static void nothing(struct kill_scene *scene)
{
    scene->number[BLOCKS] = kill_blocks_in_use();
}

/* Operations of the process. */

static bool send_next(const struct kill_scene *scene)
{
    return send_number(end_of(scene, 1), (unsigned)scene->number[MESSAGES]);
}

static bool receive_some(const struct kill_scene *scene)
{
    for (unsigned i = 0; i < NUMBERS; i++) {
        if (receive_number(end_of(scene, 1), i))
            return false;
    }
    return true;
}

/* The first one is lost with the dead one, or not. */
static bool receive_any(const struct kill_scene *scene)
{
    return next_number(scene) < 2;
}

static bool use_hidden_end(const struct kill_scene *scene)
{
    return connection_poll(hidden_end(scene), 0) == 0;
}

static bool close_second_end(const struct kill_scene *scene)
{
    return !mpm_connection_close(end_of(scene, 1));
}

static bool close_both_ends(const struct kill_scene *scene)
{
    return !mpm_connection_close(end_of(scene, 0)) && !mpm_connection_close(end_of(scene, 1));
}

static bool let_go_twice(const struct kill_scene *scene)
{
    return !mpm_connection_release(end_of(scene, 1)) && connection_poll(end_of(scene, 1), 0) == 0 &&
           !mpm_connection_release(end_of(scene, 1));
}

static bool make_and_close(const struct kill_scene *scene)
{
    mpm_connection a, b;

    (void)scene;
    return !mpm_pipe_create(MPM_DUPLEX, &a, &b) && !mpm_connection_close(a) && !mpm_connection_close(b);
}

/* What must be true afterwards. */

static bool is_closed(int status)
{
    return status == MPM_OK || status == MPM_ESTALE;
}

/* Whoever has a block that is free already finds nonsense in it then. */
static bool overwrite_free_blocks(void)
{
    mpm_array arrays[8];
    char nonsense[64];
    bool is_done = true;

    memset(nonsense, 0x7f, sizeof nonsense);
    for (unsigned i = 0; i < 8; i++)
        is_done = is_done && !mpm_array_create(MPM_I8, sizeof nonsense, nonsense, &arrays[i]);
    for (unsigned i = 0; i < 8; i++)
        is_done = is_done && !mpm_array_destroy(arrays[i]);
    return is_done;
}

/* Ends the pipe, whatever was closed already. */
static bool ends_without_loss(const struct kill_scene *scene, mpm_connection second)
{
    mpm_connection first = end_of(scene, 0);
    int ready;

    if (!overwrite_free_blocks())
        return false;
    ready = connection_poll(first, 0);
    return (ready >= 0 || ready == MPM_ESTALE || ready == MPM_ECLOSED) &&
           is_closed(mpm_connection_close(first)) && is_closed(mpm_connection_close(second)) &&
           mpm_connection_close(first) == MPM_ESTALE && kill_no_block_is_lost(scene->number[BLOCKS]);
}

/* What was there comes, and what the process has sent, or not; nothing else. */
static bool has_sent_or_not(const struct kill_scene *scene, bool was_killed)
{
    unsigned number = 0, before = (unsigned)scene->number[MESSAGES];

    while (connection_poll(end_of(scene, 0), 0) == 1 && number <= before) {
        if (receive_number(end_of(scene, 0), number))
            break;
        number++;
    }
    return (number == before + 1 || (was_killed && number == before)) && send_number(end_of(scene, 1), 7) &&
           !receive_number(end_of(scene, 0), 7) && ends_without_loss(scene, end_of(scene, 1));
}

/* The rest is there, in order. */
static bool has_received_or_not(const struct kill_scene *scene, bool was_killed)
{
    unsigned first = next_number(scene);

    if (first > NUMBERS || (!was_killed && !first))
        return false;
    for (unsigned number = first + 1; number < PREFILL; number++) {
        if (receive_number(end_of(scene, 1), number))
            return false;
    }
    return connection_poll(end_of(scene, 1), 0) == 0 && ends_without_loss(scene, end_of(scene, 1));
}

/* The end is held, and gone therefore, or was not held yet. */
static bool has_held_or_not(const struct kill_scene *scene, bool was_killed)
{
    int status = mpm_connection_recv(end_of(scene, 0), was_killed ? 0 : PATIENCE_S, NULL, 0, NULL);

    return (status == MPM_EEOF || (was_killed && status == MPM_ETIMEDOUT)) &&
           ends_without_loss(scene, hidden_end(scene));
}

static bool the_other_end_is_gone(const struct kill_scene *scene, bool was_killed)
{
    (void)was_killed;
    return mpm_connection_recv(end_of(scene, 0), PATIENCE_S, NULL, 0, NULL) == MPM_EEOF &&
           mpm_connection_send(end_of(scene, 0), "x", 1, PATIENCE_S) == MPM_EPIPE &&
           ends_without_loss(scene, end_of(scene, 1));
}

static bool is_ended_or_not(const struct kill_scene *scene, bool was_killed)
{
    return (was_killed || connection_poll(end_of(scene, 0), 0) == MPM_ESTALE) &&
           ends_without_loss(scene, end_of(scene, 1));
}

static bool nothing_is_lost(const struct kill_scene *scene, bool was_killed)
{
    (void)was_killed;
    return kill_no_block_is_lost(scene->number[BLOCKS]);
}

const struct kill_operation kill_operations[] = {
    {"making a pipe and closing it", nothing, make_and_close, nothing_is_lost},
    {"sending into an empty pipe", an_empty_pipe, send_next, has_sent_or_not},
    {"sending a large message", a_pipe_with_messages_to_main, send_next, has_sent_or_not},
    {"sending where a sender has died", a_pipe_in_which_a_sender_has_died, send_next, has_sent_or_not},
    {"receiving", a_pipe_with_messages_to_the_process, receive_some, has_received_or_not},
    {"receiving where a receiver has died", a_pipe_in_which_a_receiver_has_died, receive_any,
     has_received_or_not},
    {"the first use of an end", an_end_that_nobody_has_held, use_hidden_end, has_held_or_not},
    {"the first use of an end of dead ones", an_end_that_dead_ones_have_held, use_hidden_end,
     has_held_or_not},
    {"letting an end go, and again after a use", an_empty_pipe, let_go_twice, the_other_end_is_gone},
    {"closing an end", an_empty_pipe, close_second_end, the_other_end_is_gone},
    {"closing both ends", a_pipe_with_messages_to_the_process, close_both_ends, is_ended_or_not},
};

int main(int argc, char **argv)
{
    return kill_main(argc, argv, "pipe_kill", sizeof kill_operations / sizeof *kill_operations);
}
