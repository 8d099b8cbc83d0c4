/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetchers are spread over the nodes in turn; a fetcher's parsers are on its own node, so pages do not travel.
 *
 * How much a fetcher has to do is counted here, by main alone, from the orders that it gives and the results that it
 * reads. Requests and pages have bounds of their own, because a request costs the server, and a page that waits for a
 * parser costs memory. A fetcher is full when it holds HELD_PAGES for each of its parsers, or HELD_BYTES, and gets no
 * orders until half of them are done. So it never has more than that and what it was asked for when it became full,
 * whatever the site, and however long a page keeps a parser. Its parsers have the other half to do while the next pages
 * are asked for, which are many at a time. */
#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetcher.h"
#include "message.h"
#include "support/command.h"

#define MOST_FETCHERS_A_NODE 4
#define MOST_ASKED           512 /* requests of a fetcher */
#define FEW_ASKED            448 /* that one must be down to which had so many */
#define HELD_PAGES           64  /* a parser */
#define HELD_BYTES           (8u << 20) /* a parser, as they came: what is packed is unpacked when its turn has come */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned crew_fetchers(const struct settings *settings)
{
    unsigned slots = mpm_slot_count(), most = MOST_FETCHERS_A_NODE * mpm_node_count();

    return settings->fetchers ? (unsigned)settings->fetchers : least(slots, most);
}

unsigned crew_parsers(const struct settings *settings)
{
    unsigned fetchers = crew_fetchers(settings);
    unsigned all = settings->parsers ? (unsigned)settings->parsers : mpm_slot_count();

    return settings->columns.count ? (all + fetchers - 1) / fetchers : 0;
}

unsigned crew_lanes(const struct settings *settings)
{
    return least(crew_fetchers(settings), (unsigned)settings->connections);
}

unsigned crew_connections(const struct settings *settings)
{
    return (unsigned)settings->connections / crew_lanes(settings);
}

static void write_start(const struct crew *crew, unsigned index, struct buffer *args)
{
    const struct settings *settings = crew->settings;
    const struct fetcher_start start = {.index = index,
                                        .inbox = crew->members[index].inbox,
                                        .results = crew->results,
                                        .bytes = crew->bytes,
                                        .timeout_s = settings->timeout_s,
                                        .parse_timeout_s = settings->parse_timeout_s,
                                        .most_size = settings->most_size,
                                        .most_links = settings->most_links,
                                        .memory = settings->memory,
                                        .connections = crew_connections(settings),
                                        .parsers = crew_parsers(settings),
                                        .pages_only = settings->pages_only,
                                        .has_warc = !settings->no_warc};
    const char *each = settings->each ? settings->each : "", *authorities = settings->authorities;

    buffer_add(args, &start, sizeof start);
    buffer_add_text(args, settings->folder, strlen(settings->folder));
    buffer_add_text(args, settings->agent, strlen(settings->agent));
    buffer_add_text(args, authorities ? authorities : "", authorities ? strlen(authorities) : 0);
    buffer_add_text(args, each, strlen(each));
    for (size_t i = 0; i < settings->columns.count; i++)
        buffer_add_text(args, settings->columns.texts[i], strlen(settings->columns.texts[i]));
}

/* On the fetcher's own node, or on the next one that can still start processes. */
static int start_process(struct crew *crew, unsigned index, const struct buffer *args)
{
    char name[32];
    unsigned nodes = mpm_node_count();
    int status = MPM_EFORKSERVER;

    snprintf(name, sizeof name, "fetcher-%04u", index % 10000);
    for (unsigned i = 0; i < nodes && (status == MPM_EFORKSERVER || status == MPM_ENODELOST); i++) {
        const mpm_process_options options = {
            .name = name, .place = MPM_ON_NODE((index + i) % nodes), .daemon = 1};

        status = mpm_process_start(fetcher_main, args->bytes, args->size, &options,
                                   &crew->members[index].process);
    }
    return status;
}

static int start_member(struct crew *crew, unsigned index)
{
    struct member *member = &crew->members[index];
    struct buffer args = {0};

    if (mpm_queue_create(NULL, &member->inbox))
        return mpm_report_error();
    write_start(crew, index, &args);
    member->is_there = !start_process(crew, index, &args);
    buffer_free(&args);
    return member->is_there ? 0 : mpm_report_error();
}

