/* SPDX-License-Identifier: BSD-3-Clause */
/* The claim table: a folder in which the names of files are all that is written.
 *
 *     claim-FIRST-END-0                   items [FIRST, END) are free
 *     claim-FIRST-END-RUN                 run RUN has claimed them
 *     run-RUN-BEAT-DONE-FAILED-MS         run RUN lives: BEAT goes up with each beat
 *
 * The end is the claim [count, count + 1). Only four operations change the folder, and each is atomic on every file
 * system, on NFS too: a file is renamed, which of several that try exactly one can; a file is made, where it does no
 * harm if it is there already; a file is removed; and the folder appears with all of its claims in it (claim_files.h).
 * No lock is taken, no file is written that another one writes, no time of one machine is compared with that of
 * another.
 *
 * What always holds, whoever is killed or stopped between any two operations:
 *   1. An item that is not done is in at least one claim, free or somebody's. A claim is made smaller in two steps: the
 *      rest is made as a free one, then the claim is renamed to what is kept. In between its items are in both: a death
 *      there costs work that is done twice, and loses none.
 *   2. A claim is removed only by who had it, after what it did was where everybody sees it. Is it killed before that,
 *      the claim stays, and is taken over when it has been silent for long enough; the next one looks what is done
 * already.
 *   3. A claim that was taken over has another name. Who had it before, and was only slow, cannot rename, shrink or
 *      remove it any more (ENOENT), and so learns of it. What it still writes are the same bytes that the next one
 * writes.
 *   4. Who dies between the taking of a claim and the beginning of the work has a claim, and is silent: as in 2.
 *   5. A rename whose reply was lost, and that is sent once more by the client of a network file system, may come back
 *      as ENOENT although it was carried out; a server may even carry out an old one once more, late. Then this run has
 *      a claim that it does not know of: it is found by its name, which nobody else makes, at the next look, and worked
 * on.
 *   6. The end is claimed when a look sees no other claim. That may be wrong: who lists a folder may miss a file that
 *      is renamed meanwhile. So it is no proof. Who has claimed the end looks at the results themselves, adds claims of
 *      what is missing, and gives the end back. Two may have it, if one was taken for dead: what they do must be
 * harmless twice.
 *
 * Silence is counted by who looks, on its own clock, from the first look at which it has seen a beat that has not
 * changed since; and no step counts for more than a quarter of the time limit, so that who was stopped itself for an
 * hour takes nobody for dead before it has looked five times. Each look comes behind an own beat, which is a change of
 * the same folder: a client that keeps lists of folders for a while asks again then. */
#include "claim/claim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE     160
#define PIECES        16u   /* free claims in a new table: so many runs can take one at the same time */
#define ALL_OPS_PER_S 400.0 /* of all runs together */
#define LIST_ENTRIES  256u  /* names that a file system gives in one answer, or fewer */
#define CLAIM_OPS     12u   /* from one claim to the next, beats included, without the list */
#define BURST_OPS     24.0
#define CLAIM_S       4.0 /* of work in a claim, if there are few runs */
#define LEAST_S       0.1 /* the same at the end */
#define GROWTH        32u /* of a claim over the one before */
#define TRIES         4u  /* renames that others were faster with, in one call */
#define PAUSE_S       0.1 /* between looks for something to do */
#define NO_BEAT       UINT64_MAX
#define NOBODY        UINT64_MAX /* owns a claim that another run was faster to take */

struct listed {
    struct claim claim;
    uint64_t owner; /* 0: free */
};

/* Another run. */
struct peer {
    struct claim_run run; /* its beat is NO_BEAT if only claims of it were seen */
    uint64_t silent_ns;
    bool is_listed; /* at this look */
};

