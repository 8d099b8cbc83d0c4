/* SPDX-License-Identifier: BSD-3-Clause */
/* Every environment variable: what it accepts, what that means, and the sentence for what it does not. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "base/config.h"
#include "base/log.h"
#include "child.h"
#include "suite.h"

#define KIB ((size_t)1024)

static const struct config untouched = {
    .arena_size = 12345,
    .ranks_per_node = 67,
    .slots = 8,
    .worker_timeout_s = 89,
    .log_level = MPM_LOG_ERROR,
    .node_timeout_s = 8,
};

/* Reads the environment with this variable as its only one of ours; NULL: with none. */
static int read_with(const char *name, const char *value, struct config *config)
{
    static const char *const names[] = {"MPMAP_ARENA", "MPMAP_RANKS_PER_NODE",
                                        "MPMAP_SLOTS", "MPMAP_WORKER_TIMEOUT",
                                        "MPMAP_LOG",   "MPMAP_NODE_TIMEOUT"};
    int status;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    if (name)
        setenv(name, value, 1);
    *config = untouched;
    status = config_read(config);
    if (name)
        unsetenv(name);
    return status;
}

static bool is_same(const struct config *a, const struct config *b)
{
    return a->arena_size == b->arena_size && a->ranks_per_node == b->ranks_per_node && a->slots == b->slots &&
           a->worker_timeout_s == b->worker_timeout_s && a->log_level == b->log_level &&
           a->node_timeout_s == b->node_timeout_s;
}

static void expect_good(const char *name, const char *value, struct config wanted)
{
    struct config config;
    int status = read_with(name, value, &config);

    if (status || !is_same(&config, &wanted))
        fprintf(stderr, "%s=\"%s\" gives status %d, %zu, %u, %d\n", name, value, status, config.arena_size,
                config.ranks_per_node, config.log_level);
    CU_ASSERT_EQUAL(status, MPM_OK);
    CU_ASSERT(is_same(&config, &wanted));
}

static void expect_bad(const char *name, const char *value, const char *advice)
{
    struct config config;
    int status = read_with(name, value, &config);
    char sentence[200];

    snprintf(sentence, sizeof sentence, "%s is \"%s\": it must be %s", name, value, advice);
    if (status != MPM_EINVAL || strcmp(mpm_error(), sentence))
        fprintf(stderr, "status %d, \"%s\"\nis not  \"%s\"\n", status, mpm_error(), sentence);
    CU_ASSERT_EQUAL(status, MPM_EINVAL);
    CU_ASSERT_STRING_EQUAL(mpm_error(), sentence);
    CU_ASSERT(is_same(&config, &untouched));
}

static void without_variables_nothing_changes(void)
{
    struct config config;

    CU_ASSERT_EQUAL(read_with(NULL, NULL, &config), MPM_OK);
    CU_ASSERT(is_same(&config, &untouched));
}

static void expect_arena(const char *value, size_t size)
{
    struct config wanted = untouched;

    wanted.arena_size = size;
    expect_good("MPMAP_ARENA", value, wanted);
}

static void arena_is_bytes_with_a_unit(void)
{
    expect_arena("1", 1);
    expect_arena("268435456", 256 * KIB * KIB);
    expect_arena("3K", 3 * KIB);
    expect_arena("256M", 256 * KIB * KIB);
    expect_arena("2G", 2 * KIB * KIB * KIB);
    expect_arena("5T", 5 * KIB * KIB * KIB * KIB);
    expect_arena("9223372036854775807", SIZE_MAX / 2);
    expect_arena("8388607T", (size_t)8388607 << 40);
}

