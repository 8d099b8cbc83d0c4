/* SPDX-License-Identifier: BSD-3-Clause */
#include "question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

/* How a measure is written: NAME, NAME(COLUMN), NAME(NUMBER, COLUMN) or NAME(COLUMN, COLUMN). */
struct measure_form {
    const char *name;
    enum measure_kind kind;
    enum { ARGUMENT_NONE, ARGUMENT_QUANTILE, ARGUMENT_TOP, ARGUMENT_COLUMN } argument; /* beside the column */
    bool takes_text;
    double quantile;
};

static const struct measure_form forms[] = {
    {"count", MEASURE_COUNT, ARGUMENT_NONE, true, 0},
    {"sum", MEASURE_SUM, ARGUMENT_NONE, false, 0},
    {"mean", MEASURE_MEAN, ARGUMENT_NONE, false, 0},
    {"avg", MEASURE_MEAN, ARGUMENT_NONE, false, 0},
    {"min", MEASURE_MIN, ARGUMENT_NONE, false, 0},
    {"max", MEASURE_MAX, ARGUMENT_NONE, false, 0},
    {"stddev", MEASURE_STDDEV, ARGUMENT_NONE, false, 0},
    {"variance", MEASURE_VARIANCE, ARGUMENT_NONE, false, 0},
    {"std", MEASURE_STDDEV, ARGUMENT_NONE, false, 0},
    {"var", MEASURE_VARIANCE, ARGUMENT_NONE, false, 0},
    {"median", MEASURE_QUANTILE, ARGUMENT_NONE, false, 0.5},
    {"quantile", MEASURE_QUANTILE, ARGUMENT_QUANTILE, false, 0},
    {"approx_median", MEASURE_APPROX_QUANTILE, ARGUMENT_NONE, false, 0.5},
    {"approx_quantile", MEASURE_APPROX_QUANTILE, ARGUMENT_QUANTILE, false, 0},
    {"distinct", MEASURE_DISTINCT, ARGUMENT_NONE, true, 0},
    {"approx_distinct", MEASURE_APPROX_DISTINCT, ARGUMENT_NONE, true, 0},
    {"top", MEASURE_TOP, ARGUMENT_TOP, false, 0},
    {"corr", MEASURE_CORRELATION, ARGUMENT_COLUMN, false, 0},
};

#define MOST_PREFIX 255
#define FORM_COUNT  (sizeof forms / sizeof forms[0])

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* A copy without blanks around it. */
static void copy_word(char *to, size_t size, const char *text, const char *end)
{
    text += strspn(text, " \t") < (size_t)(end - text) ? strspn(text, " \t") : 0;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    snprintf(to, size, "%.*s", (int)(end - text), text);
}

/* "date[:7]": how many characters, and the name of the column; 0 if it is none. */
static uint32_t read_prefix(const char *name, char *column, size_t size)
{
    const char *open = strrchr(name, '[');
    unsigned long count;
    char *end;

    if (!open || open == name || open[1] != ':' || open[2] < '1' || open[2] > '9')
        return 0;
    count = strtoul(open + 2, &end, 10);
    copy_word(column, size, name, open);
    return end[0] == ']' && !end[1] && count <= MOST_PREFIX ? (uint32_t)count : 0;
}

static int use_column(const struct input *input, struct plan *plan, const char *name)
{
    char column[NAME_SIZE];
    uint32_t prefix = input_has(input, name) ? 0 : read_prefix(name, column, sizeof column);
    int64_t index = input_column(input, prefix ? column : name);
    int used;

    if (index < 0)
        return -1;
    used = plan_use(plan, (uint32_t)index, prefix ? column : name);
    if (used >= 0 && prefix)
        used = plan_use_prefix(plan, (uint32_t)used, prefix, name);
    if (used < 0)
        usage_error("", "more than %d columns are asked for", MOST_USED);
    return used;
}

/* "1,234.5", "1 234", "1'234,5": groups of three digits behind one to three. */
static bool has_thousands(const char *text)
{
    size_t digits = strspn(text += text[0] == '-' || text[0] == '+', "0123456789");

    if (digits < 1 || digits > 3 || !text[digits] || !strchr(",. '", text[digits]))
        return false;
    text += digits + 1;
    return strspn(text, "0123456789") == 3 && text[3 + strspn(text + 3, "+-., '0123456789")] == '\0';
}

