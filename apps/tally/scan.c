/* SPDX-License-Identifier: BSD-3-Clause */
#include "scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* The places of the bits, and no branch for each: eight are written at once, of which those that there are count. */
static inline uint32_t *put_positions(uint32_t *to, uint64_t bits, uint32_t base)
{
    uint32_t *end = to + __builtin_popcountll(bits);

    while (bits) {
        for (int i = 0; i < 8; i++) {
            to[i] = base + (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
            bits &= bits - 1;
        }
        to += 8;
    }
    return end;
}

static inline uint64_t first_bits(size_t count)
{
    return count >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

struct masks {
    uint64_t ends, lines, odd;
};

static inline uint32_t *put_masks(struct scan *scan, uint32_t *to, const struct masks *masks, size_t at,
                                  size_t size)
{
    uint64_t here = first_bits(size - at);

    scan->lines += (size_t)__builtin_popcountll(masks->lines & here);
    scan->is_odd |= (masks->odd & here) != 0;
    return put_positions(to, masks->ends & here, (uint32_t)at);
}

#if defined(__x86_64__)

__attribute__((target("avx2,bmi,popcnt"))) static inline uint64_t equal_avx2(__m256i low, __m256i high,
                                                                             __m256i what)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, what)) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, what)) << 32;
}

__attribute__((target("avx2,bmi,popcnt"))) static void scan_avx2(const char *text, size_t size,
                                                                 char separator, struct scan *scan)
{
    const __m256i separators = _mm256_set1_epi8(separator), newlines = _mm256_set1_epi8('\n'),
                  quotes = _mm256_set1_epi8('"'), zeros = _mm256_setzero_si256();
    uint32_t *to = scan->positions;

    for (size_t at = 0; at < size; at += 64) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(text + at)),
                high = _mm256_loadu_si256((const __m256i *)(const void *)(text + at + 32));
        struct masks masks = {.lines = equal_avx2(low, high, newlines),
                              .odd = equal_avx2(low, high, quotes) | equal_avx2(low, high, zeros)};

        masks.ends = masks.lines | equal_avx2(low, high, separators);
        to = put_masks(scan, to, &masks, at, size);
    }
    scan->count = (size_t)(to - scan->positions);
}

static inline uint64_t equal_sse2(const __m128i *parts, __m128i what)
{
    uint64_t bits = 0;

    for (int i = 0; i < 4; i++)
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(parts[i], what)) << (16 * i);
    return bits;
}

static void scan_plainly(const char *text, size_t size, char separator, struct scan *scan)
{
    const __m128i separators = _mm_set1_epi8(separator), newlines = _mm_set1_epi8('\n'),
                  quotes = _mm_set1_epi8('"'), zeros = _mm_setzero_si128();
    uint32_t *to = scan->positions;

    for (size_t at = 0; at < size; at += 64) {
        __m128i parts[4];
        struct masks masks;

        for (int i = 0; i < 4; i++)
            parts[i] = _mm_loadu_si128((const __m128i *)(const void *)(text + at) + i);
        masks.lines = equal_sse2(parts, newlines);
        masks.odd = equal_sse2(parts, quotes) | equal_sse2(parts, zeros);
        masks.ends = masks.lines | equal_sse2(parts, separators);
        to = put_masks(scan, to, &masks, at, size);
    }
    scan->count = (size_t)(to - scan->positions);
}

void scan_text(const char *text, size_t size, char separator, struct scan *scan)
{
    scan->lines = 0;
    scan->is_odd = false;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        scan_avx2(text, size, separator, scan);
    else
        scan_plainly(text, size, separator, scan);
}

#else

void scan_text(const char *text, size_t size, char separator, struct scan *scan)
{
    uint32_t *to = scan->positions;

    scan->lines = 0;
    scan->is_odd = false;
    for (size_t at = 0; at < size; at += 64) {
        struct masks masks = {0, 0, 0};

        for (size_t i = 0; i < 64; i++) {
            char byte = text[at + i];

            masks.lines |= (uint64_t)(byte == '\n') << i;
            masks.ends |= (uint64_t)(byte == '\n' || byte == separator) << i;
            masks.odd |= (uint64_t)(byte == '"' || !byte) << i;
        }
        to = put_masks(scan, to, &masks, at, size);
    }
    scan->count = (size_t)(to - scan->positions);
}

#endif
