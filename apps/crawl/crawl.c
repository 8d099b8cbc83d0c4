/* SPDX-License-Identifier: BSD-3-Clause */
/* Main gives orders to fetchers, waits for results and for the ends of fetchers, whichever comes first, and notes
 * each page in the journal before anything else follows from it.
 *
 * Politeness is kept here. With a delay a host has one request at a time, and the next one is sent a delay after
 * main has heard of the end of the last: so two requests are never nearer to each other, however long an order is on
 * its way. Without a delay its pages go to some fetchers, each of which has its part of the connections.
 *
 * A page that is to be parsed is no longer the host's when it has come: main hears of that, and of the page again when
 * it is parsed. In between its state is PAGE_CAME, only its fetcher has it, and nothing of it is in a file; so it
 * shares the fate of a page that is still on its way. If the fetcher dies it is asked for again, a suspect like the
 * others; after a kill of main, too, because the journal does not know it; a level has it among its open pages, a drain
 * waits for it. Only the host forgets it: whoever takes a page from PAGE_ASKED to another state gives the host its
 * request back, once. How many pages may be there is for crew.c to say; hosts for which no fetcher has room wait in
 * ready.c until one has. */
#include "crawl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "links.h"
#include "support/command.h"
#include "url.h"

#define ORDERS_A_CONNECTION 4    /* so that a connection has its next page at once */
#define LOOK_S              0.25 /* how often signals and the progress are looked at */
#define MOST_WAIT_S         600.0
#define MOST_SITEMAP_DEPTH  3
#define MOST_ROBOTS_HOPS    5

double crawl_now_s(const struct crawl *crawl)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - crawl->begin_s;
}

static double delay_s(const struct crawl *crawl, const struct host *host)
{
    return host->robots.delay_s > crawl->settings->delay_s ? host->robots.delay_s : crawl->settings->delay_s;
}

/* How many pages of the host a fetcher may have, and how many fetchers may have some. */
static unsigned most_orders(const struct crawl *crawl, const struct host *host)
{
    return delay_s(crawl, host) > 0 ? 1 : crew_connections(crawl->settings) * ORDERS_A_CONNECTION;
}

static unsigned lanes(const struct crawl *crawl, const struct host *host)
{
    return delay_s(crawl, host) > 0 ? 1 : crew_lanes(crawl->settings);
}

/* The fetcher with the fewest requests to the host, among the host's own; the number of fetchers if all have enough. */
static unsigned choose_fetcher(const struct crawl *crawl, const struct host *host, uint32_t number)
{
    unsigned best = crawl->crew.count, fewest = most_orders(crawl, host);

    for (unsigned i = 0; i < lanes(crawl, host); i++) {
        unsigned fetcher = (number + i) % crawl->crew.count;

        if (host->in_flight_of[fetcher] < fewest && crew_has_room(&crawl->crew, fetcher)) {
            best = fetcher;
            fewest = host->in_flight_of[fetcher];
        }
    }
    return best;
}

static bool may_be_asked(const struct crawl *crawl, const struct host *host)
{
    return host->waiting && host->robots_state != ROBOTS_ASKED &&
           host->in_flight < most_orders(crawl, host) * lanes(crawl, host);
}

static void look_at_host(struct crawl *crawl, uint32_t number)
{
    if (may_be_asked(crawl, &crawl->frontier.hosts[number]))
        ready_put(&crawl->ready, &crawl->frontier, number);
}

static void pause_host(struct crawl *crawl, uint32_t number, double pause_s)
{
    struct host *host = &crawl->frontier.hosts[number];
    double next_s = crawl_now_s(crawl) + (pause_s < MOST_WAIT_S ? pause_s : MOST_WAIT_S);

    if (next_s > host->next_s)
        host->next_s = next_s;
    if (host->heap_at != SIZE_MAX)
        ready_put(&crawl->ready, &crawl->frontier, number);
}

/* Notes in the journal that a page is done, with all that was taken since page `first`. */
static void note_done(struct crawl *crawl, uint32_t number, uint32_t first)
{
    journal_page(crawl->journal, &crawl->frontier, number, first);
    for (size_t i = first; i < crawl->frontier.page_count; i++)
        look_at_host(crawl, crawl->frontier.pages[i].host);
}

