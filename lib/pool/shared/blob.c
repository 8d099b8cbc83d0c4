/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/shared/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

size_t blob_pack_size(const mpm_blob *blobs, size_t count)
{
    size_t size = count * sizeof(struct blob_ref);

    for (size_t i = 0; i < count; i++)
        size += blob_rounded(blobs[i].size);
    return size;
}

void blob_pack(void *pack, const mpm_blob *blobs, size_t count)
{
    struct blob_ref *refs = pack;
    size_t at = count * sizeof *refs;

    for (size_t i = 0; i < count; i++) {
        refs[i] = (struct blob_ref){.offset = blobs[i].bytes ? at : 0, .size = blobs[i].size};
        if (blobs[i].size)
            memcpy((char *)pack + at, blobs[i].bytes, blobs[i].size);
        at += blob_rounded(blobs[i].size);
    }
}

bool blob_is_pack(const void *pack, size_t size, size_t count)
{
    const struct blob_ref *refs = pack;

    if (size / sizeof *refs < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (refs[i].offset > size || refs[i].size > size - refs[i].offset)
            return false;
    }
    return true;
}

void blob_look(const void *base, const struct blob_ref *refs, size_t count, mpm_blob *blobs)
{
    for (size_t i = 0; i < count; i++)
        blobs[i] = (mpm_blob){refs[i].offset ? (const char *)base + refs[i].offset : NULL, refs[i].size};
}

/* Lists. Each lease's results are one piece of memory. */

struct piece {
    _Alignas(16) struct piece *next;
    _Alignas(16) char bytes[];
};

struct blob_list {
    struct piece *pieces;
    size_t count;
    mpm_blob blob[];
};

struct blob_list *blob_list_create(size_t count)
{
    struct blob_list *list = NULL;

    if (count <= (SIZE_MAX - sizeof *list) / sizeof *list->blob)
        list = calloc(1, sizeof *list + count * sizeof *list->blob);
    if (list)
        list->count = count;
    return list;
}

/* With a byte of 0 behind each. */
static struct piece *make_piece(const struct blob_ref *refs, size_t count)
{
    size_t size = sizeof(struct piece);
    struct piece *piece;

    for (size_t i = 0; i < count; i++)
        size += blob_rounded(refs[i].size + 1);
    if (!(piece = malloc(size)))
        error_set(MPM_ENOMEM, "no memory for %zu bytes of results", size);
    return piece;
}

int blob_list_keep(struct blob_list *list, uint64_t first, const void *base, const struct blob_ref *refs,
                   size_t count)
{
    struct piece *piece = make_piece(refs, count);
    size_t at = 0;

    if (!piece)
        return MPM_ENOMEM;
    piece->next = list->pieces;
    list->pieces = piece;
    for (size_t i = 0; i < count; i++) {
        if (!refs[i].offset)
            continue;
        memcpy(piece->bytes + at, (const char *)base + refs[i].offset, refs[i].size);
        piece->bytes[at + refs[i].size] = 0;
        list->blob[first + i] = (mpm_blob){piece->bytes + at, refs[i].size};
        at += blob_rounded(refs[i].size + 1);
    }
    return MPM_OK;
}

mpm_blob *blob_list_results(struct blob_list *list)
{
    return list->blob;
}

void blob_list_destroy(struct blob_list *list)
{
    for (struct piece *piece = list ? list->pieces : NULL, *next; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    free(list);
}

void mpm_blobs_free(mpm_blob *results)
{
    if (results)
        blob_list_destroy((struct blob_list *)((char *)results - offsetof(struct blob_list, blob)));
}
