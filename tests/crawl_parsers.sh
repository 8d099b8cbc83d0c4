#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap crawl while a parser is held up: the server is asked for more pages than --connections, because what has come is
# no longer its concern, and for no more than the parser's share of memory. Then the parser goes on; or the crawl is drained
# by a signal, killed, or its fetcher is. The site is that of crawl.sh; the pages are given one by one, so all are known
# from the start. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/support/crawl_site.sh"

connections=4
held=64                                 # HELD_PAGES of crew.c
most=$((held + connections * 4 + 1))    # what was asked for when there were so many, and robots.txt
options=("${quick[@]}" --depth 0 --no-sitemaps --fetchers 1 --workers 1 --connections $connections --parse-timeout 1000)

# serve_pages COUNT NAME: starts the site; sets $urls to so many of its pages.
serve_pages()
{
    local i
    serve site
    urls=()
    for ((i = 0; i < $1; i++)); do urls+=("http://127.0.0.1:$port/$2/$i.html"); done
}

find_parser() { parser=$(named mpmap-worker $(tree "$main")); [ -n "$parser" ]; }

# begin FOLDER OPTION…: crawls in the background, with a parser that is stopped before the server lets any page come.
begin()
{
    local folder=$1
    shift
    kill -STOP "$server"
    "$crawl" "${urls[@]}" --out "$folder" "${options[@]}" "${selects[@]}" --quiet "$@" >out 2>err </dev/null &
    main=$!
    check "$folder: there is a parser to be held up" wait_for 60 find_parser
    kill -STOP "$parser"
    kill -CONT "$server"
}

asked=-1 looks=0
# is_quiet: nothing was asked for while this was called ten times.
is_quiet()
{
    local now
    now=$(wc -l <site/log)
    [ "$now" = "$asked" ] || { asked=$now looks=0; return 1; }
    [ $((++looks)) -ge 10 ]
}
is_full() { has_asked $((held + 1)) && is_quiet; }
asked_at_most() { echo "$asked asked for"; [ "$asked" -le "$1" ]; }

# hold FOLDER OPTION…: begins, and waits until no more comes; what has come is as much as there is room for.
hold()
{
    begin "$@"
    check "$1: pages are asked for while none is parsed, many more than --connections" wait_for 60 is_full
    check "$1: no more than there is room for" asked_at_most "$most"
}

# all_there FOLDER HOW: each page is there once, with its row.
all_there()
{
    check "$2: each page has come" test "$(grep -c '"status":200' "$1/pages.jsonl")" -eq ${#urls[@]}
    check "$2: rows are what the pages say" diff <(look rows "$1" | sort) <(expect site rows | grep "^http://127.0.0.1:" | sort)
    check "$2: each page is in one record, which is where the index says" look once "$1"
}

serve_pages 240 p
hold held
kill -CONT "$parser"
wait "$main"
all_there held "the parser goes on"
check "the parser goes on: nothing was asked for twice" look again site 0
check "a host has no more requests at once than --connections" look crowd site $connections

serve_pages 240 p
hold slow --delay 0.01
check "with a delay no request comes before the last answer and the delay" look polite site 0.01 1
kill -9 $(tree "$main") 2>/dev/null
wait "$main" 2>/dev/null

serve_pages 240 p
hold drained --grace 60
kill -TERM "$main"
kill -CONT "$parser"
wait "$main"
status=$?
check "drained: the crawl ends with 75" fails_with 75 "the same command with --resume goes on"
run "${urls[@]}" --out drained "${options[@]}" "${selects[@]}" --resume
all_there drained "drained and resumed"
check "drained: what had come was parsed, and is not asked for again" look again site 0

serve_pages 240 p
hold killed
kill -9 $(tree "$main") 2>/dev/null
wait "$main" 2>/dev/null
run "${urls[@]}" --out killed "${options[@]}" "${selects[@]}" --resume
all_there killed "killed and resumed"
check "killed: only what was not parsed is asked for again" look again site "$most"

serve_pages 240 p
hold fetcher
kill -9 $(named mpmap-process $(tree "$main"))
wait "$main"
all_there fetcher "the fetcher was killed"
check "the fetcher was killed: only what it had is asked for again" look again site "$most"

# Pages of 1 MiB each: eight of them are as much as a parser's share.
serve_pages 60 big
held=8 most=$((8 + connections * 4 + 1))
hold large
kill -CONT "$parser"
wait "$main"
check "each large page has come" test "$(grep -c '"h":"big"' large/rows.jsonl)" -eq 60
report