/* A page that is done without a fetcher. */
static void settle_page(struct crawl *crawl, uint32_t number, enum outcome outcome, const char *error)
{
    struct buffer bytes = {0};
    const struct facts facts = {.outcome = outcome, .error = error};

    facts_write(&facts, &bytes);
    frontier_done(&crawl->frontier, number, bytes.bytes, bytes.size);
    note_done(crawl, number, (uint32_t)crawl->frontier.page_count);
    buffer_free(&bytes);
    crawl->failed += outcome != OUTCOME_FORBIDDEN;
}

static void ask_page(struct crawl *crawl, uint32_t number, unsigned fetcher)
{
    struct page *page = &crawl->frontier.pages[number];
    struct host *host = &crawl->frontier.hosts[page->host];
    struct facts then = {.etag = "", .modified = ""};

    if (crawl->since && !since_facts(crawl->since, page->fingerprint, &then))
        then = (struct facts){.etag = "", .modified = ""};
    page->state = PAGE_ASKED;
    page->fetcher = fetcher;
    page->attempts++;
    host->in_flight++;
    host->in_flight_of[fetcher]++;
    crew_order(
        &crawl->crew, fetcher, number, (enum order_kind)page->kind,
        (page->attempts >= crawl->settings->attempts ? ORDER_IS_LAST : 0) |
            (page->depth < crawl->settings->depth || page->kind == ORDER_SITEMAP ? ORDER_WANTS_LINKS : 0));
    crew_order_url(&crawl->crew, fetcher, page->url, then.etag, then.modified);
}

static void ask_robots_at(struct crawl *crawl, uint32_t number, const char *url)
{
    struct host *host = &crawl->frontier.hosts[number];

    host->robots_state = ROBOTS_ASKED;
    host->robots_fetcher = number % crawl->crew.count;
    crawl->robots_in_flight++;
    crew_order(&crawl->crew, host->robots_fetcher, number, ORDER_ROBOTS, ORDER_IS_LAST);
    crew_order_url(&crawl->crew, host->robots_fetcher, url, "", "");
}

/* A redirect of robots.txt to another host of the crawl is one of that host's requests. Returns false if that host must not
 * be asked yet: then the one that was redirected waits. */
static bool borrow_turn(struct crawl *crawl, uint32_t number)
{
    struct host *host = &crawl->frontier.hosts[number], *lender;
    uint32_t other = frontier_host(&crawl->frontier, host->robots_hop);

    if (other == NO_PAGE || other == number || delay_s(crawl, &crawl->frontier.hosts[other]) <= 0)
        return true;
    lender = &crawl->frontier.hosts[other];
    if (lender->in_flight || lender->robots_state == ROBOTS_ASKED || lender->next_s > crawl_now_s(crawl)) {
        pause_host(crawl, number, delay_s(crawl, lender));
        look_at_host(crawl, number);
        return false;
    }
    lender->in_flight++;
    host->robots_lender = other;
    return true;
}

/* What was asked for robots.txt has come, or will not. */
static void give_turn_back(struct crawl *crawl, struct host *host)
{
    uint32_t other = host->robots_lender;

    if (other == NO_PAGE)
        return;
    host->robots_lender = NO_PAGE;
    crawl->frontier.hosts[other].in_flight--;
    pause_host(crawl, other, delay_s(crawl, &crawl->frontier.hosts[other]));
    look_at_host(crawl, other);
}

static void ask_robots(struct crawl *crawl, uint32_t number)
{
    struct host *host = &crawl->frontier.hosts[number];
    struct buffer url = {0};

    if (host->robots_hop && !borrow_turn(crawl, number))
        return;
    if (host->robots_hop) {
        ask_robots_at(crawl, number, host->robots_hop);
    } else {
        host->robots_attempts++;
        host->robots_hops = 0;
        buffer_print(&url, "%s/robots.txt", host->origin);
        ask_robots_at(crawl, number, url.bytes);
    }
    free(host->robots_hop);
    host->robots_hop = NULL;
    buffer_free(&url);
}

/* The next hop is a request like others: it waits for the delay. */
static void follow_robots(struct crawl *crawl, uint32_t number, const char *location)
{
    struct host *host = &crawl->frontier.hosts[number];

    host->robots_hops++;
    host->robots_hop = must_copy(location, strlen(location));
    host->robots_state = ROBOTS_UNKNOWN;
    pause_host(crawl, number, delay_s(crawl, host));
    look_at_host(crawl, number);
}

