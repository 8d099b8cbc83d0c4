/* SPDX-License-Identifier: BSD-3-Clause */
#include "space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "support/command.h"

#define MOST_VALUES 10000

/* What values a learner can do something with, as its library says. */
static const struct {
    const char *name;
    bool is_whole, is_above; /* above: the least itself is none of them */
    double least, most;
    const char *right;
} parameters[PARAMETER_COUNT] = {
    [PARAMETER_C] = {"C", false, true, 0, INFINITY, "above 0"},
    [PARAMETER_GAMMA] = {"gamma", false, true, 0, INFINITY, "above 0"},
    [PARAMETER_NU] = {"nu", false, true, 0, 1, "above 0 and at most 1"},
    [PARAMETER_P] = {"p", false, false, 0, INFINITY, "0 or more"},
    [PARAMETER_DEGREE] = {"degree", true, false, 1, 1000, "a whole number from 1 to 1000"},
    [PARAMETER_COEF0] = {"coef0", false, false, -INFINITY, INFINITY, "a number"},
    [PARAMETER_DEPTH] = {"depth", true, false, 1, 1000, "a whole number from 1 to 1000"},
    [PARAMETER_ROUNDS] = {"rounds", true, false, 1, 1000000, "a whole number from 1 to 1000000"},
    [PARAMETER_ETA] = {"eta", false, true, 0, 1, "above 0 and at most 1"},
    [PARAMETER_LAMBDA] = {"lambda", false, false, 0, INFINITY, "0 or more"},
};

const char *parameter_name(enum parameter_id parameter)
{
    return parameters[parameter].name;
}

bool parameter_is_whole(enum parameter_id parameter)
{
    return parameters[parameter].is_whole;
}

static bool is_right(enum parameter_id parameter, double value)
{
    double least = parameters[parameter].least;

    return value <= parameters[parameter].most &&
           (parameters[parameter].is_above ? value > least : value >= least) &&
           (!parameters[parameter].is_whole || value == rint(value));
}

static int wrong(const char *text, const char *what)
{
    return usage_error(
        "", "--param is '%s': %s; right are C=log2:-5:15:2, C=log10:-2:3:1, p=lin:0:1:0.25 and C=1,10,100",
        text, what);
}

static double value_of(enum scale scale, double place)
{
    return scale == SCALE_LOG2 ? exp2(place) : scale == SCALE_LOG10 ? pow(10, place) : place;
}

static int add_value(struct axis *axis, double value, const char *text)
{
    double *values;

    if (!isfinite(value))
        return wrong(text, "a value is no finite number");
    if (!is_right(axis->parameter, value))
        return usage_error("", "--param is '%s': %s is %.6g, but must be %s", text,
                           parameter_name(axis->parameter), value, parameters[axis->parameter].right);
    if (axis->count == MOST_VALUES)
        return wrong(text, "it has more than 10000 values");
    if (!(values = realloc(axis->values, (axis->count + 1) * sizeof *values)))
        return failure("out of memory");
    axis->values = values;
    values[axis->count++] = value;
    return 0;
}

static int read_list(struct axis *axis, const char *spec, const char *text)
{
    int exit_status = 0;

    axis->scale = SCALE_LIST;
    for (const char *at = spec; !exit_status; at++) {
        char *end;
        double value = strtod(at, &end);

        if (end == at || (*end && *end != ','))
            return wrong(text, "what is behind = is neither a range nor a list of numbers");
        exit_status = add_value(axis, value, text);
        if (!*(at = end))
            break;
    }
    return exit_status;
}

static int read_range(struct axis *axis, const char *numbers, const char *text)
{
    double step;
    char *end;
    int exit_status = 0;

    axis->low = strtod(numbers, &end);
    if (end == numbers || *end != ':')
        return wrong(text, "a range is BEGIN:END:STEP");
    axis->high = strtod(numbers = end + 1, &end);
    if (end == numbers || *end != ':')
        return wrong(text, "a range is BEGIN:END:STEP");
    step = strtod(numbers = end + 1, &end);
    if (end == numbers || *end || !isfinite(axis->low) || !isfinite(axis->high) || !isfinite(step))
        return wrong(text, "a range is BEGIN:END:STEP");
    if (!(step * (axis->high - axis->low) > 0) && axis->high != axis->low)
        return wrong(text, "the step does not lead from the begin to the end");
    for (size_t i = 0; !exit_status; i++) {
        double place = axis->low + (double)i * step;

        if (step > 0 ? place > axis->high + step * 1e-9 : place < axis->high + step * 1e-9)
            break;
        exit_status = add_value(axis, value_of(axis->scale, place), text);
        if (axis->high == axis->low)
            break;
    }
    return exit_status;
}