struct claim_table {
    struct claim_options options;
    struct claim_files files;
    struct listed *listed; /* claims at the last look, kept up to date with what this run does */
    struct peer *peers;
    struct claim *held; /* that this run works on */
    size_t listed_count, listed_size, peer_count, peer_size, held_count, held_size;
    uint64_t entries; /* at the last look */
    bool has_no_memory;
    char name[NAME_SIZE]; /* of its own file */
    struct claim_run run; /* what stands in it */
    uint64_t joined_ns, looked_ns, beaten_ns;
    double rate;         /* items a second of work; 0: not known */
    uint64_t last_taken; /* how many items the last claim had */
    double busy_s;
    double ops; /* that it may still do at once, at `ops_ns` */
    uint64_t ops_ns;
    uint64_t random;
};

static uint64_t now_ns(const struct claim_table *table)
{
    return table->files.now_ns(table->files.argument);
}

/* xorshift64*: only to keep runs apart. */
static uint64_t next_random(struct claim_table *table)
{
    table->random ^= table->random >> 12;
    table->random ^= table->random << 25;
    table->random ^= table->random >> 27;
    return table->random * 0x2545F4914F6CDD1Du;
}

/* ---- Names ---- */

static void name_claim(char name[NAME_SIZE], const struct claim *claim, uint64_t owner)
{
    snprintf(name, NAME_SIZE, "claim-%" PRIu64 "-%" PRIu64 "-%" PRIx64, claim->first, claim->end, owner);
}

static void name_run(char name[NAME_SIZE], const struct claim_run *run)
{
    snprintf(name, NAME_SIZE, "run-%" PRIx64 "-%" PRIu64 "-%" PRIu64 "-%" PRIu64 "-%" PRIu64, run->id,
             run->beat, run->done, run->failed, run->ms);
}

/* Reads a number and what must stand behind it. */
static bool parse_number(const char **at, int base, char behind, uint64_t *number)
{
    char *end;

    if (**at == '-' || **at == '+' || **at == ' ')
        return false;
    errno = 0;
    *number = strtoull(*at, &end, base);
    if (end == *at || errno || *end != behind)
        return false;
    *at = end + (behind != '\0');
    return true;
}

bool claim_parse_run(const char *name, struct claim_run *run)
{
    const char *at = name + 4;

    return !strncmp(name, "run-", 4) && parse_number(&at, 16, '-', &run->id) &&
           parse_number(&at, 10, '-', &run->beat) && parse_number(&at, 10, '-', &run->done) &&
           parse_number(&at, 10, '-', &run->failed) && parse_number(&at, 10, '\0', &run->ms);
}

bool claim_parse_range(const char *name, struct claim *claim, uint64_t *owner)
{
    const char *at = name + 6;

    *claim = (struct claim){0};
    return !strncmp(name, "claim-", 6) && parse_number(&at, 10, '-', &claim->first) &&
           parse_number(&at, 10, '-', &claim->end) && parse_number(&at, 16, '\0', owner) &&
           claim->first < claim->end;
}

/* ---- Operations ---- */

/* What all runs together may do is shared among them: so much of it is gone. */
static void spend(struct claim_table *table, double ops)
{
    uint64_t now = now_ns(table);

    table->ops += (double)(now - table->ops_ns) * 1e-9 * ALL_OPS_PER_S / claim_run_count(table);
    table->ops = (table->ops < BURST_OPS ? table->ops : BURST_OPS) - ops;
    table->ops_ns = now;
}

static int rename_file(struct claim_table *table, const char *from, const char *to)
{
    spend(table, 1);
    return table->files.rename(table->files.argument, from, to);
}

static int create_file(struct claim_table *table, const char *name, const char *text)
{
    spend(table, 1);
    return table->files.create(table->files.argument, name, text);
}

static int remove_file(struct claim_table *table, const char *name)
{
    spend(table, 1);
    return table->files.remove(table->files.argument, name);
}

/* Room for one more in an array. */
static void *make_room(void *array, size_t count, size_t *size, size_t of_one)
{
    size_t more = *size ? *size * 2 : 64;
    void *larger;

    if (count < *size)
        return array;
    if ((larger = realloc(array, more * of_one)))
        *size = more;
    return larger;
}

/* ---- Looking ---- */

static struct peer *find_peer(struct claim_table *table, uint64_t id)
{
    struct peer *larger;

