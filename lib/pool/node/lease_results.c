/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes of a lease: see board.h for who writes what.
 *
 * A lease goes through rounds. A round ends when everything has been claimed and no worker is in the lease;
 * the items without a done bit then were lost with their workers. Those that a crash was blamed on as often
 * as an item may be tried have failed; the rest is published again, by a list of their numbers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "pool/node/node_pool_inside.h"

#define MOST_DEATHS_OUTSIDE 8u /* in a leaf, before an item that is skipped */

static bool grow(void **array, size_t *room, size_t count, size_t size)
{
    size_t wanted = *room ? *room * 2 : 8;
    void *grown;

    if (count < *room)
        return true;
    if (!(grown = realloc(*array, wanted * size)))
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

static struct crashed_item *crashed_item_of(struct node_lease *lease, uint64_t item)
{
    struct crashed_item *crashed_item;

    for (size_t i = 0; i < lease->crashed_item_count; i++) {
        if (lease->crashed_items[i].item == item)
            return &lease->crashed_items[i];
    }
    if (!grow((void **)&lease->crashed_items, &lease->crashed_item_capacity, lease->crashed_item_count,
              sizeof *crashed_item))
        return NULL;
    crashed_item = &lease->crashed_items[lease->crashed_item_count++];
    *crashed_item = (struct crashed_item){.item = item};
    return crashed_item;
}

/* Takes the crashes of the round that has ended: how many of their items are to be run again. Without memory for one
 * it is not blamed. */
static uint64_t take_crashes(struct node_lease *lease)
{
    struct lease_block *block = lease->block;
    uint32_t count = atomic_load(&block->crash_count);
    uint64_t retried = 0;

    for (uint32_t i = 0; i < count && i < LEASE_MAX_CRASH; i++) {
        struct crash *crash = &block->crash[i];
        struct crashed_item *crashed_item;

        if (!atomic_exchange(&crash->ready, 0) || !(crashed_item = crashed_item_of(lease, crash->item)))
            continue;
        crashed_item->attempts++;
        retried += crashed_item->attempts < lease->job->node_pool->board->spec.max_attempts;
        crashed_item->last_status = crash->wait_status;
        crashed_item->last_limit = (enum item_limit)crash->limit;
    }
    atomic_store(&block->crash_count, 0);
    return retried;
}

static bool is_reduction(const struct node_lease *lease)
{
    return lease->job->block->spec.kind == JOB_REDUCE;
}

/* What the caller calls an item of the lease, or a part of one: the first of its items. */
static uint64_t index_of(const struct node_lease *lease, uint64_t item)
{
    const struct job_spec *spec = &lease->job->block->spec;

    return (lease->first + item / spec->parts) * spec->leaf_items + item % spec->parts * spec->part_items;
}

/* Of an item of which no more is known yet. */
static void begin_failure(const struct node_lease *lease, uint64_t item, struct worded_failure *worded)
{
    mpm_failure *failure = &worded->failure;

    *failure = (mpm_failure){
        .index = index_of(lease, item), .attempts = 1, .node = context_topology()->node, .text = "it failed"};
    for (size_t i = 0; i < lease->crashed_item_count; i++) {
        if (lease->crashed_items[i].item == item)
            failure->attempts += lease->crashed_items[i].attempts;
    }
}

/* Of one that has cost as many workers as it may. false without memory, as all that follow. */
static bool add_death(struct node_lease *lease, const struct crashed_item *crashed_item)
{
    struct worded_failure worded;

    begin_failure(lease, crashed_item->item, &worded);
    worded.failure.attempts = crashed_item->attempts;
    node_pool_describe_death(lease->job->node_pool, crashed_item->last_status, crashed_item->last_limit,
                             &worded);
    return failure_list_add(&lease->failures, &worded.failure);
}

static void zero_result(struct node_lease *lease, uint64_t item)
{
    uint64_t size = lease->job->block->spec.result_size;

    if (size)
        memset((char *)arena_at(lease->job->node_pool->arena, lease->block->results) + item * size, 0, size);
}

static _Atomic uint64_t *bits_of(const struct node_lease *lease, uint64_t array, uint32_t worker)
{
    return lease_bits(lease->job->node_pool->arena, lease->block, array, worker);
}

static const char *attempts_word(unsigned attempts)
{
    return attempts == 1 ? "attempt" : "attempts";
}

/* By the largest unit that leaves it a whole number. */
static char *describe_bytes(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;

    for (; bytes && bytes % 1024 == 0 && unit < 4; unit++)
        bytes /= 1024;
    snprintf(text, size, "%llu %s", (unsigned long long)bytes, units[unit]);
    return text;
}

static void describe_limit(const struct pool_spec *spec, enum item_limit limit, struct worded_failure *worded)
{
    mpm_failure *failure = &worded->failure;
    char passed[64], bytes[32];

    if (limit == LIMIT_TIME)
        c_snprintf(passed, sizeof passed, "ran past its %g s", spec->item_timeout_s);
    else
        snprintf(passed, sizeof passed, "needed more than %s",
                 describe_bytes(spec->item_memory_bytes, bytes, sizeof bytes));
    failure->cause = limit == LIMIT_TIME ? MPM_CAUSE_TIME : MPM_CAUSE_MEMORY;
    snprintf(worded->words, sizeof worded->words, "it %s (%u %s)", passed, failure->attempts,
             attempts_word(failure->attempts));
}

void node_pool_describe_death(const struct node_pool *node_pool, int wait_status, enum item_limit limit,
                              struct worded_failure *worded)
{
    mpm_failure *failure = &worded->failure;
    char how[120];

    failure->text = worded->words;
    if (limit != LIMIT_NONE) {
        describe_limit(&node_pool->board->spec, limit, worded);
        return;
    }
    failure->cause = WIFSIGNALED(wait_status) ? MPM_CAUSE_SIGNAL : MPM_CAUSE_EXIT;
    failure->code = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    if (failure->cause == MPM_CAUSE_SIGNAL && failure->code == SIGKILL)
        snprintf(how, sizeof how, "was killed by SIGKILL, likely out of memory");
    else
        describe_wait_status(wait_status, how, sizeof how);
    snprintf(worded->words, sizeof worded->words, "its worker %s (%u %s)", how, failure->attempts,
             attempts_word(failure->attempts));
}

/* What a dead worker noted of items that it did not finish never happened. */
static void forget_failures(struct node_lease *lease, uint64_t word, uint64_t missing)
{
    for (uint32_t worker = 0; worker < lease->block->worker_count; worker++) {
        _Atomic uint64_t *failed = &bits_of(lease, lease->block->failed, worker)[word];

        atomic_store_explicit(failed, atomic_load_explicit(failed, memory_order_relaxed) & ~missing,
                              memory_order_relaxed);
    }
}

static bool is_item_done(const struct node_lease *lease, uint64_t item)
{
    return node_lease_done_word(lease, item / 64) >> item % 64 & 1;
}

/* Parts of leaves that have cost as many workers as an item may are skipped when their leaf is run again. What still
 * costs workers then is not in an item at all: the function that begins the leaf, say. false then: the job is lost. */
static bool skip_crashed_parts(struct node_lease *lease)
{
    unsigned limit = lease->job->node_pool->board->spec.max_attempts;
    uint64_t parts = lease->block->parts;

    for (size_t i = 0; i < lease->crashed_item_count; i++) {
        struct crashed_item *part = &lease->crashed_items[i];
        struct leaf_record *leaf = lease_leaf(lease->job->node_pool->arena, lease->block, part->item / parts);

        if (part->attempts < limit || is_item_done(lease, part->item / parts))
            continue;
        if (part->is_skipped && part->attempts >= limit + MOST_DEATHS_OUTSIDE)
            return false;
        if (part->is_skipped)
            continue;
        part->is_skipped = true;
        leaf->skip[part->item % parts / 64] |= UINT64_C(1) << part->item % parts % 64;
        leaf->skipped++;
    }
    return true;
}

/* Items that have cost as many workers as an item may are done: failed. The lease is quiet, so worker 0's
 * bits may be written here. */
static bool give_up_crashed_items(struct node_lease *lease)
{
    unsigned limit = lease->job->node_pool->board->spec.max_attempts;

    for (size_t i = 0; i < lease->crashed_item_count; i++) {
        const struct crashed_item *crashed_item = &lease->crashed_items[i];

        if (crashed_item->attempts < limit || is_item_done(lease, crashed_item->item))
            continue;
        if (!add_death(lease, crashed_item))
            return false;
        forget_failures(lease, crashed_item->item / 64, UINT64_C(1) << crashed_item->item % 64);
        zero_result(lease, crashed_item->item);
        lease->given_up++;
        lease_set_bit(bits_of(lease, lease->block->done, 0), crashed_item->item);
    }
    return true;
}

/* The bits of `word` that are items which the lease keeps. */
static uint64_t kept_bits(const struct node_lease *lease, uint64_t word)
{
    if (lease->keep >= (word + 1) * 64)
        return UINT64_MAX;
    return lease->keep <= word * 64 ? 0 : (UINT64_C(1) << lease->keep % 64) - 1;
}

/* Words of bits that have those of the items that it keeps: they may be fewer than there is room for. */
static uint64_t kept_words(const struct node_lease *lease)
{
    return (lease->keep + 63) / 64;
}

static uint64_t count_missing(const struct node_lease *lease)
{
    uint64_t missing = 0, words = kept_words(lease);

    for (uint64_t word = 0; word < words; word++)
        missing += (unsigned)__builtin_popcountll(kept_bits(lease, word) &
                                                  ~node_lease_done_word(lease, word));
    return missing;
}

static struct note *notes_of(const struct node_lease *lease)
{
    return arena_at(lease->job->node_pool->arena, lease->block->notes);
}

/* Whether its worker has lived to say so: else the item was run again. */
static bool is_true(const struct node_lease *lease, const struct note *note)
{
    return atomic_load(&note->ready) &&
           lease_bit(bits_of(lease, lease->block->done, note->worker), note->item / lease->block->parts);
}

static void forget_note(const struct node_lease *lease, struct note *note)
{
    atomic_store(&note->ready, 0);
    failure_text_free(lease->job->node_pool->arena, &note->said);
}

/* To a place that was forgotten. */
static void move_note(struct note *note, struct note *place)
{
    *place = *note;
    atomic_store(&note->ready, 0);
    atomic_store(&note->said.blocks, 0);
}

/* Between two rounds: what dead workers have claimed or written in vain is room again, so there is a note for each item
 * of a lease that has as many notes as items. */
static void forget_notes(struct node_lease *lease)
{
    struct lease_block *block = lease->block;
    struct note *notes = notes_of(lease);
    uint32_t count = atomic_load(&block->note_count), kept = 0;

    for (uint32_t i = 0; i < block->note_reserve; i++) {
        if (!is_true(lease, &notes[block->note_room + i]))
            forget_note(lease, &notes[block->note_room + i]);
    }
    if (count > block->note_room)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_true(lease, &notes[i]))
            forget_note(lease, &notes[i]);
        else if (kept++ < i)
            move_note(&notes[i], &notes[kept - 1]);
    }
    atomic_store(&block->note_count, kept);
}

