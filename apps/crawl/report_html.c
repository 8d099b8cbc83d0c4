/* SPDX-License-Identifier: BSD-3-Clause */
/* report.html: one file that opens offline, on a telephone, too. What pages say of themselves is escaped. */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "index.h"
#include "output.h"
#include "support/html.h"
#include "url.h"

#define MOST_LISTED 500 /* lines of a table */

static const char style[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Crawl "
    "report</title><style>"
    ":root{--ink:#1d2430;--soft:#5c6675;--line:#dde2ea;--ground:#f6f7f9;--card:#fff;--good:#2e7d4f;--move:#"
    "b7791f;"
    "--bad:#b83232;--none:#8a93a3}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b5;--line:#323a48;--ground:#161a21;--"
    "card:#1e242d;"
    "--good:#5bb583;--move:#d9a54a;--bad:#e2726f}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}main{max-width:64rem;margin:0 auto;padding:1.5rem 1rem 4rem}"
    "h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}p{margin:.2rem "
    "0;color:var(--soft)}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.7rem;margin:1.2rem 0}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem}"
    ".card b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums}.card span{color:var(--soft);"
    "font-size:.85rem}.bar{display:flex;height:.8rem;border-radius:.4rem;overflow:hidden;background:var(--"
    "line)}"
    ".bar i{display:block}.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.5rem "
    "0;font-size:.85rem;"
    "color:var(--soft)}.legend "
    "i{display:inline-block;width:.7rem;height:.7rem;border-radius:.2rem;margin-right:.35rem}"
    ".good{background:var(--good)}.move{background:var(--move)}.bad{background:var(--bad)}.none{background:"
    "var(--none)}"
    "table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid "
    "var(--line);font-size:.9rem}"
    "th,td{text-align:left;padding:.4rem .7rem;border-top:1px solid var(--line);vertical-align:top;"
    "overflow-wrap:anywhere}th{color:var(--soft);font-weight:600;border-top:0}"
    "td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;overflow-wrap:normal}"
    "a{color:inherit;text-decoration-color:var(--line)}a:hover{text-decoration-color:currentColor}"
    "td.cause,th.cause{width:22%;min-width:6rem;overflow-wrap:break-word}.cause{color:var(--bad)}.from{color:"
    "var(--soft);font-size:.85rem}"
    "details summary{cursor:pointer;color:var(--soft)}</style>";

/* Where all pages are of one host, its name is no news. */
static void link_to(const struct report *report, FILE *file, const char *url)
{
    fputs("<a rel=\"noreferrer\" href=\"", file);
    html_write_text(file, url);
    fputs("\">", file);
    html_write_text(file, report->frontier->host_count == 1 ? url + url_origin_length(url) : url);
    fputs("</a>", file);
}

/* As people read it: "12.3 MB". */
static void print_bytes(FILE *file, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;

    for (; bytes >= 1000 && unit < 4; unit++)
        bytes /= 1000;
    fprintf(file, bytes < 10 && unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void write_card(FILE *file, const char *name, double number)
{
    fprintf(file, "<div class=\"card\"><b>%.0f</b><span>%s</span></div>", number, name);
}

static void write_head(const struct report *report, FILE *file)
{
    const struct settings *settings = report->frontier->settings;
    size_t now = report->done > report->earlier ? report->done - report->earlier : 0;

    fputs(style, file);
    fputs("<main><h1>Crawl report</h1><p>", file);
    for (size_t i = 0; i < settings->start_count && i < 5; i++) {
        fputs(i ? ", " : "", file);
        html_write_text(file, settings->starts[i]);
    }
    if (settings->start_count > 5)
        fprintf(file, " and %zu more", settings->start_count - 5);
    fprintf(file, "</p><p>%zu pages in %.2f s in this run: %.4g pages/s</p><div class=\"cards\">", now,
            report->seconds, report->seconds > 0 ? (double)now / report->seconds : 0);
    write_card(file, "pages", (double)report->done);
    fputs("<div class=\"card\"><b>", file);
    print_bytes(file, (double)report->bytes);
    fputs("</b><span>received</span></div>", file);
    write_card(file, "broken", (double)report->broken_count);
    write_card(file, "redirects", (double)report->redirect_count);
    if (report->forbidden)
        write_card(file, "forbidden by robots.txt", (double)report->forbidden);
    if (report->unchanged)
        write_card(file, "unchanged", (double)report->unchanged);
    if (report->waiting)
        write_card(file, "waiting", (double)report->waiting);
    if (report->rows)
        write_card(file, "rows extracted", (double)report->rows);
    fputs("</div>", file);
}

static void write_bar(const struct report *report, FILE *file)
{
    const struct {
        const char *name, *class;
        size_t pages;
    } parts[] = {{"good", "good", report->by_class[2] + report->unchanged},
                 {"redirects", "move", report->by_class[3] - report->unchanged},
                 {"errors", "bad", report->by_class[4] + report->by_class[5]},
                 {"no answer", "none", report->by_class[0] + report->by_class[1]}};
    size_t all = 0;

    for (size_t i = 0; i < 4; i++)
        all += parts[i].pages;
    fputs("<div class=\"bar\">", file);
    for (size_t i = 0; i < 4 && all; i++)
        fprintf(file, "<i class=\"%s\" style=\"width:%.3f%%\"></i>", parts[i].class,
                100.0 * (double)parts[i].pages / (double)all);
    fputs("</div><div class=\"legend\">", file);
    for (size_t i = 0; i < 4; i++) {
        if (parts[i].pages)
            fprintf(file, "<span><i class=\"%s\"></i>%s %zu</span>", parts[i].class, parts[i].name,
                    parts[i].pages);
    }
    fputs("</div>", file);
}

static void write_hosts(const struct report *report, FILE *file)
{
    const struct frontier *frontier = report->frontier;
    size_t listed = 0;

    fputs("<h2>Hosts</h2><table><tr><th>host<th class=\"n\">URLs<th class=\"n\">answers<th class=\"n\">bytes"
          "<th class=\"n\">pages/s</tr>",
          file);
    for (size_t i = 0; i < frontier->host_count && listed < MOST_LISTED; i++, listed++) {
        const struct host *host = &frontier->hosts[i];
        double span_s = host->last_s - host->first_s;

        fputs("<tr><td>", file);
        html_write_text(file, host->origin);
        if (host->robots.forbids_all)
            fputs(" <span class=\"cause\">robots.txt could not be read</span>", file);
        fprintf(file, "<td class=\"n\">%llu<td class=\"n\">%llu<td class=\"n\">",
                (unsigned long long)host->accepted, (unsigned long long)host->answers);
        print_bytes(file, (double)host->bytes);
        fprintf(file, "<td class=\"n\">%.1f</tr>", span_s > 0 ? (double)host->answers / span_s : 0);
    }
    fputs("</table>", file);
}

static void write_types(const struct report *report, FILE *file)
{
    fputs("<h2>Types</h2><table><tr><th>type<th class=\"n\">pages<th class=\"n\">bytes</tr>", file);
    for (size_t i = 0; i < report->type_count; i++) {
        fputs("<tr><td>", file);
        html_write_text(file, report->types[i].name);
        fprintf(file, "<td class=\"n\">%llu<td class=\"n\">", (unsigned long long)report->types[i].pages);
        print_bytes(file, (double)report->types[i].bytes);
        fputs("</tr>", file);
    }
    fputs("</table>", file);
}

static void write_referrers(const struct report *report, const struct broken *broken, FILE *file)
{
    size_t listed = broken->referrer_count < REPORT_REFERRERS ? broken->referrer_count : REPORT_REFERRERS;

    if (!listed)
        return;
    if (listed == 1) {
        fputs("<div class=\"from\">from ", file);
        link_to(report, file, broken->referrers[0]);
        fputs("</div>", file);
        return;
    }
    fprintf(file, "<details class=\"from\"><summary>from %zu pages</summary>", broken->referrer_count);
    for (size_t i = 0; i < listed; i++) {
        fputs(i ? "<br>" : "", file);
        link_to(report, file, broken->referrers[i]);
    }
    if (broken->referrer_count > listed)
        fprintf(file, "<br>and %zu more", broken->referrer_count - listed);
    fputs("</details>", file);
}

static void write_broken(const struct report *report, FILE *file)
{
    if (!report->broken_count)
        return;
    fprintf(file, "<h2>Broken (%zu)</h2><table><tr><th>page<th class=\"cause\">cause</tr>",
            report->broken_count);
    for (size_t i = 0; i < report->broken_count && i < MOST_LISTED; i++) {
        const struct broken *broken = &report->broken[i];

        fputs("<tr><td>", file);
        link_to(report, file, broken->page->url);
        write_referrers(report, broken, file);
        fputs("<td class=\"cause\">", file);
        if (*broken->facts.error)
            html_write_text(file, broken->facts.error);
        else
            fprintf(file, "status %u", broken->facts.status);
        fputs("</tr>", file);
    }
    fputs("</table>", file);
    if (report->broken_count > MOST_LISTED)
        fprintf(file, "<p>and %zu more: see report.json</p>", report->broken_count - MOST_LISTED);
}

static void write_redirects(const struct report *report, FILE *file)
{
    struct facts facts;

    if (!report->redirect_count)
        return;
    fprintf(file, "<h2>Redirects (%zu)</h2><table><tr><th class=\"n\">status<th>from<th>to</tr>",
            report->redirect_count);
    for (size_t i = 0; i < report->redirect_count && i < MOST_LISTED; i++) {
        frontier_facts(report->redirects[i], &facts);
        fprintf(file, "<tr><td class=\"n\">%u<td>", facts.status);
        link_to(report, file, report->redirects[i]->url);
        fputs("<td>", file);
        link_to(report, file, facts.location);
        fputs("</tr>", file);
    }
    fputs("</table>", file);
}

static void write_ten(const struct report *report, const char *title, bool is_time, FILE *file)
{
    const struct page *const *ten = is_time ? report->slowest : report->largest;
    struct facts facts;

    fprintf(file, "<h2>%s</h2><table>", title);
    for (size_t i = 0; i < 10 && ten[i]; i++) {
        frontier_facts(ten[i], &facts);
        fputs("<tr><td>", file);
        link_to(report, file, ten[i]->url);
        fputs("<td class=\"n\">", file);
        if (is_time)
            fprintf(file, "%.3f s", (double)facts.duration_us * 1e-6);
        else
            print_bytes(file, (double)facts.size);
        fputs("</tr>", file);
    }
    fputs("</table>", file);
}

int report_write_html(const struct report *report)
{
    struct whole_file output;

    if (output_begin(&output, report->frontier->settings->folder, "report.html"))
        return 1;
    write_head(report, output.stream);
    write_bar(report, output.stream);
    write_broken(report, output.stream);
    write_redirects(report, output.stream);
    write_hosts(report, output.stream);
    write_types(report, output.stream);
    write_ten(report, "Largest pages", false, output.stream);
    write_ten(report, "Slowest pages", true, output.stream);
    fputs("</main></html>\n", output.stream);
    return output_end(&output);
}
