/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena: blocks are aligned and never overlap, everything that is freed can be had again, nonsense
 * changes nothing, and memory that the machine does not have is an error, not a SIGBUS. What holds when a
 * process dies in the middle of an operation is tested by kill_point_test. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "child.h"
#include "shm/arena.h"
#include "suite.h"

#define SIZE    ((size_t)4 << 20)
#define LIVE    200
#define STEPS   20000
#define THREADS 8
#define OWNER   7u
#define OWN     ((size_t)16384) /* most that an arena of the least size needs itself */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct arena *arena_of(size_t size)
{
    struct arena *arena = NULL;

    CU_ASSERT_EQUAL_FATAL(arena_format(child_memory(size), size, &arena), MPM_OK);
    return arena;
}

static struct arena_usage usage_of(struct arena *arena)
{
    struct arena_usage usage;

    arena_usage(arena, &usage);
    return usage;
}

static bool is_sound(struct arena *arena)
{
    if (!arena_check(arena))
        return true;
    fprintf(stderr, "the arena is not sound: %s\n", mpm_error());
    return false;
}

/* Frees the mapping of an arena in which nothing is in use any more. */
static void drop(struct arena *arena, size_t size)
{
    CU_ASSERT(is_sound(arena));
    CU_ASSERT_EQUAL(usage_of(arena).used, 0);
    CU_ASSERT_EQUAL(usage_of(arena).used_blocks, 0);
    CU_ASSERT(usage_of(arena).free_blocks <= 1);
    child_memory_free(arena, size);
}

static uint64_t get(struct arena *arena, size_t size)
{
    uint64_t offset = 0;

    CU_ASSERT_EQUAL(arena_alloc(arena, size, ARENA_NO_OWNER, &offset), MPM_OK);
    return offset;
}

/* A model beside the arena: what is in use, and which byte each block is filled with. */
struct piece {
    uint64_t offset;
    size_t size;
    unsigned char filling;
};

struct model {
    struct arena *arena;
    struct piece pieces[LIVE];
    unsigned count;
    unsigned seed;
};

static bool is_filled(const struct arena *arena, const struct piece *piece)
{
    const unsigned char *bytes = arena_at(arena, piece->offset);

    for (size_t i = 0; i < piece->size; i++) {
        if (bytes[i] != piece->filling)
            return false;
    }
    return true;
}

static bool overlaps(const struct model *model, const struct piece *piece)
{
    for (unsigned i = 0; i < model->count; i++) {
        const struct piece *other = &model->pieces[i];

        if (piece->offset < other->offset + other->size && other->offset < piece->offset + piece->size)
            return true;
    }
    return false;
}

/* Mostly small blocks, now and then a large one, and sometimes one of no bytes. */
static size_t random_size(unsigned *seed)
{
    unsigned kind = (unsigned)rand_r(seed) % 16;

    if (kind == 0)
        return 0;
    return (size_t)rand_r(seed) % (kind == 1 ? 100000 : kind < 6 ? 4000 : 300);
}

static bool model_get(struct model *model)
{
    struct piece piece = {.size = random_size(&model->seed), .filling = (unsigned char)rand_r(&model->seed)};

    if (arena_alloc(model->arena, piece.size, ARENA_NO_OWNER, &piece.offset))
        return true; /* full */
    if (piece.offset % ARENA_ALIGNMENT || overlaps(model, &piece))
        return false;
    memset(arena_at(model->arena, piece.offset), piece.filling, piece.size);
    model->pieces[model->count++] = piece;
    return true;
}

static bool model_free(struct model *model, unsigned which)
{
    struct piece piece = model->pieces[which];
    bool filled = is_filled(model->arena, &piece);

    model->pieces[which] = model->pieces[--model->count];
    arena_free(model->arena, piece.offset);
    return filled;
}

/* One random step; the number in use swings between none and all. false if something was wrong. */
static bool model_step(struct model *model, unsigned step)
{
    unsigned dice = (unsigned)rand_r(&model->seed) % 100, wish = step / (2 * LIVE) % 2 ? 30 : 70;

    if (model->count < LIVE && (!model->count || dice < wish))
        return model_get(model);
    return model_free(model, (unsigned)rand_r(&model->seed) % model->count);
}

