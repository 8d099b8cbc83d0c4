/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that travel: what is one and what is none, and that tasks from anywhere run in the workers of all
 * ranks: static ones of the program, and those of plugins that were opened long after the workers' fork servers were
 * forked. Plugins stand in plugins/ beside this program. */
#include <CUnit/CUnit.h>
#include <CUnit/Basic.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "node/function.h"
#include "suite.h"

#define PATIENCE_S 60
#define NUMBERS    2000
#define DEEP_NAME  250

static char folder[] = P_tmpdir "/mpmap-function-XXXXXX"; /* files of this test */

/* Puts together the path of a file beside this program. */
static const char *beside(const char *name)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path / 2);

    CU_ASSERT_FATAL(length > 0);
    path[length] = 0;
    snprintf(strrchr(path, '/') + 1, sizeof path / 2, "%s", name);
    return path;
}

static const char *in_folder(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Makes `to` a copy of `from`, by a rename, so that who has mapped the old file keeps it. */
static void copy(const char *from, const char *to)
{
    char part[2 * PATH_MAX];
    struct stat about;
    int source = open(from, O_RDONLY | O_CLOEXEC), target;

    snprintf(part, sizeof part, "%s.part", to);
    target = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    CU_ASSERT_FATAL(source >= 0 && target >= 0 && !fstat(source, &about));
    for (off_t done = 0; done < about.st_size;) {
        ssize_t copied = copy_file_range(source, NULL, target, NULL, (size_t)(about.st_size - done), 0);

        CU_ASSERT_FATAL(copied > 0);
        done += copied;
    }
    close(source);
    close(target);
    CU_ASSERT_EQUAL_FATAL(rename(part, to), 0);
}

/* The task of a plugin, which stays open. */
static mpm_task *open_task(const char *path, void **plugin)
{
    void *opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    mpm_task *task = NULL;

    if (!opened)
        fprintf(stderr, "%s\n", dlerror());
    CU_ASSERT_PTR_NOT_NULL_FATAL(opened);
    *(void **)&task = dlsym(opened, "work_on_number");
    CU_ASSERT_FATAL(task != NULL);
    if (plugin)
        *plugin = opened;
    return task;
}

static struct function named(function_pointer *pointer)
{
    struct function function = {0};

    CU_ASSERT_EQUAL_FATAL(function_name(pointer, &function), MPM_OK);
    return function;
}

static bool is_found_again(function_pointer *pointer, const char *module)
{
    struct function function = named(pointer);
    function_pointer *found = NULL;

    if (strcmp(function.module, module)) {
        fprintf(stderr, "the module is \"%s\", not \"%s\"\n", function.module, module);
        return false;
    }
    return function_find(&function, &found) == MPM_OK && found == pointer;
}

static void local_function(void)
{
}

static void functions_of_the_program_are_found_again(void)
{
    CU_ASSERT(is_found_again(local_function, ""));
    CU_ASSERT(is_found_again((function_pointer *)mpm_version, ""));
}

static void functions_of_libraries_are_found_again(void)
{
    Dl_info about;
    char path[PATH_MAX];

    CU_ASSERT_FATAL(dladdr((void *)(uintptr_t)CU_basic_run_tests, &about) && realpath(about.dli_fname, path));
    CU_ASSERT(is_found_again((function_pointer *)CU_basic_run_tests, path));
}

static void functions_of_the_shared_library_are_found_again(void)
{
    char path[PATH_MAX];
    void *library, *version;

    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(beside("../lib/libmpmap.so"), path));
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(library);
    version = dlsym(library, "mpm_version");
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(version, NULL);
    CU_ASSERT(version != (void *)(uintptr_t)mpm_version);
    CU_ASSERT(is_found_again((function_pointer *)(uintptr_t)version, path));
    dlclose(library);
}

static void functions_of_plugins_are_found_again(void)
{
    char path[PATH_MAX];
    mpm_task *task;

    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(beside("plugins/doubling.so"), path));
    task = open_task(path, NULL);
    CU_ASSERT(is_found_again((function_pointer *)task, path));
}

