/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of the progress line, and when lines are printed where there is no terminal. The time is the map's own, so
 * no test waits for it. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpmap/report.h"
#include "report/progress_line.h"
#include "suite.h"

#define SIZE 256

static const mpm_progress half = {.done = 50, .total = 100, .elapsed_s = 25};

static void expect(mpm_progress now, unsigned columns, const char *wanted)
{
    char text[SIZE];

    progress_line_format(&now, columns, text, sizeof text);
    if (strcmp(text, wanted))
        fprintf(stderr, "is     \"%s\"\nshould \"%s\"\n", text, wanted);
    CU_ASSERT_STRING_EQUAL(text, wanted);
}

static void line_shows_bar_percent_count_rate_and_time_left(void)
{
    expect(half, 60, "[#############-------------]  50%  50/100  2.0/s  25 s left");
}

static void rate_and_time_left_are_those_of_this_run(void)
{
    expect((mpm_progress){.done = 75, .total = 100, .earlier = 50, .elapsed_s = 25}, 31,
           " 75%  75/100  1.0/s  25 s left");
}

static void line_is_below_the_width_of_every_terminal(void)
{
    mpm_progress now = {.done = 123456, .total = 1234567, .failed = 7, .elapsed_s = 100};
    char text[SIZE];

    for (unsigned columns = 0; columns < 300; columns++) {
        size_t length = strlen(progress_line_format(&now, columns, text, sizeof text));

        CU_ASSERT(columns ? length < columns : length == 0);
    }
}

static void bar_goes_first_where_there_is_no_room(void)
{
    expect(half, 42, "[####----]  50%  50/100  2.0/s  25 s left");
    expect(half, 41, " 50%  50/100  2.0/s  25 s left");
}

static void figures_are_cut_where_there_is_no_room_at_all(void)
{
    expect(half, 13, " 50%  50/100");
    expect(half, 5, " 50%");
    expect(half, 1, "");
}

static void bar_is_no_wider_than_forty(void)
{
    char text[SIZE];

    progress_line_format(&half, 200, text, sizeof text);
    CU_ASSERT_EQUAL(strchr(text, ']') - text, 41);
}

static void text_stays_in_its_buffer(void)
{
    char text[16];

    memset(text, 'x', sizeof text);
    progress_line_format(&half, 80, text, 8);
    CU_ASSERT_EQUAL(strlen(text), 7);
    CU_ASSERT_EQUAL(text[8], 'x');
}

static void a_map_that_follows_tells_how_far_behind_it_is(void)
{
    char json[256];
    const mpm_progress now = {
        .done = 90, .total = 100, .elapsed_s = 50, .follows = 1, .rate = 12, .lag_s = 0.5};
    mpm_progress caught_up = now;

    caught_up.done = 100;
    expect(now, 35, "90/100  12/s  10 behind, 0.5 s");
    expect(caught_up, 20, "100/100  12/s");
    CU_ASSERT_PTR_NOT_NULL(strstr(progress_line_json(&now, json, sizeof json), "\"lag_s\":0.500}"));
}

static void nothing_done_yet_tells_no_rate(void)
{
    expect((mpm_progress){.total = 10, .elapsed_s = 3}, 20, "  0%  0/10");
}

static void hundred_percent_is_said_only_at_the_end(void)
{
    expect((mpm_progress){.done = 999, .total = 1000, .elapsed_s = 999}, 24, " 99%  999/1000  1.0/s  ");
    expect((mpm_progress){.done = 1000, .total = 1000, .elapsed_s = 1000}, 30, "100%  1000/1000  1.0/s");
}

static void failures_are_counted(void)
{
    expect((mpm_progress){.done = 50, .total = 100, .failed = 2, .elapsed_s = 25}, 46,
           " 50%  50/100  2.0/s  25 s left  2 failed");
}

static void busy_share_and_nodes_are_told_where_they_are_known(void)
{
    mpm_progress now = half;

    now.busy = 0.987;
    expect(now, 41, " 50%  50/100  2.0/s  25 s left  99% busy");
    now.nodes = 1;
    expect(now, 41, " 50%  50/100  2.0/s  25 s left  99% busy");
    now.nodes = 3;
    expect(now, 50, " 50%  50/100  2.0/s  25 s left  99% busy  3 nodes");
}

static void rates_and_times_have_units_that_fit(void)
{
    expect((mpm_progress){.done = 30000000, .total = 60000000, .elapsed_s = 10}, 52,
           " 50%  30000000/60000000  3.0 M/s  10 s left");
    expect((mpm_progress){.done = 100, .total = 200, .elapsed_s = 125}, 46,
           " 50%  100/200  0.8/s  2 min 05 s left");
    expect((mpm_progress){.done = 100, .total = 200, .elapsed_s = 7260}, 46,
           " 50%  100/200  50/h  2 h 01 min left");
    expect((mpm_progress){.done = 1, .total = 2, .elapsed_s = 180000}, 42,
           " 50%  1/2  0.02/h  2 d 02 h left");
}