static int read_spec(struct axis *axis, const char *spec, const char *text)
{
    static const struct {
        const char *word;
        enum scale scale;
    } scales[] = {{"log2:", SCALE_LOG2}, {"log10:", SCALE_LOG10}, {"lin:", SCALE_LINEAR}};

    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        size_t length = strlen(scales[i].word);

        if (strncmp(spec, scales[i].word, length))
            continue;
        axis->scale = scales[i].scale;
        return read_range(axis, spec + length, text);
    }
    return read_list(axis, spec, text);
}

static int unknown_parameter(uint32_t known, const char *name)
{
    size_t count = 0;
    char list[128] = "";

    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if (!(known >> i & 1))
            continue;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", count++ ? ", " : "",
                 parameters[i].name);
    }
    return usage_error("", "the learner has no parameter '%s'; it has %s", name, count ? list : "none");
}

static struct axis *place_of(struct space *space, enum parameter_id parameter)
{
    for (size_t i = 0; i < space->count; i++) {
        if (space->axes[i].parameter == parameter)
            return &space->axes[i];
    }
    return &space->axes[space->count++];
}

int space_add(struct space *space, uint32_t known, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[32] = "";
    struct axis *axis, fresh = {0};
    size_t i = 0;
    int exit_status;

    if (!equals || equals == text)
        return wrong(text, "it must be NAME=VALUES");
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    while (i < PARAMETER_COUNT && (!(known >> i & 1) || strcmp(parameters[i].name, name)))
        i++;
    if (i == PARAMETER_COUNT)
        return unknown_parameter(known, name);
    fresh.parameter = (enum parameter_id)i;
    if ((exit_status = read_spec(&fresh, equals + 1, text))) {
        free(fresh.values);
        return exit_status;
    }
    axis = place_of(space, fresh.parameter);
    free(axis->values);
    *axis = fresh;
    return 0;
}

size_t space_size(const struct space *space)
{
    size_t size = 1;

    for (size_t i = 0; i < space->count; i++) {
        if (__builtin_mul_overflow(size, space->axes[i].count, &size))
            return SIZE_MAX;
    }
    return size;
}

struct candidate space_at(const struct space *space, size_t number)
{
    struct candidate candidate = space->fixed;

    for (size_t i = space->count; i-- > 0;) {
        const struct axis *axis = &space->axes[i];

        candidate.values[axis->parameter] = axis->values[number % axis->count];
        number /= axis->count;
    }
    return candidate;
}

struct candidate space_sample(const struct space *space, uint64_t *state)
{
    struct candidate candidate = space->fixed;

    for (size_t i = 0; i < space->count; i++) {
        const struct axis *axis = &space->axes[i];
        double *value = &candidate.values[axis->parameter];

        if (axis->scale == SCALE_LIST)
            *value = axis->values[random_below(state, axis->count)];
        else
            *value = value_of(axis->scale, axis->low + random_unit(state) * (axis->high - axis->low));
        if (parameter_is_whole(axis->parameter))
            *value = rint(*value);
    }
    return candidate;
}

void space_free(struct space *space)
{
    for (size_t i = 0; i < space->count; i++)
        free(space->axes[i].values);
}

void space_describe(const struct space *space, const struct candidate *candidate, char *text, size_t size)
{
    size_t length = 0;

    text[0] = 0;
    for (size_t i = 0; i < space->count && length < size; i++) {
        enum parameter_id parameter = space->axes[i].parameter;

        length += (size_t)snprintf(text + length, size - length, "%s%s=%.6g", i ? " " : "",
                                   parameter_name(parameter), candidate->values[parameter]);
    }
}