static void a_plugin_behind_a_symbolic_link_is_named_by_its_own_path(void)
{
    char path[PATH_MAX], link[PATH_MAX];
    void *plugin;
    mpm_task *task;

    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(folder, path));
    strcat(path, "/real.so");
    strcpy(link, in_folder("link.so"));
    copy(beside("plugins/doubling.so"), path);
    CU_ASSERT_EQUAL_FATAL(symlink("real.so", link), 0);
    task = open_task(link, &plugin);
    CU_ASSERT(is_found_again((function_pointer *)task, path));
    dlclose(plugin);
    unlink(link);
    unlink(path);
}

static const long some_data[4] = {1, 2, 3, 4};

static bool is_refused(const void *address)
{
    struct function function = {.offset = 42};

    return function_name((function_pointer *)(uintptr_t)address, &function) == MPM_EINVAL &&
           function.offset == 42 &&
           error_has(address ? "is not a function of the program, of one of its libraries, or of a plugin"
                             : "the task is NULL: pass a function");
}

static void what_is_no_function_is_refused(void)
{
    void *heap = malloc(100);

    CU_ASSERT(is_refused(NULL));
    CU_ASSERT(is_refused(folder));
    CU_ASSERT(is_refused(some_data));
    CU_ASSERT(is_refused(&heap));
    CU_ASSERT(is_refused(heap));
    CU_ASSERT(is_refused((void *)(uintptr_t)1));
    CU_ASSERT(is_refused((void *)UINTPTR_MAX));
    free(heap);
}

static void another_build_is_refused(void)
{
    struct function program = named(local_function), library = named((function_pointer *)CU_basic_run_tests);
    function_pointer *found = local_function;
    char text[64];

    snprintf(text, sizeof text, "the program is build %016llx here", (unsigned long long)program.build);
    program.build ^= 1;
    CU_ASSERT_EQUAL(function_find(&program, &found), MPM_EBUILD);
    CU_ASSERT(error_has(text));
    snprintf(text, sizeof text, "and build %016llx in main", (unsigned long long)program.build);
    CU_ASSERT(error_has(text));
    library.build ^= UINT64_C(1) << 63;
    CU_ASSERT_EQUAL(function_find(&library, &found), MPM_EBUILD);
    CU_ASSERT(error_has(library.module));
    CU_ASSERT(found == local_function);
}

/* Opens a copy of a plugin, names its task, and closes it. */
static struct function named_in_closed(const char *plugin_name, const char *path)
{
    struct function function;
    void *plugin;

    copy(beside(plugin_name), path);
    function = named((function_pointer *)open_task(path, &plugin));
    dlclose(plugin);
    return function;
}

static void a_missing_plugin_is_named(void)
{
    const char *path = in_folder("gone.so");
    struct function function = named_in_closed("plugins/doubling.so", path);
    function_pointer *found = local_function;

    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    CU_ASSERT_EQUAL(function_find(&function, &found), MPM_ENOENT);
    CU_ASSERT(error_has("cannot open the plugin: "));
    CU_ASSERT(error_has("/gone.so: "));
    CU_ASSERT(found == local_function);
}

static void a_plugin_that_has_changed_is_refused(void)
{
    const char *path = in_folder("changing.so");
    struct function function = named_in_closed("plugins/doubling.so", path);
    function_pointer *found = local_function;

    copy(beside("plugins/halving.so"), path);
    CU_ASSERT_EQUAL(function_find(&function, &found), MPM_EBUILD);
    CU_ASSERT(error_has("/changing.so is build "));
    CU_ASSERT(found == local_function);
    unlink(path);
}

/* The loader may put the second one where the first one was. */
static void a_plugin_in_the_place_of_another_has_a_build_of_its_own(void)
{
    const char *path = in_folder("place.so");
    struct function first = named_in_closed("plugins/doubling.so", path), again, second;

    second = named_in_closed("plugins/halving.so", path);
    again = named_in_closed("plugins/doubling.so", path);
    CU_ASSERT_NOT_EQUAL(first.build, second.build);
    CU_ASSERT_EQUAL(first.build, again.build);
    unlink(path);
}