static void tell_texts(const struct input *input, const char *name, const char *sample)
{
    bool has_comma = sample[0] && strchr(sample, ',') && input->point != ',' &&
                     sample[strspn(sample, "+-.,0123456789")] == '\0';

    if (has_thousands(sample))
        usage_error(
            "", "column '%s' has numbers such as '%s': thousands must not be separated%s", name, sample,
            has_comma && !strchr(sample, '.') ? "; if that is a decimal comma, --decimal , reads it" : "");
    else if (has_comma)
        usage_error("", "column '%s' has numbers with commas, such as '%s': --decimal , reads them", name,
                    sample);
    else
        usage_error("", "column '%s' has texts%s%s%s, and no numbers; --type '%s=number' says otherwise",
                    name, sample[0] ? " such as '" : "", sample, sample[0] ? "'" : "", name);
}

/* A column that must have numbers. */
static int use_numbers(const struct input *input, struct plan *plan, const char *name)
{
    int used = use_column(input, plan, name);
    struct used_column *column;

    if (used < 0)
        return -1;
    column = &plan->used[used];
    if (column->type == TYPE_TEXT || (column->type == TYPE_UNKNOWN && input->samples[column->index].values &&
                                      !input_is_number(input, column->index))) {
        tell_texts(input, name, input->samples[column->index].text);
        return -1;
    }
    column->is_read = true;
    return used;
}

static int read_keys(const struct question *question, const struct input *input, struct plan *plan)
{
    char name[NAME_SIZE];
    int used;

    for (const char *at = question->by, *end; at; at = *end ? end + 1 : NULL) {
        end = strchrnul(at, ',');
        copy_word(name, sizeof name, at, end);
        if ((used = use_column(input, plan, name)) < 0)
            return EXIT_USAGE;
        for (uint32_t i = 0; i < plan->by_count; i++) {
            if (plan->by[i] == (uint32_t)used)
                return usage_error("", "--by has column '%s' twice", name);
        }
        if (plan->by_count == MOST_BY)
            return usage_error("", "--by has more than %d columns", MOST_BY);
        plan->by[plan->by_count++] = (uint32_t)used;
    }
    return 0;
}

static const struct measure_form *find_form(const char *name)
{
    const char *names[FORM_COUNT];

    for (size_t i = 0; i < FORM_COUNT; i++) {
        if (!strcmp(forms[i].name, name))
            return &forms[i];
        names[i] = forms[i].name;
    }
    unknown_word("", "measure", name, names, FORM_COUNT);
    return NULL;
}

/* The part behind the opening bracket: "0.9, v3)", "v3)". */
static int read_arguments(const struct input *input, struct plan *plan, const struct measure_form *form,
                          struct measure *measure, const char *text, const char *end)
{
    char first[NAME_SIZE], column[NAME_SIZE], *rest;
    const char *comma = form->argument == ARGUMENT_COLUMN ? memrchr(text, ',', (size_t)(end - text))
                                                          : memchr(text, ',', (size_t)(end - text));
    int used;

    if ((form->argument != ARGUMENT_NONE) != (comma != NULL) && form->argument != ARGUMENT_NONE)
        return usage_error("", "'%s' must be %s(%s)", measure->title, form->name,
                           form->argument == ARGUMENT_QUANTILE ? "0.9, COLUMN"
                           : form->argument == ARGUMENT_TOP    ? "3, COLUMN"
                                                               : "COLUMN, COLUMN");
    if (form->argument == ARGUMENT_NONE)
        comma = NULL;
    copy_word(column, sizeof column, comma ? comma + 1 : text, end);
    if (comma)
        copy_word(first, sizeof first, text, comma);
    used = form->takes_text ? use_column(input, plan, column) : use_numbers(input, plan, column);
    if (used < 0)
        return EXIT_USAGE;
    measure->column = (uint32_t)used;
    measure->has_column = true;
    if (form->argument == ARGUMENT_QUANTILE) {
        measure->quantile = strtod(first, &rest);
        if (rest == first || *rest || !(measure->quantile >= 0 && measure->quantile <= 1))
            return usage_error("", "'%s': '%s' must be a number from 0 to 1", measure->title, first);
    } else if (form->argument == ARGUMENT_TOP) {
        measure->top = (uint32_t)strtoul(first, &rest, 10);
        if (*rest || measure->top < 1 || measure->top > MOST_TOP)
            return usage_error("", "'%s': '%s' must be a number from 1 to %d", measure->title, first,
                               MOST_TOP);
    } else if (form->argument == ARGUMENT_COLUMN) {
        if ((used = use_numbers(input, plan, first)) < 0)
            return EXIT_USAGE;
        measure->other = measure->column;
        measure->column = (uint32_t)used;
    }
    return 0;
}

