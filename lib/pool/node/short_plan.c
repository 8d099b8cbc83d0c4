/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a short map wakes, and who looks on; see the header. */
#include "pool/node/short_plan.h"

#define UNKNOWN UINT64_MAX

static uint64_t load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static uint32_t load_count(const _Atomic uint32_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* A line that stays as it is costs nobody anything. */
static void store_count(_Atomic uint32_t *number, uint32_t value)
{
    if (load_count(number) != value)
        atomic_store_explicit(number, value, memory_order_relaxed);
}

static uint64_t lesser(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* A task may do now this, now that: maps of as many items are likely to do the same. */
static uint64_t name_of(uint64_t task_id, uint64_t count)
{
    return task_id << 16 ^ count;
}

static struct short_task *place_of(struct short_past *past, uint64_t name)
{
    return &past->task[name * UINT64_C(0x9e3779b97f4a7c15) >> 61];
}

/* What a map should take all workers together, by its last two: at best, and at worst. */
struct expected {
    uint64_t least_ns, most_ns; /* UNKNOWN: nothing is known */
};

static struct expected expect(struct short_past *past, const struct short_scene *scene)
{
    uint64_t name = name_of(scene->task_id, scene->count), last_ns, before_ns;
    const struct short_task *task = place_of(past, name);

    if (load(&task->name) != name)
        return (struct expected){UNKNOWN, UNKNOWN};
    last_ns = load(&task->work_ns);
    before_ns = load(&task->before_ns);
    return last_ns < before_ns ? (struct expected){last_ns, before_ns}
                               : (struct expected){before_ns, last_ns};
}

void short_plan_learn_work(struct short_past *past, uint64_t task_id, uint64_t count, uint64_t work_ns)
{
    uint64_t name = name_of(task_id, count);
    struct short_task *task = place_of(past, name);
    bool is_known = load(&task->name) == name;

    atomic_store_explicit(&task->before_ns, is_known ? load(&task->work_ns) : work_ns, memory_order_relaxed);
    atomic_store_explicit(&task->work_ns, work_ns, memory_order_relaxed);
    if (!is_known)
        atomic_store_explicit(&task->name, name, memory_order_relaxed);
}

bool short_plan_stays(struct short_past *past, const struct short_scene *scene, uint32_t elsewhere)
{
    uint64_t work_ns;

    if (!elsewhere || scene->count <= scene->workers)
        return true;
    work_ns = expect(past, scene).most_ns;
    return work_ns != UNKNOWN &&
           work_ns / scene->workers - work_ns / (scene->workers + elsewhere) <= SHORT_WIRE_NS;
}

static uint32_t count_wanted(uint64_t work_ns, const struct short_scene *scene)
{
    uint64_t most = lesser(scene->count, scene->workers);

    return (uint32_t)(work_ns == UNKNOWN ? most : lesser(most, 1 + work_ns / SHORT_WORTH_NS));
}

/* Whether all CPUs are the workers'. Not for what takes long: there a wake-up costs little, and finds each its CPU. */
static bool becomes_wide(struct short_past *past, const struct short_scene *scene, uint32_t wanted,
                         uint64_t work_ns)
{
    uint32_t wide = load_count(&past->wide);

    if (scene->cpus > 1 && wanted >= scene->cpus && work_ns / wanted <= SHORT_MOST_NS)
        wide = SHORT_KEEP_WIDE;
    else if (wide)
        wide--;
    store_count(&past->wide, wide);
    return wide;
}

/* The last ones look on. */
static uint32_t first_looker(const struct short_scene *scene, bool is_wide)
{
    uint32_t most = is_wide ? scene->cpus : scene->cpus - 1;

    return scene->workers < most ? 0 : scene->workers - most;
}

static bool stands_aside(struct short_past *past)
{
    uint32_t aside = load_count(&past->aside);

    if (aside)
        store_count(&past->aside, aside - 1);
    return aside;
}

/* Whether workers share a CPU because the driver has another one for itself, and it is to sleep for that reason. */
static bool makes_room(struct short_past *past, bool is_crowding)
{
    uint32_t crowding = is_crowding ? load_count(&past->crowding) + 1 : 0;

    store_count(&past->crowding, crowding);
    return is_crowding && crowding % SHORT_CROWDING < SHORT_MAKES_ROOM;
}

struct short_plan short_plan_make(struct short_past *past, const struct short_scene *scene)
{
    struct expected work = expect(past, scene);
    uint32_t wanted = count_wanted(work.least_ns, scene);
    bool is_wide = becomes_wide(past, scene, wanted, work.least_ns), is_aside = stands_aside(past);
    struct short_plan plan = {.first_looker = first_looker(scene, is_wide)};

    if (is_aside)
        plan.wakes = wanted;
    else if (wanted > scene->lookers)
        plan.wakes = wanted - scene->lookers;
    /* Who stands aside wakes somebody always. */
    if (makes_room(past, is_wide && !scene->beside) || plan.wakes || scene->cpus == 1 ||
        work.least_ns / wanted > SHORT_MOST_NS)
        return plan;
    plan.wait_ns = 2 * work.least_ns / wanted + SHORT_MARGIN_NS;
    plan.look_ns = 2 * lesser(work.most_ns / wanted, SHORT_MOST_NS) + SHORT_MARGIN_NS;
    plan.yields = scene->lookers - scene->beside < wanted;
    return plan;
}

void short_plan_learn_look(struct short_past *past, bool is_seen)
{
    uint32_t level = load_count(&past->level), hits = load_count(&past->hits);

    if (!is_seen) {
        store_count(&past->aside, SHORT_ASIDE << level);
        store_count(&past->level, level < SHORT_MOST_LEVEL ? level + 1 : level);
        store_count(&past->hits, 0);
    } else if (level && ++hits < SHORT_HITS)
        store_count(&past->hits, hits);
    else if (level) {
        store_count(&past->hits, 0);
        store_count(&past->level, level - 1);
    }
}
