/* SPDX-License-Identifier: BSD-3-Clause */
/* Leaves of reductions: board.h says what is written, and what a death means. The state of a leaf is made in its place
 * in the lease, from the initial state on each time that the leaf is run. */
#include <string.h>

#include "base/error.h"
#include "node/context.h"
#include "pool/shared/reduce.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

/* Of the job that was served last, and the leaf that was begun last. */
static struct {
    uint64_t job; /* by its id */
    function_pointer *accumulate;
    mpm_init_state *init;
    uint64_t first_part, first_item; /* of the leaf: as the worker record counts, and in the map */
    struct leaf_record *record;
    void *state;
} leaf;

static const char *at(const struct reduce_job *job, uint64_t offset)
{
    return offset ? (const char *)job + offset : NULL;
}

int reduce_find_functions(mpm_call *call, const struct reduce_job *job)
{
    function_pointer *init = NULL;
    int status;

    batch_show_context(call, at(job, job->context));
    if (leaf.job == worker_self.job->spec.id)
        return MPM_OK;
    if ((status = function_find(&job->accumulate, &leaf.accumulate)) ||
        (job->has_init && (status = function_find(&job->init, &init)))) {
        mpm_fail(call, "%s", mpm_error());
        return status;
    }
    leaf.init = (mpm_init_state *)init;
    leaf.job = worker_self.job->spec.id;
    return MPM_OK;
}

void reduce_begin_leaf(mpm_call *call, const struct reduce_job *job, uint64_t number)
{
    uint64_t item = number - worker_self.index_shift;

    leaf.first_part = item * worker_self.lease->parts;
    leaf.first_item = number * job->leaf_items;
    leaf.record = lease_leaf(worker_self.arena, worker_self.lease, item);
    leaf.state = (char *)arena_at(worker_self.arena, worker_self.lease->results) +
                 item * worker_self.job->spec.result_size;
    atomic_store_explicit(&worker_self.record->item, leaf.first_part, memory_order_relaxed);
    KILL_POINT();
    leaf.record->failed = 0;
    call->item_size = job->item_size;
    call->result_size = job->state_size;
    call->text[0] = 0;
    if (job->initial)
        memcpy(leaf.state, at(job, job->initial), job->state_size);
    else
        memset(leaf.state, 0, job->state_size);
    if (leaf.init)
        leaf.init(leaf.state, at(job, job->context));
    context_back_from_program(0);
}

static bool is_skipped(const struct leaf_record *record, uint64_t part)
{
    return record->skipped && record->skip[part / 64] >> part % 64 & 1;
}

static void fail_part(uint64_t part, int code)
{
    leaf.record->failed++;
    worker_part_has_failed(leaf.first_part + part, code);
}

static void fail_and_forget(uint64_t part, int code)
{
    fail_part(part, code);
    worker_forget_text();
}

uint64_t reduce_make_ready(const struct reduce_job *job, uint64_t first, uint64_t count)
{
    uint64_t from = (first - leaf.first_item) / job->part_items, part = from, ready;
    uint64_t to = (first - leaf.first_item + count + job->part_items - 1) / job->part_items;

    atomic_store_explicit(&worker_self.record->item, leaf.first_part + from, memory_order_relaxed);
    KILL_POINT();
    while (part < to && !is_skipped(leaf.record, part))
        part++;
    ready = (part - from) * job->part_items;
    return ready < count ? ready : count;
}

/* What the loops below need: a copy on the stack, which the compiler keeps in registers across the calls of the
 * task. */
struct part_place {
    _Atomic uint64_t *current;
    uint64_t *index;
    const struct leaf_record *record;
    uint64_t first_part, first_item;
    void *state;
    mpm_accumulate *accumulate;
};

static struct part_place set_up_place(mpm_call *call)
{
    return (struct part_place){.current = &worker_self.record->item,
                               .index = &call->index,
                               .record = leaf.record,
                               .first_part = leaf.first_part,
                               .first_item = leaf.first_item,
                               .state = leaf.state,
                               .accumulate = (mpm_accumulate *)leaf.accumulate};
}

static inline __attribute__((always_inline)) void
run_single_item(mpm_call *call, const struct part_place *place, uint64_t part, const char *item)
{
    int code;

    atomic_store_explicit(place->current, place->first_part + part, memory_order_relaxed);
    KILL_POINT();
    *place->index = place->first_item + part;
    code = place->accumulate(call, item, place->state);
    context_back_from_program(code);
    if (__builtin_expect(code, 0))
        fail_and_forget(part, code);
}

/* The hot path: an item is two stores and a call. */
static void run_single_items(mpm_call *call, uint64_t part, const char *items, size_t item_size,
                             uint64_t count)
{
    const struct part_place place = set_up_place(call);
    uint64_t end = part + count;

    if (place.record->skipped) {
        for (; part < end; part++, items += item_size)
            if (!is_skipped(place.record, part))
                run_single_item(call, &place, part, items);
        return;
    }
    for (; part < end; part++, items += item_size)
        run_single_item(call, &place, part, items);
}

static void run_block(mpm_call *call, uint64_t part, const char *items, uint64_t count)
{
    const struct part_place place = set_up_place(call);
    int code;

    if (is_skipped(place.record, part))
        return;
    atomic_store_explicit(place.current, place.first_part + part, memory_order_relaxed);
    KILL_POINT();
    code = ((mpm_accumulate_block *)leaf.accumulate)(call, items, count, place.state);
    context_back_from_program(code);
    if (code)
        fail_and_forget(part, code);
}

void reduce_items(mpm_call *call, const struct reduce_job *job, uint64_t first, const void *items,
                  uint64_t count)
{
    uint64_t part = (first - leaf.first_item) / job->part_items, size;

    if (!job->is_block) {
        run_single_items(call, part, items, job->item_size, count);
        return;
    }
    for (uint64_t done = 0; done < count; done += size) {
        size = count - done < job->part_items ? count - done : job->part_items;
        call->index = first + done;
        run_block(call, part++, (const char *)items + done * job->item_size, size);
    }
}

void reduce_item(mpm_call *call, uint64_t index, const void *item, size_t size)
{
    call->item_size = size;
    run_single_items(call, index - leaf.first_item, item, size, 1);
}

void reduce_fail_items(const struct reduce_job *job, uint64_t first, uint64_t count, int code)
{
    uint64_t from = (first - leaf.first_item) / job->part_items;
    uint64_t to = (first - leaf.first_item + count + job->part_items - 1) / job->part_items;

    for (uint64_t part = from; part < to; part++)
        if (!is_skipped(leaf.record, part))
            fail_part(part, code);
    worker_forget_text();
}

int reduce_run_in_memory(mpm_call *call, uint64_t first, size_t count)
{
    const struct reduce_job *job = mpm_call_context(call);
    int status = reduce_find_functions(call, job);

    for (uint64_t number = first; !status && number < first + count; number++) {
        const char *items = arena_at(worker_self.arena, worker_self.lease->items);

        reduce_begin_leaf(call, job, number);
        items += (number - worker_self.index_shift) * worker_self.job->spec.item_size;
        reduce_items(call, job, leaf.first_item, items, reduce_leaf_count(job, number));
    }
    batch_show_context(call, job);
    return status;
}