static int read_measure(const struct input *input, struct plan *plan, const char *text, const char *end)
{
    struct measure *measure = &plan->measures[plan->measure_count];
    const char *open = memchr(text, '(', (size_t)(end - text));
    const struct measure_form *form;
    char name[NAME_SIZE];
    int exit_status;

    if (plan->measure_count == MOST_MEASURES)
        return usage_error("", "more than %d measures are asked for", MOST_MEASURES);
    *measure = (struct measure){.bag = -1};
    copy_word(measure->title, sizeof measure->title, text, end);
    copy_word(name, sizeof name, text, open ? open : end);
    if (!(form = find_form(name)))
        return EXIT_USAGE;
    measure->kind = form->kind;
    measure->quantile = form->quantile;
    if (!open && form->kind != MEASURE_COUNT)
        return usage_error("", "'%s' needs a column: %s(COLUMN)", measure->title, name);
    if (open) {
        end = memrchr(text, ')', (size_t)(end - text));
        if (!end || end < open)
            return usage_error("", "'%s' has no closing bracket", measure->title);
        exit_status = read_arguments(input, plan, form, measure, open + 1, end);
        if (exit_status)
            return exit_status;
    }
    if (form->kind == MEASURE_COUNT && measure->has_column &&
        input_is_number(input, plan->used[measure->column].index))
        plan->used[measure->column].is_read = plan->used[measure->column].type != TYPE_TEXT;
    plan->measure_count++;
    return 0;
}

/* Cut at the commas that are in no brackets. */
static int read_measures(const struct input *input, struct plan *plan, const char *text)
{
    const char *begin = text;
    int depth = 0, exit_status = 0;

    for (const char *at = text; !exit_status; at++) {
        depth += (*at == '(') - (*at == ')');
        if (*at && (*at != ',' || depth > 0))
            continue;
        exit_status = read_measure(input, plan, skip_blanks(begin), at);
        begin = at + 1;
        if (!*at)
            break;
    }
    return exit_status;
}

static bool is_key(const struct plan *plan, uint32_t index)
{
    for (uint32_t i = 0; i < plan->by_count; i++) {
        if (plan->used[plan->by[i]].index == index)
            return true;
    }
    return false;
}

/* Count, and least, mean and most of the columns that have numbers. */
static int usual_measures(const struct input *input, struct plan *plan)
{
    static const char *const names[] = {"min", "mean", "max"};
    int exit_status = read_measures(input, plan, "count");
    char text[NAME_SIZE * 2];

    for (uint32_t i = 0; i < input->column_count && !exit_status; i++) {
        if (is_key(plan, i) || !input_is_number(input, i) || strlen(input->names[i]) >= NAME_SIZE)
            continue;
        for (size_t k = 0; k < 3 && !exit_status; k++) {
            if (plan->measure_count == MOST_MEASURES || plan->used_count == MOST_USED)
                return 0;
            if (input->names[i][0] && input_is_unique(input, i))
                snprintf(text, sizeof text, "%s(%s)", names[k], input->names[i]);
            else
                snprintf(text, sizeof text, "%s(#%u)", names[k], i + 1);
            exit_status = read_measure(input, plan, text, text + strlen(text));
        }
    }
    return exit_status;
}

static const struct {
    const char *sign;
    enum comparison comparison;
} signs[] = {{"!=", COMPARE_UNEQUAL}, {"<=", COMPARE_AT_MOST}, {">=", COMPARE_AT_LEAST},
             {"==", COMPARE_EQUAL},   {"<", COMPARE_LESS},     {">", COMPARE_MORE},
             {"=", COMPARE_EQUAL}};

