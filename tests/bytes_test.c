/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of raw bytes, at home and from other nodes: what they promise to one process stands in a function
 * that main runs and processes on all nodes; that they are set as a whole is tried by many at once. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define LARGE      300000u
#define ROUNDS     AMOUNT(300u, 30u)

static mpm_process start(unsigned node, mpm_target *target, const void *args, size_t size)
{
    mpm_process process = {{0}};

    EXPECT(
        !mpm_process_start(target, args, size, &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
    return process;
}

static bool ends_well(mpm_process process)
{
    int code = 99;

    EXPECT(!mpm_process_join(process, PATIENCE_S));
    EXPECT(!mpm_process_exitcode(process, &code));
    EXPECT(!mpm_process_close(process));
    return code == 0;
}

/* Bytes that were made with 1, 2, … in them. */
static void use_bytes(mpm_bytes bytes, size_t size)
{
    unsigned char *first = malloc(size + 1), *second = malloc(size + 1), *now = malloc(size + 1);
    size_t told = 0;

    for (size_t i = 0; i < size; i++) {
        first[i] = (unsigned char)(i + 1);
        second[i] = (unsigned char)(i * 7 + 3);
    }
    EXPECT(!mpm_bytes_size(bytes, &told) && told == size);
    EXPECT(!mpm_bytes_get(bytes, now, size) && !memcmp(now, first, size));
    EXPECT(!mpm_bytes_set(bytes, second, size));
    EXPECT(!mpm_bytes_get(bytes, now, size) && !memcmp(now, second, size));
    EXPECT(!mpm_bytes_exchange(bytes, first, size, now) && !memcmp(now, second, size));
    EXPECT(!mpm_bytes_compare_exchange(bytes, first, second, size, now) && !memcmp(now, first, size));
    EXPECT(!mpm_bytes_exchange(bytes, now, size, now) && !memcmp(now, second, size));
    if (size) {
        EXPECT(!mpm_bytes_compare_exchange(bytes, second, second, size, now) && !memcmp(now, first, size));
        EXPECT(!mpm_bytes_get(bytes, now, size) && !memcmp(now, first, size));
    }
    EXPECT(mpm_bytes_get(bytes, now, size + 1) == MPM_EINVAL);
    EXPECT(mpm_bytes_set(bytes, now, size + 1) == MPM_EINVAL);
    EXPECT(!mpm_bytes_get(bytes, now, size) && !memcmp(now, first, size));
    free(first);
    free(second);
    free(now);
}

struct args {
    mpm_bytes bytes;
    size_t size;
    unsigned char mark;
};

static mpm_bytes make(size_t size)
{
    unsigned char *initial = malloc(size + 1);
    mpm_bytes bytes = {{0}};

    for (size_t i = 0; i < size; i++)
        initial[i] = (unsigned char)(i + 1);
    EXPECT(!mpm_bytes_create(size, initial, &bytes));
    free(initial);
    return bytes;
}

static int use_and_end(const void *args, size_t size)
{
    const struct args *mine = args;
    size_t told;

    (void)size;
    use_bytes(mine->bytes, mine->size);
    EXPECT(!mpm_bytes_destroy(mine->bytes));
    EXPECT(mpm_bytes_size(mine->bytes, &told) == MPM_ESTALE);
    EXPECT(mpm_bytes_destroy(mine->bytes) == MPM_ESTALE);
    return everywhere_end();
}

static void bytes_are_got_and_set_from_everywhere(void)
{
    static const size_t sizes[] = {0, 1, 8, 64, 65, 1000, LARGE, 3000000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct args args = {.bytes = make(sizes[i]), .size = sizes[i]};

        CU_ASSERT_EQUAL(use_and_end(&args, sizeof args), 0);
        for (unsigned node = 0; node < mpm_node_count(); node++) {
            args.bytes = make(sizes[i]);
            CU_ASSERT(ends_well(start(node, use_and_end, &args, sizeof args)));
        }
    }
    everywhere_assert();
}

static bool are_alike(const unsigned char *bytes, size_t size)
{
    for (size_t i = 1; i < size; i++) {
        if (bytes[i] != bytes[0])
            return false;
    }
    return true;
}

static int write_and_read(const void *args, size_t size)
{
    const struct args *mine = args;
    unsigned char *own = malloc(mine->size), *now = malloc(mine->size);

    (void)size;
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(own, mine->mark + (int)round % 16, mine->size);
        EXPECT(!mpm_bytes_set(mine->bytes, own, mine->size));
        EXPECT(!mpm_bytes_get(mine->bytes, now, mine->size) && are_alike(now, mine->size));
    }
    free(own);
    free(now);
    return everywhere_end();
}

static void nobody_sees_a_part_of_a_set(void)
{
    struct args args = {.size = 20000};
    mpm_process processes[8];
    unsigned count = 2 * mpm_node_count() < 8 ? 2 * mpm_node_count() : 8;

    EXPECT(!mpm_bytes_create(args.size, NULL, &args.bytes));
    for (unsigned i = 0; i < count; i++) {
        args.mark = (unsigned char)(i * 16);
        processes[i] = start(i % mpm_node_count(), write_and_read, &args, sizeof args);
    }
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT(ends_well(processes[i]));
    EXPECT(!mpm_bytes_destroy(args.bytes));
    everywhere_assert();
}

static int add_one_often(const void *args, size_t size)
{
    const struct args *mine = args;
    uint64_t now[2], next[2], before[2];
    int status;

    (void)size;
    EXPECT(!mpm_bytes_get(mine->bytes, now, sizeof now));
    for (unsigned round = 0; round < ROUNDS;) {
        next[0] = now[0] + 1;
        next[1] = now[1] - 1;
        EXPECT(!(status = mpm_bytes_compare_exchange(mine->bytes, now, next, sizeof now, before)));
        if (status)
            break;
        round += !memcmp(before, now, sizeof now);
        memcpy(now, before, sizeof now);
    }
    return everywhere_end();
}

static void no_compare_exchange_is_lost(void)
{
    struct args args = {.size = 2 * sizeof(uint64_t)};
    unsigned count = 2 * mpm_node_count();
    mpm_process processes[16];
    uint64_t sums[2] = {0};

    CU_ASSERT_FATAL(count <= 16);
    EXPECT(!mpm_bytes_create(args.size, NULL, &args.bytes));
    for (unsigned i = 0; i < count; i++)
        processes[i] = start(i % mpm_node_count(), add_one_often, &args, sizeof args);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT(ends_well(processes[i]));
    EXPECT(!mpm_bytes_get(args.bytes, sums, sizeof sums));
    CU_ASSERT_EQUAL(sums[0], (uint64_t)count * ROUNDS);
    CU_ASSERT_EQUAL(sums[1], -(uint64_t)count * ROUNDS);
    EXPECT(!mpm_bytes_destroy(args.bytes));
    everywhere_assert();
}

static int ask_for_pointer(const void *args, size_t size)
{
    const struct args *mine = args;
    void *pointer = NULL;

    (void)size;
    EXPECT(mpm_bytes_pointer(mine->bytes, &pointer) ==
           (mine->bytes.handle.home == mpm_node_id() ? MPM_OK : MPM_EINVAL));
    if (pointer)
        EXPECT(!strcmp(pointer, "plain C"));
    return everywhere_end();
}

static void a_pointer_is_the_bytes_themselves(void)
{
    struct args args = {.size = 100};
    char text[100] = "as a whole";
    void *pointer = NULL;

    EXPECT(!mpm_bytes_create(args.size, NULL, &args.bytes) && !mpm_bytes_pointer(args.bytes, &pointer));
    EXPECT(!mpm_bytes_set(args.bytes, text, sizeof text));
    CU_ASSERT_STRING_EQUAL(pointer, text);
    strcpy(pointer, "plain C");
    EXPECT(!mpm_bytes_get(args.bytes, text, sizeof text));
    CU_ASSERT_STRING_EQUAL(text, "plain C");
    for (unsigned node = 0; node < mpm_node_count(); node++)
        CU_ASSERT(ends_well(start(node, ask_for_pointer, &args, sizeof args)));
    EXPECT(!mpm_bytes_destroy(args.bytes));
    everywhere_assert();
}

static void nonsense_is_refused(void)
{
    mpm_bytes none = {{0}}, bytes = make(8), other = bytes;
    char text[8];
    size_t size;

    other.handle.kind--;
    EXPECT(mpm_bytes_size(none, &size) == MPM_EINVAL && mpm_bytes_destroy(none) == MPM_EINVAL);
    EXPECT(mpm_bytes_get(other, text, 8) == MPM_EINVAL);
    EXPECT(mpm_bytes_get(bytes, NULL, 8) == MPM_EINVAL && mpm_bytes_set(bytes, NULL, 8) == MPM_EINVAL);
    EXPECT(mpm_bytes_exchange(bytes, text, 8, NULL) == MPM_EINVAL);
    EXPECT(mpm_bytes_compare_exchange(bytes, NULL, text, 8, text) == MPM_EINVAL);
    EXPECT(mpm_bytes_size(bytes, NULL) == MPM_EINVAL && mpm_bytes_pointer(bytes, NULL) == MPM_EINVAL);
    EXPECT(mpm_bytes_create(8, text, NULL) == MPM_EINVAL);
    EXPECT(mpm_bytes_create(SIZE_MAX, NULL, &other) == MPM_ENOMEM);
    EXPECT(mpm_bytes_create((size_t)1 << 40, NULL, &other) == MPM_ENOMEM);
    EXPECT(!mpm_bytes_destroy(bytes));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"bytes_are_got_and_set_from_everywhere", bytes_are_got_and_set_from_everywhere},
        {"nobody_sees_a_part_of_a_set", nobody_sees_a_part_of_a_set},
        {"no_compare_exchange_is_lost", no_compare_exchange_is_lost},
        {"a_pointer_is_the_bytes_themselves", a_pointer_is_the_bytes_themselves},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "128M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("bytes", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
