/* SPDX-License-Identifier: BSD-3-Clause */
/* The frontier: all URLs that are known, what has become of them, and a queue of those that wait for each host. Main's
 * alone; it is the same again when the journal is read. */
#ifndef MPMAP_CRAWL_FRONTIER_H
#define MPMAP_CRAWL_FRONTIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts.h"
#include "message.h"
#include "robots.h"
#include "set.h"
#include "settings.h"

#define NO_PAGE        UINT32_MAX
#define MOST_REDIRECTS 10

enum page_state {
    PAGE_WAITING, /* in its host's queue */
    PAGE_ASKED,   /* a fetcher was told to ask for it */
    PAGE_CAME,    /* a fetcher has it, and it is not parsed: its host is free again */
    PAGE_SUSPECT, /* a fetcher has died with it: it is asked for alone */
    PAGE_DONE,
};

struct page {
    char *url;
    char *facts; /* as facts.h writes them; NULL before it is done */
    size_t facts_size;
    uint64_t fingerprint;
    uint64_t referrer; /* fingerprint of the page that led to it first; 0 for a start URL */
    uint32_t host;
    uint32_t fetcher; /* that has it */
    uint16_t depth;
    uint8_t kind;      /* enum order_kind */
    uint8_t redirects; /* that led to it in a row */
    uint8_t state;     /* enum page_state */
    uint8_t attempts;
    uint8_t crashes; /* of fetchers that had it */
};

enum robots_state {
    ROBOTS_UNKNOWN,
    ROBOTS_ASKED,
    ROBOTS_KNOWN,
};

/* What is at one scheme://host:port. */
struct host {
    char *origin;
    struct robots robots;
    enum robots_state robots_state;
    uint32_t robots_fetcher; /* that was asked for robots.txt */
    unsigned robots_attempts;
    char *robots_trouble; /* why it could not be read; NULL otherwise */
    unsigned robots_hops; /* redirects that were followed for it */
    uint32_t
        robots_lender;  /* the host whose turn that takes, while it is on its way to another; else NO_PAGE */
    char *robots_hop;   /* where the last of them leads, until that is asked; NULL otherwise */
    double next_s;      /* when it may be asked again, by the clock of the crawl */
    unsigned in_flight; /* pages that were asked for and have not come */
    unsigned *in_flight_of; /* a number for each fetcher */
    uint32_t *queue;        /* pages that wait: a ring */
    size_t first, waiting, room;
    size_t heap_at;  /* place in the heap of hosts to be asked; SIZE_MAX: it is not there */
    bool is_stalled; /* it waits until a fetcher has room */
    uint64_t accepted;
    /* For the report, of this run: */
    uint64_t answers, bytes;
    double first_s, last_s;
};

struct frontier {
    const struct settings *settings;
    struct page *pages;
    size_t page_count, page_room;
    struct host *hosts;
    size_t host_count, host_room;
    struct set seen;         /* fingerprint to page */
    struct set host_numbers; /* fingerprint of the origin to host */
    struct set scope;        /* fingerprints of names of hosts */
    size_t open;             /* pages that are not done */
    size_t suspects;         /* pages in that state */
    size_t refused;          /* URLs that a budget has refused */
    uint64_t in_scope_pages; /* accepted, of kind ORDER_PAGE */
    unsigned fetchers;
    unsigned level;    /* pages of a larger depth wait for all others, if the settings say so */
    size_t level_open; /* pages up to that depth that are not done */
};

/* A URL that was found. */
struct offer {
    const char *url;
    size_t length;
    uint64_t fingerprint;
    uint64_t referrer;
    unsigned depth;
    unsigned redirects;
    enum order_kind kind;
};

void frontier_open(struct frontier *frontier, const struct settings *settings, unsigned fetchers);
void frontier_free(struct frontier *frontier);
/* The number of the URL's host; NO_PAGE if no page of it was accepted. */
uint32_t frontier_host(const struct frontier *frontier, const char *url);
/* Lets pages of a URL's host be accepted. */
void frontier_add_scope(struct frontier *frontier, const char *url);
/* Accepts the URL if it is new, in scope, and within the budgets. Returns its page; NO_PAGE if it is not accepted. */
uint32_t frontier_offer(struct frontier *frontier, const struct offer *offer);
/* Takes it without asking: a start URL, or one that the journal knows. NO_PAGE if it is there already. */
uint32_t frontier_take(struct frontier *frontier, const struct offer *offer);
/* The page is done; the facts are copied. */
void frontier_done(struct frontier *frontier, uint32_t page, const char *facts, size_t size);
/* The page waits again, behind the others of its host. */
void frontier_wait(struct frontier *frontier, uint32_t page);
/* Goes on to the next depth if all pages of this one are done. Returns whether it does. */
bool frontier_advance(struct frontier *frontier);
/* The page at the head of the host's queue; NO_PAGE if none waits. */
uint32_t frontier_next(struct frontier *frontier, struct host *host);
/* Reads the facts of a page that is done. */
void frontier_facts(const struct page *page, struct facts *facts);

#endif