    for (size_t i = 0; i < table->peer_count; i++) {
        if (table->peers[i].run.id == id)
            return &table->peers[i];
    }
    if (!(larger = make_room(table->peers, table->peer_count, &table->peer_size, sizeof *larger))) {
        table->has_no_memory = true;
        return NULL;
    }
    table->peers = larger;
    larger = &table->peers[table->peer_count++];
    *larger = (struct peer){.run = {.id = id, .beat = NO_BEAT}};
    return larger;
}

static bool is_silent(const struct claim_table *table, const struct peer *peer)
{
    return (double)peer->silent_ns * 1e-9 >= table->options.silent_s;
}

static void see_run(struct claim_table *table, const struct claim_run *run)
{
    struct peer *peer = run->id == table->options.id ? NULL : find_peer(table, run->id);

    if (!peer)
        return;
    peer->is_listed = true;
    if (peer->run.beat == NO_BEAT || run->beat > peer->run.beat) {
        peer->run = *run;
        peer->silent_ns = 0;
    }
}

static void add_listed(struct claim_table *table, const struct claim *claim, uint64_t owner)
{
    struct listed *larger = make_room(table->listed, table->listed_count, &table->listed_size,
                                      sizeof *larger);

    if (!larger) {
        table->has_no_memory = true;
        return;
    }
    table->listed = larger;
    table->listed[table->listed_count++] = (struct listed){*claim, owner};
}

static void see_claim(struct claim_table *table, const struct claim *claim, uint64_t owner)
{
    struct peer *peer = owner && owner != table->options.id ? find_peer(table, owner) : NULL;

    if (peer)
        peer->is_listed = true;
    add_listed(table, claim, owner);
}

static void see_entry(const char *name, void *to)
{
    struct claim_table *table = to;
    struct claim_run run;
    struct claim claim;
    uint64_t owner;

    table->entries++;
    if (claim_parse_run(name, &run)) {
        see_run(table, &run);
    } else if (claim_parse_range(name, &claim, &owner)) {
        claim.is_end = claim.first == table->options.count;
        see_claim(table, &claim, owner);
    }
}

/* Before a look: whoever has given no new sign by then has been silent for as long. */
static void count_silence(struct claim_table *table)
{
    uint64_t now = now_ns(table), most = (uint64_t)(table->options.silent_s * 1e9 / 4);
    uint64_t step = table->looked_ns ? now - table->looked_ns : 0;

    for (size_t i = 0; i < table->peer_count; i++) {
        table->peers[i].silent_ns += step < most ? step : most;
        table->peers[i].is_listed = false;
    }
    table->looked_ns = now;
}

/* Those of whom nothing is left. */
static void forget_peers(struct claim_table *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->peer_count; i++) {
        if (table->peers[i].is_listed)
            table->peers[kept++] = table->peers[i];
    }
    table->peer_count = kept;
}

int claim_beat(struct claim_table *table)
{
    char next[NAME_SIZE];
    int failed;

    table->run.beat++;
    table->run.ms = (now_ns(table) - table->joined_ns) / 1000000u;
    name_run(next, &table->run);
    failed = rename_file(table, table->name, next);
    if (failed == ENOENT) /* it was taken for dead, and its file removed */
        failed = create_file(table, next, table->options.text);
    if (failed)
        return failed;
    snprintf(table->name, sizeof table->name, "%s", next);
    table->beaten_ns = now_ns(table);
    return 0;
}

int claim_look(struct claim_table *table)
{
    int failed = claim_beat(table);

    if (failed)
        return failed;
    count_silence(table);
    table->listed_count = 0;
    table->entries = 0;
    failed = table->files.list(table->files.argument, see_entry, table);
    spend(table, 1 + (double)(table->entries / LIST_ENTRIES));
    if (failed)
        return failed;
    forget_peers(table);
    return table->has_no_memory ? ENOMEM : 0;
}

/* ---- What the last look says ---- */

unsigned claim_run_count(const struct claim_table *table)
{
    unsigned count = 1;

    for (size_t i = 0; i < table->peer_count; i++)
        count += table->peers[i].run.beat != NO_BEAT && !is_silent(table, &table->peers[i]);
    return count;
}