/* Room for a list of so many items. A full arena has room for a few at a time all the same: the next rounds list the
 * others. */
static void make_order(struct node_lease *lease, uint64_t *count)
{
    struct arena *arena = lease->job->node_pool->arena;
    struct lease_block *block = lease->block;
    uint64_t offset;

    if (!node_lease_is_short_list(lease))
        arena_free(arena, block->order);
    if (*count > LEASE_SHORT_LIST &&
        !arena_alloc(arena, *count * sizeof(uint32_t), lease->job->node_pool->board->owner, &offset)) {
        block->order = offset;
        return;
    }
    block->order = lease->offset + offsetof(struct lease_block, short_list);
    if (*count > LEASE_SHORT_LIST)
        *count = LEASE_SHORT_LIST;
}

/* The items of a word that are to run alone, unless they are done: their workers were killed from outside, likely for
 * want of memory, beside others that may have had it. */
static uint64_t lonely_bits(const struct node_lease *lease, uint64_t word)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < lease->crashed_item_count; i++) {
        const struct crashed_item *crashed_item = &lease->crashed_items[i];
        uint64_t item = crashed_item->item / lease->block->parts;

        if (item / 64 == word && !crashed_item->is_skipped && crashed_item->last_limit == LIMIT_NONE &&
            WIFSIGNALED(crashed_item->last_status) && WTERMSIG(crashed_item->last_status) == SIGKILL)
            bits |= UINT64_C(1) << item % 64;
    }
    return bits;
}

