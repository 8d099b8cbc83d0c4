/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk from head to head. What heads say is not believed further than this: a worker that enters at a frame inflates
 * it by its library, which checks what comes out against the same numbers. */
#include "frames.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "table.h"

#define SPACING   262144 /* bytes of text from a frame that is kept to the next one */
#define HEAD_SIZE 24     /* enough of a head of either kind */

struct walk {
    const struct source *source;
    struct frames *frames;
    uint64_t place, size; /* in the file; of the file */
};

static bool keep_frame(struct walk *walk, uint64_t place, uint64_t text)
{
    struct frames *frames = walk->frames;
    uint64_t last = frames->count ? frames->list[frames->count - 1].first : 0;

    if (!frames->count || frames->text_size - last >= SPACING) {
        if (!(frames->count & (frames->count + 1)))
            frames->list = memory_resize(frames->list, (2 * frames->count + 2) * sizeof *frames->list);
        frames->list[frames->count++] = (struct frame){place, frames->text_size};
    }
    return !__builtin_add_overflow(frames->text_size, text, &frames->text_size);
}

static uint32_t little(const unsigned char *bytes, int count)
{
    uint32_t number = 0;

    while (count--)
        number = number << 8 | bytes[count];
    return number;
}

static bool peek(const struct walk *walk, uint64_t place, unsigned char *head)
{
    memset(head, 0, HEAD_SIZE);
    return source_peek(walk->source, place, head, HEAD_SIZE) > 0;
}

/* A member of gzip whose extra field is BC, of two bytes: its size less one. Its text's size is at its end. */
static bool walk_bgzip(struct walk *walk)
{
    static const unsigned char begins[] = {0x1f, 0x8b, 8, 4}, extra[] = {6, 0, 'B', 'C', 2, 0};
    unsigned char head[HEAD_SIZE], tail[HEAD_SIZE];
    uint64_t size;

    if (!peek(walk, walk->place, head) || memcmp(head, begins, sizeof begins) ||
        memcmp(head + 10, extra, sizeof extra))
        return false;
    size = (uint64_t)little(head + 16, 2) + 1;
    if (size < 26 || size > walk->size - walk->place || !peek(walk, walk->place + size - 4, tail) ||
        !keep_frame(walk, walk->place, little(tail, 4)))
        return false;
    walk->place += size;
    return true;
}

/* The blocks of a frame; `place` is that of the first one, and is moved behind the last one. */
static bool walk_blocks(const struct walk *walk, uint64_t *place)
{
    unsigned char head[HEAD_SIZE];
    uint32_t block = 0;

    while (!(block & 1)) {
        uint64_t size;

        if (*place + 3 > walk->size || !peek(walk, *place, head))
            return false;
        block = little(head, 3);
        if ((block >> 1 & 3) == 3)
            return false;
        size = (block >> 1 & 3) == 1 ? 1 : block >> 3; /* one byte that is repeated */
        if (size > walk->size - *place - 3)
            return false;
        *place += 3 + size;
    }
    return true;
}

static bool walk_zstd(struct walk *walk)
{
    static const unsigned char dictionary_sizes[] = {0, 1, 2, 4}, text_sizes[] = {0, 2, 4, 8};
    unsigned char head[HEAD_SIZE];
    unsigned long long text;
    uint64_t place = walk->place;
    bool is_single;

    if (!peek(walk, place, head))
        return false;
    if ((little(head, 4) & ~UINT32_C(15)) == ZSTD_MAGIC_SKIPPABLE_START) {
        walk->place += 8 + (uint64_t)little(head + 4, 4);
        return walk->place <= walk->size;
    }
    text = ZSTD_getFrameContentSize(head, HEAD_SIZE);
    if (text == ZSTD_CONTENTSIZE_UNKNOWN || text == ZSTD_CONTENTSIZE_ERROR || !keep_frame(walk, place, text))
        return false;
    is_single = head[4] >> 5 & 1;
    place += 6u - is_single + dictionary_sizes[head[4] & 3];
    place += is_single && !(head[4] >> 6) ? 1 : text_sizes[head[4] >> 6];
    if (!walk_blocks(walk, &place))
        return false;
    walk->place = place + (head[4] >> 2 & 1 ? 4 : 0);
    return walk->place <= walk->size;
}

bool frames_find(const struct source *source, struct frames *frames)
{
    struct walk walk = {.source = source, .frames = frames, .size = source_size(source)};
    bool is_good = source_kind(source) != SOURCE_PLAIN;

    *frames = (struct frames){0};
    while (is_good && walk.place < walk.size)
        is_good = source_kind(source) == SOURCE_GZIP ? walk_bgzip(&walk) : walk_zstd(&walk);
    if (is_good && frames->count > 1)
        return true;
    frames_free(frames);
    return false;
}

void frames_free(struct frames *frames)
{
    free(frames->list);
    *frames = (struct frames){0};
}

/* How many begin before the byte. */
static size_t count_before(const struct frames *frames, uint64_t byte)
{
    size_t low = 0, high = frames->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (frames->list[middle].first < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct frame frames_before(const struct frames *frames, uint64_t byte)
{
    size_t count = count_before(frames, byte + 1);

    return count ? frames->list[count - 1] : (struct frame){0, 0};
}

uint64_t frames_next(const struct frames *frames, uint64_t byte)
{
    size_t count = count_before(frames, byte);

    return count < frames->count ? frames->list[count].first : UINT64_MAX;
}
