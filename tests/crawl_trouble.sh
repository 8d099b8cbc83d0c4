#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What is left of mpmap crawl after kill -9, of all or of a fetcher, and after signals; and pages that stall, lie, never end
# or blow up. The site is that of crawl.sh. Arguments: the folder of the programs, that of the sources, how often all is
# killed (4). Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/support/crawl_site.sh"

# Killed, all of it, again and again: each page takes the server a while, so that some are always on their way.
serve site 0.004
kills=${3:-4} # more than a few are for tests/soak.sh
for ((i = 0; i < kills; i++)); do
    setsid "$crawl" "${starts[@]}" --out killed "${quick[@]}" "${selects[@]}" "${few[@]}" --resume --quiet \
        >out 2>err </dev/null &
    victim=$!
    wait_for 60 has_asked $(($(wc -l <site/log) + RANDOM % (600 / kills)))
    kill -9 -- "-$victim" 2>/dev/null
    wait "$victim" 2>/dev/null
done
run "${starts[@]}" --out killed "${quick[@]}" "${selects[@]}" "${few[@]}" --resume
check "killed $kills times: the last run comes to its end" ends_with 1
whole killed "killed $kills times"
check "killed $kills times: rows are what the pages say" found killed rows
check "killed $kills times: only what was on its way is asked for again" look again site $((kills * on_its_way))
run "${starts[@]}" --out killed "${quick[@]}" "${selects[@]}" "${few[@]}" --resume
check "a crawl that is whole stays so" found killed urls

# A fetcher of the killed run may still write when the next run begins. This one writes once that has opened its file.
wait_for 60 test -f killed/links-0.bin
cat >late.py <<'P'
import ctypes, fcntl, os, select, sys
c = ctypes.CDLL(None)
IN_OPEN = 32
links = open("late/links-0.bin", "ab")
fcntl.flock(links, fcntl.LOCK_EX)
watch = c.inotify_init()
if c.inotify_add_watch(watch, b"late/links-0.bin", IN_OPEN) < 0:
    sys.exit("no watch")
open("locked", "w").close()
if not select.select([watch], [], [], 60)[0]:
    sys.exit("nobody opens it")
links.write(b"late" * 1000)
open("late/crawl-0.warc.gz", "ab").write(b"late" * 1000)
links.flush()
P
cp -r killed late
"$python" late.py &
late=$!
wait_for 60 test -f locked
run "${starts[@]}" --out late "${quick[@]}" "${selects[@]}" "${few[@]}" --resume
wait "$late"
check "a run that is resumed waits for what is left of the last one" look once late

# A fetcher is killed, and nothing else.
serve_held
"$crawl" "${starts[@]}" --out fetcher "${quick[@]}" "${selects[@]}" --quiet >out 2>err </dev/null &
main=$!
check "there are pages on their way to a fetcher" wait_for 60 has_asked 100
fetchers=$(named mpmap-process $(tree "$main"))
check "there is a fetcher to be killed" kill -9 ${fetchers%%[!0-9]*}
let_go
wait "$main"
whole fetcher "a fetcher was killed"

# Drained by a signal.
serve_held
"$crawl" "${starts[@]}" --out drained "${quick[@]}" --quiet >out 2>err </dev/null &
main=$!
check "there are pages on their way" wait_for 60 has_asked 100
check "there is a crawl to be drained" kill -TERM "$main"
let_go
wait "$main"
status=$?
check "a drained crawl ends with 75" fails_with 75 "the same command with --resume goes on"
run "${starts[@]}" --out drained "${quick[@]}" --resume
whole drained "drained and resumed"
check "drained and resumed: nothing is asked for twice" look again site 0

# Hostile pages. Those that last until a limit of time is reached are asked for by themselves, so that no other, of which
# some are long, has to be done in it.
HOSTILE=yes serve site
run "http://127.0.0.2:$port/hostile.html" --out hostile "${quick[@]}" --attempts 2 --parse-timeout 60 --max-links 1000 \
    --connections 30 --no-sitemaps --exclude '*/h/stall' --exclude '*/h/deep' --select h=h1
check "hostile pages end" ends_with 1
look causes hostile >causes
costs() { grep "^$1 " causes | grep "^$1 $2" || { grep "^$1 " causes; return 1; }; }
check "a body that is too short costs its page" costs h/short "0 transfer closed with"
check "a body that is too long is cut" costs h/long "200 *$"
check "a body that never ends costs its page" costs h/endless "0 it is larger than --max-size"
check "10 GB of zeros cost their page" costs h/bomb "200 unpacked it is larger than --max-size"
check "a packing that was not asked for costs its page" costs h/brotli "200 its Content-Encoding is 'br', and gzip was asked for"
check "damaged gzip costs its page" costs h/damaged "200 what is packed is damaged"
check "a million links are cut" costs h/links "200 .*True"
check "what is no HTTP costs its page" costs h/garbage "0 Received HTTP/0.9"
check "headers that never end cost their page" costs h/headers "0 its headers are larger"
check "no answer at all costs its page" costs h/nothing "0 Empty reply"
for name in nul urls unclosed quotes crash-bait; do
    check "$name is a page like others" costs "h/$name" "200 *$"
done
check "no tag within a comment or a value is a link" test "$(grep -c hidden causes)" -eq 0
check "rows of others are there" grep -q '"h":"bait"' hostile/rows.jsonl
run "http://127.0.0.2:$port/h/stall" --out stall "${quick[@]}" --attempts 2 --timeout 1 --no-robots --no-sitemaps
look causes stall >causes
check "a stall costs its page" costs h/stall "0 Operation timed out"
run "http://127.0.0.2:$port/h/deep" --out deep "${quick[@]}" --parse-timeout 1 --no-sitemaps --select h=h1
look causes deep >causes
check "a page that keeps its parser busy costs its row" costs h/deep "200 nothing was extracted: it ran past its 1 s"
run "http://127.0.0.2:$port/h/links" --out memory "${quick[@]}" --depth 0 --no-sitemaps --select h=h1 --memory 64M
look causes memory >causes
check "a page that needs too much memory costs its row" costs h/links "200 nothing was extracted: it needed more"
run "http://127.0.0.2:$port/mutated.html" --out mutated "${quick[@]}" --no-sitemaps --include '*/m/*' "${selects[@]}"
check "of 300 damaged pages each has come" test "$(grep -c '/m/[0-9]*",.*"status":200' mutated/pages.jsonl)" -ge 300
check "each has its row" test "$(grep -c '/m/[0-9]*",' mutated/rows.jsonl)" -ge 300
check "no fetcher and no parser has died of one" test "$(grep -c 'fetcher\|nothing was extracted' mutated/pages.jsonl)" -eq 0
report