/* Gives as many orders for the host as it may have now. */
static void ask_host(struct crawl *crawl, uint32_t number)
{
    struct host *host = &crawl->frontier.hosts[number];

    if (host->robots_state == ROBOTS_UNKNOWN && !crawl->settings->no_robots) {
        ask_robots(crawl, number);
        return;
    }
    while (may_be_asked(crawl, host)) {
        unsigned fetcher = choose_fetcher(crawl, host, number);
        uint32_t page;

        if (fetcher == crawl->crew.count) {
            ready_stall(&crawl->ready, &crawl->frontier, number);
            return;
        }
        if ((page = frontier_next(&crawl->frontier, host)) == NO_PAGE)
            return;
        if (!crawl->settings->no_robots && !robots_allow(&host->robots, crawl->frontier.pages[page].url))
            settle_page(crawl, page, host->robots.forbids_all ? OUTCOME_FAILED : OUTCOME_FORBIDDEN,
                        host->robots.forbids_all ? host->robots_trouble : "");
        else
            ask_page(crawl, page, fetcher);
    }
}

/* Pages with which a fetcher has died are asked for when all others are done, one at a time: the next death tells
 * which. */
static void ask_suspect(struct crawl *crawl)
{
    struct frontier *frontier = &crawl->frontier;

    if (!frontier->suspects || frontier->level_open != frontier->suspects || crawl->robots_in_flight)
        return;
    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state != PAGE_SUSPECT)
            continue;
        if (frontier->hosts[frontier->pages[i].host].next_s <= crawl_now_s(crawl)) {
            frontier->suspects--;
            ask_page(crawl, (uint32_t)i, 0);
        }
        return;
    }
}

/* Level by level, if it is asked for, when a level is done. */
static void advance(struct crawl *crawl)
{
    if (!frontier_advance(&crawl->frontier))
        return;
    for (uint32_t i = 0; i < crawl->frontier.host_count; i++)
        look_at_host(crawl, i);
}

/* Gives orders for all hosts whose time has come. */
static void ask(struct crawl *crawl)
{
    double now_s = crawl_now_s(crawl);

    advance(crawl);
    if (crew_take_room(&crawl->crew))
        ready_unstall(&crawl->ready, &crawl->frontier);
    for (uint32_t host;
         (host = ready_first(&crawl->ready)) != NO_PAGE && crawl->frontier.hosts[host].next_s <= now_s;) {
        ready_pop(&crawl->ready, &crawl->frontier);
        ask_host(crawl, host);
    }
    ask_suspect(crawl);
}

static void take_sitemap(struct crawl *crawl, const char *reference, size_t length,
                         const struct url_base *base)
{
    char url[URL_ROOM];

    if ((length = url_resolve(base, reference, length, url)))
        frontier_offer(&crawl->frontier, &(struct offer){.url = url,
                                                         .length = length,
                                                         .fingerprint = url_fingerprint(url, length),
                                                         .kind = ORDER_SITEMAP});
}

/* The sitemaps that robots.txt names, or the usual one. */
static void take_sitemaps(struct crawl *crawl, uint32_t number)
{
    struct url_base base;
    uint32_t first = (uint32_t)crawl->frontier.page_count;
    size_t count = crawl->frontier.hosts[number].robots.sitemap_count;

    if (crawl->settings->no_sitemaps || !url_base_set(&base, crawl->frontier.hosts[number].origin,
                                                      strlen(crawl->frontier.hosts[number].origin)))
        return;
    for (size_t i = 0; i < count; i++) {
        const char *reference = crawl->frontier.hosts[number].robots.sitemaps[i];

        take_sitemap(crawl, reference, strlen(reference), &base);
    }
    if (!count)
        take_sitemap(crawl, "/sitemap.xml", 12, &base);
    journal_urls(crawl->journal, &crawl->frontier, first);
    for (size_t i = first; i < crawl->frontier.page_count; i++)
        look_at_host(crawl, crawl->frontier.pages[i].host);
}

static char *describe_trouble(const struct facts *facts)
{
    struct buffer text = {0};

    buffer_print(&text, "robots.txt of its host could not be read: ");
    if (*facts->error)
        buffer_print(&text, "%s", facts->error);
    else
        buffer_print(&text, "status %u", facts->status);
    return text.bytes;
}