/* What the callback writes to stderr while that is a pipe, terminated, in `bytes` of SIZE. */
static const char *written(const mpm_progress *now, mpm_line *line, char *bytes)
{
    int ends[2], old = dup(STDERR_FILENO);
    ssize_t length;

    CU_ASSERT_FATAL(old >= 0 && pipe(ends) == 0);
    CU_ASSERT_FATAL(dup2(ends[1], STDERR_FILENO) >= 0);
    mpm_progress_line(now, line);
    CU_ASSERT_FATAL(dup2(old, STDERR_FILENO) >= 0);
    close(ends[1]);
    close(old);
    length = read(ends[0], bytes, SIZE - 1);
    close(ends[0]);
    CU_ASSERT_FATAL(length >= 0);
    bytes[length] = 0;
    return bytes;
}

static size_t bytes_written(const mpm_progress *now, mpm_line *line)
{
    char bytes[SIZE];

    return strlen(written(now, line, bytes));
}

/* The seconds at which a line is printed by a map that is looked at ten times a second, and ends at `end_s`. */
static unsigned lines_of(mpm_line *line, double end_s, double *at_s, unsigned room)
{
    unsigned count = 0;

    for (unsigned tenth = 1; tenth < 10 * end_s; tenth++) {
        mpm_progress now = {.done = tenth, .total = 100000, .elapsed_s = tenth / 10.0};

        if (bytes_written(&now, line) && count++ < room)
            at_s[count - 1] = now.elapsed_s;
    }
    return count;
}

static void lines_of_a_log_come_after_pauses_that_grow_to_a_minute(void)
{
    static const double wanted_s[] = {10, 30, 70, 130, 190};
    double at_s[5];
    mpm_line line = {0};

    CU_ASSERT_EQUAL_FATAL(lines_of(&line, 200, at_s, 5), 5);
    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_DOUBLE_EQUAL(at_s[i], wanted_s[i], 0.05);
    mpm_progress_line_end(&line);
    CU_ASSERT_EQUAL(lines_of(&line, 9.9, at_s, 5), 0);
}

static void lines_come_as_often_as_asked(void)
{
    double at_s[4];
    mpm_line line = {.form = MPM_LINE_PLAIN, .every_s = 3};

    CU_ASSERT_EQUAL(lines_of(&line, 12.5, at_s, 4), 4);
    CU_ASSERT_DOUBLE_EQUAL(at_s[3], 12, 0.05);
    mpm_progress_line_end(&line);
    CU_ASSERT_EQUAL(lines_of(&line, 6.5, at_s, 4), 2);
}

static void a_plain_line_tells_where_the_map_stands(void)
{
    char bytes[SIZE];
    mpm_line line = {0};

    CU_ASSERT_STRING_EQUAL(written(&half, &line, bytes), "mpmap:  50%  50/100  2.0/s  25 s left\n");
}

static void json_lines_are_objects_and_the_last_one_says_the_end(void)
{
    mpm_progress none = {.total = 9, .elapsed_s = 2, .nodes = 1}, end = {.done = 9,
                                                                         .total = 9,
                                                                         .failed = 1,
                                                                         .earlier = 3,
                                                                         .elapsed_s = 3,
                                                                         .busy = 0.987,
                                                                         .nodes = 3};
    char bytes[SIZE];
    mpm_line line = {.form = MPM_LINE_JSON};

    CU_ASSERT_STRING_EQUAL(written(&none, &line, bytes),
                           "{\"done\":0,\"total\":9,\"failed\":0,\"earlier\":0,\"elapsed_s\":2.0,\"rate\":0,"
                           "\"busy\":0.000,\"nodes\":1,"
                           "\"left_s\":null}\n");
    CU_ASSERT_STRING_EQUAL(written(&end, &line, bytes),
                           "{\"done\":9,\"total\":9,\"failed\":1,\"earlier\":3,\"elapsed_s\":3.0,\"rate\":2,"
                           "\"busy\":0.987,\"nodes\":3,"
                           "\"left_s\":0.0}\n");
}

static void nothing_is_written_when_it_is_off(void)
{
    mpm_line line = {.form = MPM_LINE_OFF};

    CU_ASSERT_EQUAL(bytes_written(&half, &line), 0);
    CU_ASSERT_EQUAL(line.shown, 0);
}

static void a_line_that_stands_is_erased_at_the_end(void)
{
    mpm_progress end = {.done = 100, .total = 100, .elapsed_s = 50};
    mpm_line line = {.shown = 1};

    CU_ASSERT_EQUAL(bytes_written(&end, &line), strlen("\r\033[K"));
    CU_ASSERT_EQUAL(line.shown, 0);
    CU_ASSERT_EQUAL(bytes_written(&end, &line), 0);
}

