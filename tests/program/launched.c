/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run is like when it has been launched in some way: for launch.sh.
 *
 *   launched signals         blocks and ignores signals first; fails unless workers start clean but for those, and main
 *                            keeps what it has set
 *   launched threads         has another thread before the run
 *   launched lines N COUNT   prints one line, N lines from each of COUNT items, and one more
 *   launched full FILE       fills FILE until its file system is full; fails unless memory is refused then
 *   launched plugin FILE     maps with the function `work_on_number` of a plugin that only main has opened */
#include <dlfcn.h>
#include <fcntl.h>
#include <mpmap.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What main ignored is ignored, but for SIGCHLD. A worker ignores SIGINT: a terminal sends it to all processes, and
 * the rank decides. */
static int check_signals(mpm_call *call, const void *item, void *result)
{
    struct sigaction action;
    sigset_t blocked;

    (void)item;
    (void)result;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < SIGRTMIN; number++) {
        if (sigismember(&blocked, number) == 1)
            return mpm_fail(call, "\"%s\" is blocked in a worker", strsignal(number));
        if (number == SIGINT || sigaction(number, NULL, &action))
            continue;
        if (action.sa_handler != (number == SIGPIPE ? SIG_IGN : SIG_DFL))
            return mpm_fail(call, "\"%s\" is not as it should be in a worker", strsignal(number));
    }
    return 0;
}

static void handle(int number)
{
    (void)number;
}

static bool main_keeps_signals(void)
{
    struct sigaction pipe_action, user_action;
    sigset_t blocked;

    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    sigaction(SIGPIPE, NULL, &pipe_action);
    sigaction(SIGUSR1, NULL, &user_action);
    return sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1 &&
           pipe_action.sa_handler == SIG_IGN && user_action.sa_handler == handle;
}

static void change_signals(void)
{
    sigset_t some;

    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigaddset(&some, SIGCHLD);
    sigaddset(&some, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &some, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGUSR1, handle);
}

static int try_signals(mpm_pool *pool)
{
    if (mpm_pool_map(pool, check_signals, NULL, 100, 0, 0, NULL, NULL))
        return mpm_report_error();
    if (main_keeps_signals())
        return EXIT_SUCCESS;
    fputs("main has lost what it had set for signals\n", stderr);
    return EXIT_FAILURE;
}

static int print_lines(mpm_call *call, const void *item, void *result)
{
    const int *lines = mpm_call_context(call);

    (void)item;
    (void)result;
    for (int i = 0; i < *lines; i++)
        printf("item %zu line %d of %d, and it is whole\n", mpm_call_index(call), i, *lines);
    return 0;
}

static int try_lines(mpm_pool *pool, int lines, size_t count)
{
    mpm_map_options options = {.chunk = 1, .context = &lines, .context_size = sizeof lines};

    if (mpm_pool_map(pool, print_lines, NULL, count, 0, 0, &options, NULL))
        return mpm_report_error();
    puts("after the map");
    return EXIT_SUCCESS;
}

static int store_index(mpm_call *call, const void *item, void *result)
{
    (void)item;
    *(size_t *)result = mpm_call_index(call);
    return 0;
}

/* Takes what the file system has, as somebody else on the machine might. */
static bool fill(const char *path)
{
    static char bytes[1 << 16];
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (file < 0)
        return false;
    for (size_t size = sizeof bytes; size; size /= 2) {
        while (write(file, bytes, size) > 0)
            ;
    }
    close(file);
    return true;
}

/* Allocates until memory is refused; the status that was given then. */
static int use_up(void)
{
    void *memory;
    int status;

    while (!(status = mpm_alloc(1 << 16, &memory)))
        memset(memory, 1, 1 << 16);
    return status;
}

static int try_full(mpm_pool *pool, const char *path)
{
    static size_t results[1000000];
    int used_up, mapped;

    if (!fill(path)) {
        perror(path);
        return EXIT_FAILURE;
    }
    used_up = use_up();
    printf("mpm_alloc: %s: %s\n", mpm_status_name(used_up), mpm_error());
    mapped = mpm_pool_map(pool, store_index, NULL, 1000000, 0, sizeof *results, NULL, results);
    printf("mpm_pool_map: %s: %s\n", mpm_status_name(mapped), mapped ? mpm_error() : "");
    return used_up == MPM_ENOMEM && mapped == MPM_ENOMEM ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int try_plugin(mpm_pool *pool, const char *path)
{
    long numbers[1000], results[1000];
    mpm_task *task;
    void *plugin;

    if (!(plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL)) ||
        !(task = (mpm_task *)dlsym(plugin, "work_on_number"))) {
        fprintf(stderr, "%s\n", dlerror());
        return EXIT_FAILURE;
    }
    for (int i = 0; i < 1000; i++)
        numbers[i] = i;
    if (mpm_pool_map(pool, task, numbers, 1000, sizeof *numbers, sizeof *results, NULL, results))
        return mpm_report_error();
    for (int i = 0; i < 1000; i++) {
        if (results[i] != 3 * i)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static void *wait_for_ever(void *unused)
{
    while (!unused)
        pause();
    return unused;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int code = EXIT_FAILURE;
    pthread_t thread;
    mpm_pool *pool;

    if (!strcmp(what, "signals"))
        change_signals();
    if (!strcmp(what, "threads") && pthread_create(&thread, NULL, wait_for_ever, NULL))
        return EXIT_FAILURE;
    if (!strcmp(what, "lines"))
        puts("before the run");
    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 4}, &pool))
        return mpm_report_error();
    if (!strcmp(what, "signals"))
        code = try_signals(pool);
    else if (!strcmp(what, "threads"))
        code = EXIT_SUCCESS;
    else if (!strcmp(what, "lines") && argc == 4)
        code = try_lines(pool, atoi(argv[2]), strtoul(argv[3], NULL, 10));
    else if (!strcmp(what, "full") && argc == 3)
        code = try_full(pool, argv[2]);
    else if (!strcmp(what, "plugin") && argc == 3)
        code = try_plugin(pool, argv[2]);
    mpm_pool_close(pool);
    return mpm_finalize() ? EXIT_FAILURE : code;
}