/* RFC 9309, section 2.3.1: a file that is not there allows everything; one that cannot be reached forbids it. Five
 * redirects in a row are followed. */
static void on_robots(struct crawl *crawl, uint32_t number, const struct facts *facts, const char *body,
                      size_t size)
{
    struct host *host = &crawl->frontier.hosts[number];
    bool is_there = facts->outcome == OUTCOME_ANSWERED && facts->status >= 200 && facts->status < 300;
    bool is_absent = facts->outcome == OUTCOME_ANSWERED && facts->status >= 300 && facts->status < 500 &&
                     facts->status != 429;

    crawl->robots_in_flight--;
    give_turn_back(crawl, host);
    if (*facts->location && host->robots_hops < MOST_ROBOTS_HOPS) {
        follow_robots(crawl, number, facts->location);
        return;
    }
    if (!is_there && !is_absent && host->robots_attempts < crawl->settings->attempts) {
        host->robots_state = ROBOTS_UNKNOWN;
        pause_host(crawl, number, crawl->settings->backoff_s * (double)(1u << (host->robots_attempts - 1)));
    } else {
        host->robots_state = ROBOTS_KNOWN;
        if (is_there)
            robots_read(&host->robots, body, size, crawl->settings->agent);
        host->robots.forbids_all = !is_there && !is_absent;
        if (host->robots.forbids_all)
            host->robots_trouble = describe_trouble(facts);
        pause_host(crawl, number, delay_s(crawl, host));
        if (!host->robots.forbids_all)
            take_sitemaps(crawl, number);
    }
    look_at_host(crawl, number);
}

/* Trouble that may be over later: the page waits. With a host that is overloaded or cannot be reached all its pages
 * do. */
static void try_again(struct crawl *crawl, uint32_t number, const struct facts *facts)
{
    const struct page *page = &crawl->frontier.pages[number];
    double pause_s = crawl->settings->backoff_s *
                     (double)(1u << (page->attempts - 1 < 10 ? page->attempts - 1 : 10));

    if ((double)facts->retry_after_s > pause_s)
        pause_s = (double)facts->retry_after_s;
    if (!facts->status || facts->status == 429 || facts->status == 503)
        pause_host(crawl, page->host, pause_s);
    frontier_wait(&crawl->frontier, number);
}

static void offer_link(struct crawl *crawl, const struct page *page, const char *url, enum order_kind kind,
                       bool is_hop)
{
    size_t length = strlen(url);
    bool is_sitemap = page->kind == ORDER_SITEMAP;
    unsigned depth = is_hop || (is_sitemap && kind == ORDER_PAGE) ? page->depth : page->depth + 1u;

    if (kind == ORDER_SITEMAP && depth > MOST_SITEMAP_DEPTH)
        return;
    frontier_offer(&crawl->frontier, &(struct offer){.url = url,
                                                     .length = length,
                                                     .fingerprint = url_fingerprint(url, length),
                                                     .referrer = page->fingerprint,
                                                     .depth = is_sitemap && kind == ORDER_PAGE ? 0 : depth,
                                                     .redirects = is_hop ? page->redirects + 1u : 0,
                                                     .kind = kind});
}

/* Reads a result's links; those of a page that is done already are passed over. */
static void read_links(struct crawl *crawl, struct reader *reader, const struct page *page)
{
    uint64_t count = reader_number(reader);
    const struct page copy = page ? *page : (struct page){0}; /* pages move when some are taken */

    for (uint64_t i = 0; i < count && !reader->is_bad; i++) {
        reader_number(reader); /* its fingerprint */
        uint64_t kind = reader_number(reader);
        const char *url = reader_text(reader, NULL);

        if (page && !reader->is_bad)
            offer_link(crawl, &copy, url, kind == LINK_SITEMAP ? ORDER_SITEMAP : ORDER_PAGE, false);
    }
}

struct then {
    struct crawl *crawl;
    struct page page;
};

static void on_link_then(const struct page *page, void *argument)
{
    struct then *then = argument;

    offer_link(then->crawl, &then->page, page->url, (enum order_kind)page->kind, false);
}

