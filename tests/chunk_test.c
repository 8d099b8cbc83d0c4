/* SPDX-License-Identifier: BSD-3-Clause */
/* How many items a worker claims at once, without a clock and without a worker. */
#include <CUnit/CUnit.h>

#include "pool/worker/chunk.h"
#include "suite.h"

#define LOOK_S 20e-9 /* what a look at the clock adds to a chunk */

static const struct chunk_wish wish = {.chunk_s = 100e-6, .limit = UINT64_MAX, .workers = 2};

/* What one worker claims of `count` items, that take `item_s` each. How often it claims. */
static unsigned claims_of(uint64_t count, double item_s)
{
    struct chunk_pace pace = {.last = 0};
    unsigned claims = 0;

    for (uint64_t left = count, size; left; left -= size, claims++) {
        size = chunk_next(&pace, &wish, left);
        CU_ASSERT_FATAL(size >= 1 && size <= left);
        chunk_measured(&pace, size, (double)size * item_s + LOOK_S);
    }
    return claims;
}

static void little_that_is_left_is_not_shared(void)
{
    CU_ASSERT(claims_of(16, 2e-9) <= 3);
    CU_ASSERT(claims_of(1024, 2e-9) <= 10);
}

/* Up to the end each claim leaves the other worker as much, and something after that. */
static void what_takes_long_is_shared_to_the_end(void)
{
    struct chunk_pace pace = {.last = 0};

    for (uint64_t left = 4096, size; left > 4; left -= size) {
        size = chunk_next(&pace, &wish, left);
        CU_ASSERT(size <= left / 4);
        chunk_measured(&pace, size, (double)size * 1e-6);
    }
}

/* The first item says little of the others. */
static void one_short_item_does_not_take_all_others_along(void)
{
    struct chunk_pace pace = {.last = 0};

    chunk_measured(&pace, 1, LOOK_S);
    CU_ASSERT(chunk_next(&pace, &wish, 15) <= 4);
    chunk_measured(&pace, 4, 4e-3);
    CU_ASSERT_EQUAL(chunk_next(&pace, &wish, 11), 1);
}

static void no_chunk_is_larger_than_the_job_allows(void)
{
    const struct chunk_wish limited = {.chunk_s = 100e-6, .limit = 3, .workers = 2};
    const struct chunk_pace pace = {.item_s = 1e-9, .last = 3};

    CU_ASSERT_EQUAL(chunk_next(&pace, &limited, 100), 3);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"little_that_is_left_is_not_shared", little_that_is_left_is_not_shared},
        {"what_takes_long_is_shared_to_the_end", what_takes_long_is_shared_to_the_end},
        {"one_short_item_does_not_take_all_others_along", one_short_item_does_not_take_all_others_along},
        {"no_chunk_is_larger_than_the_job_allows", no_chunk_is_larger_than_the_job_allows},
    };

    return suite_run("chunk", tests, sizeof tests / sizeof *tests);
}
