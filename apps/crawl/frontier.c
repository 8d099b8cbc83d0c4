/* SPDX-License-Identifier: BSD-3-Clause */
/* A page has its number for good: that of its place. Whatever is decided here depends on the order of calls only. */
#include "frontier.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

void frontier_open(struct frontier *frontier, const struct settings *settings, unsigned fetchers)
{
    *frontier = (struct frontier){.settings = settings, .fetchers = fetchers};
}

void frontier_free(struct frontier *frontier)
{
    for (size_t i = 0; i < frontier->page_count; i++) {
        free(frontier->pages[i].url);
        free(frontier->pages[i].facts);
    }
    for (size_t i = 0; i < frontier->host_count; i++) {
        robots_free(&frontier->hosts[i].robots);
        free(frontier->hosts[i].origin);
        free(frontier->hosts[i].robots_trouble);
        free(frontier->hosts[i].robots_hop);
        free(frontier->hosts[i].in_flight_of);
        free(frontier->hosts[i].queue);
    }
    free(frontier->pages);
    free(frontier->hosts);
    set_free(&frontier->seen);
    set_free(&frontier->host_numbers);
    set_free(&frontier->scope);
}

void frontier_add_scope(struct frontier *frontier, const char *url)
{
    size_t length;
    const char *name = url_host(url, &length);
    bool is_new;

    set_add(&frontier->scope, url_fingerprint(name, length), 0, &is_new);
}

static bool matches_any(const struct text_list *patterns, const char *text)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (!fnmatch(patterns->texts[i], text, 0))
            return true;
    }
    return false;
}

/* Sitemaps are no pages: patterns do not choose among them. */
static bool is_in_scope(const struct frontier *frontier, const char *url, enum order_kind kind)
{
    const struct settings *settings = frontier->settings;
    size_t length;
    const char *at = url_host(url, &length);
    char name[256];

    if (!set_find(&frontier->scope, url_fingerprint(at, length))) {
        if (length >= sizeof name)
            return false;
        memcpy(name, at, length);
        name[length] = 0;
        if (!matches_any(&settings->hosts, name))
            return false;
    }
    if (kind == ORDER_SITEMAP)
        return true;
    return !matches_any(&settings->excludes, url) &&
           (!settings->includes.count || matches_any(&settings->includes, url));
}

uint32_t frontier_host(const struct frontier *frontier, const char *url)
{
    const uint64_t *number = set_find(&frontier->host_numbers, url_fingerprint(url, url_origin_length(url)));

    return number ? (uint32_t)*number : NO_PAGE;
}

static uint32_t find_host(struct frontier *frontier, const char *url)
{
    size_t length = url_origin_length(url);
    bool is_new;
    uint64_t number = *set_add(&frontier->host_numbers, url_fingerprint(url, length), frontier->host_count,
                               &is_new);

    if (!is_new)
        return (uint32_t)number;
    if (frontier->host_count == frontier->host_room) {
        frontier->host_room = frontier->host_room ? frontier->host_room * 2 : 16;
        frontier->hosts = must_realloc(frontier->hosts, frontier->host_room * sizeof *frontier->hosts);
    }
    struct host *host = &frontier->hosts[frontier->host_count++];

    *host = (struct host){.origin = must_copy(url, length), .heap_at = SIZE_MAX, .robots_lender = NO_PAGE};
    host->in_flight_of = must_realloc(NULL, frontier->fetchers * sizeof *host->in_flight_of);
    memset(host->in_flight_of, 0, frontier->fetchers * sizeof *host->in_flight_of);
    return (uint32_t)number;
}

static void enqueue(struct host *host, uint32_t page)
{
    if (host->waiting == host->room) {
        size_t room = host->room ? host->room * 2 : 64;
        uint32_t *queue = must_realloc(NULL, room * sizeof *queue);

        for (size_t i = 0; i < host->waiting; i++)
            queue[i] = host->queue[(host->first + i) % host->room];
        free(host->queue);
        host->queue = queue;
        host->room = room;
        host->first = 0;
    }
    host->queue[(host->first + host->waiting++) % host->room] = page;
}