static uint64_t count_lonely(const struct node_lease *lease)
{
    uint64_t lonely = 0;

    for (uint64_t word = 0; lease->crashed_item_count && word < lease->block->words; word++)
        lonely += (unsigned)__builtin_popcountll(kept_bits(lease, word) & lonely_bits(lease, word) &
                                                 ~node_lease_done_word(lease, word));
    return lonely;
}

/* Lists items without a done bit, `count` in all, for another round. Those that run alone have a round of their own,
 * when all others are done. */
static void list_missing(struct node_lease *lease, uint64_t count)
{
    struct lease_block *block = lease->block;
    uint32_t *order;
    uint64_t listed = 0, lonely = count_lonely(lease);

    block->is_alone = lonely == count;
    if (!block->is_alone)
        count -= lonely;
    make_order(lease, &count);
    order = arena_at(lease->job->node_pool->arena, block->order);
    for (uint64_t word = 0; word < block->words; word++) {
        uint64_t missing = kept_bits(lease, word) & ~node_lease_done_word(lease, word);

        if (missing)
            forget_failures(lease, word, missing);
        if (!block->is_alone)
            missing &= ~lonely_bits(lease, word);
        for (; missing && listed < count; missing &= missing - 1)
            order[listed++] = (uint32_t)(word * 64 + (unsigned)__builtin_ctzll(missing));
    }
    forget_notes(lease);
    block->count = count;
    block->chunk = 1;
    atomic_store(&block->next, 0);
}

