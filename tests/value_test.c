/* SPDX-License-Identifier: BSD-3-Clause */
/* Values and arrays, as a user's program uses them: by main at their home, and by tasks on all nodes, which
 * get handles as items and in contexts. What deaths are counted by stands in a file that all ranks map before
 * mpm_init, so that all workers inherit it. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "shm/arena.h"
#include "support/suite.h"

#define TYPES       ((size_t)MPM_F64)
#define PATIENCE_S  100
#define MAX_WORKERS 64
#define TALLIES     AMOUNT(64, 12)

/* How many adds an item has returned from, and how many it has begun. */
struct tally {
    _Atomic unsigned long done, begun;
};

static struct tally *tallies;

/* All ranks of a run have one parent: the launcher, or whoever started the test. */
static bool share_tallies(char *path, size_t size)
{
    const char *folder = getenv("TMPDIR");
    int file;

    snprintf(path, size, "%s/mpmap_value_test.%d", folder ? folder : "/tmp", (int)getppid());
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, TALLIES * sizeof *tallies))
        return false;
    tallies = mmap(NULL, TALLIES * sizeof *tallies, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return tallies != MAP_FAILED;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A number of any type, made of a small integer, and looked at as a double. */

union number {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    float f32;
    double f64;
};

static union number number_of(mpm_type type, long n)
{
    union number number = {.u64 = 0};

    switch (type) {
    case MPM_I8:
    case MPM_U8:
        number.i8 = (int8_t)n;
        break;
    case MPM_I16:
    case MPM_U16:
        number.i16 = (int16_t)n;
        break;
    case MPM_I32:
    case MPM_U32:
        number.i32 = (int32_t)n;
        break;
    case MPM_F32:
        number.f32 = (float)n;
        break;
    case MPM_F64:
        number.f64 = (double)n;
        break;
    default:
        number.i64 = n;
    }
    return number;
}

static bool is_number(mpm_type type, const union number *number, long n)
{
    union number wanted = number_of(type, n);

    return !memcmp(number, &wanted, mpm_type_size(type));
}

static bool is_signed(mpm_type type)
{
    return type <= MPM_I64 || type >= MPM_F32;
}

static bool is_float(mpm_type type)
{
    return type >= MPM_F32;
}

/* A number in a value, or in an array: the same operations on both. */
struct target {
    mpm_type type;
    bool is_array;
    mpm_value value;
    mpm_array array;
    size_t index;
};

enum operation { GET, SET, ADD, FETCH_ADD, EXCHANGE, COMPARE_EXCHANGE, MIN, MAX };

static int operate_on_value(mpm_value value, enum operation what, const void *a, const void *b, void *out)
{
    switch (what) {
    case GET:
        return mpm_value_get(value, out);
    case SET:
        return mpm_value_set(value, a);
    case ADD:
        return mpm_value_add(value, a);
    case FETCH_ADD:
        return mpm_value_fetch_add(value, a, out);
    case EXCHANGE:
        return mpm_value_exchange(value, a, out);
    case COMPARE_EXCHANGE:
        return mpm_value_compare_exchange(value, a, b, out);
    case MIN:
        return mpm_value_min(value, a);
    default:
        return mpm_value_max(value, a);
    }
}

static int operate_on_array(mpm_array array, size_t index, enum operation what, const void *a, const void *b,
                            void *out)
{
    switch (what) {
    case GET:
        return mpm_array_get(array, index, out);
    case SET:
        return mpm_array_set(array, index, a);
    case ADD:
        return mpm_array_add(array, index, a);
    case FETCH_ADD:
        return mpm_array_fetch_add(array, index, a, out);
    case EXCHANGE:
        return mpm_array_exchange(array, index, a, out);
    case COMPARE_EXCHANGE:
        return mpm_array_compare_exchange(array, index, a, b, out);
    case MIN:
        return mpm_array_min(array, index, a);
    default:
        return mpm_array_max(array, index, a);
    }
}

static int operate(const struct target *target, enum operation what, const void *a, const void *b, void *out)
{
    return target->is_array ? operate_on_array(target->array, target->index, what, a, b, out)
                            : operate_on_value(target->value, what, a, b, out);
}

/* One operation with small integers, what it is to give, and what the number is to be then. */
struct step {
    enum operation what;
    long a, b, before, after;
};

static bool gives_before(enum operation what)
{
    return what == GET || what == FETCH_ADD || what == EXCHANGE || what == COMPARE_EXCHANGE;
}

static bool step_is_right(const struct target *target, const struct step *step)
{
    union number a = number_of(target->type, step->a), b = number_of(target->type, step->b), before, after;

    memset(&before, 0x55, sizeof before);
    if (operate(target, step->what, &a, &b, &before) || operate(target, GET, NULL, NULL, &after))
        return false;
    return is_number(target->type, &after, step->after) &&
           (!gives_before(step->what) || is_number(target->type, &before, step->before));
}

static const struct step steps_of_all[] = {
    {SET, 5, 0, 0, 5},
    {GET, 0, 0, 5, 5},
    {ADD, 3, 0, 0, 8},
    {FETCH_ADD, 2, 0, 8, 10},
    {EXCHANGE, 20, 0, 10, 20},
    {COMPARE_EXCHANGE, 20, 30, 20, 30},
    {COMPARE_EXCHANGE, 20, 40, 30, 30},
    {MIN, 31, 0, 0, 30},
    {MIN, 7, 0, 0, 7},
    {MAX, 6, 0, 0, 7},
    {MAX, 100, 0, 0, 100},
};
static const struct step steps_of_signed[] = {
    {SET, -5, 0, 0, -5}, {ADD, -3, 0, 0, -8},      {FETCH_ADD, 2, 0, -8, -6},
    {MAX, -7, 0, 0, -6}, {MIN, -100, 0, 0, -100},  {MIN, 3, 0, 0, -100},
    {MAX, 3, 0, 0, 3},   {EXCHANGE, -1, 0, 3, -1}, {COMPARE_EXCHANGE, -1, -2, -1, -2},
};
/* Here -1 is the greatest number that there is. */
static const struct step steps_of_unsigned[] = {
    {SET, -1, 0, 0, -1}, {FETCH_ADD, 1, 0, -1, 0}, {ADD, -2, 0, 0, -2}, {MAX, -1, 0, 0, -1},
    {MAX, 1, 0, 0, -1},  {MIN, 1, 0, 0, 1},        {MIN, -1, 0, 0, 1},
};

static bool steps_are_right(const struct target *target, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (step_is_right(target, &steps[i]))
            continue;
        fprintf(stderr, "node %u: %s of %s: step %zu (operation %d) of %zu went wrong: \"%s\"\n",
                mpm_node_id(), target->is_array ? "array" : "value", mpm_type_name(target->type), i,
                (int)steps[i].what, count, mpm_error());
        return false;
    }
    return true;
}

