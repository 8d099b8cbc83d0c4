/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread does everything but wait at the inbox. A page goes through these steps: an order becomes a transfer;
 * when it has come, and something is to be extracted, main hears that its host is free, and its text goes to a parser;
 * when the rows are there its links are found, its record is appended to the WARC file, its links to the file of links,
 * and main hears of it.
 *
 * So the files hold pages in the order in which main hears of them, and are written before it does, many pages at once.
 * If this process dies anywhere, main cuts the files where the last page ends that it has heard of, and has the others
 * asked for again: no page is in a file twice. */
#include "fetcher.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "buffer.h"
#include "decode.h"
#include "facts.h"
#include "inbox.h"
#include "links.h"
#include "message.h"
#include "parsing.h"
#include "robots.h"
#include "scan.h"
#include "set.h"
#include "support/command.h"
#include "transfer.h"
#include "warc.h"

#define MOST_IDLE_CONNECTIONS 512L
#define KEPT_ROOM             (1u << 20)   /* of a buffer that is used again */
#define RESULTS_SIZE          (256u << 10) /* results go to main at the latest when they are so many bytes */
#define EDGES_SIZE            (256u << 10) /* the same of links and their file */
#define WAIT_MS               1000

struct fetcher {
    const struct fetcher_start *start;
    const char *folder, *agent, *authorities;
    CURLM *multi;
    struct inbox *inbox;
    struct transfer *idle;   /* to be used again */
    size_t active;           /* transfers that are neither idle nor parsing */
    struct parsing *parsing; /* NULL: nothing is extracted */
    struct links links;
    struct set sent; /* links that main was told of: once is enough */
    struct warc *warc;
    int edges; /* the file of links: pairs of fingerprints, from and to */
    uint64_t edges_size;
    struct buffer edge_buffer, request, head, results, item;
    bool has_failed; /* what was written is not to be relied on: the process ends */
};

/* A file of this fetcher: "FOLDER/NAME-3SUFFIX". */
static void file_name(const struct fetcher *fetcher, const char *name, const char *suffix,
                      struct buffer *path)
{
    buffer_print(path, "%s/%s-%u%s", fetcher->folder, name, fetcher->start->index, suffix);
}

