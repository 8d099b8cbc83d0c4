/* SPDX-License-Identifier: BSD-3-Clause */
/* What tasks may ask of their call, batch tasks too, and how their failures are noted: see board.h. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "mpmap/status.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/shared/batch.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

#define REFUSAL_NS       UINT64_C(1000000000) /* what workers refuse for longer is lost */
#define REFUSAL_CALM_NS  UINT64_C(5000000000) /* after so long another refusal is about something else */
#define REFUSAL_PAUSE_NS 50000000
#define MOST_REFUSALS    8u /* and two a worker */

size_t mpm_call_index(const mpm_call *call)
{
    return call ? call->index : 0;
}

size_t mpm_call_rows(const mpm_call *call)
{
    return call && call->rows > 1 ? call->rows : 1;
}

size_t mpm_call_item_size(const mpm_call *call)
{
    return call ? call->item_size : 0;
}

size_t mpm_call_result_size(const mpm_call *call)
{
    return call ? call->result_size : 0;
}

const void *mpm_call_context(const mpm_call *call)
{
    return call ? call->context : NULL;
}

void *mpm_call_state(const mpm_call *call)
{
    return call ? call->state : NULL;
}

/* Failures. */

static void write_note(uint64_t item, int code)
{
    struct lease_block *lease = worker_self.lease;
    uint32_t number = atomic_fetch_add(&lease->note_count, 1);
    struct note *note = (struct note *)arena_at(worker_self.arena, lease->notes) + number;

    if (number >= lease->note_room) {
        note = (struct note *)arena_at(worker_self.arena, lease->notes) + lease->note_room +
               worker_self.number;
        if (!lease->note_reserve || atomic_load(&note->ready))
            return;
    }
    KILL_POINT();
    note->worker = worker_self.number;
    note->item = item;
    note->code = code;
    worker_write_text(&note->said, worker_self.job);
    KILL_POINT();
    /* Pairs with the loads of node/lease_results.c. */
    atomic_store_explicit(&note->ready, 1, memory_order_release);
}

void worker_item_has_failed(uint64_t item, int code)
{
    lease_set_bit(worker_self.failed, item);
    KILL_POINT();
    write_note(item, code);
    worker_forget_text();
}

void worker_part_has_failed(uint64_t part, int code)
{
    write_note(part, code);
}

static void lose_job(int status)
{
    struct note *loss = &worker_self.job->loss;

    if (!atomic_exchange(&worker_self.job->is_lost, 1)) {
        KILL_POINT();
        loss->code = status;
        worker_write_text(&loss->said, NULL);
        /* Pairs with the load of node/lease_results.c. */
        atomic_store_explicit(&loss->ready, 1, memory_order_release);
    }
    worker_forget_text();
    KILL_POINT();
    atomic_exchange(&worker_self.lease->next, LEASE_FROZEN);
    KILL_POINT();
}

/* Whether workers have refused the job for so long that it is not to be done. */
static bool goes_on_for_long(struct job_block *job)
{
    uint64_t now_ns = clock_now_ns(), last_ns = atomic_exchange(&job->refused_ns, now_ns);
    uint32_t refusals = atomic_fetch_add(&job->refusals, 1);

    if (!last_ns || now_ns > last_ns + REFUSAL_CALM_NS)
        atomic_store(&job->refused_since_ns, now_ns);
    return now_ns > atomic_load(&job->refused_since_ns) + REFUSAL_NS ||
           refusals > MOST_REFUSALS + 2 * worker_self.board->worker_count;
}

/* Whether this worker lacks what another one may have, or may have itself later: memory, or descriptors. A file that is
 * not there, or cannot be written, is no such lack. */
static bool may_pass(int status)
{
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (file >= 0)
        close(file);
    return status == MPM_ENOMEM || (file < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM));
}

void worker_refuses_job(int status)
{
    worker_self.job_status = status;
    if (!may_pass(status) || goes_on_for_long(worker_self.job)) {
        lose_job(status);
        return;
    }
    log_write(MPM_LOG_INFO, "worker %u of pool %llu cannot set up its map, and is replaced: %s",
              worker_self.number, (unsigned long long)worker_self.board->spec.id, worker_self.call.text);
    worker_forget_text();
    worker_self.tasks_left = 0;
    nanosleep(&(struct timespec){.tv_nsec = REFUSAL_PAUSE_NS}, NULL);
}

void batch_make_ready(uint64_t index)
{
    atomic_store_explicit(&worker_self.record->made_ready, index - worker_self.index_shift + 1,
                          memory_order_relaxed);
    KILL_POINT();
}

void batch_begin_item(mpm_call *call, uint64_t index, size_t item_size, size_t result_size)
{
    call->index = index;
    call->item_size = item_size;
    call->result_size = result_size;
    call->text[0] = 0;
    worker_self.position = index - worker_self.index_shift;
    atomic_store_explicit(&worker_self.record->item, worker_self.position, memory_order_relaxed);
    atomic_store_explicit(&worker_self.record->made_ready, 0, memory_order_relaxed);
}

void batch_begin_block(mpm_call *call, uint64_t index, size_t count, size_t item_size, size_t result_size)
{
    atomic_store_explicit(&worker_self.record->in_block, count > 1, memory_order_relaxed);
    KILL_POINT();
    batch_begin_item(call, index, item_size, result_size);
    call->rows = count;
}

void batch_end_block(mpm_call *call)
{
    call->rows = 1;
    atomic_store_explicit(&worker_self.record->in_block, 0, memory_order_relaxed);
    KILL_POINT();
}

const char *batch_text(const mpm_call *call)
{
    return call->text;
}

void batch_fail_item(mpm_call *call, int code)
{
    (void)call;
    worker_item_has_failed(worker_self.position, code);
}

void batch_show_context(mpm_call *call, const void *context)
{
    call->context = context;
}