#define STEPS_ARE_RIGHT(target, steps) steps_are_right(target, steps, sizeof(steps) / sizeof *(steps))

/* The greatest of a signed type and 1 more is the least. */
static bool wraps(const struct target *target)
{
    unsigned bits = 8 * (unsigned)mpm_type_size(target->type);
    union number greatest = {.u64 = (UINT64_C(1) << (bits - 1)) - 1}, one = number_of(target->type, 1), now,
                 least = {.u64 = UINT64_C(1) << (bits - 1)};

    return !operate(target, SET, &greatest, NULL, NULL) && !operate(target, ADD, &one, NULL, NULL) &&
           !operate(target, GET, NULL, NULL, &now) && !memcmp(&now, &least, mpm_type_size(target->type));
}

/* NaN is never less nor more, and nothing is less or more than NaN; the bits of NaN can be compared. */
static bool handles_nan(const struct target *target)
{
    bool single = target->type == MPM_F32;
    union number nan = single ? (union number){.f32 = NAN} : (union number){.f64 = NAN}, now,
                 one = number_of(target->type, 1);
    bool right = !operate(target, SET, &one, NULL, NULL) && !operate(target, MIN, &nan, NULL, NULL) &&
                 !operate(target, MAX, &nan, NULL, NULL) && !operate(target, GET, NULL, NULL, &now) &&
                 is_number(target->type, &now, 1);

    right = right && !operate(target, SET, &nan, NULL, NULL) && !operate(target, MIN, &one, NULL, NULL) &&
            !operate(target, MAX, &one, NULL, NULL) && !operate(target, GET, NULL, NULL, &now) &&
            !memcmp(&now, &nan, mpm_type_size(target->type));
    return right && !operate(target, COMPARE_EXCHANGE, &nan, &one, &now) &&
           !operate(target, GET, NULL, NULL, &now) && is_number(target->type, &now, 1);
}

static bool halves_add_up(const struct target *target)
{
    union number half = target->type == MPM_F32 ? (union number){.f32 = 0.5f} : (union number){.f64 = 0.5};
    union number zero = number_of(target->type, 0), now;

    return !operate(target, SET, &zero, NULL, NULL) && !operate(target, ADD, &half, NULL, NULL) &&
           !operate(target, ADD, &half, NULL, NULL) && !operate(target, FETCH_ADD, &half, NULL, &now) &&
           is_number(target->type, &now, 1);
}

static bool arithmetic_is_right(const struct target *target)
{
    if (!STEPS_ARE_RIGHT(target, steps_of_all))
        return false;
    if (is_float(target->type))
        return STEPS_ARE_RIGHT(target, steps_of_signed) && handles_nan(target) && halves_add_up(target);
    return (is_signed(target->type) ? STEPS_ARE_RIGHT(target, steps_of_signed) && wraps(target)
                                    : STEPS_ARE_RIGHT(target, steps_of_unsigned));
}

/* All types, each in a value and in the middle of an array of three. */
struct zoo {
    mpm_value values[TYPES];
    mpm_array arrays[TYPES];
};

static bool zoo_create(struct zoo *zoo)
{
    for (size_t i = 0; i < TYPES; i++) {
        mpm_type type = (mpm_type)(i + 1);
        union number seven = number_of(type, 7);

        if (mpm_value_create(type, &seven, &zoo->values[i]) ||
            mpm_array_create(type, 3, NULL, &zoo->arrays[i]) || mpm_array_set(zoo->arrays[i], 0, &seven) ||
            mpm_array_set(zoo->arrays[i], 2, &seven))
            return false;
    }
    return true;
}