static int open_files(struct fetcher *fetcher)
{
    struct buffer warc = {0}, edges = {0};
    off_t size = -1;

    file_name(fetcher, "crawl", ".warc.gz", &warc);
    file_name(fetcher, "links", ".bin", &edges);
    fetcher->edges = open(edges.bytes, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    /* The lock tells a later run that this process is still there. */
    if (fetcher->edges < 0 || flock(fetcher->edges, LOCK_EX) ||
        (size = lseek(fetcher->edges, 0, SEEK_END)) < 0)
        failure("'%s' cannot be opened: %s", edges.bytes, strerror(errno));
    else if (fetcher->start->has_warc)
        fetcher->warc = warc_open(warc.bytes, fetcher->agent);
    fetcher->edges_size = (uint64_t)size;
    buffer_free(&warc);
    buffer_free(&edges);
    return size < 0 || (fetcher->start->has_warc && !fetcher->warc);
}

static void write_edges(struct fetcher *fetcher)
{
    struct buffer *edges = &fetcher->edge_buffer, path = {0};

    if (edges->size && write(fetcher->edges, edges->bytes, edges->size) != (ssize_t)edges->size) {
        file_name(fetcher, "links", ".bin", &path);
        failure("'%s' cannot be written: %s", path.bytes, strerror(errno));
        buffer_free(&path);
        fetcher->has_failed = true;
    }
    edges->size = 0;
}

/* The page's links in the file of links, for the report: who refers to what is broken. */
static void append_edges(struct fetcher *fetcher, const struct transfer *transfer)
{
    const struct links *links = &fetcher->links;
    uint64_t from = url_fingerprint(transfer->url, strlen(transfer->url));

    for (size_t i = 0; i < links->count; i++) {
        buffer_add_number(&fetcher->edge_buffer, from);
        buffer_add_number(&fetcher->edge_buffer, links->links[i].fingerprint);
    }
    fetcher->edges_size += links->count * 2 * sizeof from;
    if (fetcher->edge_buffer.size > EDGES_SIZE)
        write_edges(fetcher);
}

static void append_record(struct fetcher *fetcher, struct transfer *transfer)
{
    struct facts *facts = &transfer->facts;
    struct warc_page page = {.url = transfer->url,
                             .address = transfer->address,
                             .time_ms = transfer->time_ms,
                             .body = transfer->body.bytes,
                             .body_size = transfer->body.size,
                             .is_unchanged = facts->status == 304};

    transfer_request(transfer, &fetcher->request);
    page.request = fetcher->request.bytes;
    page.request_size = fetcher->request.size;
    transfer_head(transfer, &fetcher->head);
    page.head = fetcher->head.bytes;
    page.head_size = fetcher->head.size;
    if (warc_append(fetcher->warc, &page, &facts->warc_offset, &facts->warc_length))
        fetcher->has_failed = true;
}

/* What the answer's head says to robots. */
static void read_robots_header(struct fetcher *fetcher, const struct transfer *transfer)
{
    size_t length;
    const char *words, *at = transfer->head.bytes, *end = at + transfer->head.size;

    for (; (words = head_find(at, (size_t)(end - at), "X-Robots-Tag", &length)); at = words + length)
        links_robots_header(&fetcher->links, words, length, fetcher->agent);
}

static bool is_css(const struct transfer *transfer)
{
    return !strncmp(transfer->type, "text/css", 8);
}

static void scan_text(struct fetcher *fetcher, const struct transfer *transfer, const char *text, size_t size)
{
    char charset[32];

    if (transfer->kind == ORDER_SITEMAP) {
        scan_sitemap(text, size, &fetcher->links);
    } else if (transfer->facts.is_html) {
        decode_charset(text, size, transfer->type, charset);
        if (strncmp(charset, "utf-", 4))
            strcpy(fetcher->links.query_charset, charset);
        if (decode_to_utf8(text, size, charset, &fetcher->item)) {
            text = fetcher->item.bytes;
            size = fetcher->item.size;
        }
        scan_html(text, size, &fetcher->links);
    } else if (is_css(transfer)) {
        scan_css(text, size, &fetcher->links);
    }
}

/* Finds the links of a page that has come, and what else it says of itself. */
static void find_links(struct fetcher *fetcher, struct transfer *transfer)
{
    struct links *links = &fetcher->links;
    struct facts *facts = &transfer->facts;
    const char *text;
    size_t size;

    links_begin(links, transfer->url, strlen(transfer->url));
    if (facts->outcome != OUTCOME_ANSWERED || facts->status != 200 || transfer->kind == ORDER_ROBOTS ||
        !(facts->is_html || is_css(transfer) || transfer->kind == ORDER_SITEMAP))
        return;
    read_robots_header(fetcher, transfer);
    if ((text = transfer_text(transfer, &size)))
        scan_text(fetcher, transfer, text, size);
    facts->is_nofollow = links->says_nofollow;
    facts->is_noindex = links->says_noindex;
    facts->is_cut = links->is_cut;
    facts->link_count = links->count;
    facts->canonical = links->canonical;
    facts->title = links->title;
}

/* Links that main was told of by this process, and lets be followed, need not be told again. */
static bool is_news(struct fetcher *fetcher, const struct link *link)
{
    bool is_new;

    if (link->is_nofollow || fetcher->links.says_nofollow)
        return false;
    set_add(&fetcher->sent, link->fingerprint, 0, &is_new);
    return is_new;
}

static void add_links(struct fetcher *fetcher, const struct transfer *transfer, struct buffer *results)
{
    const struct links *links = &fetcher->links;
    size_t at = results->size;
    uint64_t count = 0;

    buffer_add_number(results, 0);
    for (size_t i = 0; i < links->count && transfer->flags & ORDER_WANTS_LINKS; i++) {
        const struct link *link = &links->links[i];

        if (!is_news(fetcher, link))
            continue;
        buffer_add_number(results, link->fingerprint);
        buffer_add_number(results, link->kind);
        buffer_add_text(results, links->texts.bytes + link->text, link->length);
        count++;
    }
    memcpy(results->bytes + at, &count, sizeof count);
}

/* What main hears of is in the files before. */
static void send_results(struct fetcher *fetcher)
{
    write_edges(fetcher);
    if (fetcher->warc && warc_flush(fetcher->warc))
        fetcher->has_failed = true;
    if (fetcher->results.size && !fetcher->has_failed &&
        mpm_queue_put(fetcher->start->results, fetcher->results.bytes, fetcher->results.size, MPM_FOREVER)) {
        mpm_report_error();
        fetcher->has_failed = true;
    }
    fetcher->results.size = 0;
}

/* Its text, which main reads; "" if it has none, or if it is no robots.txt. */
static const char *robots_text(struct transfer *transfer, size_t *size)
{
    const struct facts *facts = &transfer->facts;
    const char *text = NULL;

    if (transfer->kind == ORDER_ROBOTS && facts->outcome == OUTCOME_ANSWERED && facts->status / 100 == 2)
        text = transfer_text(transfer, size);
    if (!text)
        *size = 0;
    else if (*size > ROBOTS_MOST)
        *size = ROBOTS_MOST;
    return text ? text : "";
}

static void add_result(struct fetcher *fetcher, struct transfer *transfer)
{
    struct buffer *results = &fetcher->results;
    size_t size;
    const char *robots = robots_text(transfer, &size);

    buffer_add_number(results, RESULT_DONE);
    buffer_add_number(results, fetcher->start->index);
    buffer_add_number(results, transfer->kind);
    buffer_add_number(results, transfer->page);
    facts_write(&transfer->facts, results);
    buffer_add_text(results, robots, size);
    add_links(fetcher, transfer, results);
    if (results->size > RESULTS_SIZE)
        send_results(fetcher);
}

static void recycle(struct fetcher *fetcher, struct transfer *transfer)
{
    if (transfer->body.room > KEPT_ROOM)
        buffer_free(&transfer->body);
    if (transfer->text.room > KEPT_ROOM)
        buffer_free(&transfer->text);
    transfer->next = fetcher->idle;
    fetcher->idle = transfer;
}

/* The last step: what is known of the page goes into the files and to main. */
static void finish(struct fetcher *fetcher, struct transfer *transfer)
{
    struct facts *facts = &transfer->facts;
    bool is_last = transfer->flags & ORDER_IS_LAST;

    if (fetcher->has_failed) {
        recycle(fetcher, transfer);
        return;
    }
    if (facts->outcome == OUTCOME_TROUBLE && facts->status && is_last)
        facts->outcome = OUTCOME_ANSWERED;
    find_links(fetcher, transfer);
    if (transfer->kind != ORDER_ROBOTS) {
        append_edges(fetcher, transfer);
        if (fetcher->warc && facts->status && (facts->outcome == OUTCOME_ANSWERED || transfer->body.size) &&
            (is_last || facts->outcome != OUTCOME_TROUBLE))
            append_record(fetcher, transfer);
    }
    facts->file = fetcher->start->index;
    facts->edges_end = fetcher->edges_size;
    if (!fetcher->has_failed)
        add_result(fetcher, transfer);
    recycle(fetcher, transfer);
}

static void say_it_came(struct fetcher *fetcher, const struct transfer *transfer)
{
    buffer_add_number(&fetcher->results, RESULT_CAME);
    buffer_add_number(&fetcher->results, transfer->page);
    buffer_add_number(&fetcher->results, transfer->facts.size);
    buffer_add_number(&fetcher->results, transfer->facts.duration_us);
}

static bool is_to_be_parsed(const struct fetcher *fetcher, const struct transfer *transfer)
{
    const struct facts *facts = &transfer->facts;

    return fetcher->parsing && transfer->kind == ORDER_PAGE && facts->outcome == OUTCOME_ANSWERED &&
           facts->status == 200 && facts->is_html;
}

/* Those that come back without having been parsed have no rows. */
static void hand_over(struct fetcher *fetcher)
{
    struct transfer *back = fetcher->parsing ? parsing_hand_over(fetcher->parsing) : NULL, *next;

    for (; back; back = next) {
        next = back->next;
        finish(fetcher, back);
    }
}

static void on_rows(struct fetcher *fetcher, struct reader *reader)
{
    struct transfer *transfer = parsing_take(fetcher->parsing, reader_number(reader));
    size_t length;
    const char *rows = reader_text(reader, &length), *error = reader_text(reader, NULL);

    if (!transfer)
        return;
    transfer->facts.rows = rows;
    transfer->facts.rows_length = length;
    strncpy(transfer->error, error, sizeof transfer->error - 1);
    finish(fetcher, transfer);
}

static void on_order(struct fetcher *fetcher, struct reader *reader)
{
    const struct transfer_limits limits = {fetcher->agent, fetcher->authorities, fetcher->start->timeout_s,
                                           fetcher->start->most_size};
    uint64_t page = reader_number(reader), kind = reader_number(reader), flags = reader_number(reader);
    const char *url = reader_text(reader, NULL), *etag = reader_text(reader, NULL);
    const char *modified = reader_text(reader, NULL);
    struct transfer *transfer = fetcher->idle;

    if (transfer)
        fetcher->idle = transfer->next;
    else if (!(transfer = transfer_create(&limits)))
        _Exit(failure("libcurl has no memory for a transfer"));
    transfer->page = page;
    transfer->kind = (enum order_kind)kind;
    transfer->flags = (unsigned)flags;
    transfer_set(transfer, url, etag, modified);
    curl_multi_add_handle(fetcher->multi, transfer->easy);
    fetcher->active++;
}

static void read_letter(struct fetcher *fetcher, const struct letter *letter)
{
    struct reader reader = {letter->bytes, letter->bytes + letter->size, false};

    while (reader.at < reader.end && !reader.is_bad) {
        if (reader_number(&reader) == INBOX_ORDER)
            on_order(fetcher, &reader);
        else
            on_rows(fetcher, &reader);
    }
}

/* Returns whether more may come. */
static bool read_inbox(struct fetcher *fetcher)
{
    bool is_closed;
    struct letter *letter = inbox_take(fetcher->inbox, &is_closed), *next;

    for (; letter; letter = next) {
        next = letter->next;
        read_letter(fetcher, letter);
        free(letter);
    }
    return !is_closed;
}

static void on_transfer_end(struct fetcher *fetcher, CURL *easy, CURLcode code)
{
    struct transfer *transfer = NULL;
    uint64_t size;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    curl_multi_remove_handle(fetcher->multi, easy);
    fetcher->active--;
    size = transfer->body.size;
    if (mpm_value_add(fetcher->start->bytes, &size))
        fetcher->has_failed = true;
    transfer_finish(transfer, code);
    if (is_to_be_parsed(fetcher, transfer)) {
        say_it_came(fetcher, transfer);
        parsing_add(fetcher->parsing, transfer);
    } else {
        finish(fetcher, transfer);
    }
}

static bool is_parsing(const struct fetcher *fetcher)
{
    return fetcher->parsing && parsing_is_busy(fetcher->parsing);
}

static void run(struct fetcher *fetcher)
{
    int running, left;

    while ((read_inbox(fetcher) || fetcher->active || is_parsing(fetcher)) && !fetcher->has_failed) {
        curl_multi_perform(fetcher->multi, &running);
        for (CURLMsg *message; (message = curl_multi_info_read(fetcher->multi, &left));) {
            if (message->msg == CURLMSG_DONE)
                on_transfer_end(fetcher, message->easy_handle, message->data.result);
        }
        hand_over(fetcher);
        send_results(fetcher);
        curl_multi_poll(fetcher->multi, NULL, 0, WAIT_MS, NULL);
    }
}

static int open_multi(struct fetcher *fetcher)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(fetcher->multi = curl_multi_init()))
        return failure("libcurl cannot be initialized");
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)fetcher->start->connections);
    /* One request at a time on a connection of HTTP/2, too: so --connections says how many a host has at once. */
    curl_multi_setopt(fetcher->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, MOST_IDLE_CONNECTIONS);
    fetcher->inbox = inbox_open(fetcher->start->inbox, fetcher->multi);
    return !fetcher->inbox;
}

