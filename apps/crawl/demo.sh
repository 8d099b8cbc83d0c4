#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Crawls the documentation of OpenJDK, which nginx serves on this machine: all of it, with its broken links; a table of its
# classes; once more after kill -9; and once more when nothing has changed.
#
#   MPMAP_BIN   folder with mpmap and mpmap-crawl
#   MPMAP_OUT   folder for what is made here
set -euo pipefail

out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
. "$(dirname "$0")/serve.sh"
trap end_server EXIT
unset http_proxy https_proxy all_proxy
cd "$out"
rm -rf mirror classes killed again server

# show COMMAND…: prints it, and runs it; broken links are no fault of the demonstration.
show()
{
    local word line='$'
    for word; do
        [[ $word = *[!-a-zA-Z0-9_./:=]* ]] && word="'$word'"
        line+=" $word"
    done
    printf '\n%s\n' "$line"
    "$@" || [ $? = 1 ]
}

mpmap() { "$bin/mpmap" "$@"; }

if [ ! -d "$pages" ]; then
    echo "demo: the package openjdk-17-doc is missing" >&2
    exit 1
fi
serve "$out/server"
start=http://127.0.0.1:$port/index.html

echo "1. All pages, and their broken links:"
show mpmap crawl "$start" --out mirror --delay 0

echo
echo "2. A table of the classes of java.base, from their pages:"
show mpmap crawl "$start" --out classes --delay 0 --pages-only --include '*/java.base/*' \
    --select 'class=h1' \
    --select 'package=.sub-title a' \
    --select 'methods:count=#method-summary .method-summary-table.col-first' \
    --select 'extends=.extends-implements a'
head -n 4 classes/rows.csv | cut -c 1-160

echo
echo "3. Killed after half a second, and resumed:"
"$bin/mpmap" crawl "$start" --out killed --delay 0 --quiet &
victim=$!
sleep 0.5
kill -9 "$victim" 2>/dev/null || true
wait "$victim" 2>/dev/null || true
show mpmap crawl "$start" --out killed --delay 0 --resume --json

echo
echo "4. When nothing has changed, the server sends nothing again:"
show mpmap crawl "$start" --out again --delay 0 --since mirror --json

echo
echo "Open $out/mirror/report.html"