static bool zoo_destroy(const struct zoo *zoo)
{
    bool went_well = true;

    for (size_t i = 0; i < TYPES; i++)
        went_well &= !mpm_value_destroy(zoo->values[i]) && !mpm_array_destroy(zoo->arrays[i]);
    return went_well;
}

/* What is left and right of the number in the array is what it was. */
static bool neighbours_are_whole(mpm_type type, mpm_array array)
{
    union number left, right;

    return !mpm_array_get(array, 0, &left) && !mpm_array_get(array, 2, &right) && is_number(type, &left, 7) &&
           is_number(type, &right, 7);
}

/* The most that a type takes as an integer, more than that (0: there is no such int64_t), and what fractions it has. */
static const struct range {
    int64_t most, too_much;
    bool has_half, has_tenth;
} ranges[] = {
    [MPM_I8] = {INT8_MAX, INT8_MAX + 1, false, false},
    [MPM_I16] = {INT16_MAX, INT16_MIN - 1, false, false},
    [MPM_I32] = {INT32_MAX, INT64_C(1) << 31, false, false},
    [MPM_I64] = {INT64_MAX, 0, false, false},
    [MPM_U8] = {UINT8_MAX, UINT8_MAX + 1, false, false},
    [MPM_U16] = {UINT16_MAX, -UINT16_MAX - 1, false, false},
    [MPM_U32] = {UINT32_MAX, INT64_MAX, false, false},
    [MPM_U64] = {INT64_MAX, 0, false, false},
    [MPM_F32] = {1 << 24, (1 << 24) + 1, true, false},
    [MPM_F64] = {INT64_C(1) << 53, (INT64_C(1) << 53) + 1, true, true},
};

static bool is_i64(mpm_value value, int64_t expected)
{
    int64_t number = ~expected;

    return !mpm_value_get_i64(value, &number) && number == expected;
}

/* A fraction is added and taken away again, or refused. */
static bool takes_fraction(mpm_value value, double fraction, bool takes)
{
    double number = -1;
    int64_t integer;

    if (!takes)
        return mpm_value_add_f64(value, fraction) == MPM_ETYPE;
    return !mpm_value_add_f64(value, fraction) && mpm_value_get_i64(value, &integer) == MPM_ETYPE &&
           !mpm_value_get_f64(value, &number) && number == fraction && !mpm_value_add_f64(value, -fraction);
}

/* Numbers of C's own types go in and out where they are exact, and are refused where they are not. */
static bool short_forms_are_right(mpm_value value, mpm_type type)
{
    const struct range *range = &ranges[type];
    union number zero = number_of(type, 0);
    uint64_t huge = UINT64_MAX;
    double number = -1;
    int64_t integer;

    if (mpm_value_set(value, &zero) || mpm_value_add_i64(value, range->most) || !is_i64(value, range->most) ||
        mpm_value_add_i64(value, -range->most) || mpm_value_add_f64(value, 3) ||
        mpm_value_get_f64(value, &number) || number != 3 || mpm_value_add_f64(value, -3))
        return false;
    if ((range->too_much && mpm_value_add_i64(value, range->too_much) != MPM_ETYPE) ||
        !takes_fraction(value, 0.5, range->has_half) || !takes_fraction(value, 0.1, range->has_tenth) ||
        (!range->has_half && mpm_value_add_f64(value, NAN) != MPM_ETYPE) || !is_i64(value, 0))
        return false;
    return type != MPM_U64 ||
           (!mpm_value_set(value, &huge) && mpm_value_get_i64(value, &integer) == MPM_ETYPE &&
            mpm_value_get_f64(value, &number) == MPM_ETYPE);
}

static bool zoo_is_right(const struct zoo *zoo)
{
    for (size_t i = 0; i < TYPES; i++) {
        mpm_type type = (mpm_type)(i + 1), told_value = MPM_NO_TYPE, told_array = MPM_NO_TYPE;
        struct target value = {.type = type, .value = zoo->values[i]},
                      array = {.type = type, .is_array = true, .array = zoo->arrays[i], .index = 1};
        union number initial;
        size_t length = 0;

        if (mpm_value_get(zoo->values[i], &initial) || !is_number(type, &initial, 7) ||
            mpm_array_get(zoo->arrays[i], 1, &initial) || !is_number(type, &initial, 0))
            return false;
        if (mpm_value_type(zoo->values[i], &told_value) || told_value != type ||
            mpm_array_type(zoo->arrays[i], &told_array) || told_array != type ||
            mpm_array_length(zoo->arrays[i], &length) || length != 3)
            return false;
        if (!arithmetic_is_right(&value) || !arithmetic_is_right(&array) ||
            !neighbours_are_whole(type, zoo->arrays[i]) || !short_forms_are_right(zoo->values[i], type))
            return false;
    }
    return true;
}

/* Has every worker of the pool run one item: an item waits until all others have been begun. */