/* The page has not changed: what is not in the answer is as it was. */
static void take_over(struct crawl *crawl, const struct page *page, struct facts *facts)
{
    struct facts then;
    struct then argument = {crawl, *page};

    if (!since_facts(crawl->since, page->fingerprint, &then))
        return;
    facts->type = then.type;
    facts->is_html = then.is_html;
    facts->title = then.title;
    facts->canonical = then.canonical;
    facts->is_noindex = then.is_noindex;
    facts->is_nofollow = then.is_nofollow;
    facts->rows = then.rows;
    facts->rows_length = then.rows_length;
    facts->link_count = then.link_count;
    if (!*facts->etag)
        facts->etag = then.etag;
    if (!*facts->modified)
        facts->modified = then.modified;
    since_links(crawl->since, argument.page.fingerprint, on_link_then, &argument);
}

static bool has_failed(const struct facts *facts)
{
    return facts->outcome == OUTCOME_FAILED || facts->outcome == OUTCOME_TROUBLE || facts->status >= 400 ||
           *facts->error;
}

static void follow_redirect(struct crawl *crawl, const struct page *page, struct facts *facts)
{
    if (!*facts->location)
        return;
    if (page->redirects >= MOST_REDIRECTS)
        facts->error = "it is one redirect too many in a row";
    else
        offer_link(crawl, page, facts->location, (enum order_kind)page->kind, true);
}

/* A page that is done: its facts, and what follows from them, are one record of the journal. */
static void on_done(struct crawl *crawl, uint32_t number, struct facts *facts, struct reader *links)
{
    struct frontier *frontier = &crawl->frontier;
    const struct page page = frontier->pages[number];
    uint32_t first = (uint32_t)frontier->page_count;
    struct buffer bytes = {0};

    if (!page.referrer && *facts->location && page.kind == ORDER_PAGE && !page.depth)
        frontier_add_scope(frontier, facts->location);
    follow_redirect(crawl, &page, facts);
    read_links(crawl, links, &page);
    if (facts->status == 304 && crawl->since)
        take_over(crawl, &page, facts);
    facts_write(facts, &bytes);
    frontier_done(frontier, number, bytes.bytes, bytes.size);
    note_done(crawl, number, first);
    crawl->failed += page.kind == ORDER_PAGE && has_failed(facts);
    buffer_free(&bytes);
}

static void release_host(struct crawl *crawl, const struct page *page)
{
    struct host *host = &crawl->frontier.hosts[page->host];

    host->in_flight--;
    host->in_flight_of[page->fetcher]--;
}

/* The host has answered: its next request may be sent a delay after now. */
static void on_answer(struct crawl *crawl, const struct page *page, uint64_t size, uint64_t duration_us)
{
    struct host *host = &crawl->frontier.hosts[page->host];
    double now_s = crawl_now_s(crawl);

    release_host(crawl, page);
    if (!host->answers)
        host->first_s = now_s - (double)duration_us * 1e-6;
    host->answers++;
    host->bytes += size;
    host->last_s = now_s;
    pause_host(crawl, page->host, delay_s(crawl, host));
}

/* A page is still to be parsed. */
static void on_page_came(struct crawl *crawl, uint32_t number, uint64_t size, uint64_t duration_us)
{
    struct page *page = &crawl->frontier.pages[number];

    crew_hold(&crawl->crew, page->fetcher, size);
    on_answer(crawl, page, size, duration_us);
    page->state = PAGE_CAME;
    look_at_host(crawl, page->host);
}

static void on_page(struct crawl *crawl, uint32_t number, struct facts *facts, struct reader *reader)
{
    const struct page *page = &crawl->frontier.pages[number];
    uint32_t host_number = page->host;

    if (page->state == PAGE_CAME) {
        crew_let_go(&crawl->crew, page->fetcher, facts->size);
    } else {
        crew_done(&crawl->crew, page->fetcher);
        on_answer(crawl, page, facts->size, facts->duration_us);
    }
    if (facts->outcome == OUTCOME_TROUBLE && page->attempts < crawl->settings->attempts) {
        read_links(crawl, reader, NULL);
        try_again(crawl, number, facts);
    } else {
        on_done(crawl, number, facts, reader);
    }
    look_at_host(crawl, host_number);
}

static void read_came(struct crawl *crawl, struct reader *reader)
{
    uint64_t number = reader_number(reader), size = reader_number(reader);
    uint64_t duration_us = reader_number(reader);

    if (!reader->is_bad)
        on_page_came(crawl, (uint32_t)number, size, duration_us);
}

