/* SPDX-License-Identifier: BSD-3-Clause */
#include "block.h"

#include <stdlib.h>
#include <string.h>

#include "source.h"
#include "split.h"

#define PIECE       262144 /* bytes that are read at once: they are still near when they are cut */
#define BUFFER_SIZE (MOST_RECORD + 2 * PIECE)

/* What a worker keeps from block to block, so that a block allocates nothing but its result. */
struct worker {
    const struct plan *plan;
    struct table table;
    struct batch batch;
    struct splitter splitter;
    struct block_head head;
    char *buffer;
};

int block_worker_open(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    struct worker *worker = calloc(1, sizeof *worker);

    (void)argument_size;
    if (!worker)
        return mpm_fail(call, "out of memory");
    worker->plan = argument;
    table_open(&worker->table, worker->plan);
    worker->buffer = malloc(BUFFER_SIZE + READ_BEYOND);
    if (!worker->buffer || !batch_open(&worker->batch, worker->plan, &worker->table) ||
        !splitter_open(&worker->splitter, worker->plan, &worker->batch))
        return mpm_fail(call, "out of memory");
    worker->batch.head = &worker->head;
    *state = worker;
    return 0;
}

void block_worker_close(void *state)
{
    struct worker *worker = state;

    table_close(&worker->table);
    batch_close(&worker->batch);
    splitter_close(&worker->splitter);
    free(worker->buffer);
    free(worker);
}

/* The text of a block: what is in the buffer, and where in the file it stands. */
struct text {
    struct source *source;
    char *bytes;
    size_t size;
    uint64_t offset; /* of the first byte */
    bool is_at_end;
};

/* Makes room by dropping what was taken, and reads on: up to the limit of the block, as long as that is not
 * reached, since the rows behind it are another block's. */
static bool read_on(struct text *text, size_t taken, uint64_t limit, char *error)
{
    uint64_t end;
    size_t wanted = PIECE;
    ssize_t length;

    memmove(text->bytes, text->bytes + taken, text->size - taken);
    text->offset += taken;
    text->size -= taken;
    end = text->offset + text->size;
    if (end < limit && limit - end < wanted)
        wanted = (size_t)(limit - end);
    else if (end >= limit)
        wanted = PIECE / 8;
    length = source_read(text->source, text->bytes + text->size, wanted, error);
    if (length < 0)
        return false;
    text->is_at_end = (size_t)length < wanted;
    text->size += (size_t)length;
    return true;
}

/* Finds the first line that begins at the first byte of the block or behind it. */
static bool find_row(struct text *text, const struct block_item *item, char *error)
{
    const char *end;

    while (!(end = memchr(text->bytes, '\n', text->size)) && !text->is_at_end) {
        if (!read_on(text, text->size, item->limit, error))
            return false;
    }
    if (end)
        return read_on(text, (size_t)(end - text->bytes) + 1, item->limit, error);
    return read_on(text, text->size, item->limit, error);
}

static bool read_rows(struct worker *worker, struct text *text, const struct block_item *item, char *error)
{
    struct block_head *head = &worker->head;

    head->begin = text->offset;
    for (;;) {
        uint64_t left = item->limit > text->offset ? item->limit - text->offset : 0;
        size_t limit = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;
        size_t taken = splitter_take(&worker->splitter, text->bytes, limit, text->size, text->is_at_end,
                                     &head->lines);
        bool is_stopped = worker->plan->stops_at_bad && head->bad_count;

        if (is_stopped || (taken >= limit && !worker->splitter.is_skipping) ||
            (text->is_at_end && taken == text->size)) {
            head->end = text->offset + taken;
            return true;
        }
        if (!read_on(text, taken, item->limit, error))
            return false;
    }
}

static bool read_block(struct worker *worker, const struct block_item *item, const char *path, char *error)
{
    struct text text = {.bytes = worker->buffer};
    /* A line that begins at the first byte has its line end before it. */
    uint64_t first = item->is_row ? item->first : item->first - 1;
    bool is_read;

    memset(&worker->head, 0, sizeof worker->head);
    table_clear(&worker->table);
    worker->splitter.is_skipping = false;
    if (!source_open(path, path + strlen(path) + 1, &text.source, error))
        return false;
    if (item->is_row && item->limit == UINT64_MAX)
        source_read_ahead(text.source); /* where parts are read by others, all are busy */
    if (item->frame.place)
        source_enter(text.source, item->frame.place, item->frame.first);
    text.offset = first;
    is_read = source_seek(text.source, first, error) && read_on(&text, 0, item->limit, error) &&
              (item->is_row || find_row(&text, item, error)) && read_rows(worker, &text, item, error);
    source_close(text.source);
    return is_read;
}

int block_run(mpm_call *call, const void *bytes, void *result)
{
    struct worker *worker = mpm_call_state(call);
    struct block_item item;
    char error[SOURCE_ERROR], *blob;
    size_t size;

    (void)result;
    memcpy(&item, bytes, sizeof item);
    if (!read_block(worker, &item, (const char *)bytes + sizeof item, error))
        return mpm_fail(call, "%s", error);
    size = table_measure(&worker->table, worker->head.partitions);
    if (!(blob = mpm_call_blob(call, sizeof worker->head + size)))
        return 1;
    memcpy(blob, &worker->head, sizeof worker->head);
    table_write(&worker->table, worker->head.partitions, blob + sizeof worker->head);
    return 0;
}