static bool all_have_come(mpm_value arrived, size_t count)
{
    int64_t one = 1, come = 0;
    double until_s = now_s() + PATIENCE_S;

    if (mpm_value_add(arrived, &one))
        return false;
    while (!mpm_value_get(arrived, &come) && come < (int64_t)count) {
        if (now_s() > until_s)
            return false;
        sched_yield();
    }
    return come == (int64_t)count;
}

/* What tasks on all workers get as their context: `arrived` is first. */
struct meeting {
    mpm_value arrived;
    size_t count;
    mpm_value value;
    mpm_array array;
};

#define CHECK_IN_TASK(condition)                                                                    \
    do {                                                                                            \
        if (!(condition))                                                                           \
            return mpm_fail(call, "line %d, node %u: %s (%s)", __LINE__, mpm_node_id(), #condition, \
                            mpm_error());                                                           \
    } while (0)

#define CHECK(call) CU_ASSERT_EQUAL(call, MPM_OK)

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool), MPM_OK);
    return pool;
}

/* Items of `item_size` for at most MAX_WORKERS workers of a new pool; each runs one of them. */
static void on_all_workers(mpm_task *task, const void *items, size_t item_size, struct meeting *meeting,
                           void *results, size_t result_size)
{
    mpm_pool *pool = open_pool(0);
    int status;

    meeting->count = mpm_pool_worker_count(pool);
    CU_ASSERT_FATAL(meeting->count <= MAX_WORKERS);
    CU_ASSERT_EQUAL_FATAL(mpm_value_create(MPM_I64, NULL, &meeting->arrived), MPM_OK);
    status = mpm_pool_map(pool, task, items, meeting->count, item_size, result_size,
                          &(mpm_map_options){.chunk = 1, .context = meeting, .context_size = sizeof *meeting},
                          results);
    if (status)
        fprintf(stderr, "%s\n", mpm_error());
    CU_ASSERT_EQUAL(status, MPM_OK);
    CHECK(mpm_value_destroy(meeting->arrived));
    mpm_pool_close(pool);
}

/* The tests. */

static void all_operations_work_for_all_types_at_home(void)
{
    struct zoo zoo;

    CU_ASSERT_FATAL(zoo_create(&zoo));
    CU_ASSERT(zoo_is_right(&zoo));
    CU_ASSERT(zoo_destroy(&zoo));
}

static int use_zoo(mpm_call *call, const void *item, void *result)
{
    const struct meeting *meeting = mpm_call_context(call);

    (void)result;
    CHECK_IN_TASK(all_have_come(meeting->arrived, meeting->count));
    CHECK_IN_TASK(zoo_is_right(item));
    return 0;
}

static void all_operations_work_for_all_types_from_all_nodes(void)
{
    struct zoo *zoos = calloc(MAX_WORKERS, sizeof *zoos);
    struct meeting meeting = {.count = 0};

    CU_ASSERT_FATAL(zoos != NULL);
    for (size_t i = 0; i < mpm_slot_count(); i++)
        CU_ASSERT_FATAL(zoo_create(&zoos[i]));
    on_all_workers(use_zoo, zoos, sizeof *zoos, &meeting, NULL, 0);
    for (size_t i = 0; i < mpm_slot_count(); i++)
        CU_ASSERT(zoo_destroy(&zoos[i]));
    free(zoos);
}

/* What a task made on its node. */
struct made {
    unsigned node;
    struct zoo zoo;
};

static int make_zoo(mpm_call *call, const void *item, void *result)
{
    const struct meeting *meeting = mpm_call_context(call);
    struct made *made = result;

    (void)item;
    CHECK_IN_TASK(all_have_come(meeting->arrived, meeting->count));
    made->node = mpm_node_id();
    CHECK_IN_TASK(zoo_create(&made->zoo));
    return 0;
}

static void what_workers_make_lives_on_and_main_uses_it(void)
{
    struct made *made = calloc(MAX_WORKERS, sizeof *made);
    struct meeting meeting = {.count = 0};
    uint64_t nodes = 0;

    CU_ASSERT_FATAL(made != NULL);
    on_all_workers(make_zoo, NULL, 0, &meeting, made, sizeof *made);
    for (size_t i = 0; i < meeting.count; i++) {
        void *address = NULL;
        int wanted = made[i].node == mpm_node_id() ? MPM_OK : MPM_EINVAL;

        nodes |= UINT64_C(1) << made[i].node;
        CU_ASSERT(zoo_is_right(&made[i].zoo));
        CU_ASSERT_EQUAL(mpm_value_pointer(made[i].zoo.values[0], &address), wanted);
        CU_ASSERT_EQUAL(address != NULL, wanted == MPM_OK);
        address = NULL;
        CU_ASSERT_EQUAL(mpm_array_pointer(made[i].zoo.arrays[0], &address), wanted);
        CU_ASSERT_EQUAL(address != NULL, wanted == MPM_OK);
        CU_ASSERT(zoo_destroy(&made[i].zoo));
        CU_ASSERT_EQUAL(mpm_value_destroy(made[i].zoo.values[0]), MPM_ESTALE);
        CU_ASSERT_EQUAL(mpm_array_destroy(made[i].zoo.arrays[0]), MPM_ESTALE);
    }
    CU_ASSERT_EQUAL(nodes, (UINT64_C(1) << mpm_node_count()) - 1);
    free(made);
}

