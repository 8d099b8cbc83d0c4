/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of values, arrays and bytes when a process is killed at any point of making, updating or
 * ending them: the search of support_kill/kill_run.h. */
#include <CUnit/CUnit.h>
#include <string.h>

#include <mpmap.h>

#include "kill_run.h"
#include "suite.h"

#define LENGTH 1000u

enum { BLOCKS, CELL };        /* numbers of a scene */
enum { VALUE, ARRAY, BYTES }; /* and handles */

static void count_blocks(struct kill_scene *scene)
{
    scene->number[BLOCKS] = kill_blocks_in_use();
}

/* What a process makes and ends. */

static bool make_value(const struct kill_scene *scene)
{
    mpm_value value;
    int one = 1;

    (void)scene;
    return !mpm_value_create(MPM_I32, &one, &value) && !mpm_value_destroy(value);
}

static bool make_array(const struct kill_scene *scene)
{
    mpm_array array;

    (void)scene;
    return !mpm_array_create(MPM_F64, LENGTH, NULL, &array) && !mpm_array_destroy(array);
}

static bool make_bytes(const struct kill_scene *scene)
{
    mpm_bytes bytes;

    (void)scene;
    return !mpm_bytes_create(LENGTH, NULL, &bytes) && !mpm_bytes_destroy(bytes);
}

/* What was made stands in a cell whose handle is known to nobody, if its maker has died behind the commit:
 * one block then. */
static bool loses_one_block_at_most(const struct kill_scene *scene, bool was_killed)
{
    return kill_no_block_is_lost(scene->number[BLOCKS] + was_killed);
}

/* The lock of a value that is made, and is the dead one's if it is anybody's. */

static void make_locked_scene(struct kill_scene *scene)
{
    mpm_value value = {{0}};
    mpm_bytes bytes = {{0}};

    count_blocks(scene);
    CU_ASSERT(!mpm_value_create(MPM_I32, NULL, &value));
    CU_ASSERT(!mpm_bytes_create(LENGTH, NULL, &bytes));
    scene->handle[VALUE] = value.handle;
    scene->handle[BYTES] = bytes.handle;
}

static bool use_locks(const struct kill_scene *scene)
{
    mpm_value value = {scene->handle[VALUE]};
    mpm_bytes bytes = {scene->handle[BYTES]};

    return !mpm_value_lock(value, 0) && !mpm_value_unlock(value) && !mpm_bytes_lock(bytes, 0) &&
           !mpm_bytes_unlock(bytes);
}

static bool use_and_end_locks(const struct kill_scene *scene)
{
    return use_locks(scene) && !mpm_value_destroy((mpm_value){scene->handle[VALUE]}) &&
           !mpm_bytes_destroy((mpm_bytes){scene->handle[BYTES]});
}

/* MPM_EOWNERDIED, too, gives the lock. */
static bool is_taken(int status, bool was_killed)
{
    return status == MPM_OK || (was_killed && status == MPM_EOWNERDIED);
}

/* Whether there are no more cells in use than before: the next three values stand where they stood then. */
static uint64_t third_place(void)
{
    mpm_value values[3] = {{{0}}};
    uint64_t place;

    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT(!mpm_value_create(MPM_I8, NULL, &values[i]));
    place = values[2].handle.place;
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT(!mpm_value_destroy(values[i]));
    return place;
}

static void make_scene_and_note_cells(struct kill_scene *scene)
{
    uint64_t place = third_place();

    make_locked_scene(scene);
    scene->number[CELL] = place;
}

/* Both locks can be used, if what they belong to is there, and end with it; no cell is lost. */
static bool locks_are_whole(const struct kill_scene *scene, bool was_killed)
{
    mpm_value value = {scene->handle[VALUE]};
    mpm_bytes bytes = {scene->handle[BYTES]};
    int of_value = mpm_value_lock(value, 0), of_bytes = mpm_bytes_lock(bytes, 0);

    if (of_value != MPM_ESTALE && (!is_taken(of_value, was_killed) || mpm_value_unlock(value) ||
                                   mpm_value_unlock(value) != MPM_EINVAL || mpm_value_destroy(value)))
        return false;
    if (of_bytes != MPM_ESTALE && (!is_taken(of_bytes, was_killed) || mpm_bytes_unlock(bytes) ||
                                   mpm_bytes_unlock(bytes) != MPM_EINVAL || mpm_bytes_destroy(bytes)))
        return false;
    return kill_no_block_is_lost(scene->number[BLOCKS]) && third_place() == scene->number[CELL];
}