/* Makes, or removes, four folders of long names, one in another; `path` is the innermost one's. */
static void deep_folders(char *path, bool make)
{
    size_t length = strlen(strcpy(path, folder));

    for (int i = 0; i < 4; i++, length += DEEP_NAME + 1) {
        path[length] = '/';
        memset(path + length + 1, 'a' + i, DEEP_NAME);
        path[length + 1 + DEEP_NAME] = 0;
        if (make)
            CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    }
    for (int i = 0; !make && i < 4; i++, *strrchr(path, '/') = 0)
        rmdir(path);
}

static void a_path_that_does_not_fit_is_refused(void)
{
    char path[PATH_MAX];
    struct function function = {.offset = 42};
    void *plugin;
    mpm_task *task;

    deep_folders(path, true);
    strcat(path, "/deep.so");
    copy(beside("plugins/doubling.so"), path);
    task = open_task(path, &plugin);
    CU_ASSERT_EQUAL(function_name((function_pointer *)task, &function), MPM_ENOMEM);
    CU_ASSERT(error_has("at most 999 bytes"));
    CU_ASSERT_EQUAL(function.offset, 42);
    dlclose(plugin);
    unlink(path);
    deep_folders(path, false);
}

static void more_functions_than_are_remembered_are_found(void)
{
    struct function function = named(local_function);
    uint64_t first = function.offset;
    unsigned wrong = 0;

    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 50; i++) {
            function_pointer *found = NULL;

            function.offset = first + i;
            wrong += function_find(&function, &found) || (uintptr_t)found != (uintptr_t)local_function + i;
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void the_build_of_the_program_is_constant(void)
{
    CU_ASSERT_NOT_EQUAL(function_program_build(), 0);
    CU_ASSERT_EQUAL(function_program_build(), function_program_build());
}

/* Waits until all workers have come here, in a file that the context names: then each has one item. The
 * result is the fork server that the worker is of. */
static int meet_all(mpm_call *call, const void *item, void *result)
{
    const unsigned *workers = item;
    int file = open(mpm_call_context(call), O_RDWR | O_CLOEXEC);
    _Atomic unsigned *met = mmap(NULL, sizeof *met, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    double end_s = clock_now_s() + PATIENCE_S;
    pid_t forkserver = getppid();

    close(file);
    if (met == MAP_FAILED)
        return mpm_fail(call, "the file to meet in cannot be mapped");
    atomic_fetch_add(met, 1);
    while (atomic_load(met) < *workers && clock_now_s() < end_s)
        sched_yield();
    memcpy(result, &forkserver, sizeof forkserver);
    return atomic_load(met) < *workers
               ? mpm_fail(call, "only %u of %u workers came", atomic_load(met), *workers)
               : 0;
}

static void a_static_function_runs_in_the_workers_of_all_ranks(void)
{
    const char *path = in_folder("meeting");
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    unsigned items[64], workers, forkservers = 0;
    pid_t forkserver_of[64];
    mpm_pool *pool = NULL;

    CU_ASSERT_FATAL(file >= 0 && !ftruncate(file, sizeof(unsigned)));
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 2 * mpm_rank_count()}, &pool), MPM_OK);
    workers = mpm_pool_worker_count(pool);
    CU_ASSERT_FATAL(workers >= mpm_rank_count() && workers <= 64);
    for (unsigned i = 0; i < workers; i++)
        items[i] = workers;
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, meet_all, items, workers, sizeof *items, sizeof *forkserver_of,
                     &(mpm_map_options){.chunk = 1, .context = path, .context_size = strlen(path) + 1},
                     forkserver_of),
        MPM_OK);
    for (unsigned i = 0; i < workers; i++) {
        unsigned first = 0;

        while (forkserver_of[first] != forkserver_of[i])
            first++;
        forkservers += first == i;
    }
    CU_ASSERT_EQUAL(forkservers, mpm_rank_count());
    mpm_pool_close(pool);
    close(file);
    unlink(path);
}