static bool model_free_all(struct model *model)
{
    bool good = true;

    while (model->count)
        good &= model_free(model, (unsigned)rand_r(&model->seed) % model->count);
    return good;
}

static void random_blocks_never_overlap(void)
{
    for (unsigned seed = 1; seed <= 3; seed++) {
        /* The smaller one is full most of the time. */
        size_t size = seed == 3 ? ARENA_MIN_SIZE : SIZE;
        struct model model = {.arena = arena_of(size), .seed = seed};
        unsigned wrong = 0;

        for (unsigned step = 0; step < STEPS; step++) {
            wrong += !model_step(&model, step);
            wrong += !is_sound(model.arena);
            wrong += usage_of(model.arena).used_blocks != model.count;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT(model_free_all(&model));
        drop(model.arena, size);
    }
}

static void *work_in_thread(void *argument)
{
    struct model *model = argument;
    unsigned wrong = 0;

    for (unsigned step = 0; step < STEPS / 4; step++)
        wrong += !model_step(model, step);
    wrong += !model_free_all(model);
    return wrong ? NULL : model;
}

static void eight_threads_share_an_arena(void)
{
    static struct model models[THREADS];
    struct arena *arena = arena_of(SIZE);
    pthread_t threads[THREADS];
    void *worked;

    for (unsigned i = 0; i < THREADS; i++) {
        models[i] = (struct model){.arena = arena, .seed = i + 1};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work_in_thread, &models[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &worked);
        CU_ASSERT_PTR_NOT_NULL(worked);
    }
    drop(arena, SIZE);
}

static bool work_in_child(void *argument)
{
    return work_in_thread(argument) != NULL;
}

static void processes_share_an_arena(void)
{
    struct arena *arena = arena_of(SIZE);
    pid_t children[3];

    for (unsigned i = 0; i < 3; i++)
        children[i] = child_start(work_in_child, &(struct model){.arena = arena, .seed = i + 10});
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(child_wait(children[i]), 0);
    drop(arena, SIZE);
}

/* Takes blocks of 1000 bytes until there is no more. */
static unsigned fill(struct arena *arena, uint64_t *offsets, unsigned most)
{
    unsigned count = 0;

    while (count < most && !arena_alloc(arena, 1000, ARENA_NO_OWNER, &offsets[count]))
        memset(arena_at(arena, offsets[count++]), 0xee, 1000);
    return count;
}

static void free_in_disorder(struct arena *arena, uint64_t *offsets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned other = i + (unsigned)random() % (count - i);
        uint64_t offset = offsets[other];

        offsets[other] = offsets[i];
        arena_free(arena, offset);
    }
}

/* A size that is no multiple of the steps in which memory is taken, and nothing behind it. */
static void an_arena_is_used_up_to_its_end(void)
{
    size_t size = ARENA_MIN_SIZE + ARENA_MIN_SIZE / 2 + 4096;
    struct arena *arena = arena_of(size);
    uint64_t offset = get(arena, size - OWN);

    memset(arena_at(arena, offset), 1, size - OWN);
    arena_free(arena, offset);
    CU_ASSERT_EQUAL(usage_of(arena).touched, size);
    drop(arena, size);
}

static void all_memory_of_a_full_arena_comes_back(void)
{
    struct arena *arena = arena_of(ARENA_MIN_SIZE);
    uint64_t offsets[2000], all;
    unsigned count;

    for (int round = 0; round < 3; round++) {
        count = fill(arena, offsets, 2000);
        CU_ASSERT_FATAL(count > 900 && count < 1000);
        CU_ASSERT(usage_of(arena).used > ARENA_MIN_SIZE - OWN);
        CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "the arena of 1048576 bytes is full"));
        CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "MPMAP_ARENA"));
        free_in_disorder(arena, offsets, count);
        CU_ASSERT(is_sound(arena));
        all = get(arena, ARENA_MIN_SIZE - OWN);
        arena_free(arena, all);
    }
    drop(arena, ARENA_MIN_SIZE);
}

