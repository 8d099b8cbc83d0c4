/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads options and words in any order; "--" ends the options. Every mistake is one line that says what would
 * be right. */
#include "command.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"

#define MOST_OPTIONS 32
#define ERROR_SIZE   2048

static const char help_option[] = "--help";
static const char *program = "mpmap";

/* One call to print a line, so that nothing that other processes print gets in between. */
static void print_error(const char *format, va_list arguments, const char *advice)
{
    char what[ERROR_SIZE];

    vsnprintf(what, sizeof what, format, arguments);
    fprintf(stderr, "%s: %s%s\n", program, what, advice);
}

int usage_error(const char *command, const char *format, ...)
{
    char advice[128];
    va_list arguments;

    snprintf(advice, sizeof advice, "; try %s %s%s--help", program, command, *command ? " " : "");
    va_start(arguments, format);
    print_error(format, arguments, advice);
    va_end(arguments);
    return EXIT_USAGE;
}

int failure(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_error(format, arguments, "");
    va_end(arguments);
    return EXIT_FAILURE;
}

/* "a, b, c"; false if that is long, or there are none. */
static bool list_names(const char *const *names, size_t count, char *text, size_t size)
{
    size_t length = 0;

    for (size_t i = 0; i < count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", names[i]);
    return count && length < size;
}

int unknown_word(const char *command, const char *what, const char *word, const char *const *names,
                 size_t count)
{
    const char *nearest = suggest(word, names, count);
    char list[256];

    if (nearest)
        return usage_error(command, "unknown %s '%s' (did you mean '%s'?)", what, word, nearest);
    if (list_names(names, count, list, sizeof list))
        return usage_error(command, "unknown %s '%s': there are %s", what, word, list);
    return usage_error(command, "unknown %s '%s'", what, word);
}

static int unknown_option(const struct command *command, const char *word)
{
    const char *names[MOST_OPTIONS + 1] = {help_option};
    size_t count = 1;

    for (size_t i = 0; i < command->option_count && count <= MOST_OPTIONS; i++)
        names[count++] = command->options[i].name;
    return unknown_word(command->name, "option", word, names, count);
}

static int read_count(const struct command *command, const struct option *option, const char *text)
{
    size_t most = option->most ? option->most : SIZE_MAX / 2;
    unsigned long long count;
    char *end;

    errno = 0;
    count = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || !count || count > most)
        return usage_error(command->name, "%s is '%s', but must be a whole number from 1 to %zu",
                           option->name, text, most);
    *(size_t *)option->value = (size_t)count;
    return 0;
}

static int read_seconds(const struct command *command, const struct option *option, const char *text)
{
    double seconds;
    char *end;

    seconds = strtod(text, &end);
    if (end == text || *end || !isfinite(seconds) || seconds <= 0 ||
        (option->most && seconds > (double)option->most))
        return usage_error(command->name,
                           "%s is '%s', but must be a number of seconds above 0 and at most %zu",
                           option->name, text, option->most);
    *(double *)option->value = seconds;
    return 0;
}

static int read_bytes(const struct command *command, const struct option *option, const char *text)
{
    static const char units[] = "KMGT";
    const char *unit;
    unsigned long long number;
    unsigned shift = 0;
    char *end;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (end != text && *end && (unit = strchr(units, *end))) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (errno || end == text || *end || *text == '-' || !number || number > (SIZE_MAX >> 1) >> shift)
        return usage_error(command->name,
                           "%s is '%s', but must be a number of bytes such as 268435456 or 256M",
                           option->name, text);
    *(size_t *)option->value = (size_t)number << shift;
    return 0;
}

static int add_text(struct text_list *list, const char *text)
{
    const char **texts = realloc(list->texts, (list->count + 1) * sizeof *texts);

    if (!texts)
        return failure("out of memory");
    texts[list->count++] = text;
    list->texts = texts;
    return 0;
}

static int read_value(const struct command *command, const struct option *option, const char *text)
{
    if (option->kind == OPTION_COUNT)
        return read_count(command, option, text);
    if (option->kind == OPTION_SECONDS)
        return read_seconds(command, option, text);
    if (option->kind == OPTION_BYTES)
        return read_bytes(command, option, text);
    if (option->kind == OPTION_LIST)
        return add_text(option->value, text);
    *(const char **)option->value = text;
    return 0;
}

static const struct option *find_option(const struct command *command, const char *word, size_t length)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option *option = &command->options[i];

        if (strlen(option->name) == length && !memcmp(option->name, word, length))
            return option;
    }
    return NULL;
}

/* Reads the option at argv[*at], and moves on to the last argument that it takes. */
static int read_option(const struct command *command, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *equals = strchr(word, '=');
    const struct option *option = find_option(command, word, equals ? (size_t)(equals - word) : strlen(word));

    if (!option)
        return unknown_option(command, word);
    if (option->kind == OPTION_FLAG) {
        if (equals)
            return usage_error(command->name, "%s takes no value", option->name);
        *(bool *)option->value = true;
        return 0;
    }
    if (equals)
        return read_value(command, option, equals + 1);
    if (option->kind == OPTION_MODE)
        return read_value(command, option, "");
    if (*at + 1 >= argc)
        return usage_error(command->name, "%s needs a value", option->name);
    return read_value(command, option, argv[++*at]);
}

static int read_word(struct command *command, char *word)
{
    if (command->word_count >= command->most_words)
        return usage_error(command->name, "'%s' is an extra argument", word);
    if (!*word)
        return usage_error(command->name, "argument %zu is empty, as a variable that is not set leaves it",
                           command->word_count + 1);
    command->words[command->word_count++] = word;
    return 0;
}

bool command_parse(struct command *command, int argc, char **argv, int *exit_status)
{
    bool options_end = false;

    *exit_status = 0;
    command->words = argv + 1; /* a word is put no further back than it stood */
    for (int i = 1; i < argc && !*exit_status; i++) {
        char *word = argv[i];

        if (options_end || word[0] != '-' || !word[1]) {
            *exit_status = read_word(command, word);
        } else if (!strcmp(word, "--")) {
            options_end = true;
        } else if (!strcmp(word, help_option) || !strcmp(word, "-h")) {
            fputs(command->help, stdout);
            return false;
        } else {
            *exit_status = read_option(command, argc, argv, &i);
        }
    }
    return !*exit_status;
}

int command_line_form(const char *command, const char *word, bool quiet, mpm_line *line)
{
    char *end;

    if (quiet || (word && !strcmp(word, "off"))) {
        line->form = MPM_LINE_OFF;
    } else if (word && !strcmp(word, "json")) {
        line->form = MPM_LINE_JSON;
    } else if (word) {
        *line = (mpm_line){.form = MPM_LINE_PLAIN, .every_s = strtod(word, &end)};
        if (end == word || *end || !(line->every_s > 0) || line->every_s > 1e9)
            return usage_error(
                command, "--progress is '%s': it must be a number of seconds above 0, json or off", word);
    }
    return 0;
}

int command_main(const char *name, const mpm_options *options, int argc, char **argv,
                 int (*run)(int argc, char **argv))
{
    int exit_status;

    program = name;
    if (mpm_init(&argc, &argv, options))
        return mpm_report_error();
    exit_status = run(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && !exit_status)
        exit_status = failure("cannot write to standard output: %s", strerror(errno));
    if (mpm_finalize() && !exit_status)
        exit_status = mpm_report_error();
    return exit_status;
}