static int map_numbers(mpm_task *task, long *results)
{
    static long numbers[NUMBERS];
    mpm_pool *pool = NULL;
    int status;

    for (long i = 0; i < NUMBERS; i++)
        numbers[i] = 2 * i;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    status = mpm_pool_map(pool, task, numbers, NUMBERS, sizeof *numbers, sizeof *results, NULL, results);
    mpm_pool_close(pool);
    return status;
}

static void tasks_of_plugins_run_in_workers(void)
{
    static long results[NUMBERS];
    char link[PATH_MAX];
    unsigned wrong = 0;

    strcpy(link, in_folder("task.so"));
    CU_ASSERT_EQUAL_FATAL(symlink(beside("plugins/doubling.so"), link), 0);
    CU_ASSERT_EQUAL(map_numbers(open_task(link, NULL), results), MPM_OK);
    for (long i = 0; i < NUMBERS; i++)
        wrong += results[i] != 5 * i;
    CU_ASSERT_EQUAL(map_numbers(open_task(beside("plugins/halving.so"), NULL), results), MPM_OK);
    for (long i = 0; i < NUMBERS; i++)
        wrong += results[i] != i;
    CU_ASSERT_EQUAL(wrong, 0);
    unlink(link);
}

/* Main has opened the one, the workers find another one in its place. */
static void a_plugin_that_changed_after_main_opened_it_ends_the_map(void)
{
    static long results[NUMBERS];
    const char *path = in_folder("replaced.so");
    void *plugin;
    mpm_task *task;

    copy(beside("plugins/doubling.so"), path);
    task = open_task(path, &plugin);
    copy(beside("plugins/halving.so"), path);
    CU_ASSERT_EQUAL(map_numbers(task, results), MPM_EBUILD);
    CU_ASSERT(error_has("/replaced.so is build "));
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    CU_ASSERT_EQUAL(map_numbers(task, results), MPM_EINVAL);
    CU_ASSERT(error_has("/replaced.so, which has the function: No such file"));
    dlclose(plugin);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"functions_of_the_program_are_found_again", functions_of_the_program_are_found_again},
        {"functions_of_libraries_are_found_again", functions_of_libraries_are_found_again},
        {"functions_of_the_shared_library_are_found_again", functions_of_the_shared_library_are_found_again},
        {"functions_of_plugins_are_found_again", functions_of_plugins_are_found_again},
        {"a_plugin_behind_a_symbolic_link_is_named_by_its_own_path",
         a_plugin_behind_a_symbolic_link_is_named_by_its_own_path},
        {"what_is_no_function_is_refused", what_is_no_function_is_refused},
        {"another_build_is_refused", another_build_is_refused},
        {"a_missing_plugin_is_named", a_missing_plugin_is_named},
        {"a_plugin_that_has_changed_is_refused", a_plugin_that_has_changed_is_refused},
        {"a_plugin_in_the_place_of_another_has_a_build_of_its_own",
         a_plugin_in_the_place_of_another_has_a_build_of_its_own},
        {"a_path_that_does_not_fit_is_refused", a_path_that_does_not_fit_is_refused},
        {"more_functions_than_are_remembered_are_found", more_functions_than_are_remembered_are_found},
        {"the_build_of_the_program_is_constant", the_build_of_the_program_is_constant},
        {"a_static_function_runs_in_the_workers_of_all_ranks",
         a_static_function_runs_in_the_workers_of_all_ranks},
        {"tasks_of_plugins_run_in_workers", tasks_of_plugins_run_in_workers},
        {"a_plugin_that_changed_after_main_opened_it_ends_the_map",
         a_plugin_that_changed_after_main_opened_it_ends_the_map},
    };
    int failed;

    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (!mkdtemp(folder)) {
        perror(folder);
        return EXIT_FAILURE;
    }
    failed = suite_run("function", tests, sizeof tests / sizeof *tests);
    if (rmdir(folder)) {
        perror(folder);
        failed = EXIT_FAILURE;
    }
    return mpm_finalize() ? mpm_report_error() : failed;
}