static void a_block_larger_than_the_arena_is_refused(void)
{
    struct arena *arena = arena_of(ARENA_MIN_SIZE);
    static const size_t sizes[] = {ARENA_MIN_SIZE, ARENA_MIN_SIZE + 1, SIZE_MAX / 2, SIZE_MAX - 63, SIZE_MAX};
    uint64_t offset = 42;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CU_ASSERT_EQUAL(arena_alloc(arena, sizes[i], ARENA_NO_OWNER, &offset), MPM_ENOMEM);
        CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "1048576"));
    }
    CU_ASSERT_EQUAL(offset, 42);
    drop(arena, ARENA_MIN_SIZE);
}

static void a_block_grows_over_free_memory_before_the_end(void)
{
    struct arena *arena = arena_of(ARENA_MIN_SIZE);
    uint64_t first = get(arena, 600000), kept = get(arena, 100), second = get(arena, 300000), larger;

    arena_free(arena, second);
    larger = get(arena, 400000);
    CU_ASSERT_EQUAL(larger, second);
    memset(arena_at(arena, larger), 1, 400000);
    CU_ASSERT(is_sound(arena));
    arena_free(arena, first);
    arena_free(arena, larger);
    arena_free(arena, kept);
    larger = get(arena, 900000);
    CU_ASSERT_EQUAL(larger, first);
    arena_free(arena, larger);
    drop(arena, ARENA_MIN_SIZE);
}

/* Four blocks in a row, of which the set bits of `freed` go before the third, and the hole must take what the
 * merged ones had. */
static void merge_around_the_third(unsigned freed)
{
    struct arena *arena = arena_of(SIZE);
    uint64_t row[5];
    unsigned first = 2, last = 2;

    for (int i = 0; i < 5; i++)
        row[i] = get(arena, 64 * 9);
    for (unsigned i = 0; i < 4; i++) {
        if (freed & 1u << i && i != 2)
            arena_free(arena, row[i]);
    }
    arena_free(arena, row[2]);
    CU_ASSERT(is_sound(arena));
    while (first > 0 && freed & 1u << (first - 1))
        first--;
    while (last < 3 && freed & 1u << (last + 1))
        last++;
    CU_ASSERT_EQUAL(get(arena, row[last] - row[first] + 64 * 9), row[first]);
    CU_ASSERT_EQUAL(usage_of(arena).free_blocks, freed == 1 || freed == 9);
    child_memory_free(arena, SIZE);
}

static void free_neighbours_become_one_block(void)
{
    for (unsigned freed = 0; freed < 16; freed++) {
        if (!(freed & 4))
            merge_around_the_third(freed);
    }
}

static void a_block_of_the_same_size_is_used_again(void)
{
    struct arena *arena = arena_of(SIZE);
    uint64_t a = get(arena, 500), b = get(arena, 700), c = get(arena, 500);

    arena_free(arena, b);
    CU_ASSERT_EQUAL(get(arena, 700), b);
    arena_free(arena, b);
    /* What a smaller one leaves is free. */
    CU_ASSERT_EQUAL(get(arena, 100), b);
    CU_ASSERT_EQUAL(usage_of(arena).free_blocks, 1);
    arena_free(arena, b);
    arena_free(arena, a);
    arena_free(arena, c);
    drop(arena, SIZE);
}

static void nonsense_that_is_freed_changes_nothing(void)
{
    struct arena *arena = arena_of(SIZE);
    uint64_t a = get(arena, 1000), b = get(arena, 1000), c = get(arena, 1000);
    uint64_t bad[] = {1,      63,       64,         a - 64,          a + 1,
                      a + 64, b - 128,  b,          c + 1024,        c + 64 * 1000,
                      SIZE,   SIZE * 2, UINT64_MAX, UINT64_MAX - 63, UINT64_MAX / 64 * 64};
    struct arena_usage before, after;

    memset(arena_at(arena, a), 0xff, 1000);
    /* What looks like the header of a block in use of 3 units. */
    memcpy(arena_at(arena, a), &(uint64_t){3u << 23 | 1}, 8);
    arena_free(arena, b);
    before = usage_of(arena);
    log_open(MPM_LOG_OFF, "");
    errno = EXDEV;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        arena_free(arena, bad[i]);
    arena_free(arena, 0);
    CU_ASSERT_EQUAL(errno, EXDEV);
    log_open(MPM_LOG_ERROR, "");
    after = usage_of(arena);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
    CU_ASSERT(is_sound(arena));
    arena_free(arena, a);
    arena_free(arena, c);
    drop(arena, SIZE);
}

