/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "record.h"

static int use(struct plan *plan, const struct used_column *wanted, const char *name)
{
    struct used_column *column;

    for (uint32_t i = 0; i < plan->used_count; i++) {
        if (plan->used[i].index == wanted->index && plan->used[i].prefix == wanted->prefix)
            return (int)i;
    }
    if (plan->used_count == MOST_USED)
        return -1;
    column = &plan->used[plan->used_count];
    *column = *wanted;
    snprintf(column->name, sizeof column->name, "%s", name);
    return (int)plan->used_count++;
}

int plan_use(struct plan *plan, uint32_t index, const char *name)
{
    return use(plan, &(struct used_column){.index = index}, name);
}

int plan_use_prefix(struct plan *plan, uint32_t whole, uint32_t prefix, const char *name)
{
    const struct used_column wanted = {
        .index = plan->used[whole].index, .prefix = prefix, .whole = whole, .type = TYPE_TEXT};

    return use(plan, &wanted, name);
}

static uint32_t parts_of(const struct measure *measure)
{
    switch (measure->kind) {
    case MEASURE_SUM:
    case MEASURE_MEAN:
        return PART_SUM;
    case MEASURE_MIN:
    case MEASURE_MAX:
        return PART_EXTREMES;
    case MEASURE_STDDEV:
    case MEASURE_VARIANCE:
        return PART_SUM | PART_SQUARES;
    default:
        return 0;
    }
}

static bool has_moments(const struct measure *measure)
{
    return measure->kind <= MEASURE_VARIANCE && measure->has_column;
}

static int bag_kind_of(const struct measure *measure)
{
    switch (measure->kind) {
    case MEASURE_QUANTILE:
        return BAG_EXACT;
    case MEASURE_APPROX_QUANTILE:
        return BAG_ROUNDED;
    case MEASURE_DISTINCT:
        return BAG_SET;
    case MEASURE_APPROX_DISTINCT:
        return BAG_SKETCH;
    default:
        return -1;
    }
}

/* Measures that keep the same values of the same column share a bag. */
static int find_bag(struct plan *plan, const struct measure *measure)
{
    int kind = bag_kind_of(measure);

    if (kind < 0)
        return -1;
    for (uint32_t i = 0; i < plan->bag_count; i++) {
        if (plan->bags[i].kind == (uint32_t)kind && plan->bags[i].column == measure->column)
            return (int)i;
    }
    plan->bags[plan->bag_count] = (struct bag_plan){(uint32_t)kind, measure->column};
    return (int)plan->bag_count++;
}

static uint32_t own_size(const struct measure *measure)
{
    if (measure->kind == MEASURE_TOP)
        return (uint32_t)sizeof(uint64_t) + measure->top * (uint32_t)sizeof(double);
    if (measure->kind == MEASURE_CORRELATION)
        return (uint32_t)sizeof(struct products);
    return 0;
}

void plan_lay_out(struct plan *plan)
{
    uint32_t size = (uint32_t)sizeof(struct record);

    plan->bag_count = 0;
    for (uint32_t i = 0; i < plan->measure_count; i++) {
        struct measure *measure = &plan->measures[i];
        struct used_column *column = &plan->used[measure->column];

        measure->bag = find_bag(plan, measure);
        if (has_moments(measure)) {
            column->parts |= parts_of(measure);
            column->offset = 1;
        }
    }
    for (uint32_t i = 0; i < plan->used_count; i++) {
        struct used_column *column = &plan->used[i];

        column->limit = INT64_C(1) << 53;
        if (column->offset) {
            column->offset = size;
            size += moments_size(column->parts);
            if (column->parts & PART_SQUARES)
                column->limit = INT64_C(1) << 46;
        }
    }
    for (uint32_t i = 0; i < plan->measure_count; i++) {
        struct measure *measure = &plan->measures[i];

        measure->offset = size;
        size += own_size(measure);
        if (measure->kind == MEASURE_CORRELATION) {
            plan->used[measure->column].limit = INT64_C(1) << 46;
            plan->used[measure->other].limit = INT64_C(1) << 46;
        }
    }
    size = (size + 7) & ~UINT32_C(7);
    plan->rest_offset = size;
    for (uint32_t i = 0; i < plan->used_count; i++) {
        plan->used[i].rest_offset = size;
        size += plan->used[i].offset ? (uint32_t)sizeof(struct moments_rest) : 0;
    }
    plan->record_size = size;
}
