/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything is counted once, from the facts of all pages; text, JSON and HTML say the same. */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edges.h"
#include "index.h"
#include "output.h"
#include "support/json.h"

#define MOST_LISTED  50 /* lines of a list in report.txt */
#define MOST_PRINTED 10 /* the same on stdout */

bool report_is_broken(const struct facts *facts)
{
    return facts->outcome == OUTCOME_FAILED || facts->outcome == OUTCOME_TROUBLE || facts->status >= 400 ||
           *facts->error;
}

static void count_type(struct report *report, const struct facts *facts)
{
    size_t length = strcspn(facts->type, "; "), i = 0, most = sizeof report->types / sizeof report->types[0];
    char name[sizeof report->types[0].name] = "(no type)";

    if (length)
        snprintf(name, sizeof name, "%.*s", (int)length, facts->type);
    while (i < report->type_count && strcmp(report->types[i].name, name))
        i++;
    if (i == report->type_count && i < most) {
        report->type_count++;
        strcpy(report->types[i].name, i == most - 1 ? "(others)" : name);
    }
    i = i < most ? i : most - 1;
    report->types[i].pages++;
    report->types[i].bytes += facts->size;
}

/* Puts the page among the ten with the largest numbers. */
static void rank(const struct page **ten, const struct page *page,
                 uint64_t (*number)(const struct page *page))
{
    size_t at = 10;

    while (at && (!ten[at - 1] || number(ten[at - 1]) < number(page)))
        at--;
    if (at == 10)
        return;
    memmove(ten + at + 1, ten + at, (9 - at) * sizeof *ten);
    ten[at] = page;
}

static uint64_t size_of(const struct page *page)
{
    struct facts facts;

    frontier_facts(page, &facts);
    return facts.size;
}

static uint64_t duration_of(const struct page *page)
{
    struct facts facts;

    frontier_facts(page, &facts);
    return facts.duration_us;
}

static void count_rows(const struct page *page, const char *const *cells, void *argument)
{
    (void)page, (void)cells;
    ++*(uint64_t *)argument;
}

static void add_broken(struct report *report, const struct page *page, const struct facts *facts)
{
    if (report->broken_count % 16 == 0)
        report->broken = must_realloc(report->broken, (report->broken_count + 16) * sizeof *report->broken);
    report->broken[report->broken_count++] = (struct broken){.page = page, .facts = *facts};
}

static void count_page(struct report *report, const struct page *page)
{
    struct facts facts;

    frontier_facts(page, &facts);
    if (page->kind == ORDER_SITEMAP) {
        report->sitemaps += facts.status == 200;
        return;
    }
    report->done++;
    if (facts.outcome == OUTCOME_FORBIDDEN) {
        report->forbidden++;
        return;
    }
    report->bytes += facts.size;
    report->noindex += facts.is_noindex;
    report->unchanged += facts.status == 304;
    report->by_class[facts.status / 100 < 6 ? facts.status / 100 : 0]++;
    if (facts.status)
        count_type(report, &facts);
    rank(report->largest, page, size_of);
    rank(report->slowest, page, duration_of);
    if (report_is_broken(&facts)) {
        add_broken(report, page, &facts);
    } else if (*facts.location) {
        report->redirects = must_realloc(report->redirects, (report->redirect_count + 1) * sizeof(void *));
        report->redirects[report->redirect_count++] = page;
    }
}

/* First what most pages refer to. */
static int compare_broken(const void *a, const void *b)
{
    const struct broken *left = a, *right = b;

    if (left->referrer_count != right->referrer_count)
        return left->referrer_count < right->referrer_count ? 1 : -1;
    return strcmp(left->page->url, right->page->url);
}

/* Who refers to what is broken, from the links of all pages. */
static int find_referrers(struct report *report)
{
    struct set numbers = {0};
    struct edges edges;
    bool is_new;
    int status;

    if (!report->broken_count)
        return 0;
    for (size_t i = 0; i < report->broken_count; i++)
        set_add(&numbers, report->broken[i].page->fingerprint, i, &is_new);
    status = edges_read(report->frontier->settings->folder, report->frontier, &edges);
    for (size_t i = 0; i < edges.count && !status; i++) {
        const uint64_t *number = set_find(&numbers, edges.edges[i].to);

        if (!number)
            continue;
        struct broken *broken = &report->broken[*number];

        if (broken->referrer_count < REPORT_REFERRERS)
            broken->referrers[broken->referrer_count] = index_url(report->frontier, edges.edges[i].from);
        broken->referrer_count++;
    }
    edges_free(&edges);
    set_free(&numbers);
    qsort(report->broken, report->broken_count, sizeof *report->broken, compare_broken);
    return status;
}