static void close_all(struct fetcher *fetcher)
{
    if (fetcher->parsing)
        parsing_close(fetcher->parsing);
    for (struct transfer *transfer = fetcher->idle, *next; transfer; transfer = next) {
        next = transfer->next;
        transfer_free(transfer);
    }
    inbox_close(fetcher->inbox);
    curl_multi_cleanup(fetcher->multi);
    curl_global_cleanup();
    if (fetcher->warc && warc_close(fetcher->warc))
        fetcher->has_failed = true;
    close(fetcher->edges);
    links_free(&fetcher->links);
    set_free(&fetcher->sent);
    buffer_free(&fetcher->edge_buffer);
    buffer_free(&fetcher->request);
    buffer_free(&fetcher->head);
    buffer_free(&fetcher->results);
    buffer_free(&fetcher->item);
}

int fetcher_main(const void *args, size_t size)
{
    struct fetcher fetcher = {.start = args, .edges = -1};
    struct reader reader = {(const char *)args + sizeof *fetcher.start, (const char *)args + size, false};

    fetcher.folder = reader_text(&reader, NULL);
    fetcher.agent = reader_text(&reader, NULL);
    fetcher.authorities = reader_text(&reader, NULL);
    fetcher.links.most = fetcher.start->most_links;
    fetcher.links.pages_only = fetcher.start->pages_only;
    if (open_files(&fetcher) || open_multi(&fetcher))
        return 1;
    if (fetcher.start->parsers && !(fetcher.parsing = parsing_open(fetcher.start, fetcher.inbox, reader.at,
                                                                   (size_t)(reader.end - reader.at))))
        return 1;
    run(&fetcher);
    if (fetcher.has_failed)
        return 1;
    close_all(&fetcher);
    return fetcher.has_failed;
}