static void pointers_are_the_numbers_themselves(void)
{
    int32_t three = 3, numbers[4] = {1, 2, 3, 4}, number = 0;
    void *address = NULL;
    mpm_value value;
    mpm_array array;

    CU_ASSERT_EQUAL_FATAL(mpm_value_create(MPM_I32, &three, &value), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_array_create(MPM_I32, 4, numbers, &array), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_value_pointer(value, &address), MPM_OK);
    CU_ASSERT_EQUAL(*(int32_t *)address, 3);
    *(int32_t *)address = 9;
    CHECK(mpm_value_get(value, &number));
    CU_ASSERT_EQUAL(number, 9);
    CU_ASSERT_EQUAL_FATAL(mpm_array_pointer(array, &address), MPM_OK);
    CU_ASSERT_EQUAL(((int32_t *)address)[3], 4);
    ((int32_t *)address)[3] = 40;
    CHECK(mpm_array_get(array, 3, &number));
    CU_ASSERT_EQUAL(number, 40);
    CHECK(mpm_value_destroy(value));
    CHECK(mpm_array_destroy(array));
}

/* Adding from many workers. */

#define ADDS_AT_HOME   AMOUNT(100000, 1000)
#define ADDS_ELSEWHERE AMOUNT(200, 20) /* each is a message there and back */

static int add_often(mpm_call *call, const void *item, void *result)
{
    const struct zoo *zoo = mpm_call_context(call);
    const mpm_type *type = item;
    union number one = number_of(*type, 1);
    long adds = zoo->values[0].handle.home == mpm_node_id() ? ADDS_AT_HOME : ADDS_ELSEWHERE;

    for (long i = 0; i < adds; i++)
        CHECK_IN_TASK(!mpm_value_add(zoo->values[*type - 1], &one) &&
                      !mpm_array_add(zoo->arrays[*type - 1], 1, &one));
    memcpy(result, &adds, sizeof adds);
    return 0;
}

/* By four workers; at home all of them add 100000 times. */
static void check_sum(mpm_pool *pool, mpm_type type, const struct zoo *zoo)
{
    mpm_type items[4] = {type, type, type, type};
    union number value, array;
    long adds[4] = {0}, sum;

    CHECK(mpm_pool_map(pool, add_often, items, 4, sizeof *items, sizeof *adds,
                       &(mpm_map_options){.chunk = 1, .context = zoo, .context_size = sizeof *zoo}, adds));
    sum = adds[0] + adds[1] + adds[2] + adds[3];
    CU_ASSERT(mpm_node_count() > 1 ? sum > 0 : sum == 4l * ADDS_AT_HOME);
    CHECK(mpm_value_get(zoo->values[type - 1], &value));
    CHECK(mpm_array_get(zoo->arrays[type - 1], 1, &array));
    CU_ASSERT(is_number(type, &value, sum + 7));
    CU_ASSERT(is_number(type, &array, sum));
}

static void no_add_is_lost(void)
{
    static const mpm_type types[] = {MPM_I32, MPM_U8, MPM_U64, MPM_F32, MPM_F64};
    mpm_pool *pool = open_pool(4);
    struct zoo zoo;

    CU_ASSERT_FATAL(zoo_create(&zoo));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        check_sum(pool, types[i], &zoo);
    CU_ASSERT(zoo_destroy(&zoo));
    mpm_pool_close(pool);
}

/* Workers that die in the middle of adding. Each is killed by its own alarm, anywhere. */

static int add_until_killed(mpm_call *call, const void *item, void *result)
{
    const struct meeting *meeting = mpm_call_context(call);
    struct tally *tally = &tallies[mpm_call_index(call)];
    struct itimerval alarm_at = {.it_value.tv_usec = 500 + (long)mpm_call_index(call) * 997 % 20000};
    double half = 0.5, until_s = now_s() + PATIENCE_S;

    (void)item;
    (void)result;
    while (now_s() < until_s) {
        atomic_fetch_add(&tally->begun, 1);
        CHECK_IN_TASK(!mpm_value_add(meeting->value, &(uint32_t){1}) &&
                      !mpm_array_add(meeting->array, 5, &half));
        if (!atomic_fetch_add(&tally->done, 1))
            CHECK_IN_TASK(!setitimer(ITIMER_REAL, &alarm_at, NULL));
    }
    return mpm_fail(call, "nobody killed me");
}