static void read_done(struct crawl *crawl, struct reader *reader)
{
    uint64_t fetcher = reader_number(reader), kind = reader_number(reader), number = reader_number(reader);
    struct facts facts;
    const char *body;
    size_t size;

    facts_read(&facts, reader);
    body = reader_text(reader, &size);
    if (reader->is_bad || fetcher >= crawl->crew.count)
        return;
    if (kind == ORDER_ROBOTS) {
        crew_done(&crawl->crew, (unsigned)fetcher);
        read_links(crawl, reader, NULL);
        on_robots(crawl, (uint32_t)number, &facts, body, size);
    } else {
        on_page(crawl, (uint32_t)number, &facts, reader);
    }
}

static void read_result(struct crawl *crawl, struct reader *reader)
{
    if (reader_number(reader) == RESULT_CAME)
        read_came(crawl, reader);
    else
        read_done(crawl, reader);
}

/* Reads all results that are there. */
static int read_results(struct crawl *crawl)
{
    void *message;
    size_t size;
    int status;

    while (!(status = mpm_queue_get_alloc(crawl->crew.results, 0, &message, &size))) {
        struct reader reader = {message, (char *)message + size, false};

        while (reader.at < reader.end && !reader.is_bad)
            read_result(crawl, &reader);
        free(message);
        if (reader.is_bad)
            return failure("a message of a fetcher cannot be read");
        if (journal_flush(crawl->journal))
            return EXIT_FAILURE;
        if (crawl->drain_s <= 0) {
            ask(crawl);
            if (crew_send(&crawl->crew))
                return EXIT_FAILURE;
        }
    }
    return status == MPM_EEMPTY ? 0 : mpm_report_error();
}

/* What a fetcher had when it died. */
static void put_back(struct crawl *crawl, unsigned fetcher, const char *why)
{
    struct frontier *frontier = &crawl->frontier;

    for (uint32_t i = 0; i < frontier->page_count; i++) {
        struct page *page = &frontier->pages[i];

        if ((page->state != PAGE_ASKED && page->state != PAGE_CAME) || page->fetcher != fetcher)
            continue;
        if (page->state == PAGE_ASKED)
            release_host(crawl, page);
        page->attempts--;
        if (++page->crashes > 1 && page->crashes >= crawl->settings->attempts) {
            settle_page(crawl, i, OUTCOME_FAILED, why);
        } else {
            page->state = PAGE_SUSPECT;
            frontier->suspects++;
        }
    }
    for (uint32_t i = 0; i < frontier->host_count; i++) {
        struct host *host = &frontier->hosts[i];

        if (host->robots_state == ROBOTS_ASKED && host->robots_fetcher == fetcher) {
            host->robots_state = ROBOTS_UNKNOWN;
            host->robots_attempts--;
            crawl->robots_in_flight--;
            give_turn_back(crawl, host);
        }
        look_at_host(crawl, i);
    }
}

/* Says how a fetcher has ended. Returns 0 if another one may take its place. */
static int read_end(struct crawl *crawl, unsigned index, struct buffer *why)
{
    int exitcode = 0, status = mpm_process_exitcode(crawl->crew.members[index].process, &exitcode);

    if (status == MPM_ENODELOST)
        buffer_print(why, "the node of its fetcher was lost");
    else if (status)
        return mpm_report_error();
    else if (exitcode < 0)
        buffer_print(why, "its fetcher was killed by signal %d", -exitcode);
    else
        buffer_print(why, "its fetcher ended with code %d", exitcode);
    if (exitcode <= 0)
        return 0;
    return failure(
        "a fetcher has ended with code %d, and has said why; once that is mended, --resume goes on",
        exitcode);
}

/* A fetcher has ended, and all that it has sent is read. */
static int on_fetcher_end(struct crawl *crawl, unsigned index)
{
    struct buffer why = {0};
    size_t count;
    struct file_ends *ends = files_ends(&crawl->frontier, &count);
    int status = files_cut(crawl->settings->folder, index,
                           index < count ? ends[index] : (struct file_ends){0, 0});

    free(ends);
    if (!status && !(status = read_end(crawl, index, &why))) {
        put_back(crawl, index, why.bytes);
        if ((status = crew_replace(&crawl->crew, index)))
            failure("no other fetcher can take the place of one that has ended: --resume goes on later");
        else
            status = journal_flush(crawl->journal);
    }
    buffer_free(&why);
    return status;
}

