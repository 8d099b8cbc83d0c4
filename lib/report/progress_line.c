/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress line: one line on the terminal that stderr is, drawn again and again in its place; or, where stderr is a
 * file or a pipe, a plain line now and then. Everything drawn goes out in one write, begins with a carriage return and
 * erases what is right of it, so that whatever else prints a line meanwhile stays readable. Plain lines are one write
 * each, too. All state is in the caller's mpm_line. */
#include "report/progress_line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/c_locale.h"
#include "mpmap/report.h"

#define LINE_SIZE       256
#define BAR_WIDEST      40
#define BAR_NARROWEST   8
#define DEFAULT_COLUMNS 80
#define FIRST_S         1.0 /* a terminal: the first drawing, and what is between two */
#define BETWEEN_S       0.1
#define PLAIN_FIRST_S   10.0 /* a log: the first line and its pause, which doubles */
#define PLAIN_LONGEST_S 60.0
#define JSON_EVERY_S    1.0

/* Text that grows at its end, and is cut at its capacity. */
struct text {
    char *bytes;
    size_t size, length;
};

static void MPM_FORMAT(2, 3) text_add(struct text *text, const char *format, ...)
{
    size_t room = text->size - text->length;
    va_list arguments;

    va_start(arguments, format);
    int length = c_vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_rate(struct text *text, double rate)
{
    if (rate >= 1e6)
        text_add(text, "  %.1f M/s", rate / 1e6);
    else if (rate >= 1e4)
        text_add(text, "  %.1f k/s", rate / 1e3);
    else if (rate < 0.1)
        text_add(text, "  %.2g/h", rate * 3600);
    else
        text_add(text, rate < 10 ? "  %.1f/s" : "  %.0f/s", rate);
}

static void add_time_left(struct text *text, double left_s)
{
    if (left_s >= 1e9) {
        text_add(text, "  years left");
        return;
    }
    unsigned long seconds = (unsigned long)(left_s + 0.5);

    if (seconds < 60)
        text_add(text, "  %lu s left", seconds);
    else if (seconds < 3600)
        text_add(text, "  %lu min %02lu s left", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        text_add(text, "  %lu h %02lu min left", seconds / 3600, seconds / 60 % 60);
    else
        text_add(text, "  %lu d %02lu h left", seconds / 86400, seconds / 3600 % 24);
}

static double share_done(const mpm_progress *now)
{
    return now->done < now->total ? (double)now->done / (double)now->total : 1;
}

/* Items a second, of this run; 0 while unknown. */
static double rate_of(const mpm_progress *now)
{
    if (now->follows)
        return now->rate;
    return now->elapsed_s > 0 ? (double)(now->done - now->earlier) / now->elapsed_s : 0;
}

/* Of a map that follows its input, which has no end that could be told. */
static void add_followed(struct text *text, const mpm_progress *now)
{
    text_add(text, "%llu/%llu", (unsigned long long)now->done, (unsigned long long)now->total);
    add_rate(text, now->rate);
    if (now->done < now->total)
        text_add(text, "  %llu behind, %.1f s", (unsigned long long)(now->total - now->done), now->lag_s);
}

static void add_done(struct text *text, const mpm_progress *now)
{
    double rate = rate_of(now);

    /* Rounded down: 100 % is said only when nothing is left. */
    text_add(text, "%3d%%  %llu/%llu", (int)(100 * share_done(now)), (unsigned long long)now->done,
             (unsigned long long)now->total);
    if (rate > 0) {
        add_rate(text, rate);
        if (now->done < now->total)
            add_time_left(text, (double)(now->total - now->done) / rate);
    }
}

static void add_figures(struct text *text, const mpm_progress *now)
{
    if (now->follows)
        add_followed(text, now);
    else
        add_done(text, now);
    if (now->failed > 0)
        text_add(text, "  %llu failed", (unsigned long long)now->failed);
    if (now->busy > 0)
        text_add(text, "  %.0f%% busy", 100 * now->busy);
    if (now->nodes > 1)
        text_add(text, "  %u nodes", now->nodes);
}

static void add_bar(struct text *text, unsigned width, double share)
{
    unsigned full = (unsigned)(share * width);

    text_add(text, "[");
    for (unsigned i = 0; i < width; i++)
        text_add(text, i < full ? "#" : "-");
    text_add(text, "] ");
}

char *progress_line_format(const mpm_progress *now, unsigned columns, char *text, size_t size)
{
    char figures_bytes[LINE_SIZE];
    struct text figures = {figures_bytes, sizeof figures_bytes, 0};
    struct text line = {text, size, 0};
    unsigned room = columns > 0 ? columns - 1 : 0;

    add_figures(&figures, now);
    size_t frame = figures.length + strlen("[] ");
    if (room >= frame + BAR_NARROWEST)
        add_bar(&line, room - frame > BAR_WIDEST ? BAR_WIDEST : (unsigned)(room - frame), share_done(now));
    text_add(&line, "%.*s", (int)(room < LINE_SIZE ? room : LINE_SIZE), figures_bytes);
    return text;
}

char *progress_line_plain(const mpm_progress *now, char *text, size_t size)
{
    struct text line = {text, size, 0};

    text_add(&line, "mpmap: ");
    add_figures(&line, now);
    return text;
}

char *progress_line_json(const mpm_progress *now, char *text, size_t size)
{
    struct text line = {text, size, 0};
    double rate = rate_of(now);

    text_add(&line,
             "{\"done\":%llu,\"total\":%llu,\"failed\":%llu,\"earlier\":%llu,\"elapsed_s\":%.1f,\"rate\":%."
             "6g,\"busy\":%.3f,"
             "\"nodes\":%u,\"left_s\":",
             (unsigned long long)now->done, (unsigned long long)now->total, (unsigned long long)now->failed,
             (unsigned long long)now->earlier, now->elapsed_s, rate, now->busy, now->nodes);
    if (now->follows)
        text_add(&line, "null,\"lag_s\":%.3f}", now->lag_s);
    else if (rate > 0)
        text_add(&line, "%.1f}", now->done < now->total ? (double)(now->total - now->done) / rate : 0);
    else
        text_add(&line, "null}");
    return text;
}

static unsigned terminal_columns(void)
{
    struct winsize window;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
        return DEFAULT_COLUMNS;
    return window.ws_col;
}

static int can_draw(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
}

/* Then the terminal is the shell's: what was drawn is among its lines, or gone. */
static int is_in_background(void)
{
    pid_t foreground = tcgetpgrp(STDERR_FILENO); /* fails where it is not the terminal of this session */

    return foreground > 0 && foreground != getpgrp();
}

/* A terminal that takes no more has nobody to tell, so what write() returns changes nothing. */
static void put(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return;
}

static void draw(mpm_line *line, const mpm_progress *now)
{
    char text[LINE_SIZE], out[LINE_SIZE + 8];

    snprintf(out, sizeof out, "\r%s\033[K", progress_line_format(now, terminal_columns(), text, sizeof text));
    put(out);
    line->shown = 1;
    line->next_s = now->elapsed_s + BETWEEN_S;
}

/* Of the forms that are printed, not drawn: the pause before the first line, and the one behind it. */
static double first_pause_s(const mpm_line *line)
{
    if (line->every_s > 0)
        return line->every_s;
    return line->form == MPM_LINE_JSON ? JSON_EVERY_S : PLAIN_FIRST_S;
}

static double longer_pause_s(const mpm_line *line)
{
    if (line->every_s > 0 || line->form == MPM_LINE_JSON)
        return line->pause_s;
    return line->pause_s < PLAIN_LONGEST_S / 2 ? 2 * line->pause_s : PLAIN_LONGEST_S;
}

static void print_line(const mpm_line *line, const mpm_progress *now)
{
    char text[LINE_SIZE];
    size_t length;

    if (line->form == MPM_LINE_JSON)
        progress_line_json(now, text, sizeof text - 1);
    else
        progress_line_plain(now, text, sizeof text - 1);
    length = strlen(text);
    text[length] = '\n';
    text[length + 1] = 0;
    put(text);
}

static void print_if_due(mpm_line *line, const mpm_progress *now)
{
    if (!(line->pause_s > 0))
        line->next_s = line->pause_s = first_pause_s(line);
    if (now->elapsed_s < line->next_s)
        return;
    print_line(line, now);
    line->pause_s = longer_pause_s(line);
    line->next_s = now->elapsed_s + line->pause_s;
}

static void draw_if_due(mpm_line *line, const mpm_progress *now)
{
    if (now->elapsed_s < FIRST_S || now->elapsed_s < line->next_s)
        return;
    if (is_in_background())
        line->shown = 0;
    else
        draw(line, now);
}

void mpm_progress_line(const mpm_progress *now, void *argument)
{
    mpm_line *line = argument;

    if (!now || !line || line->form == MPM_LINE_OFF)
        return;
    if (now->done >= now->total && !now->follows) {
        if (line->form == MPM_LINE_JSON)
            print_line(line, now);
        mpm_progress_line_end(line);
    } else if (line->form == MPM_LINE_AUTO && can_draw()) {
        draw_if_due(line, now);
    } else {
        print_if_due(line, now);
    }
}

void mpm_progress_line_end(mpm_line *line)
{
    int saved_errno = errno;

    if (!line)
        return;
    if (line->shown && !is_in_background())
        put("\r\033[K");
    *line = (mpm_line){.form = line->form, .every_s = line->every_s};
    errno = saved_errno;
}