static void killed_workers_leave_a_true_count(void)
{
    mpm_pool *pool = NULL;
    struct meeting meeting = {.count = 0};
    unsigned long done = 0, begun = 0;
    uint32_t value = 0;
    double array = 0;

    memset(tallies, 0, TALLIES * sizeof *tallies);
    CHECK(mpm_pool_open(&(mpm_pool_options){.workers = 4, .max_attempts = 1}, &pool));
    CHECK(mpm_value_create(MPM_U32, NULL, &meeting.value));
    CHECK(mpm_array_create(MPM_F64, 6, NULL, &meeting.array));
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, add_until_killed, NULL, TALLIES, 0, 0,
                     &(mpm_map_options){.chunk = 1, .context = &meeting, .context_size = sizeof meeting},
                     NULL),
        MPM_ETASK);
    mpm_pool_close(pool);
    for (size_t i = 0; i < TALLIES; i++) {
        CU_ASSERT(tallies[i].done > 0 && tallies[i].begun <= tallies[i].done + 1);
        done += tallies[i].done;
        begun += tallies[i].begun;
    }
    /* What the dead had sent has arrived: the end of the pool was told behind it. */
    CHECK(mpm_value_get(meeting.value, &value));
    CHECK(mpm_array_get(meeting.array, 5, &array));
    CU_ASSERT(value >= done && value <= begun);
    CU_ASSERT(array >= 0.5 * (double)done && array <= 0.5 * (double)begun);
    CU_ASSERT_EQUAL(array * 2, floor(array * 2));
    CHECK(mpm_value_destroy(meeting.value));
    CHECK(mpm_array_destroy(meeting.array));
}

/* Slices. */

#define LONG_LENGTH ((size_t)300007) /* of F64: three pieces on the way to another node */

static bool slice_is_copied(mpm_array array, size_t first, size_t count, double factor)
{
    double *numbers = malloc((count + 1) * sizeof *numbers), *copy = malloc((count + 1) * sizeof *copy);
    bool right = numbers && copy;

    for (size_t i = 0; right && i < count; i++)
        numbers[i] = (double)(first + i) * factor;
    right = right && !mpm_array_write(array, first, count, numbers) &&
            !mpm_array_read(array, first, count, copy) && !memcmp(numbers, copy, count * sizeof *copy);
    free(numbers);
    free(copy);
    return right;
}

static int copy_slices(mpm_call *call, const void *item, void *result)
{
    const struct meeting *meeting = mpm_call_context(call);
    size_t own = 1 + mpm_call_index(call) * 1000;
    double last = 0;

    (void)item;
    (void)result;
    CHECK_IN_TASK(slice_is_copied(meeting->array, own, 999, 1.5));
    CHECK_IN_TASK(slice_is_copied(meeting->array, own, 0, 1));
    CHECK_IN_TASK(slice_is_copied(meeting->array, LONG_LENGTH, 0, 1));
    CHECK_IN_TASK(all_have_come(meeting->arrived, meeting->count));
    /* All at once write the same numbers. */
    CHECK_IN_TASK(slice_is_copied(meeting->array, 100000, LONG_LENGTH - 100000, 3));
    CHECK_IN_TASK(slice_is_copied(meeting->array, 100000, LONG_LENGTH - 100000, 3));
    CHECK_IN_TASK(!mpm_array_get(meeting->array, LONG_LENGTH - 1, &last));
    CHECK_IN_TASK(last == 3.0 * (double)(LONG_LENGTH - 1));
    return 0;
}

static void slices_are_copied_from_all_nodes(void)
{
    struct meeting meeting = {.count = 0};
    double number = 1;

    CHECK(mpm_array_create(MPM_F64, LONG_LENGTH, NULL, &meeting.array));
    on_all_workers(copy_slices, NULL, 0, &meeting, NULL, 0);
    CHECK(mpm_array_get(meeting.array, 0, &number)); /* left of all slices */
    CU_ASSERT_EQUAL(number, 0);
    CHECK(mpm_array_get(meeting.array, 1000, &number)); /* between two */
    CU_ASSERT_EQUAL(number, 0);
    CHECK(mpm_array_get(meeting.array, 999, &number));
    CU_ASSERT_EQUAL(number, 999 * 1.5);
    CHECK(mpm_array_destroy(meeting.array));
}

static void slices_of_all_types_keep_their_bytes(void)
{
    unsigned char numbers[3 + 8 * 5], copy[3 + 8 * 5];

    for (size_t i = 0; i < sizeof numbers; i++)
        numbers[i] = (unsigned char)(i * 37 + 11);
    for (mpm_type type = MPM_I8; type <= MPM_F64; type++) {
        size_t size = mpm_type_size(type);
        mpm_array array;

        memset(copy, 0, sizeof copy);
        CU_ASSERT_EQUAL_FATAL(mpm_array_create(type, 5, numbers, &array), MPM_OK);
        CHECK(mpm_array_write(array, 1, 3, numbers + 3)); /* aligned to nothing */
        CHECK(mpm_array_read(array, 1, 4, copy + 1));
        CU_ASSERT(!memcmp(copy + 1, numbers + 3, 3 * size));
        CU_ASSERT(!memcmp(copy + 1 + 3 * size, numbers + 4 * size, size));
        CU_ASSERT_EQUAL(copy[1 + 4 * size], 0);
        CHECK(mpm_array_destroy(array));
    }
}

/* Errors. */

