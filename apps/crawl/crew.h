/* SPDX-License-Identifier: BSD-3-Clause */
/* The fetchers, as main sees them: their processes and inboxes, and how much each has to do. */
#ifndef MPMAP_CRAWL_CREW_H
#define MPMAP_CRAWL_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpmap.h>

#include "buffer.h"
#include "frontier.h"
#include "settings.h"

struct member {
    mpm_process process;
    bool is_there; /* the process was started */
    mpm_queue inbox;
    struct buffer orders; /* to be put into the inbox */
    unsigned asked;       /* orders whose answers have not come */
    unsigned held;        /* pages that have come and are not parsed */
    uint64_t held_bytes;  /* of them */
    bool is_full;         /* it gets no orders for a while */
};

struct crew {
    const struct settings *settings;
    struct member *members;
    unsigned count;
    bool has_new_room; /* since crew_take_room() a fetcher that was full is so no longer */
    mpm_queue results;
    mpm_value bytes;
};

/* How many fetchers there are to be, and parsers of each. */
unsigned crew_fetchers(const struct settings *settings);
unsigned crew_parsers(const struct settings *settings);
/* How many connections to a host a fetcher may have, and how many fetchers a host's pages go to. */
unsigned crew_lanes(const struct settings *settings);
unsigned crew_connections(const struct settings *settings);

/* Starts all fetchers. Returns 0, or an exit status after saying what is wrong. */
int crew_open(struct crew *crew, const struct settings *settings);
/* Starts a fetcher in the place of one that has ended. */
int crew_replace(struct crew *crew, unsigned index);
/* Whether the fetcher may get one more order for a page. */
bool crew_has_room(const struct crew *crew, unsigned index);
/* Whether one that was full has room since the last call. */
bool crew_take_room(struct crew *crew);
/* A page of so many bytes has come, and is to be parsed. */
void crew_hold(struct crew *crew, unsigned index, uint64_t size);
/* A page that was held is done. */
void crew_let_go(struct crew *crew, unsigned index, uint64_t size);
/* An order for something else is done. */
void crew_done(struct crew *crew, unsigned index);
/* How many orders are not done, of all fetchers. */
unsigned crew_in_flight(const struct crew *crew);
/* Notes an order, with its ORDER_… flags. */
void crew_order(struct crew *crew, unsigned index, uint64_t number, enum order_kind kind, unsigned flags);
/* The rest of the order: what is asked for. */
void crew_order_url(struct crew *crew, unsigned index, const char *url, const char *etag,
                    const char *modified);
/* Sends what was noted. */
int crew_send(struct crew *crew);
/* Lets all fetchers end; those that do not within so many seconds are killed. */
int crew_close(struct crew *crew, double timeout_s);

#endif