static bool is_of_level(const struct frontier *frontier, const struct page *page)
{
    return !frontier->settings->by_level || page->kind == ORDER_SITEMAP || page->depth <= frontier->level;
}

uint32_t frontier_take(struct frontier *frontier, const struct offer *offer)
{
    bool is_new;

    set_add(&frontier->seen, offer->fingerprint, frontier->page_count, &is_new);
    if (!is_new || frontier->page_count == NO_PAGE)
        return NO_PAGE;
    if (frontier->page_count == frontier->page_room) {
        frontier->page_room = frontier->page_room ? frontier->page_room * 2 : 1024;
        frontier->pages = must_realloc(frontier->pages, frontier->page_room * sizeof *frontier->pages);
    }
    uint32_t number = (uint32_t)frontier->page_count++;
    struct page *page = &frontier->pages[number];

    *page = (struct page){.url = must_copy(offer->url, offer->length),
                          .fingerprint = offer->fingerprint,
                          .referrer = offer->referrer,
                          .host = find_host(frontier, offer->url),
                          .depth = (uint16_t)(offer->depth < UINT16_MAX ? offer->depth : UINT16_MAX),
                          .kind = (uint8_t)offer->kind,
                          .redirects = (uint8_t)offer->redirects};
    frontier->hosts[page->host].accepted++;
    frontier->in_scope_pages += page->kind == ORDER_PAGE;
    frontier->open++;
    if (is_of_level(frontier, page)) {
        frontier->level_open++;
        enqueue(&frontier->hosts[page->host], number);
    }
    return number;
}

uint32_t frontier_offer(struct frontier *frontier, const struct offer *offer)
{
    const struct settings *settings = frontier->settings;

    if (offer->depth > settings->depth || set_find(&frontier->seen, offer->fingerprint) ||
        !is_in_scope(frontier, offer->url, offer->kind))
        return NO_PAGE;
    if ((settings->most_pages && frontier->in_scope_pages >= settings->most_pages) ||
        (settings->most_host_pages &&
         frontier->hosts[find_host(frontier, offer->url)].accepted >= settings->most_host_pages)) {
        frontier->refused++;
        return NO_PAGE;
    }
    return frontier_take(frontier, offer);
}

void frontier_wait(struct frontier *frontier, uint32_t page)
{
    frontier->pages[page].state = PAGE_WAITING;
    enqueue(&frontier->hosts[frontier->pages[page].host], page);
}

bool frontier_advance(struct frontier *frontier)
{
    if (frontier->level_open || !frontier->open)
        return false;
    while (!frontier->level_open) {
        frontier->level++;
        for (size_t i = 0; i < frontier->page_count; i++) {
            const struct page *page = &frontier->pages[i];

            if (page->state == PAGE_DONE || page->depth != frontier->level || page->kind == ORDER_SITEMAP)
                continue;
            frontier->level_open++;
            enqueue(&frontier->hosts[page->host], (uint32_t)i);
        }
    }
    return true;
}

uint32_t frontier_next(struct frontier *frontier, struct host *host)
{
    while (host->waiting) {
        uint32_t page = host->queue[host->first];

        host->first = (host->first + 1) % host->room;
        host->waiting--;
        if (frontier->pages[page].state == PAGE_WAITING) /* the journal may have said that it is done */
            return page;
    }
    return NO_PAGE;
}

/* Where a start URL leads is meant, too: http://example.org is often https://www.example.org. */
static void follow_start(struct frontier *frontier, const struct page *page)
{
    struct facts facts;

    if (page->referrer || page->depth || page->kind != ORDER_PAGE)
        return;
    frontier_facts(page, &facts);
    if (*facts.location)
        frontier_add_scope(frontier, facts.location);
}

void frontier_done(struct frontier *frontier, uint32_t number, const char *facts, size_t size)
{
    struct page *page = &frontier->pages[number];

    page->facts = must_copy(facts, size);
    page->facts_size = size;
    page->state = PAGE_DONE;
    frontier->open--;
    frontier->level_open -= is_of_level(frontier, page);
    follow_start(frontier, page);
}

void frontier_facts(const struct page *page, struct facts *facts)
{
    struct reader reader = {page->facts, page->facts + page->facts_size, false};

    facts_read(facts, &reader);
}