/* What a process that dies has left behind, told to the test. */
struct heritage {
    struct arena *arena;
    uint64_t given[3];
};

static bool inherit(void *argument)
{
    struct heritage *heritage = argument;
    uint64_t offset;

    for (int i = 0; i < 9; i++) {
        if (arena_alloc(heritage->arena, 100u + 300u * (unsigned)i, OWNER, &offset))
            return false;
        memset(arena_at(heritage->arena, offset), 0xaa, 100);
        if (i % 3 == 1) {
            arena_give(heritage->arena, offset);
            heritage->given[i / 3] = offset;
        }
    }
    raise(SIGKILL);
    return false;
}

static void what_a_dead_process_had_not_given_is_freed(void)
{
    struct heritage *heritage = child_memory(sizeof *heritage);
    struct arena *arena = heritage->arena = arena_of(SIZE);
    uint64_t mine = get(arena, 5000), other = 0;

    CU_ASSERT_EQUAL(arena_alloc(arena, 10, OWNER + 1, &other), MPM_OK);
    CU_ASSERT(child_was_killed(child_wait(child_start(inherit, heritage))));
    CU_ASSERT_EQUAL(usage_of(arena).used_blocks, 11);
    CU_ASSERT_EQUAL(arena_free_owned(arena, OWNER), 6);
    CU_ASSERT_EQUAL(arena_free_owned(arena, OWNER), 0);
    CU_ASSERT(is_sound(arena));
    CU_ASSERT_EQUAL(usage_of(arena).used_blocks, 5);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(is_filled(arena, &(struct piece){heritage->given[i], 100, 0xaa}));
        arena_free(arena, heritage->given[i]);
    }
    CU_ASSERT_EQUAL(arena_free_owned(arena, OWNER + 1), 1);
    arena_free(arena, mine);
    child_memory_free(heritage, sizeof *heritage);
    drop(arena, SIZE);
}

/* The reaper of a process without blocks does not look at any: here it would not live through it. */
static void a_death_without_blocks_walks_over_none(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct arena *arena = arena_of(SIZE);
    uint64_t given = 0, all = get(arena, SIZE / 2), blocks = (all + page - 1) / page * page;

    CU_ASSERT_EQUAL(arena_alloc(arena, 100, OWNER, &given), MPM_OK);
    arena_give(arena, given);
    arena_free(arena, all);
    CU_ASSERT_EQUAL_FATAL(mprotect((char *)arena_at(arena, 0) + blocks, SIZE - blocks, PROT_NONE), 0);
    CU_ASSERT_EQUAL(arena_free_owned(arena, OWNER), 0);
    CU_ASSERT_EQUAL(mprotect((char *)arena_at(arena, 0) + blocks, SIZE - blocks, PROT_READ | PROT_WRITE), 0);
    arena_free(arena, given);
    drop(arena, SIZE);
}

static void a_free_after_free_owned_is_no_block(void)
{
    struct arena *arena = arena_of(SIZE);
    uint64_t offset = 0;

    CU_ASSERT_EQUAL(arena_alloc(arena, 10, ARENA_MAX_OWNER, &offset), MPM_OK);
    CU_ASSERT_EQUAL(arena_free_owned(arena, ARENA_MAX_OWNER), 1);
    log_open(MPM_LOG_OFF, "");
    arena_free(arena, offset);
    log_open(MPM_LOG_ERROR, "");
    drop(arena, SIZE);
}