static void other_arenas_are_refused(void)
{
    static const char *const values[] = {"",
                                         "0",
                                         "0M",
                                         "-1",
                                         "-1M",
                                         " -1",
                                         "much",
                                         "M",
                                         "12X",
                                         "12m",
                                         "1MB",
                                         "1 M",
                                         "1.5G",
                                         "8388608T",
                                         "16777217T",
                                         "9223372036854775808",
                                         "18446744073709551616",
                                         "99999999999999999999999",
                                         "0x10M"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        expect_bad("MPMAP_ARENA", values[i], "a number of bytes such as 268435456 or 256M");
}

static void expect_ranks(const char *value, unsigned ranks)
{
    struct config wanted = untouched;

    wanted.ranks_per_node = ranks;
    expect_good("MPMAP_RANKS_PER_NODE", value, wanted);
}

static void ranks_per_node_is_a_count(void)
{
    expect_ranks("1", 1);
    expect_ranks("64", 64);
    expect_ranks("2147483647", INT_MAX);
}

static void worker_timeout_is_a_count_of_seconds(void)
{
    struct config wanted = untouched;

    wanted.worker_timeout_s = 600;
    expect_good("MPMAP_WORKER_TIMEOUT", "600", wanted);
    expect_bad("MPMAP_WORKER_TIMEOUT", "0", "a whole number of at least 1");
    expect_bad("MPMAP_WORKER_TIMEOUT", "1.5", "a whole number of at least 1");
}

static void other_ranks_per_node_are_refused(void)
{
    static const char *const values[] = {"",   "0",  "-1",  " -1",        "two",
                                         "2x", "2 ", "1.0", "2147483648", "99999999999999999999"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        expect_bad("MPMAP_RANKS_PER_NODE", values[i], "a whole number of at least 1");
}

static void slots_are_a_count(void)
{
    struct config wanted = untouched;

    wanted.slots = 1;
    expect_good("MPMAP_SLOTS", "1", wanted);
    wanted.slots = 65536;
    expect_good("MPMAP_SLOTS", "65536", wanted);
    expect_bad("MPMAP_SLOTS", "0", "a whole number of at least 1");
    expect_bad("MPMAP_SLOTS", "many", "a whole number of at least 1");
    expect_bad("MPMAP_SLOTS", "65537", "at most 65536");
}

static void log_is_one_of_four_words(void)
{
    static const char *const names[] = {"off", "error", "info", "debug"};
    static const enum mpm_log_level levels[] = {MPM_LOG_OFF, MPM_LOG_ERROR, MPM_LOG_INFO, MPM_LOG_DEBUG};
    struct config wanted = untouched;

    for (int i = 0; i < 4; i++) {
        wanted.log_level = (int)levels[i];
        expect_good("MPMAP_LOG", names[i], wanted);
    }
}

static void other_logs_are_refused(void)
{
    static const char *const values[] = {"", "0", "2", "ERROR", "Info", "debug ", "warn", "of"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        expect_bad("MPMAP_LOG", values[i], "off, error, info or debug");
}

static void expect_timeout(const char *value, double seconds)
{
    struct config wanted = untouched;

    wanted.node_timeout_s = seconds;
    expect_good("MPMAP_NODE_TIMEOUT", value, wanted);
}

static void node_timeout_is_seconds_or_off(void)
{
    expect_timeout("1", 1);
    expect_timeout("2.5", 2.5);
    expect_timeout("3600", 3600);
    expect_timeout("off", MPM_FOREVER);
}

static void other_node_timeouts_are_refused(void)
{
    static const char *const values[] = {"",    "0",   "-1",   "0.5",   "15s", "inf",
                                         "nan", "Off", "none", "1e999", "2 "};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        expect_bad("MPMAP_NODE_TIMEOUT", values[i], "a number of seconds of at least 1, or off");
}

static bool option_is_refused(void *argument)
{
    const double *seconds = argument;

    return mpm_init(NULL, NULL, &(mpm_options){.node_timeout_s = *seconds}) == MPM_EINVAL &&
           strstr(mpm_error(), "node_timeout_s is ") && mpm_node_count() == 0;
}

static bool option_is_taken(void *argument)
{
    const double *seconds = argument;

    return !mpm_init(NULL, NULL, &(mpm_options){.node_timeout_s = *seconds}) && !mpm_finalize();
}

static void node_timeout_is_an_option_too(void)
{
    static double bad[] = {-1, 0.5, -MPM_FOREVER}, good[] = {0, 1, 40, MPM_FOREVER};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT(child_succeeds(option_is_refused, &bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT(child_succeeds(option_is_taken, &good[i]));
}

static void all_are_read_together_or_not_at_all(void)
{
    struct config config = untouched;

    setenv("MPMAP_ARENA", "1G", 1);
    setenv("MPMAP_RANKS_PER_NODE", "3", 1);
    setenv("MPMAP_NODE_TIMEOUT", "9", 1);
    setenv("MPMAP_LOG", "loud", 1);
    CU_ASSERT_EQUAL(config_read(&config), MPM_EINVAL);
    CU_ASSERT(is_same(&config, &untouched));
    setenv("MPMAP_LOG", "debug", 1);
    CU_ASSERT_EQUAL(config_read(&config), MPM_OK);
    CU_ASSERT(is_same(&config, &(struct config){.arena_size = KIB * KIB * KIB,
                                                .ranks_per_node = 3,
                                                .slots = 8,
                                                .worker_timeout_s = 89,
                                                .log_level = MPM_LOG_DEBUG,
                                                .node_timeout_s = 9}));
    unsetenv("MPMAP_ARENA");
    unsetenv("MPMAP_RANKS_PER_NODE");
    unsetenv("MPMAP_LOG");
    unsetenv("MPMAP_NODE_TIMEOUT");
}

/* A variable, and a part of the sentence that mpm_init must fail with. */
struct bad_start {
    const char *name, *value, *sentence;
};

static bool start_fails(void *argument)
{
    const struct bad_start *bad = argument;

    setenv(bad->name, bad->value, 1);
    return mpm_init(NULL, NULL, &(mpm_options){.arena_size = KIB * KIB * 4}) == MPM_EINVAL &&
           strstr(mpm_error(), bad->sentence) && mpm_node_count() == 0;
}

static void a_run_does_not_start_with_a_bad_variable(void)
{
    CU_ASSERT(
        child_succeeds(start_fails, &(struct bad_start){"MPMAP_ARENA", "lots", "MPMAP_ARENA is \"lots\""}));
    CU_ASSERT(child_succeeds(start_fails, &(struct bad_start){"MPMAP_LOG", "loud", "MPMAP_LOG is \"loud\""}));
    CU_ASSERT(child_succeeds(start_fails, &(struct bad_start){"MPMAP_RANKS_PER_NODE", "0", "of at least 1"}));
    CU_ASSERT(child_succeeds(
        start_fails, &(struct bad_start){"MPMAP_ARENA", "512K", "an arena of 524288 bytes is too small"}));
}

static bool variable_wins(void *unused)
{
    mpm_node info;

    (void)unused;
    setenv("MPMAP_ARENA", "2M", 1);
    return !mpm_init(NULL, NULL, &(mpm_options){.arena_size = KIB * KIB * 4}) && !mpm_node_info(0, &info) &&
           info.arena_size == 2 * KIB * KIB && !mpm_finalize();
}

static bool option_counts(void *unused)
{
    mpm_node info;

    (void)unused;
    return !mpm_init(NULL, NULL, &(mpm_options){.arena_size = KIB * KIB * 4}) && !mpm_node_info(0, &info) &&
           info.arena_size == 4 * KIB * KIB && !mpm_finalize();
}

static void a_variable_comes_before_an_option(void)
{
    CU_ASSERT(child_succeeds(variable_wins, NULL));
    CU_ASSERT(child_succeeds(option_counts, NULL));
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"without_variables_nothing_changes", without_variables_nothing_changes},
        {"arena_is_bytes_with_a_unit", arena_is_bytes_with_a_unit},
        {"other_arenas_are_refused", other_arenas_are_refused},
        {"ranks_per_node_is_a_count", ranks_per_node_is_a_count},
        {"worker_timeout_is_a_count_of_seconds", worker_timeout_is_a_count_of_seconds},
        {"other_ranks_per_node_are_refused", other_ranks_per_node_are_refused},
        {"slots_are_a_count", slots_are_a_count},
        {"log_is_one_of_four_words", log_is_one_of_four_words},
        {"other_logs_are_refused", other_logs_are_refused},
        {"node_timeout_is_seconds_or_off", node_timeout_is_seconds_or_off},
        {"other_node_timeouts_are_refused", other_node_timeouts_are_refused},
        {"node_timeout_is_an_option_too", node_timeout_is_an_option_too},
        {"all_are_read_together_or_not_at_all", all_are_read_together_or_not_at_all},
        {"a_run_does_not_start_with_a_bad_variable", a_run_does_not_start_with_a_bad_variable},
        {"a_variable_comes_before_an_option", a_variable_comes_before_an_option},
    };

    return suite_run("config", tests, sizeof tests / sizeof *tests);
}
