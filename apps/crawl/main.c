/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-crawl: asks for pages, follows their links, and keeps what came. This file reads the command line; what is
 * wrong with it is told before anything is asked for. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpmap.h>

#include "crawl.h"
#include "extract.h"
#include "files.h"
#include "journal.h"
#include "probe.h"
#include "report.h"
#include "settings.h"
#include "support/command.h"
#include "url.h"

static const char help[] =
    "usage: mpmap crawl URL... --out FOLDER [options]\n"
    "\n"
    "Asks for the pages at the URLs, follows their links within the same hosts, and writes into\n"
    "FOLDER what came (crawl-N.warc.gz), what is known of each page (pages.jsonl, crawl.h5), and a\n"
    "report of broken links and redirects (report.txt, report.json, report.html).\n"
    "  mpmap crawl https://example.org/ --out example --depth 1\n"
    "\n"
    "what is followed\n"
    "  --host NAME        pages of this host, too; * stands for anything: '*.example.org'\n"
    "  --include PATTERN  only URLs like this: '*/docs/*'; may be given several times\n"
    "  --exclude PATTERN  no URLs like this; goes before --include\n"
    "  --pages-only       no images, scripts and style sheets\n"
    "  --depth N          at most so many links from a start URL (100); 0: only these\n"
    "  --max-pages N      at most so many URLs in all (any number)\n"
    "  --host-pages N     at most so many URLs a host (any number)\n"
    "  --max-size BYTES   no larger bodies, packed or unpacked (32M)\n"
    "  --max-links N      links that are read of a page (100000)\n"
    "  --no-robots        does not ask for robots.txt: for your own servers only\n"
    "  --no-sitemaps      does not ask for sitemaps\n"
    "how it is asked\n"
    "  --delay SECONDS    pause between the end of an answer and the next request to the same host,\n"
    "                     which then has one connection (1); robots.txt may ask for more. 0: none\n"
    "  --connections N    to a host, without a delay (8)\n"
    "  --user-agent TEXT  how it calls itself; robots.txt is read for what is before the first / of it\n"
    "                     (mpmap-crawl/VERSION)\n"
    "  --timeout SECONDS  for one request (60)\n"
    "  --attempts N       how often a page is asked for when there is trouble (3)\n"
    "  --backoff SECONDS  pause before the second attempt; doubles with each (1). Retry-After may ask\n"
    "                     for more\n"
    "  --ca-file FILE     certificates of authorities, in place of the system's\n"
    "  --since FOLDER     an earlier crawl: what has not changed since is not sent again\n"
    "what is extracted\n"
    "  --select COLUMN    NAME=SELECTOR, NAME:TYPE=SELECTOR, or with @ATTRIBUTE behind the selector:\n"
    "                     'title=h1', 'price:f64=.price', 'next:url=a.next@href'. Types: text, f64,\n"
    "                     i64, bool, url, count, list. Goes into rows.jsonl, rows.csv and crawl.h5\n"
    "  --each SELECTOR    a row for each such element, not for each page\n"
    "  --parse-timeout SECONDS  for the extraction from one page (10)\n"
    "  --memory BYTES     for the same (1G)\n"
    "this run\n"
    "  --out FOLDER       where everything is written\n"
    "  --resume           goes on with the crawl in FOLDER, which was stopped or killed\n"
    "  --no-warc          does not keep what came: only links and facts\n"
    "  --fetchers N       processes that fetch (one a slot, at most 4 a node)\n"
    "  --workers N        parsers that extract, in all (one a slot)\n"
    "  --grace SECONDS    how long requests may take that are on their way in a drain (30)\n"
    "  --progress WHAT    SECONDS: a plain line on stderr that often; json: an object a line; off: none\n"
    "  --json             prints the report's figures as JSON\n"
    "  --quiet            no progress line, no report on stdout\n"
    "  --help             prints this\n"
    "\n"
    "  mpmap crawl --resolve BASE LINK...     prints the URL that each link of a page would be asked as\n"
    "  mpmap crawl --robots-file FILE URL...  prints which of the URLs that robots.txt allows\n"
    "\n"
    "SIGTERM, SIGINT and SIGUSR1 drain the crawl: nothing more is asked for, and --resume goes on later.\n"
    "Exit status: 0; 1 if a page or anything else failed; 2 if the usage was wrong; 75 if it was drained\n"
    "before all pages were done.\n";

#define MOST_SECONDS 1000000000u

/* Words that are numbers and may be 0, which the kinds of options do not know. */
struct words {
    const char *delay, *depth, *progress, *resolve, *robots_file;
};

static int read_number(const char *name, const char *text, double most, double *number)
{
    char *end;
    double value;

    if (!text)
        return 0;
    value = strtod(text, &end);
    if (end == text || *end || !(value >= 0) || value > most)
        return usage_error("", "%s is '%s', but must be a number from 0 to %.0f", name, text, most);
    *number = value;
    return 0;
}