static void take_note(const struct node_lease *lease, const struct note *note, struct worded_failure *worded)
{
    worded->failure.code = note->code;
    worded->failure.text = failure_text_of(lease->job->node_pool->arena, &note->said);
    if (worded->failure.text[0])
        return;
    worded->failure.text = worded->words;
    snprintf(worded->words, sizeof worded->words, "the task returned %d", (int)note->code);
}

static bool is_note_of(const struct note *note, uint32_t worker, uint64_t item)
{
    return note->item == item && note->worker == worker && atomic_load(&note->ready);
}

/* Takes the text and the code of an item's note, where there is one. */
static void read_note(const struct node_lease *lease, uint32_t worker, uint64_t item,
                      struct worded_failure *worded)
{
    const struct lease_block *block = lease->block;
    const struct note *notes = notes_of(lease);
    uint32_t count = atomic_load(&block->note_count);

    for (uint32_t i = 0; i < count && i < block->note_room; i++)
        if (is_note_of(&notes[i], worker, item))
            take_note(lease, &notes[i], worded);
    if (count > block->note_room && block->note_reserve &&
        is_note_of(&notes[block->note_room + worker], worker, item))
        take_note(lease, &notes[block->note_room + worker], worded);
}

/* Whether one more is to be listed: a batch of very many has told its user of them in another way. */
static bool is_listed(struct node_lease *lease)
{
    if (!job_is_batch(&lease->job->block->spec) || lease->failures.count < LEASE_MAX_TOLD)
        return true;
    lease->failures_untold++;
    return false;
}

/* Failed items of one worker, in one word of bits. */
static bool take_failures_of(struct node_lease *lease, uint32_t worker, uint64_t word)
{
    struct lease_block *block = lease->block;
    uint64_t bits = atomic_load(&bits_of(lease, block->failed, worker)[word]) &
                    atomic_load(&bits_of(lease, block->done, worker)[word]) & kept_bits(lease, word);

    for (; bits; bits &= bits - 1) {
        uint64_t item = word * 64 + (unsigned)__builtin_ctzll(bits);
        struct worded_failure worded;

        if (!is_listed(lease))
            continue;
        begin_failure(lease, item, &worded);
        read_note(lease, worker, item, &worded);
        if (!failure_list_add(&lease->failures, &worded.failure))
            return false;
        zero_result(lease, item);
    }
    return true;
}

/* A part that failed by its own word. */
static bool tell_noted(struct node_lease *lease, const struct note *note)
{
    struct worded_failure worded;

    if (!is_true(lease, note))
        return true;
    begin_failure(lease, note->item, &worded);
    take_note(lease, note, &worded);
    return failure_list_add(&lease->failures, &worded.failure);
}