/* COLUMN SIGN VALUE; the value may be in quotes. */
static int read_condition(const struct input *input, struct plan *plan, const char *text)
{
    struct condition *condition = &plan->conditions[plan->condition_count];
    const char *at = text + strcspn(text, "!<>=");
    char name[NAME_SIZE], *end, *last;
    size_t sign = 0;
    int used;

    if (plan->condition_count == MOST_WHERE)
        return usage_error("", "--where is given more than %d times", MOST_WHERE);
    while (sign < 7 && strncmp(at, signs[sign].sign, strlen(signs[sign].sign)))
        sign++;
    if (sign == 7 || at == text)
        return usage_error("", "--where is '%s', but must be such as 'COLUMN > 3' or 'COLUMN = text'", text);
    copy_word(name, sizeof name, text, at);
    at += strlen(signs[sign].sign);
    copy_word(condition->text, sizeof condition->text, at, at + strlen(at));
    condition->comparison = signs[sign].comparison;
    if ((used = use_column(input, plan, name)) < 0)
        return EXIT_USAGE;
    condition->column = (uint32_t)used;
    last = condition->text + strlen(condition->text);
    if (last - condition->text >= 2 && strchr("\"'", condition->text[0]) && last[-1] == condition->text[0]) {
        last[-1] = '\0';
        memmove(condition->text, condition->text + 1, (size_t)(last - condition->text) - 1);
    } else if (plan->used[used].type == TYPE_NUMBER ||
               (plan->used[used].type == TYPE_UNKNOWN && input_is_number(input, plan->used[used].index))) {
        if (input->point == ',' && strchr(condition->text, ','))
            *strchr(condition->text, ',') = '.';
        condition->number = strtod(condition->text, &end);
        if (end == condition->text || *end)
            return usage_error("",
                               "--where '%s': column '%s' has numbers, and '%s' is none; --type '%s=text' "
                               "compares texts",
                               text, name, condition->text, name);
        plan->used[used].is_read = true;
    }
    plan->condition_count++;
    return 0;
}

static int read_type(const struct input *input, struct plan *plan, const char *text)
{
    const char *equals = strrchr(text, '=');
    char name[NAME_SIZE];
    int used;

    if (!equals || (strcmp(equals, "=text") && strcmp(equals, "=number")))
        return usage_error("", "--type is '%s', but must be COLUMN=text or COLUMN=number", text);
    copy_word(name, sizeof name, text, equals);
    if ((used = use_column(input, plan, name)) < 0)
        return EXIT_USAGE;
    plan->used[used].type = strcmp(equals, "=text") ? TYPE_NUMBER : TYPE_TEXT;
    return 0;
}

static void find_types(const struct input *input, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->used_count; i++) {
        struct used_column *column = &plan->used[i];
        const struct sample *sample = &input->samples[column->index];

        if (column->type == TYPE_UNKNOWN)
            column->type = sample->values && sample->numbers == sample->values ? TYPE_NUMBER : TYPE_TEXT;
        column->scale = sample->scale;
    }
}

int question_plan(const struct question *question, const struct input *input, struct plan *plan)
{
    int exit_status = 0;

    memset(plan, 0, sizeof *plan);
    plan->separator = input->separator;
    plan->point = input->point;
    plan->comment = input->comment;
    plan->fills_rows = input->fills_rows;
    plan->missing_count = input->missing_count;
    memcpy(plan->missing, input->missing, sizeof plan->missing);
    plan->column_count = input->column_count;
    for (size_t i = 0; i < question->types.count && !exit_status; i++)
        exit_status = read_type(input, plan, question->types.texts[i]);
    if (!exit_status)
        exit_status = read_keys(question, input, plan);
    for (size_t i = 0; i < question->where.count && !exit_status; i++)
        exit_status = read_condition(input, plan, question->where.texts[i]);
    if (!exit_status && question->show)
        exit_status = read_measures(input, plan, question->show);
    else if (!exit_status)
        exit_status = usual_measures(input, plan);
    if (exit_status)
        return exit_status;
    find_types(input, plan);
    plan_lay_out(plan);
    return 0;
}