static void roots_are_kept(void)
{
    struct arena *arena = arena_of(SIZE), *attached = NULL;

    CU_ASSERT_EQUAL_FATAL(arena_make_root(arena, ARENA_ROOT_NODE, 640), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(arena_make_root(arena, ARENA_ROOTS - 1, 8), MPM_OK);
    for (size_t i = 0; i < 640; i++)
        CU_ASSERT_EQUAL(((char *)arena_root(arena, ARENA_ROOT_NODE))[i], 0);
    strcpy(arena_root(arena, ARENA_ROOT_NODE), "node");
    strcpy(arena_root(arena, ARENA_ROOTS - 1), "last");
    CU_ASSERT_EQUAL_FATAL(arena_attach(arena, &attached), MPM_OK);
    CU_ASSERT_STRING_EQUAL(arena_root(attached, ARENA_ROOT_NODE), "node");
    CU_ASSERT_STRING_EQUAL(arena_root(attached, ARENA_ROOTS - 1), "last");
    CU_ASSERT_EQUAL(arena_make_root(arena, ARENA_ROOT_FORKSERVERS, SIZE), MPM_ENOMEM);
    arena_free(arena, arena_offset(arena, arena_root(arena, ARENA_ROOT_NODE)));
    arena_free(arena, arena_offset(arena, arena_root(arena, ARENA_ROOTS - 1)));
    drop(arena, SIZE);
}

static void memory_that_is_no_arena_is_refused(void)
{
    struct arena *arena = (struct arena *)&arena;
    void *memory = child_memory(SIZE);

    CU_ASSERT_EQUAL(arena_format(memory, ARENA_MIN_SIZE - 1, &arena), MPM_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(mpm_error(), "an arena of 1048575 bytes is too small: it needs at least 1048576"));
    CU_ASSERT_EQUAL(arena_attach(memory, &arena), MPM_ESTATE);
    CU_ASSERT_PTR_EQUAL(arena, &arena);
    child_memory_free(memory, SIZE);
}

static void it_may_stand_at_two_addresses(void)
{
    struct arena *here = arena_of(SIZE), *there = NULL;
    void *mapped = mremap(here, 0, SIZE, MREMAP_MAYMOVE);
    uint64_t offset = get(here, 100);

    CU_ASSERT_FATAL(mapped != MAP_FAILED && mapped != here);
    CU_ASSERT_EQUAL_FATAL(arena_attach(mapped, &there), MPM_OK);
    memset(arena_at(here, offset), 0x5a, 100);
    CU_ASSERT(is_filled(there, &(struct piece){offset, 100, 0x5a}));
    CU_ASSERT_EQUAL(arena_offset(there, arena_at(there, offset)), offset);
    arena_free(there, offset);
    CU_ASSERT_EQUAL(get(there, 100), offset);
    arena_free(here, offset);
    munmap(mapped, SIZE);
    drop(here, SIZE);
}

/* Less memory than there seems to be: the file under the mapping ends before the arena does. A touch past its
 * end would be SIGBUS, so all of this is in a child. */

static void *map_file(int file, size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

static void *map_short_file(size_t file_size, size_t size)
{
    int file = memfd_create("short", MFD_CLOEXEC);

    if (file < 0 || ftruncate(file, (off_t)file_size))
        return NULL;
    return map_file(file, size);
}

/* An arena of SIZE over `memory`, which ends somewhere: all there is can be had, more is MPM_ENOMEM. */
static bool uses_what_there_is(void *memory, unsigned least)
{
    struct arena *arena;
    uint64_t offsets[5000];
    unsigned count;

    if (!memory || arena_format(memory, SIZE, &arena))
        return false;
    for (int round = 0; round < 2; round++) {
        count = fill(arena, offsets, 5000);
        if (count < least || count >= 3900 ||
            !strstr(mpm_error(), "the arena of 4194304 bytes cannot grow past"))
            return false;
        free_in_disorder(arena, offsets, count);
    }
    return is_sound(arena) && usage_of(arena).used == 0 && get(arena, (size_t)least * 1000);
}

static bool short_file_is_used_up(void *unused)
{
    (void)unused;
    return uses_what_there_is(map_short_file((size_t)2 << 20, SIZE), 1800);
}

static bool no_arena_in_an_empty_file(void *unused)
{
    struct arena *arena = NULL;
    void *memory = map_short_file(4096, SIZE);

    (void)unused;
    return memory && arena_format(memory, SIZE, &arena) == MPM_ENOMEM && !arena &&
           strstr(mpm_error(), "4194304");
}

static void memory_that_cannot_be_had_is_an_error(void)
{
    CU_ASSERT(child_succeeds(short_file_is_used_up, NULL));
    CU_ASSERT(child_succeeds(no_arena_in_an_empty_file, NULL));
}

/* From here on, madvise(…, MADV_POPULATE_WRITE) fails: by EINVAL before Linux 5.14. */
static bool pretend_old_kernel(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_POPULATE_WRITE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool old_kernel_populates(void *argument)
{
    int error = *(const int *)argument;

    if (!pretend_old_kernel(error) || madvise(NULL, 0, MADV_POPULATE_WRITE) != -1 || errno != error)
        return false;
    return short_file_is_used_up(NULL) && no_arena_in_an_empty_file(NULL);
}

static void an_old_kernel_or_a_sandbox_tells_just_as_politely(void)
{
    CU_ASSERT(child_succeeds(old_kernel_populates, &(int){EINVAL}));
    CU_ASSERT(child_succeeds(old_kernel_populates, &(int){EPERM}));
    CU_ASSERT(child_succeeds(old_kernel_populates, &(int){ENOSYS}));
}

/* Mounts a file system of 2 MiB that only the calling process sees, on top of /dev/shm. */
static bool mount_small_shm(void)
{
    return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
           !mount("small", "/dev/shm", "tmpfs", 0, "size=2m");
}

static bool may_mount(void *unused)
{
    (void)unused;
    return mount_small_shm();
}

static bool full_shm_is_an_error(void *unused)
{
    int file;

    (void)unused;
    if (!mount_small_shm() ||
        (file = open("/dev/shm/arena", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0 ||
        ftruncate(file, (off_t)SIZE))
        return false;
    return uses_what_there_is(map_file(file, SIZE), 1800);
}

static void a_full_shm_is_an_error(void)
{
    if (child_wait(child_start(may_mount, NULL))) {
        puts("(no right to mount: not tried)");
        return;
    }
    CU_ASSERT(child_succeeds(full_shm_is_an_error, NULL));
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"random_blocks_never_overlap", random_blocks_never_overlap},
        {"eight_threads_share_an_arena", eight_threads_share_an_arena},
        {"processes_share_an_arena", processes_share_an_arena},
        {"all_memory_of_a_full_arena_comes_back", all_memory_of_a_full_arena_comes_back},
        {"an_arena_is_used_up_to_its_end", an_arena_is_used_up_to_its_end},
        {"a_block_larger_than_the_arena_is_refused", a_block_larger_than_the_arena_is_refused},
        {"a_block_grows_over_free_memory_before_the_end", a_block_grows_over_free_memory_before_the_end},
        {"free_neighbours_become_one_block", free_neighbours_become_one_block},
        {"a_block_of_the_same_size_is_used_again", a_block_of_the_same_size_is_used_again},
        {"nonsense_that_is_freed_changes_nothing", nonsense_that_is_freed_changes_nothing},
        {"what_a_dead_process_had_not_given_is_freed", what_a_dead_process_had_not_given_is_freed},
        {"a_death_without_blocks_walks_over_none", a_death_without_blocks_walks_over_none},
        {"a_free_after_free_owned_is_no_block", a_free_after_free_owned_is_no_block},
        {"roots_are_kept", roots_are_kept},
        {"memory_that_is_no_arena_is_refused", memory_that_is_no_arena_is_refused},
        {"it_may_stand_at_two_addresses", it_may_stand_at_two_addresses},
        {"memory_that_cannot_be_had_is_an_error", memory_that_cannot_be_had_is_an_error},
        {"an_old_kernel_or_a_sandbox_tells_just_as_politely",
         an_old_kernel_or_a_sandbox_tells_just_as_politely},
        {"a_full_shm_is_an_error", a_full_shm_is_an_error},
    };

    return suite_run("arena", tests, sizeof tests / sizeof *tests);
}