/* Failed parts of a reduction's leaves: those that are noted, and the number of the others. */
static bool take_failed_parts(struct node_lease *lease)
{
    struct arena *arena = lease->job->node_pool->arena;
    const struct note *notes = notes_of(lease);
    uint32_t count = lease->block->note_room + lease->block->note_reserve;
    uint64_t failed = 0, skipped = 0;

    for (uint64_t leaf = 0; leaf < lease->keep; leaf++) {
        failed += lease_leaf(arena, lease->block, leaf)->failed;
        skipped += lease_leaf(arena, lease->block, leaf)->skipped;
    }
    for (size_t i = 0; skipped && i < lease->crashed_item_count; i++)
        if (lease->crashed_items[i].is_skipped && !add_death(lease, &lease->crashed_items[i]))
            return false;
    for (uint32_t i = 0; failed && i < count; i++)
        if (!tell_noted(lease, &notes[i]))
            return false;
    lease->failures_untold = failed + skipped - lease->failures.count;
    atomic_fetch_add(&lease->job->node_pool->failed, failed + skipped);
    failure_list_sort(&lease->failures);
    return true;
}

static bool take_failures(struct node_lease *lease)
{
    if (is_reduction(lease))
        return take_failed_parts(lease);
    if (atomic_load(&lease->block->note_count)) {
        for (uint64_t word = 0; word < lease->block->words; word++) {
            for (uint32_t worker = 0; worker < lease->block->worker_count; worker++) {
                if (!take_failures_of(lease, worker, word))
                    return false;
            }
        }
    }
    failure_list_sort(&lease->failures);
    return true;
}

static enum lease_look lose(struct node_lease *lease, int status)
{
    lease->status = status;
    return LEASE_IS_LOST;
}

static enum lease_look lose_job(struct node_lease *lease)
{
    const struct note *loss = &lease->job->block->loss;

    if (!atomic_load(&loss->ready))
        return lose(lease, error_set(MPM_EWORKER, "a worker could not set up the map, and died"));
    return lose(lease, error_set(loss->code < 0 ? loss->code : MPM_EWORKER, "%s",
                                 failure_text_of(lease->job->node_pool->arena, &loss->said)));
}

static void count_items(struct node_lease *lease)
{
    struct lease_block *block = lease->block;
    struct node_pool *node_pool = lease->job->node_pool;

    for (uint32_t worker = 0; worker < block->worker_count; worker++) {
        const _Atomic uint64_t *done_bits = bits_of(lease, block->done, worker),
                               *failed_bits = bits_of(lease, block->failed, worker);
        uint64_t done = 0, failed = 0, words = kept_words(lease);

        for (uint64_t word = 0; word < words; word++) {
            uint64_t bits = atomic_load_explicit(&done_bits[word], memory_order_relaxed) &
                            kept_bits(lease, word);

            done += (unsigned)__builtin_popcountll(bits);
            if (atomic_load_explicit(&block->note_count, memory_order_relaxed))
                failed += (unsigned)__builtin_popcountll(bits & atomic_load(&failed_bits[word]));
        }
        atomic_fetch_add(&node_pool->counts[worker].done, done - failed - (worker ? 0 : lease->given_up));
        atomic_fetch_add(&node_pool->counts[worker].failed, failed);
    }
    atomic_fetch_add(&node_pool->failed, lease->given_up);
}

/* The round has ended. */
static enum lease_look end_round(struct node_lease *lease)
{
    uint64_t missing;

    if (atomic_load(&lease->job->block->is_lost))
        return lose_job(lease);
    atomic_fetch_add(&lease->job->node_pool->retried, take_crashes(lease));
    if (is_reduction(lease) && !skip_crashed_parts(lease))
        return lose(lease, error_set(MPM_EWORKER,
                                     "workers die in a leaf of the reduction, but in none of its items: "
                                     "look at the init function"));
    if (!is_reduction(lease) && !give_up_crashed_items(lease))
        return lose(lease, error_set(MPM_ENOMEM, "no memory for the list of failed items"));
    if ((missing = count_missing(lease))) {
        list_missing(lease, missing);
        node_lease_put_on_board(lease);
        return LEASE_RUNS;
    }
    if (!take_failures(lease))
        return lose(lease, error_set(MPM_ENOMEM, "no memory for the list of failed items"));
    count_items(lease);
    return LEASE_IS_DONE;
}

enum lease_look node_lease_look(struct node_lease *lease)
{
    if (atomic_load(&lease->block->next) < lease->block->count)
        return LEASE_RUNS;
    node_lease_withdraw(lease);
    if (node_lease_is_quiet(lease))
        return end_round(lease);
    if (lease->is_said_claimed)
        return LEASE_RUNS;
    lease->is_said_claimed = true;
    return LEASE_IS_CLAIMED;
}