static const struct peer *owner_of(const struct claim_table *table, const struct listed *listed)
{
    for (size_t i = 0; i < table->peer_count; i++) {
        if (table->peers[i].run.id == listed->owner)
            return &table->peers[i];
    }
    return NULL;
}

/* Whether it can be taken: it is free, or its owner is silent. */
static bool can_be_had(const struct claim_table *table, const struct listed *listed)
{
    const struct peer *owner;

    if (!listed->owner)
        return true;
    owner = owner_of(table, listed);
    return owner && is_silent(table, owner);
}

uint64_t claim_items_left(const struct claim_table *table)
{
    uint64_t left = 0;

    for (size_t i = 0; i < table->listed_count; i++) {
        const struct claim *claim = &table->listed[i].claim;

        left += claim->is_end ? 0 : claim->end - claim->first;
    }
    return left < table->options.count ? left : table->options.count;
}

static uint64_t free_items(const struct claim_table *table)
{
    uint64_t count = 0;

    for (size_t i = 0; i < table->listed_count; i++) {
        const struct listed *listed = &table->listed[i];

        count += listed->claim.is_end || !can_be_had(table, listed) ? 0
                                                                    : listed->claim.end - listed->claim.first;
    }
    return count;
}

/* From one claim to the next. */
static double ops_of_claim(const struct claim_table *table)
{
    return CLAIM_OPS + (double)(table->entries / LIST_ENTRIES);
}

double claim_wait_s(const struct claim_table *table)
{
    double rate = ALL_OPS_PER_S / claim_run_count(table), needed = ops_of_claim(table);
    double ops = table->ops + (double)(now_ns(table) - table->ops_ns) * 1e-9 * rate;

    needed = needed < BURST_OPS ? needed : BURST_OPS;
    return ops >= needed ? 0 : (needed - ops) / rate;
}

double claim_pause_s(const struct claim_table *table)
{
    double wait_s = claim_wait_s(table);
    double look_s = (double)(2 + table->entries / LIST_ENTRIES) * claim_run_count(table) / ALL_OPS_PER_S;

    wait_s = wait_s > look_s ? wait_s : look_s;
    return wait_s > PAUSE_S ? wait_s : PAUSE_S;
}

double claim_beat_s(const struct claim_table *table)
{
    double since_s = (double)(now_ns(table) - table->beaten_ns) * 1e-9,
           left_s = table->options.silent_s / 6 - since_s;

    return left_s > 0 ? left_s : 0;
}

/* ---- How much to claim ---- */

/* Of this run, or if it has done nothing yet, what the others do. */
static double items_a_second(const struct claim_table *table)
{
    double done = 0, seconds = 0;

    if (table->rate > 0)
        return table->rate;
    for (size_t i = 0; i < table->peer_count; i++) {
        if (table->peers[i].run.beat == NO_BEAT)
            continue;
        done += (double)(table->peers[i].run.done + table->peers[i].run.failed);
        seconds += (double)table->peers[i].run.ms * 1e-3;
    }
    return seconds > 0 ? done / seconds : 0;
}

/* As much work as pays for the operations that it costs all runs together. Towards the end it is a share of what is
 * left, so that all end together; and never less than each worker needs one of, as long as there is so much for
 * everybody. A little more or less at random keeps very many runs from asking at the same time. */
static uint64_t wanted_items(struct claim_table *table)
{
    double runs = claim_run_count(table), left = (double)free_items(table), rate = items_a_second(table);
    double paid_s = runs * ops_of_claim(table) / ALL_OPS_PER_S, share = left / (2 * runs);
    double wanted = rate * (paid_s > CLAIM_S ? paid_s : CLAIM_S);
    double random = 0.75 + 0.5 * (double)(next_random(table) >> 32) / 4294967296.0;
    double last = rate * (paid_s / 2 > LEAST_S ? paid_s / 2 : LEAST_S);
    double least = left / runs < table->options.workers ? left / runs : table->options.workers;

    if (wanted > share)
        wanted = share > last ? share : last;
    if (table->last_taken && wanted > (double)table->last_taken * GROWTH)
        wanted = (double)table->last_taken * GROWTH;
    wanted = wanted * random > least ? wanted * random : least;
    return wanted < 1 ? 1 : wanted < 1e18 ? (uint64_t)wanted : (uint64_t)1e18;
}