static bool locks_are_there(const struct kill_scene *scene, bool was_killed)
{
    size_t size;

    return !mpm_bytes_size((mpm_bytes){scene->handle[BYTES]}, &size) && locks_are_whole(scene, was_killed);
}

/* What main has made. The bytes are all 1, and 2 when they are new. */

static void make_scene(struct kill_scene *scene)
{
    char old[LENGTH];
    mpm_value value = {{0}};
    mpm_array array = {{0}};
    mpm_bytes bytes = {{0}};
    int one = 1;

    memset(old, 1, sizeof old);
    count_blocks(scene);
    CU_ASSERT(!mpm_value_create(MPM_I32, &one, &value));
    CU_ASSERT(!mpm_array_create(MPM_I8, LENGTH, old, &array));
    CU_ASSERT(!mpm_bytes_create(LENGTH, old, &bytes));
    scene->handle[VALUE] = value.handle;
    scene->handle[ARRAY] = array.handle;
    scene->handle[BYTES] = bytes.handle;
}

static mpm_bytes bytes_of(const struct kill_scene *scene)
{
    return (mpm_bytes){scene->handle[BYTES]};
}

static bool set_bytes(const struct kill_scene *scene)
{
    char new[LENGTH];

    memset(new, 2, sizeof new);
    return !mpm_bytes_set(bytes_of(scene), new, sizeof new);
}

static bool exchange_bytes(const struct kill_scene *scene)
{
    char old[LENGTH], new[LENGTH];

    memset(old, 1, sizeof old);
    memset(new, 2, sizeof new);
    return !mpm_bytes_compare_exchange(bytes_of(scene), old, new, sizeof new, new) &&
           !memcmp(old, new, sizeof new);
}

static bool end_all(const struct kill_scene *scene)
{
    return !mpm_value_destroy((mpm_value){scene->handle[VALUE]}) &&
           !mpm_array_destroy((mpm_array){scene->handle[ARRAY]}) && !mpm_bytes_destroy(bytes_of(scene));
}

static bool is_ended(int status)
{
    return status == MPM_OK || status == MPM_ESTALE;
}

static bool end_what_is_left(const struct kill_scene *scene, bool was_killed)
{
    (void)was_killed;
    return is_ended(mpm_value_destroy((mpm_value){scene->handle[VALUE]})) &&
           is_ended(mpm_array_destroy((mpm_array){scene->handle[ARRAY]})) &&
           is_ended(mpm_bytes_destroy(bytes_of(scene))) && kill_no_block_is_lost(scene->number[BLOCKS]);
}

/* All of the bytes are as they were, or all are new. */
static bool is_old_or_new(const struct kill_scene *scene, bool was_killed)
{
    char now[LENGTH], one_of_them[LENGTH];
    void *pointer;

    if (mpm_bytes_get(bytes_of(scene), now, sizeof now) || mpm_bytes_pointer(bytes_of(scene), &pointer))
        return false;
    memset(one_of_them, *now, sizeof one_of_them);
    return (*now == 2 || (was_killed && *now == 1)) && !memcmp(now, one_of_them, sizeof now) &&
           !memcmp(now, pointer, sizeof now) && end_what_is_left(scene, was_killed);
}

static bool loses_nothing(const struct kill_scene *scene, bool was_killed)
{
    (void)was_killed;
    return kill_no_block_is_lost(scene->number[BLOCKS]);
}

const struct kill_operation kill_operations[] = {
    {"making and ending a value", count_blocks, make_value, loses_nothing},
    {"making and ending an array", count_blocks, make_array, loses_one_block_at_most},
    {"making and ending bytes", count_blocks, make_bytes, loses_one_block_at_most},
    {"setting bytes", make_scene, set_bytes, is_old_or_new},
    {"exchanging bytes", make_scene, exchange_bytes, is_old_or_new},
    {"using own locks", make_scene_and_note_cells, use_locks, locks_are_there},
    {"ending what has own locks", make_scene_and_note_cells, use_and_end_locks, locks_are_whole},
    {"ending all of them", make_scene, end_all, end_what_is_left},
};

int main(int argc, char **argv)
{
    return kill_main(argc, argv, "value_kill", sizeof kill_operations / sizeof *kill_operations);
}