static const char *cause(const struct facts *facts, char text[32])
{
    if (*facts->error)
        return facts->error;
    snprintf(text, 32, "status %u", facts->status);
    return text;
}

static void print_broken(const struct report *report, size_t most, FILE *file)
{
    char text[32];

    if (report->broken_count)
        fprintf(file, "\nbroken (%zu):\n", report->broken_count);
    for (size_t i = 0; i < report->broken_count && i < most; i++) {
        const struct broken *broken = &report->broken[i];

        fprintf(file, "  %s\n    %s\n", broken->page->url, cause(&broken->facts, text));
        for (size_t k = 0; k < broken->referrer_count && k < 3; k++)
            fprintf(file, "    from %s\n", broken->referrers[k]);
        if (broken->referrer_count > 3)
            fprintf(file, "    and %zu more\n", broken->referrer_count - 3);
    }
    if (report->broken_count > most)
        fprintf(file, "  and %zu more: see report.json\n", report->broken_count - most);
}

static void print_redirects(const struct report *report, FILE *file)
{
    struct facts facts;

    if (report->redirect_count)
        fprintf(file, "\nredirects (%zu):\n", report->redirect_count);
    for (size_t i = 0; i < report->redirect_count && i < MOST_LISTED; i++) {
        frontier_facts(report->redirects[i], &facts);
        fprintf(file, "  %u %s\n    to %s\n", facts.status, report->redirects[i]->url, facts.location);
    }
    if (report->redirect_count > MOST_LISTED)
        fprintf(file, "  and %zu more: see report.json\n", report->redirect_count - MOST_LISTED);
}

static double rate(const struct host *host)
{
    return host->last_s > host->first_s ? (double)host->answers / (host->last_s - host->first_s) : 0;
}

static void print_hosts(const struct report *report, FILE *file)
{
    const struct frontier *frontier = report->frontier;

    for (size_t i = 0, listed = 0; i < frontier->host_count && listed < MOST_LISTED; i++) {
        const struct host *host = &frontier->hosts[i];

        if (!host->answers)
            continue;
        if (!listed++)
            fprintf(file, "\n%10s %12s %10s  host, in this run\n", "answers", "bytes", "pages/s");
        fprintf(file, "%10llu %12llu %10.1f  %s%s\n", (unsigned long long)host->answers,
                (unsigned long long)host->bytes, rate(host), host->origin,
                host->robots.forbids_all ? "  (robots.txt could not be read)" : "");
    }
}

static void print_types(const struct report *report, FILE *file)
{
    if (report->type_count)
        fprintf(file, "\n%10s %12s  type\n", "pages", "bytes");
    for (size_t i = 0; i < report->type_count; i++)
        fprintf(file, "%10llu %12llu  %s\n", (unsigned long long)report->types[i].pages,
                (unsigned long long)report->types[i].bytes, report->types[i].name);
}

static void print_counts(const struct report *report, FILE *file)
{
    size_t now = report->done > report->earlier ? report->done - report->earlier : 0;

    fprintf(file, "%zu pages, %llu bytes; %zu good, %zu redirects, %zu broken", report->done,
            (unsigned long long)report->bytes, report->by_class[2] + report->unchanged,
            report->redirect_count, report->broken_count);
    if (report->unchanged)
        fprintf(file, ", %zu unchanged", report->unchanged);
    if (report->forbidden)
        fprintf(file, ", %zu forbidden by robots.txt", report->forbidden);
    if (report->waiting)
        fprintf(file, ", %zu waiting", report->waiting);
    if (report->rows)
        fprintf(file, "; %llu rows", (unsigned long long)report->rows);
    fprintf(file, "\n%zu pages in %.2f s in this run, %.4g pages/s\n", now, report->seconds,
            report->seconds > 0 ? (double)now / report->seconds : 0);
    if (report->frontier->refused)
        fprintf(file,
                "links to further URLs were refused %zu times: --max-pages or --host-pages is reached\n",
                report->frontier->refused);
}

static void print_text(const struct report *report, FILE *file)
{
    print_counts(report, file);
    print_hosts(report, file);
    print_types(report, file);
    print_broken(report, MOST_LISTED, file);
    print_redirects(report, file);
}