static int read_words(const struct words *words, struct settings *settings)
{
    double depth = (double)settings->depth;
    int status = read_number("--delay", words->delay, MOST_SECONDS, &settings->delay_s);

    if (!status)
        status = read_number("--depth", words->depth, 60000, &depth);
    settings->depth = (size_t)depth;
    settings->by_level = words->depth;
    if (!status)
        status = command_line_form("", words->progress, settings->quiet, &settings->line);
    return status;
}

/* Everything that a resumed crawl must have in common with what it continues, a line each. */
static void describe_request(const struct settings *settings, struct buffer *request)
{
    const struct {
        const char *name;
        const struct text_list *list;
    } lists[] = {{"--host", &settings->hosts},
                 {"--include", &settings->includes},
                 {"--exclude", &settings->excludes},
                 {"--select", &settings->columns}};

    for (size_t i = 0; i < settings->start_count; i++)
        buffer_print(request, "%s\n", settings->starts[i]);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t k = 0; k < lists[i].list->count; k++)
            buffer_print(request, "%s %s\n", lists[i].name, lists[i].list->texts[k]);
    }
    if (settings->each)
        buffer_print(request, "--each %s\n", settings->each);
    buffer_print(request, "--depth %zu\n", settings->depth);
    buffer_print(request, "--max-pages %zu\n--host-pages %zu\n", settings->most_pages,
                 settings->most_host_pages);
    buffer_print(request, "%s%s%s%s", settings->pages_only ? "--pages-only\n" : "",
                 settings->no_robots ? "--no-robots\n" : "", settings->no_sitemaps ? "--no-sitemaps\n" : "",
                 settings->no_warc ? "--no-warc\n" : "");
    buffer_add(request, "", 1);
}

static int check_settings(const struct settings *settings)
{
    char url[URL_ROOM];

    if (!settings->start_count)
        return usage_error("", "no URL is given");
    if (!settings->folder)
        return usage_error("", "--out must say in which folder the results go");
    for (size_t i = 0; i < settings->start_count; i++) {
        if (!url_resolve(NULL, settings->starts[i], strlen(settings->starts[i]), url))
            return usage_error("",
                               "'%s' is no URL that can be asked for: it must be like https://example.org/",
                               settings->starts[i]);
    }
    if (settings->each && !settings->columns.count)
        return usage_error("", "--each says what a row is, but no --select says what is in it");
    return extract_check(settings->each, &settings->columns);
}

/* The start URLs are in scope, and are asked for whatever --include says. */
static void take_starts(struct crawl *crawl)
{
    const struct settings *settings = crawl->settings;
    char url[URL_ROOM];

    for (size_t i = 0; i < settings->start_count; i++) {
        if (url_resolve(NULL, settings->starts[i], strlen(settings->starts[i]), url))
            frontier_add_scope(&crawl->frontier, url);
    }
}

static void take_start_pages(struct crawl *crawl)
{
    const struct settings *settings = crawl->settings;
    uint32_t first = (uint32_t)crawl->frontier.page_count;
    char url[URL_ROOM];

    for (size_t i = 0; i < settings->start_count; i++) {
        size_t length = url_resolve(NULL, settings->starts[i], strlen(settings->starts[i]), url);

        frontier_take(&crawl->frontier, &(struct offer){.url = url,
                                                        .length = length,
                                                        .fingerprint = url_fingerprint(url, length),
                                                        .kind = ORDER_PAGE});
    }
    journal_urls(crawl->journal, &crawl->frontier, first);
}

static size_t count_failed(const struct frontier *frontier)
{
    struct facts facts;
    size_t failed = 0;

    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state != PAGE_DONE || frontier->pages[i].kind != ORDER_PAGE)
            continue;
        frontier_facts(&frontier->pages[i], &facts);
        failed += report_is_broken(&facts);
    }
    return failed;
}

/* Fetches what is left to fetch. */
static int fetch(struct crawl *crawl)
{
    const struct settings *settings = crawl->settings;
    int status;

    if (!crawl->frontier.open)
        return journal_flush(crawl->journal);
    if (settings->since && !(crawl->since = since_open(settings->since, settings)))
        return EXIT_FAILURE;
    if ((status = crew_open(&crawl->crew, settings)))
        return status;
    status = crawl_run(crawl);
    if (crew_close(&crawl->crew, crawl->frontier.open ? 0 : settings->grace_s) && !status)
        status = EXIT_FAILURE;
    return status;
}