void claim_note(struct claim_table *table, uint64_t done, uint64_t failed, double busy_s)
{
    uint64_t before = table->run.done + table->run.failed;
    double items = (double)(done + failed - before), seconds = busy_s - table->busy_s;

    if (items > 0 && seconds > 0)
        table->rate = table->rate > 0 ? (table->rate + items / seconds) / 2 : items / seconds;
    table->run.done = done;
    table->run.failed = failed;
    table->busy_s = busy_s;
}

/* ---- Claims ---- */

static bool is_held(const struct claim_table *table, const struct claim *claim)
{
    for (size_t i = 0; i < table->held_count; i++) {
        if (table->held[i].first == claim->first && table->held[i].end == claim->end)
            return true;
    }
    return false;
}

static int hold(struct claim_table *table, const struct claim *claim)
{
    struct claim *larger = make_room(table->held, table->held_count, &table->held_size, sizeof *larger);

    if (!larger)
        return ENOMEM;
    table->held = larger;
    table->held[table->held_count++] = *claim;
    return 0;
}

static void drop(struct claim_table *table, const struct claim *claim)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->held_count; i++) {
        if (table->held[i].first != claim->first || table->held[i].end != claim->end)
            table->held[kept++] = table->held[i];
    }
    table->held_count = kept;
    kept = 0;
    for (size_t i = 0; i < table->listed_count; i++) {
        const struct listed *listed = &table->listed[i];

        if (listed->owner != table->options.id || listed->claim.first != claim->first ||
            listed->claim.end != claim->end)
            table->listed[kept++] = *listed;
    }
    table->listed_count = kept;
}

/* Keeps so many items of a claim that this run has. What it keeps stays listed as its own. ENOENT if it has lost it. */
static int shrink(struct claim_table *table, struct listed *listed, uint64_t wanted)
{
    struct claim kept = listed->claim, rest = listed->claim;
    char from[NAME_SIZE], to[NAME_SIZE], free_name[NAME_SIZE];
    int failed;

    if (kept.is_end || kept.end - kept.first <= wanted)
        return 0;
    kept.end = rest.first = kept.first + wanted;
    name_claim(free_name, &rest, 0);
    name_claim(from, &listed->claim, table->options.id);
    name_claim(to, &kept, table->options.id);
    if ((failed = create_file(table, free_name, "")) || (failed = rename_file(table, from, to)))
        return failed;
    listed->claim = kept;
    add_listed(table, &rest, 0); /* `listed` is not valid any more */
    return table->has_no_memory ? ENOMEM : 0;
}

/* Makes the claim this run's: `*taken` is false if another one was faster. */
static int take_listed(struct claim_table *table, size_t at, struct claim *claim, bool *taken)
{
    struct listed *listed = &table->listed[at];
    char from[NAME_SIZE], to[NAME_SIZE];
    int failed = 0;

    name_claim(from, &listed->claim, listed->owner);
    name_claim(to, &listed->claim, table->options.id);
    if (listed->owner != table->options.id)
        failed = rename_file(table, from, to);
    if (!failed) {
        listed->owner = table->options.id;
        failed = shrink(table, listed, wanted_items(table));
        listed = &table->listed[at];
    }
    if (failed == ENOENT) {
        table->listed[at].owner =
            NOBODY; /* whose it is now, the next look will show: it is not the end yet */
        return 0;
    }
    if (failed || (failed = hold(table, &listed->claim)))
        return failed;
    *claim = listed->claim;
    *taken = true;
    table->last_taken = claim->is_end ? table->last_taken : claim->end - claim->first;
    return 0;
}