static void write_json_broken(const struct report *report, FILE *file)
{
    char text[32];

    fputs(",\n \"broken\": [", file);
    for (size_t i = 0; i < report->broken_count; i++) {
        const struct broken *broken = &report->broken[i];

        fprintf(file, "%s\n  {\"url\": ", i ? "," : "");
        json_write_string(file, broken->page->url);
        fprintf(file, ", \"status\": %u, \"cause\": ", broken->facts.status);
        json_write_string(file, cause(&broken->facts, text));
        fprintf(file, ", \"referrers\": %zu, \"from\": [", broken->referrer_count);
        for (size_t k = 0; k < broken->referrer_count && k < REPORT_REFERRERS; k++) {
            fputs(k ? ", " : "", file);
            json_write_string(file, broken->referrers[k]);
        }
        fputs("]}", file);
    }
    fputs("]", file);
}

static void write_json_redirects(const struct report *report, FILE *file)
{
    struct facts facts;

    fputs(",\n \"redirects\": [", file);
    for (size_t i = 0; i < report->redirect_count; i++) {
        frontier_facts(report->redirects[i], &facts);
        fprintf(file, "%s\n  {\"status\": %u, \"url\": ", i ? "," : "", facts.status);
        json_write_string(file, report->redirects[i]->url);
        fputs(", \"to\": ", file);
        json_write_string(file, facts.location);
        fputs("}", file);
    }
    fputs("]", file);
}

static void write_json_hosts(const struct report *report, FILE *file)
{
    const char *separator = "";

    fputs(",\n \"hosts\": [", file);
    for (size_t i = 0; i < report->frontier->host_count; i++) {
        const struct host *host = &report->frontier->hosts[i];

        fprintf(file, "%s\n  {\"host\": ", separator);
        json_write_string(file, host->origin);
        fprintf(file, ", \"urls\": %llu, \"answers\": %llu, \"bytes\": %llu, \"pages_per_second\": %.3f}",
                (unsigned long long)host->accepted, (unsigned long long)host->answers,
                (unsigned long long)host->bytes, rate(host));
        separator = ",";
    }
    fputs("]", file);
}

static void write_json_counts(const struct report *report, FILE *file)
{
    fprintf(file,
            "{\"pages\": %zu, \"bytes\": %llu, \"good\": %zu, \"broken_pages\": %zu, \"redirected\": %zu, "
            "\"unchanged\": %zu, "
            "\"forbidden\": %zu, \"noindex\": %zu, \"sitemaps\": %zu, \"waiting\": %zu, \"rows\": %llu, "
            "\"earlier\": %zu, "
            "\"seconds\": %.6f",
            report->done, (unsigned long long)report->bytes, report->by_class[2] + report->unchanged,
            report->broken_count, report->redirect_count, report->unchanged, report->forbidden,
            report->noindex, report->sitemaps, report->waiting, (unsigned long long)report->rows,
            report->earlier, report->seconds);
}

static int write_files(const struct report *report)
{
    const char *folder = report->frontier->settings->folder;
    struct whole_file text, json;

    if (output_begin(&text, folder, "report.txt"))
        return 1;
    print_text(report, text.stream);
    if (output_end(&text) || output_begin(&json, folder, "report.json"))
        return 1;
    write_json_counts(report, json.stream);
    write_json_hosts(report, json.stream);
    write_json_broken(report, json.stream);
    write_json_redirects(report, json.stream);
    fputs("}\n", json.stream);
    return output_end(&json) || report_write_html(report);
}

static void print(const struct report *report)
{
    const struct settings *settings = report->frontier->settings;

    if (settings->json) {
        write_json_counts(report, stdout);
        puts("}");
    } else if (!settings->quiet) {
        print_counts(report, stdout);
        print_broken(report, MOST_PRINTED, stdout);
        printf("see %s/report.html\n", settings->folder);
    }
}

int report_write(const struct frontier *frontier, double seconds, size_t earlier)
{
    struct report report = {
        .frontier = frontier, .seconds = seconds, .earlier = earlier, .waiting = frontier->open};
    int status;

    for (size_t i = 0; i < frontier->page_count; i++) {
        if (frontier->pages[i].state == PAGE_DONE)
            count_page(&report, &frontier->pages[i]);
    }
    index_each_row(frontier, frontier->settings->columns.count, count_rows, &report.rows);
    status = find_referrers(&report) || index_write_pages(frontier) || index_write_rows(frontier) ||
             index_write_h5(frontier) || write_files(&report);
    if (!status)
        print(&report);
    free(report.broken);
    free(report.redirects);
    return status;
}