/* A node is lost, and the run goes on without it: its fetchers have ended. In place of indexes of what is ready. */
static int find_lost(const struct crawl *crawl, size_t *ready, size_t *ready_count)
{
    bool is_alive;

    *ready_count = 0;
    for (unsigned i = 0; i < crawl->crew.count; i++) {
        if (mpm_process_is_alive(crawl->crew.members[i].process, &is_alive) == MPM_ENODELOST)
            ready[(*ready_count)++] = i + 1;
    }
    return *ready_count ? 0 : MPM_ENODELOST;
}

/* Waits for a result, the end of a fetcher, or the time of a host. */
static int wait_for_something(struct crawl *crawl)
{
    size_t count = crawl->crew.count + 1, ready_count = 0, *ready = must_realloc(NULL, count * sizeof *ready);
    mpm_handle *handles = must_realloc(NULL, count * sizeof *handles);
    uint32_t first = ready_first(&crawl->ready);
    double wait_s = LOOK_S;
    int status;

    if (first != NO_PAGE && crawl->drain_s <= 0 &&
        crawl->frontier.hosts[first].next_s - crawl_now_s(crawl) < wait_s)
        wait_s = crawl->frontier.hosts[first].next_s - crawl_now_s(crawl);
    handles[0] = crawl->crew.results.handle;
    for (unsigned i = 0; i < crawl->crew.count; i++)
        handles[i + 1] = crawl->crew.members[i].process.handle;
    status = mpm_wait_any(handles, count, wait_s, ready, &ready_count);
    if (status == MPM_ENODELOST)
        status = find_lost(crawl, ready, &ready_count);
    if (status == MPM_ETIMEDOUT || status == MPM_EINTERRUPTED)
        status = ready_count = 0;
    else if (status)
        status = mpm_report_error();
    else
        status = read_results(crawl); /* what a fetcher has sent comes before its end */
    for (size_t i = 0; i < ready_count && !status; i++) {
        if (ready[i])
            status = on_fetcher_end(crawl, (unsigned)ready[i] - 1);
    }
    free(handles);
    free(ready);
    return status;
}

static void show_progress(struct crawl *crawl)
{
    const struct frontier *frontier = &crawl->frontier;
    mpm_progress now = {.done = frontier->page_count - frontier->open,
                        .total = frontier->page_count,
                        .failed = crawl->failed,
                        .earlier = crawl->earlier,
                        .elapsed_s = crawl_now_s(crawl),
                        .busy = 1,
                        .nodes = mpm_node_count()};

    mpm_progress_line(&now, &crawl->line);
}

/* Whether there is something to wait for; a drain ends when what was asked for has come, or its grace is over. */
static bool goes_on(struct crawl *crawl)
{
    if (mpm_draining() && crawl->drain_s <= 0) {
        crawl->drain_s = crawl_now_s(crawl);
        mpm_progress_line_end(&crawl->line);
        if (!crawl->settings->quiet)
            failure("draining: nothing more is asked for; what is on its way has %g s",
                    crawl->settings->grace_s);
    }
    if (crawl->drain_s > 0)
        return crew_in_flight(&crawl->crew) && crawl_now_s(crawl) - crawl->drain_s < crawl->settings->grace_s;
    return crawl->frontier.open;
}

int crawl_run(struct crawl *crawl)
{
    int status = journal_flush(crawl->journal);
    double shown_s = 0;

    for (uint32_t i = 0; i < crawl->frontier.host_count; i++)
        look_at_host(crawl, i);
    while (!status && goes_on(crawl)) {
        if (crawl->drain_s <= 0) {
            ask(crawl);
            status = journal_flush(crawl->journal) || crew_send(&crawl->crew);
        }
        if (!status && crawl->frontier.open)
            status = wait_for_something(crawl);
        if (crawl_now_s(crawl) - shown_s > 0.1) {
            shown_s = crawl_now_s(crawl);
            show_progress(crawl);
        }
    }
    mpm_progress_line_end(&crawl->line);
    return status ? EXIT_FAILURE : 0;
}