/* Which to try: one that this run has and does not know of, else any of those that can be had. The end only if there is
 * no other at all. False if there is none. */
static bool choose(struct claim_table *table, size_t *at)
{
    bool is_only_end = true;
    size_t begin = table->listed_count ? next_random(table) % table->listed_count : 0;

    for (size_t i = 0; i < table->listed_count; i++) {
        const struct listed *listed = &table->listed[i];

        is_only_end = is_only_end && listed->claim.is_end;
        *at = i;
        if (listed->owner == table->options.id && !is_held(table, &listed->claim) && !listed->claim.is_end)
            return true;
    }
    for (size_t i = 0; i < table->listed_count; i++) {
        const struct listed *listed = &table->listed[ *at = (begin + i) % table->listed_count];

        if (listed->claim.is_end != is_only_end || is_held(table, &listed->claim))
            continue;
        if (listed->owner == table->options.id || can_be_had(table, listed))
            return true;
    }
    return false;
}

int claim_take(struct claim_table *table, struct claim *claim, bool *taken)
{
    size_t at;

    *taken = false;
    for (unsigned tries = 0; tries < TRIES && !*taken && choose(table, &at); tries++) {
        int failed = take_listed(table, at, claim, taken);

        if (failed)
            return failed;
    }
    return 0;
}

int claim_end(struct claim_table *table, const struct claim *claim)
{
    char name[NAME_SIZE];
    int failed;

    name_claim(name, claim, table->options.id);
    failed = remove_file(table, name);
    if (!failed || failed == ENOENT) /* another one has taken it over: it will find that all is done */
        drop(table, claim);
    return failed == ENOENT ? 0 : failed;
}

int claim_give_back(struct claim_table *table, const struct claim *claim)
{
    char from[NAME_SIZE], to[NAME_SIZE];
    int failed;

    name_claim(from, claim, table->options.id);
    name_claim(to, claim, 0);
    failed = rename_file(table, from, to);
    if (failed && failed != ENOENT)
        return failed;
    drop(table, claim);
    return 0;
}

int claim_add(struct claim_table *table, uint64_t first, uint64_t end)
{
    const struct claim claim = {.first = first, .end = end};
    char name[NAME_SIZE];

    name_claim(name, &claim, 0);
    return create_file(table, name, "");
}

int claim_fill(const struct claim_files *files, uint64_t count)
{
    uint64_t pieces = count < PIECES ? count : PIECES;
    char name[NAME_SIZE];
    int failed = 0;

    for (uint64_t i = 0; i < pieces && !failed; i++) {
        const struct claim claim = {.first = count / pieces * i + (i < count % pieces ? i : count % pieces),
                                    .end = count / pieces * (i + 1) +
                                           (i + 1 < count % pieces ? i + 1 : count % pieces)};

        name_claim(name, &claim, 0);
        failed = files->create(files->argument, name, "");
    }
    name_claim(name, &(struct claim){.first = count, .end = count + 1}, 0);
    return failed ? failed : files->create(files->argument, name, "");
}

/* ---- Joining and leaving ---- */

int claim_open(const struct claim_options *options, const struct claim_files *files,
               struct claim_table **made)
{
    struct claim_table *table = calloc(1, sizeof *table);
    int failed;

    if (!table)
        return ENOMEM;
    table->options = *options;
    table->files = *files;
    table->run.id = options->id;
    table->random = options->id | 1;
    table->joined_ns = table->ops_ns = table->beaten_ns = now_ns(table);
    table->ops = BURST_OPS;
    name_run(table->name, &table->run);
    failed = create_file(table, table->name, options->text);
    if (failed) {
        free(table);
        return failed;
    }
    *made = table;
    return 0;
}

void claim_close(struct claim_table *table)
{
    if (!table)
        return;
    while (table->held_count > 0) {
        const struct claim claim = table->held[table->held_count - 1];

        if (claim_give_back(table, &claim))
            drop(table, &claim); /* it is taken over when this run has been silent */
    }
    remove_file(table, table->name);
    free(table->listed);
    free(table->peers);
    free(table->held);
    free(table);
}