/* The handle of an I32 array of 10 and a value that is stale; nothing may change. */
static const char *errors_are_right(mpm_array array, mpm_value stale, bool is_home)
{
    int32_t numbers[12], untouched = 77, one = 1;
    size_t length = 77;
    mpm_type type = MPM_NO_TYPE;
    mpm_value zero = {{0, 0, 0, 0}}, mistaken = {array.handle};
    mpm_array no_array = {{0, 0, 0, 0}}, also_stale = {stale.handle};
    void *address;

#define WANT(call, status)                                                 \
    do {                                                                   \
        if ((call) != (status) || untouched != 77 || length != 77 || type) \
            return #call " is not " #status;                               \
    } while (0)
    for (size_t i = 0; i < 12; i++)
        numbers[i] = 77;
    WANT(mpm_array_get(array, 10, &untouched), MPM_EINVAL);
    WANT(mpm_array_get(array, SIZE_MAX, &untouched), MPM_EINVAL);
    WANT(mpm_array_set(array, 10, &one), MPM_EINVAL);
    WANT(mpm_array_add(array, SIZE_MAX / 4 + 1, &one), MPM_EINVAL);
    WANT(mpm_array_fetch_add(array, 10, &one, &untouched), MPM_EINVAL);
    WANT(mpm_array_exchange(array, 10, &one, &untouched), MPM_EINVAL);
    WANT(mpm_array_compare_exchange(array, 10, &one, &one, &untouched), MPM_EINVAL);
    WANT(mpm_array_min(array, 10, &one), MPM_EINVAL);
    WANT(mpm_array_max(array, 10, &one), MPM_EINVAL);
    WANT(mpm_array_read(array, 0, 11, numbers), MPM_EINVAL);
    WANT(mpm_array_read(array, 11, 0, numbers), MPM_EINVAL);
    WANT(mpm_array_read(array, 5, SIZE_MAX - 3, numbers), MPM_EINVAL);
    WANT(mpm_array_write(array, 9, 2, numbers), MPM_EINVAL);
    WANT(mpm_array_write(array, 5, SIZE_MAX - 3, numbers), MPM_EINVAL); /* of which there are only 12 */
    WANT(numbers[0] + numbers[11], 154);
    WANT(mpm_value_get(zero, &untouched), MPM_EINVAL);
    WANT(mpm_value_destroy(zero), MPM_EINVAL);
    WANT(mpm_array_length(no_array, &length), MPM_EINVAL);
    WANT(mpm_array_read(no_array, 0, 1, numbers), MPM_EINVAL);
    WANT(mpm_value_get(mistaken, &untouched), MPM_EINVAL);
    WANT(mpm_value_destroy(mistaken), MPM_EINVAL);
    WANT(mpm_array_get(also_stale, 0, &untouched), MPM_EINVAL);
    WANT(mpm_value_get(stale, &untouched), MPM_ESTALE);
    WANT(mpm_value_set(stale, &one), MPM_ESTALE);
    WANT(mpm_value_add(stale, &one), MPM_ESTALE);
    WANT(mpm_value_min(stale, &one), MPM_ESTALE);
    WANT(mpm_value_compare_exchange(stale, &one, &one, &untouched), MPM_ESTALE);
    WANT(mpm_value_type(stale, &type), MPM_ESTALE);
    WANT(mpm_value_destroy(stale), MPM_ESTALE);
    WANT(mpm_value_pointer(stale, &address), is_home ? MPM_ESTALE : MPM_EINVAL);
    WANT(mpm_value_get(stale, NULL), MPM_EINVAL);
    WANT(mpm_value_add(stale, NULL), MPM_EINVAL);
    WANT(mpm_array_get(array, 0, NULL), MPM_EINVAL);
    WANT(mpm_array_read(array, 0, 1, NULL), MPM_EINVAL);
    WANT(mpm_array_read(array, 10, 0, NULL), MPM_OK);
    stale.handle.home = 999;
    WANT(mpm_value_get(stale, &untouched), MPM_EINVAL);
    array.handle.place ^= UINT64_C(1) << 56; /* another type than the array's: as nobody has made it */
    WANT(mpm_array_get(array, 0, &untouched), MPM_EINVAL);
#undef WANT
    return NULL;
}

static int make_mistakes(mpm_call *call, const void *item, void *result)
{
    const struct meeting *meeting = mpm_call_context(call);
    const char *wrong;

    (void)item;
    (void)result;
    CHECK_IN_TASK(all_have_come(meeting->arrived, meeting->count));
    wrong = errors_are_right(meeting->array, meeting->value, meeting->value.handle.home == mpm_node_id());
    return wrong ? mpm_fail(call, "node %u: %s", mpm_node_id(), wrong) : 0;
}

static void mistakes_are_told_and_change_nothing(void)
{
    int32_t numbers[10], found[10], five = 5;
    struct meeting meeting = {.count = 0};
    const char *wrong;
    mpm_value again;

    for (int i = 0; i < 10; i++)
        numbers[i] = i;
    CHECK(mpm_value_create(MPM_I32, NULL, &meeting.value));
    CHECK(mpm_array_create(MPM_I32, 10, numbers, &meeting.array));
    CHECK(mpm_value_destroy(meeting.value));
    CHECK(mpm_value_create(MPM_I32, &five, &again)); /* where the stale one stood */
    CU_ASSERT_EQUAL(again.handle.place, meeting.value.handle.place);
    wrong = errors_are_right(meeting.array, meeting.value, true);
    if (wrong)
        fprintf(stderr, "%s\n", wrong);
    CU_ASSERT_PTR_NULL(wrong);
    on_all_workers(make_mistakes, NULL, 0, &meeting, NULL, 0);
    CHECK(mpm_value_get(again, &five));
    CU_ASSERT_EQUAL(five, 5);
    CHECK(mpm_array_read(meeting.array, 0, 10, found));
    CU_ASSERT(!memcmp(numbers, found, sizeof found));
    CHECK(mpm_value_destroy(again));
    CHECK(mpm_array_destroy(meeting.array));
    CU_ASSERT_EQUAL(mpm_array_read(meeting.array, 0, 10, found), MPM_ESTALE);
    CU_ASSERT_EQUAL(mpm_array_destroy(meeting.array), MPM_ESTALE);
}

