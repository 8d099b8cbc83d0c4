/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vlen.h  Fields and results of variable length: texts, bytes and arrays, of which each row may have another
 * number. */
#ifndef MPMAP_VLEN_H
#define MPMAP_VLEN_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "pool.h"

/** The most bytes that a value of variable length may have. */
#define MPM_VLEN_MOST ((size_t)1 << 30)

MPM_BEGIN

/** What a task finds in a struct item in place of a field of variable length, "text", "u8[]" or "f64[]": where its
 * elements are, in memory of the worker that stays as it is until the task returns. "{f64 x, text name, f32[] peaks}"
 * is struct { double x; mpm_span name, peaks; }. */
typedef struct mpm_span {
    const void
        *at;     /**< the elements, aligned for any type; behind those of a text is a null byte; never NULL */
    size_t size; /**< how many bytes they have; 0 also where nothing was written */
} mpm_span;

/** What a task writes in place of a result of variable length, "text", "u8[]" or "f64[]": one that mpm_vlen_put() or
 * mpm_vlen_reserve() has made in the same call. Zero is an empty one. In a struct of results it stands as such:
 * "{f64 mean, text name, f32[] peaks}" is struct { double mean; mpm_vlen name, peaks; }. */
typedef struct mpm_vlen {
    uint64_t reference[4]; /**< mpmap's own */
} mpm_vlen;

/** Makes a value: copies its bytes. Only in a task of mpm_pool_map_dataset(). Does not block.
 * @param call   the call that the task was given
 * @param bytes  what is copied; NULL if there are none. A "text" must be UTF-8 without null bytes
 * @param size   how many bytes: a multiple of the size of an element, and at most MPM_VLEN_MOST
 * @param value  out: the result, or a field of it
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE if the call is not of a map with such results. A task may return it as
 *         it is: the row has failed then, with that sentence. */
MPM_API MPM_CHECKED int mpm_vlen_put(mpm_call *call, const void *bytes, size_t size, mpm_vlen *value);

/** Makes a value of a text up to its null byte, which is not part of it. As mpm_vlen_put().
 * @param call   the call that the task was given
 * @param text   the text; NULL: an empty one
 * @param value  out: the result, or a field of it
 * @return as mpm_vlen_put(). */
MPM_API MPM_CHECKED int mpm_vlen_put_text(mpm_call *call, const char *text, mpm_vlen *value);

/** Makes a value that the task writes itself, without a copy. As mpm_vlen_put().
 * @param call   the call that the task was given
 * @param size   how many bytes
 * @param value  out: the result, or a field of it
 * @param room   out: where the task writes them, aligned for any type, until it returns or makes another value
 * @return as mpm_vlen_put(). */
MPM_API MPM_CHECKED int mpm_vlen_reserve(mpm_call *call, size_t size, mpm_vlen *value, void **room);

MPM_END

#endif