/* A session of its own, with that terminal; its other process group is a child's that waits. Between two parts of what
 * comes out of the terminal is a bar. */
static bool draw_in_both_grounds(pid_t other, mpm_line *line)
{
    pid_t own = getpgrp();

    setenv("TERM", "vt100", 1);
    signal(SIGTTOU, SIG_IGN);
    if (setpgid(other, other))
        return false;
    mpm_progress_line(&half, line);
    fputs("|", stderr);
    if (tcsetpgrp(STDERR_FILENO, other))
        return false;
    mpm_progress_line_end(line);
    mpm_progress_line(&half, line);
    line->shown = 1; /* as if it had been drawn before */
    mpm_progress_line(&half, line);
    fprintf(stderr, "%d|", line->shown);
    if (tcsetpgrp(STDERR_FILENO, own))
        return false;
    mpm_progress_line(&half, line);
    fputs("|", stderr);
    return true;
}

static void draw_in_new_session(void)
{
    pid_t other = fork();
    bool is_drawn;

    if (!other) {
        pause();
        _exit(0);
    }
    if (other < 0)
        _exit(1);
    is_drawn = draw_in_both_grounds(other, &(mpm_line){0});
    kill(other, SIGKILL);
    _exit(!is_drawn);
}

static void a_line_is_not_drawn_by_a_job_in_the_background(void)
{
    char bytes[4 * SIZE] = "", wanted[4 * SIZE], drawn[SIZE];
    size_t length = 0;
    ssize_t more;
    int terminal, wait_status;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);

    CU_ASSERT_FATAL(child >= 0);
    if (!child)
        draw_in_new_session();
    while ((more = read(terminal, bytes + length, sizeof bytes - 1 - length)) > 0)
        length += (size_t)more;
    close(terminal);
    CU_ASSERT(waitpid(child, &wait_status, 0) == child && !wait_status);
    progress_line_format(&half, 80, drawn, sizeof drawn);
    snprintf(wanted, sizeof wanted, "\r%s\033[K|0|\r%s\033[K|", drawn, drawn);
    CU_ASSERT_STRING_EQUAL(bytes, wanted);
}

static void end_keeps_errno(void)
{
    mpm_line line = {0};

    errno = ENOSPC;
    mpm_progress_line_end(&line);
    CU_ASSERT_EQUAL(errno, ENOSPC);
    mpm_progress_line_end(NULL);
    mpm_progress_line(NULL, &line);
    mpm_progress_line(&half, NULL);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"line_shows_bar_percent_count_rate_and_time_left", line_shows_bar_percent_count_rate_and_time_left},
        {"rate_and_time_left_are_those_of_this_run", rate_and_time_left_are_those_of_this_run},
        {"line_is_below_the_width_of_every_terminal", line_is_below_the_width_of_every_terminal},
        {"bar_goes_first_where_there_is_no_room", bar_goes_first_where_there_is_no_room},
        {"figures_are_cut_where_there_is_no_room_at_all", figures_are_cut_where_there_is_no_room_at_all},
        {"bar_is_no_wider_than_forty", bar_is_no_wider_than_forty},
        {"text_stays_in_its_buffer", text_stays_in_its_buffer},
        {"a_map_that_follows_tells_how_far_behind_it_is", a_map_that_follows_tells_how_far_behind_it_is},
        {"nothing_done_yet_tells_no_rate", nothing_done_yet_tells_no_rate},
        {"hundred_percent_is_said_only_at_the_end", hundred_percent_is_said_only_at_the_end},
        {"failures_are_counted", failures_are_counted},
        {"busy_share_and_nodes_are_told_where_they_are_known",
         busy_share_and_nodes_are_told_where_they_are_known},
        {"rates_and_times_have_units_that_fit", rates_and_times_have_units_that_fit},
        {"lines_of_a_log_come_after_pauses_that_grow_to_a_minute",
         lines_of_a_log_come_after_pauses_that_grow_to_a_minute},
        {"lines_come_as_often_as_asked", lines_come_as_often_as_asked},
        {"a_plain_line_tells_where_the_map_stands", a_plain_line_tells_where_the_map_stands},
        {"json_lines_are_objects_and_the_last_one_says_the_end",
         json_lines_are_objects_and_the_last_one_says_the_end},
        {"nothing_is_written_when_it_is_off", nothing_is_written_when_it_is_off},
        {"a_line_that_stands_is_erased_at_the_end", a_line_that_stands_is_erased_at_the_end},
        {"a_line_is_not_drawn_by_a_job_in_the_background", a_line_is_not_drawn_by_a_job_in_the_background},
        {"end_keeps_errno", end_keeps_errno},
    };

    return suite_run("progress", tests, sizeof tests / sizeof tests[0]);
}