int crew_open(struct crew *crew, const struct settings *settings)
{
    *crew = (struct crew){.settings = settings, .count = crew_fetchers(settings)};
    crew->members = must_realloc(NULL, crew->count * sizeof *crew->members);
    memset(crew->members, 0, crew->count * sizeof *crew->members);
    if (mpm_queue_create(NULL, &crew->results) || mpm_value_create(MPM_U64, NULL, &crew->bytes))
        return mpm_report_error();
    for (unsigned i = 0; i < crew->count; i++) {
        if (start_member(crew, i))
            return EXIT_FAILURE;
    }
    return 0;
}

static bool has_enough(const struct member *member, uint64_t parsers)
{
    return member->asked >= MOST_ASKED || (member->held && (member->held >= parsers * HELD_PAGES ||
                                                            member->held_bytes >= parsers * HELD_BYTES));
}

static bool has_little(const struct member *member, uint64_t parsers)
{
    return member->asked <= FEW_ASKED && member->held <= parsers * HELD_PAGES / 2 &&
           member->held_bytes <= parsers * HELD_BYTES / 2;
}

static void look_at_room(struct crew *crew, struct member *member)
{
    bool was_full = member->is_full;
    uint64_t parsers = crew_parsers(crew->settings);

    member->is_full = was_full ? !has_little(member, parsers) : has_enough(member, parsers);
    crew->has_new_room |= was_full && !member->is_full;
}

int crew_replace(struct crew *crew, unsigned index)
{
    struct member *member = &crew->members[index];
    int status;

    member->orders.size = 0;
    member->asked = member->held = 0;
    member->held_bytes = 0;
    look_at_room(crew, member);
    member->is_there = false;
    if ((status = mpm_process_close(member->process)) && status != MPM_ENODELOST)
        return mpm_report_error();
    return mpm_queue_destroy(member->inbox) ? mpm_report_error() : start_member(crew, index);
}

bool crew_has_room(const struct crew *crew, unsigned index)
{
    return !crew->members[index].is_full;
}

bool crew_take_room(struct crew *crew)
{
    bool has_new_room = crew->has_new_room;

    crew->has_new_room = false;
    return has_new_room;
}

void crew_hold(struct crew *crew, unsigned index, uint64_t size)
{
    struct member *member = &crew->members[index];

    member->asked--;
    member->held++;
    member->held_bytes += size;
    look_at_room(crew, member);
}

void crew_let_go(struct crew *crew, unsigned index, uint64_t size)
{
    struct member *member = &crew->members[index];

    member->held--;
    member->held_bytes -= size;
    look_at_room(crew, member);
}

void crew_done(struct crew *crew, unsigned index)
{
    crew->members[index].asked--;
    look_at_room(crew, &crew->members[index]);
}

unsigned crew_in_flight(const struct crew *crew)
{
    unsigned all = 0;

    for (unsigned i = 0; i < crew->count; i++)
        all += crew->members[i].asked + crew->members[i].held;
    return all;
}

void crew_order(struct crew *crew, unsigned index, uint64_t number, enum order_kind kind, unsigned flags)
{
    struct member *member = &crew->members[index];

    buffer_add_number(&member->orders, INBOX_ORDER);
    buffer_add_number(&member->orders, number);
    buffer_add_number(&member->orders, kind);
    buffer_add_number(&member->orders, flags);
    member->asked++;
    look_at_room(crew, member);
}

void crew_order_url(struct crew *crew, unsigned index, const char *url, const char *etag,
                    const char *modified)
{
    struct buffer *orders = &crew->members[index].orders;

    buffer_add_text(orders, url, strlen(url));
    buffer_add_text(orders, etag, strlen(etag));
    buffer_add_text(orders, modified, strlen(modified));
}

int crew_send(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct buffer *orders = &crew->members[i].orders;

        if (orders->size && mpm_queue_put(crew->members[i].inbox, orders->bytes, orders->size, MPM_FOREVER))
            return mpm_report_error();
        orders->size = 0;
    }
    return 0;
}

int crew_close(struct crew *crew, double timeout_s)
{
    int status = 0;

    for (unsigned i = 0; i < crew->count; i++) {
        if (crew->members[i].is_there)
            status |= mpm_queue_close(crew->members[i].inbox);
    }
    for (unsigned i = 0; i < crew->count; i++) {
        struct member *member = &crew->members[i];

        buffer_free(&member->orders);
        if (!member->is_there)
            continue;
        if (mpm_process_join(member->process, timeout_s) == MPM_ETIMEDOUT)
            status |= mpm_process_kill(member->process);
        status |= mpm_process_reap(member->process, MPM_FOREVER, NULL);
    }
    free(crew->members);
    return status ? mpm_report_error() : 0;
}