static int run(const struct settings *settings)
{
    struct crawl crawl = {.settings = settings, .line = settings->line};
    struct buffer request = {0};
    int status = EXIT_FAILURE;

    crawl.begin_s = crawl_now_s(&crawl);
    frontier_open(&crawl.frontier, settings, crew_fetchers(settings));
    describe_request(settings, &request);
    take_starts(&crawl);
    if ((crawl.journal = journal_open(&crawl.frontier, request.bytes)) && !files_cut_all(&crawl.frontier)) {
        take_start_pages(&crawl);
        crawl.earlier = crawl.frontier.page_count - crawl.frontier.open;
        status = fetch(&crawl);
        if (!status)
            status = report_write(&crawl.frontier, crawl_now_s(&crawl), crawl.earlier);
        if (!status && crawl.frontier.open) {
            failure("drained: %zu URLs are left; the same command with --resume goes on",
                    crawl.frontier.open);
            status = EXIT_DRAINED;
        } else if (!status && count_failed(&crawl.frontier)) {
            status = EXIT_FAILURE;
        }
    }
    journal_close(crawl.journal);
    since_close(crawl.since);
    ready_free(&crawl.ready);
    frontier_free(&crawl.frontier);
    buffer_free(&request);
    return status;
}

static int start(struct settings *settings, struct command *command, const struct words *words)
{
    int status = read_words(words, settings);

    settings->starts = command->words;
    settings->start_count = command->word_count;
    if (!status && words->resolve)
        return probe_resolve(words->resolve, settings);
    if (!status && words->robots_file)
        return probe_robots(words->robots_file, settings);
    return status ? status : check_settings(settings) ? EXIT_USAGE : run(settings);
}

static const struct settings defaults = {
    .agent = "mpmap-crawl/" MPM_VERSION,
    .delay_s = 1,
    .timeout_s = 60,
    .parse_timeout_s = 10,
    .grace_s = 30,
    .backoff_s = 1,
    .connections = 8,
    .depth = 100,
    .most_size = 32u << 20,
    .most_links = 100000,
    .memory = 1u << 30,
    .attempts = 3,
};

static int run_arguments(int argc, char **argv)
{
    struct settings settings = defaults;
    struct words words = {0};
    const struct option options[] = {
        {"--out", OPTION_TEXT, &settings.folder, 0},
        {"--since", OPTION_TEXT, &settings.since, 0},
        {"--host", OPTION_LIST, &settings.hosts, 0},
        {"--include", OPTION_LIST, &settings.includes, 0},
        {"--exclude", OPTION_LIST, &settings.excludes, 0},
        {"--select", OPTION_LIST, &settings.columns, 0},
        {"--each", OPTION_TEXT, &settings.each, 0},
        {"--user-agent", OPTION_TEXT, &settings.agent, 0},
        {"--ca-file", OPTION_TEXT, &settings.authorities, 0},
        {"--delay", OPTION_TEXT, &words.delay, 0},
        {"--depth", OPTION_TEXT, &words.depth, 0},
        {"--timeout", OPTION_SECONDS, &settings.timeout_s, MOST_SECONDS / 1000},
        {"--parse-timeout", OPTION_SECONDS, &settings.parse_timeout_s, MOST_SECONDS},
        {"--grace", OPTION_SECONDS, &settings.grace_s, MOST_SECONDS},
        {"--backoff", OPTION_SECONDS, &settings.backoff_s, 3600},
        {"--connections", OPTION_COUNT, &settings.connections, 1000},
        {"--fetchers", OPTION_COUNT, &settings.fetchers, 1000},
        {"--workers", OPTION_COUNT, &settings.parsers, 65536},
        {"--max-pages", OPTION_COUNT, &settings.most_pages, 4000000000u},
        {"--host-pages", OPTION_COUNT, &settings.most_host_pages, 4000000000u},
        {"--max-size", OPTION_BYTES, &settings.most_size, 0},
        {"--max-links", OPTION_COUNT, &settings.most_links, 100000000},
        {"--memory", OPTION_BYTES, &settings.memory, 0},
        {"--attempts", OPTION_COUNT, &settings.attempts, 100},
        {"--pages-only", OPTION_FLAG, &settings.pages_only, 0},
        {"--no-robots", OPTION_FLAG, &settings.no_robots, 0},
        {"--no-sitemaps", OPTION_FLAG, &settings.no_sitemaps, 0},
        {"--no-warc", OPTION_FLAG, &settings.no_warc, 0},
        {"--resume", OPTION_FLAG, &settings.resume, 0},
        {"--progress", OPTION_TEXT, &words.progress, 0},
        {"--json", OPTION_FLAG, &settings.json, 0},
        {"--quiet", OPTION_FLAG, &settings.quiet, 0},
        {"--resolve", OPTION_TEXT, &words.resolve, 0},
        {"--robots-file", OPTION_TEXT, &words.robots_file, 0},
    };
    struct command command = {.name = "",
                              .help = help,
                              .options = options,
                              .option_count = sizeof options / sizeof options[0],
                              .most_words = SIZE_MAX};
    int status;

    if (command_parse(&command, argc, argv, &status))
        status = start(&settings, &command, &words);
    free(settings.hosts.texts);
    free(settings.includes.texts);
    free(settings.excludes.texts);
    free(settings.columns.texts);
    return status;
}

int main(int argc, char **argv)
{
    const mpm_options options = {.drain_at_signals = true};

    return command_main("mpmap-crawl", &options, argc, argv, run_arguments);
}