static void what_cannot_be_made_is_refused(void)
{
    mpm_value value = {{1, 2, 3, 4}};
    mpm_array array = {{1, 2, 3, 4}};

    CU_ASSERT_EQUAL(mpm_value_create(MPM_NO_TYPE, NULL, &value), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_value_create((mpm_type)(MPM_F64 + 1), NULL, &value), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_value_create(MPM_I8, NULL, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_array_create(MPM_NO_TYPE, 1, NULL, &array), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_array_create(MPM_I8, 1, NULL, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_array_create(MPM_F64, SIZE_MAX / 8 + 1, NULL, &array), MPM_ENOMEM);
    CU_ASSERT_EQUAL(mpm_array_create(MPM_F64, SIZE_MAX / 8, NULL, &array), MPM_ENOMEM);
    CU_ASSERT_EQUAL(mpm_array_create(MPM_I8, (size_t)1 << 50, NULL, &array), MPM_ENOMEM);
    CU_ASSERT_EQUAL(value.handle.generation, 3);
    CU_ASSERT_EQUAL(array.handle.generation, 3);
    CHECK(mpm_array_create(MPM_F32, 0, NULL, &array));
    CHECK(mpm_array_destroy(array));
}

static size_t used_memory(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used;
}

static void destroying_gives_all_memory_back(void)
{
    mpm_value values[100];
    mpm_array arrays[100];
    size_t before = 0;

    for (int round = 0; round < AMOUNT(50, 3); round++) {
        for (size_t i = 0; i < 100; i++) {
            CU_ASSERT_EQUAL_FATAL(mpm_value_create(MPM_U8, NULL, &values[i]), MPM_OK);
            CU_ASSERT_EQUAL_FATAL(mpm_array_create(MPM_I16, 1 + i * 100, NULL, &arrays[i]), MPM_OK);
        }
        for (size_t i = 0; i < 100; i++) {
            CHECK(mpm_value_destroy(values[i]));
            CHECK(mpm_array_destroy(arrays[round % 2 ? i : 99 - i]));
        }
        if (!round)
            before = used_memory(); /* the cells have been made, and stay */
    }
    CU_ASSERT_EQUAL(used_memory(), before);
}

/* Before the run, with handles that are zero, and after it, with handles of it: none can be made, and there is none. */
static bool nothing_is_there(mpm_value value, mpm_array array, int status)
{
    int number = 0;
    bool right = mpm_value_get(value, &number) == status && mpm_array_get(array, 0, &number) == status &&
                 mpm_value_create(MPM_I32, NULL, &value) == MPM_ESTATE &&
                 mpm_array_create(MPM_I32, 1, NULL, &array) == MPM_ESTATE;

    if (!right)
        fprintf(stderr, "without a run there are values, or arrays\n");
    return right;
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"all_operations_work_for_all_types_at_home", all_operations_work_for_all_types_at_home},
        {"all_operations_work_for_all_types_from_all_nodes",
         all_operations_work_for_all_types_from_all_nodes},
        {"what_workers_make_lives_on_and_main_uses_it", what_workers_make_lives_on_and_main_uses_it},
        {"pointers_are_the_numbers_themselves", pointers_are_the_numbers_themselves},
        {"no_add_is_lost", no_add_is_lost},
        {"killed_workers_leave_a_true_count", killed_workers_leave_a_true_count},
        {"slices_are_copied_from_all_nodes", slices_are_copied_from_all_nodes},
        {"slices_of_all_types_keep_their_bytes", slices_of_all_types_keep_their_bytes},
        {"mistakes_are_told_and_change_nothing", mistakes_are_told_and_change_nothing},
        {"what_cannot_be_made_is_refused", what_cannot_be_made_is_refused},
        {"destroying_gives_all_memory_back", destroying_gives_all_memory_back},
    };

    mpm_value value = {{0, 0, 0, 0}};
    mpm_array array = {{0, 0, 0, 0}};
    char path[PATH_MAX];
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (!nothing_is_there(value, array, MPM_EINVAL))
        return EXIT_FAILURE;
    if (!share_tallies(path, sizeof path) || mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    unlink(path);
    failed = suite_run("value", tests, sizeof tests / sizeof *tests);
    if (mpm_value_create(MPM_I32, NULL, &value) || mpm_array_create(MPM_I32, 1, NULL, &array) ||
        mpm_value_add(value, &(int){1}) || mpm_finalize())
        return mpm_report_error();
    return nothing_is_there(value, array, MPM_ESTATE) ? failed : EXIT_FAILURE;
}
