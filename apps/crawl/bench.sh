#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap crawl beside its peers, on the documentation of OpenJDK (10 141 pages, 269 MB), which nginx serves on this machine:
# the same pages, the same cores, one after the other, and again. Beside extraction stands its limit: what the parser alone
# takes for these pages, on all cores.
#
#   MPMAP_BIN   folder with mpmap-crawl
#   MPMAP_OUT   folder for what is made here
#   bench.sh [ROUNDS [SECONDS]]   how often (3), and after how long a slow peer is stopped and its speed is counted (60)
set -uo pipefail

out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap-crawl}")
rounds=${1:-3} most=${2:-60}
. "$(dirname "$0")/serve.sh"
unset http_proxy https_proxy all_proxy
mkdir -p "$out"
cd "$out" || exit 1
trap 'end_server; rm -rf "$out/crawled"' EXIT

cat >parse.c <<'T'
/* Parses files by Gumbo as its manual says, and frees each tree. */
#include <gumbo.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    char name[4096], *text = malloc(64 << 20);
    while (scanf("%4095[^\n]\n", name) == 1) {
        FILE *file = fopen(name, "rb");
        size_t size = fread(text, 1, 64 << 20, file);
        gumbo_destroy_output(&kGumboDefaultOptions, gumbo_parse_with_options(&kGumboDefaultOptions, text, size));
        fclose(file);
    }
    return 0;
}
T
cc -O2 -o parse parse.c $(pkg-config --cflags --libs gumbo) || exit 1

cat >spider.py <<'T'
import sys
import scrapy
from scrapy.linkextractors import LinkExtractor
class Spider(scrapy.spiders.CrawlSpider):
    name = "docs"
    start_urls = [sys.argv[1]]
    allowed_domains = ["127.0.0.1"]
    rules = [scrapy.spiders.Rule(LinkExtractor(), callback="take", follow=True)]
    def parse_start_url(self, response):
        return self.take(response)
    def take(self, response):
        yield {"url": response.url, "title": response.css("h1").get(), "links": len(response.css("a"))}
from scrapy.crawler import CrawlerProcess
process = CrawlerProcess({"LOG_LEVEL": "ERROR", "CONCURRENT_REQUESTS": 32, "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
                          "CLOSESPIDER_TIMEOUT": float(sys.argv[2]), "FEEDS": {"crawled/rows.csv": {"format": "csv"}},
                          "TELNETCONSOLE_ENABLED": False})
process.crawl(Spider)
process.start()
T

parse_all()
{
    local core cores
    cores=$(nproc)
    for ((core = 0; core < cores; core++)); do
        find "$pages" -name '*.html' | awk -v n="$cores" -v k="$core" 'NR % n == k' | ./parse &
    done
    wait $(jobs -p | grep -vx "$served")
}

# What a crawler has made, as a number of pages: HTML files, or lines of an index.
count_pages()
{
    if [ -f crawled/pages.jsonl ]; then
        grep -c '"status":200.*"type":"text/html' crawled/pages.jsonl
    elif [ -f crawled/rows.csv ]; then
        grep -c '^' crawled/rows.csv
    else
        find crawled -name '*.html' 2>/dev/null | wc -l
    fi
}

declare -A best cpu made

is_less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }

# measure NAME COMMAND…: the best time of all rounds by the clock, and by the CPUs, of all of its processes.
measure()
{
    local name=$1 seconds cpu_seconds TIMEFORMAT='%R %U %S'
    shift
    rm -rf crawled
    { time "$@" >log 2>&1; } 2>times
    read -r seconds cpu_seconds < <(awk '{ print $1, $2 + $3 }' times)
    made[$name]=$(count_pages)
    if [ -z "${best[$name]:-}" ] || is_less "$seconds" "${best[$name]}"; then best[$name]=$seconds; fi
    if [ -z "${cpu[$name]:-}" ] || is_less "$cpu_seconds" "${cpu[$name]}"; then cpu[$name]=$cpu_seconds; fi
}

names=("mpmap crawl" "mpmap crawl --no-warc" "wget2 -r, 10 threads" "mpmap crawl --select" "the parser alone" "wget -r" Scrapy)
serve "$out/server" || exit 1
start=http://127.0.0.1:$port/index.html
ours=("$bin/mpmap-crawl" "$start" --out crawled --delay 0 --quiet)
for ((round = 0; round < rounds; round++)); do
    measure "mpmap crawl" "${ours[@]}"
    measure "mpmap crawl --no-warc" "${ours[@]}" --no-warc
    measure "wget2 -r, 10 threads" wget2 -q -r --max-threads=10 -P crawled "$start"
    measure "mpmap crawl --select" "${ours[@]}" --select title=h1 --select links:count=a
    measure "the parser alone" parse_all
    [ "$round" -gt 0 ] || measure "wget -r" timeout "$most" wget -q -r -l inf -P crawled "$start"
    [ "$round" -gt 0 ] || measure Scrapy timeout $((most + 30)) /usr/bin/python3 spider.py "$start" "$most"
done
printf '%-24s %10s %10s %10s %10s\n' "" seconds "CPU s" pages pages/s
for name in "${names[@]}"; do
    pages_made=${made[$name]}
    [ "$name" != "the parser alone" ] || pages_made=$(find "$pages" -name '*.html' | wc -l)
    awk -v name="$name" -v s="${best[$name]}" -v cpu="${cpu[$name]}" -v n="$pages_made" \
        'BEGIN { printf "%-24s %10.2f %10.2f %10d %10.0f\n", name, s, cpu, n, n / s }'
done
