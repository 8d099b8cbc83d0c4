#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap crawl on a site that is made on the spot, and whose pages, broken links, rows and bodies a script knows from how it
# was made: what is found at home and over nodes; what robots.txt and delays forbid, by the server's log; what is left
# after kill -9, of all or of a fetcher; and pages that stall, lie, never end or blow up. Last line: "N passed, N failed".
set -uo pipefail

bin=$(realpath "${1:-${MPMAP_BIN:?}}")
support=$(realpath "$(dirname "${BASH_SOURCE[0]}")/support")
crawl=$bin/mpmap-crawl
if [ ! -x "$crawl" ]; then
    echo "skipped, because mpmap-crawl was not built"
    exit 0
fi
. "$support/processes.sh"
. "$support/mpirun.sh"
python=$(python3 -c 'import sys; print(sys.executable)') # not a wrapper, which takes longer than all else here
work=$(mktemp -d)
server=
# Ends the server that this script has started.
end_server()
{
    [ -z "$server" ] && return
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
}
trap 'end_server; rm -rf "$work"' EXIT
cd "$work" || exit 1
said=$work/said
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# serve FOLDER [SECONDS [PORT]]: starts the site; sets $port and $starts.
serve()
{
    end_server
    mkdir -p "$1"
    rm -f "$1/port" "$1/log"
    "$python" "$support/crawl_site.py" serve "$@" &
    server=$!
    wait_for 60 test -f "$1/port"
    port=$(cat "$1/port")
    starts=(http://127.0.0.1:$port/ http://127.0.0.2:$port http://127.0.0.3:$port/)
}

# run ARGUMENT…: mpmap-crawl, quietly; sets $status.
run()
{
    timeout 100 "$crawl" "$@" --quiet >out 2>err </dev/null
    status=$?
}

# has_asked COUNT: the site has had so many requests.
has_asked() { [ -f site/log ] && [ "$(wc -l <site/log)" -ge "$1" ]; }
expect() { "$python" "$support/crawl_site.py" expect "$@"; }
ends_with() { [ "$status" -eq "$1" ]; }
fails_with() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }

cat >look.py <<'P'
import csv, gzip, glob, hashlib, json, re, sys, collections
def pages(folder):
    return [json.loads(line) for line in open(folder + "/pages.jsonl")]
def urls(folder):
    print("\n".join(sorted(p["url"] for p in pages(folder) if not p.get("sitemap") and p["outcome"] != "forbidden")))
def broken(folder):
    report = json.load(open(folder + "/report.json"))
    for b in report["broken"]:
        if b["status"] == 404:
            print(b["url"], b["referrers"])
def records(folder):
    """Each record of each WARC file, found by its place in the index as well as by reading all."""
    found = collections.Counter()
    bodies = {}
    for name in glob.glob(folder + "/*.warc.gz"):
        data = gzip.open(name).read()
        at = 0
        while at < len(data):
            end = data.index(b"\r\n\r\n", at)
            head = data[at:end].decode()
            assert head.startswith("WARC/1.1\r\n"), head
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
            size = int(fields["Content-Length"])
            block = data[end + 4:end + 4 + size]
            at = end + 4 + size
            assert data[at:at + 4] == b"\r\n\r\n"
            at += 4
            if fields["WARC-Type"] == "warcinfo":
                continue
            url = fields["WARC-Target-URI"]
            found[url] += 1
            http, body = block.split(b"\r\n\r\n", 1)
            if b"content-encoding: gzip" in http.lower():
                body = gzip.decompress(body)
            bodies[url] = (fields["WARC-Type"], http.split(b" ")[1], body)
    return found, bodies
def once(folder):
    found, bodies = records(folder)
    want = {p["url"] for p in pages(folder) if p["status"]}
    assert set(found) == want, (set(found) ^ want)
    assert max(found.values()) == 1, [u for u in found if found[u] > 1][:5]
    for p in pages(folder):
        if "warc" in p:
            with open(folder + "/" + p["warc"], "rb") as file:
                file.seek(p["offset"])
                record = gzip.decompress(file.read(p["length"]))
            assert ("WARC-Target-URI: " + p["url"] + "\r\n").encode() in record
def bodies(folder):
    for url, (kind, status, body) in sorted(records(folder)[1].items()):
        if status == b"200" and not url.endswith((".xml", ".xml.gz")):
            print(url, hashlib.sha256(body).hexdigest())
def rows(folder):
    for r in csv.DictReader(open(folder + "/rows.csv", newline="")):
        if "/p/" in r["page"]:
            print("%s|%s|%s|%s" % (r["page"], r["h"], float(r["price"]), r["n"]))
def depths(folder):
    for p in pages(folder):
        if "/p/" in p["url"]:
            print(p["url"], p["depth"])
def log(folder):
    for line in open(folder + "/log"):
        begin, end, host, connection, path, condition, status = line.split()
        yield float(begin), float(end), host, connection, path, condition, int(status)
def trapped(folder):
    sys.exit([e[4] for e in log(folder) if "trap" in e[4] or e[4] in ("/private/shut.html", "/file.secret")] or 0)
def polite(folder, delay, connections):
    """No request before the last one's end and the delay; no more connections to a host than allowed."""
    last = {}
    seen = collections.defaultdict(set)
    count = 0
    for begin, end, host, connection, path, condition, status in sorted(log(folder)):
        if host in last and begin - last[host] < float(delay):
            sys.exit("%s %s: only %.3f s after the last answer" % (host, path, begin - last[host]))
        last[host] = end
        seen[host].add(connection)
        count += 1
    if count < 10 or any(len(c) > int(connections) for c in seen.values()):
        sys.exit("%d requests, connections: %s" % (count, {h: len(c) for h, c in seen.items()}))
def crowd(folder, most):
    """At no time a host has more requests at once than allowed."""
    events = []
    for begin, end, host, *_ in log(folder):
        events += [(begin, 1, host), (end, 0, host)]
    now = collections.Counter()
    top = 0
    for time, is_begin, host in sorted(events, key=lambda e: (e[0], e[1])):
        now[host] += 1 if is_begin else -1
        top = max(top, now[host])
    print(top)
    sys.exit(top > int(most))
def paused(folder, seconds):
    """What was answered by 429 or 503 is asked for again after so long, and meanwhile only what was on its way."""
    entries = sorted(log(folder))
    pauses = [(e[1], e[2], e[4]) for e in entries if e[6] in (429, 503)]
    assert len(pauses) == 6, pauses
    for end, host, path in pauses:
        later = [e for e in entries if e[2] == host and e[0] > end]
        assert min(e[0] for e in later if e[4] == path) >= end + float(seconds), path
        late = [e for e in later if end + 0.5 < e[0] < end + float(seconds)]
        assert not late, late[:3]
def again(folder, most):
    """How many pages were asked for more than once, but for those that make trouble the first time."""
    asked = collections.Counter((e[2], e[4]) for e in log(folder) if "flaky" not in e[4] and e[4] != "/robots.txt")
    twice = [a for a in asked if asked[a] > 1]
    print(len(twice), "asked for again")
    sys.exit(len(twice) > int(most))
def unchanged(folder, log_folder):
    statuses = collections.Counter(e[6] for e in log(log_folder))
    assert statuses[200] <= 3 * 4, statuses # robots.txt, and what has failed once
    assert statuses[304] > 700, statuses
def causes(folder):
    for p in sorted(pages(folder), key=lambda p: p["url"]):
        print(p["url"].split("/", 3)[3], p["status"], p.get("error", ""), p.get("links_cut", ""))
globals()[sys.argv[1]](*sys.argv[2:])
P

# found FOLDER WHAT: the folder has what the site has.
found()
{
    diff <("$python" look.py "$2" "$1" | sort) <(expect site "$2" | sort)
}

# whole FOLDER HOW: all that must be so of a crawl of the whole site.
whole()
{
    check "$2: the pages are those of the site" found "$1" urls
    check "$2: each page is in one record, which is where the index says" "$python" look.py once "$1"
    check "$2: bodies are what the server has" found "$1" bodies
    check "$2: broken links have as many referrers as the site has links to them" found "$1" broken
}

# URLs, without a network.
references=() wants=()
base='http://a/b/c/d;p?q'
is_line() { [ "$(sed -n "$1p" out)" = "$2" ] || { echo "line $1: $(sed -n "$1p" out), not $2"; return 1; }; }
resolve()
{
    "$crawl" --resolve "$base" "$@" >out 2>err </dev/null
}
while read -r reference want; do
    references+=("$reference") wants+=("$want")
done <<'T'
g http://a/b/c/g
./g http://a/b/c/g
g/ http://a/b/c/g/
/g http://a/g
//g http://g/
?y http://a/b/c/d;p?y
g?y http://a/b/c/g?y
#s http://a/b/c/d;p?q
g#s http://a/b/c/g
g?y#s http://a/b/c/g?y
;x http://a/b/c/;x
g;x http://a/b/c/g;x
. http://a/b/c/
./ http://a/b/c/
.. http://a/b/
../ http://a/b/
../g http://a/b/g
../.. http://a/
../../ http://a/
../../g http://a/g
../../../g http://a/g
../../../../g http://a/g
/./g http://a/g
/../g http://a/g
g. http://a/b/c/g.
.g http://a/b/c/.g
g.. http://a/b/c/g..
..g http://a/b/c/..g
./../g http://a/b/g
./g/. http://a/b/c/g/
g/./h http://a/b/c/g/h
g/../h http://a/b/c/h
g;x=1/./y http://a/b/c/g;x=1/y
g;x=1/../y http://a/b/c/y
g?y/./x http://a/b/c/g?y/./x
g?y/../x http://a/b/c/g?y/../x
HTTP://A:80/%7eb%2f%2E/%zz http://a/~b%2F./%25zz
https://B:443 https://b/
https://B:0080/x https://b:80/x
//user:word@h.org./x http://h.org/x
http://[::1]:80/a http://[::1]/a
\x\y http://a/x/y
T
references+=(' a b"<é>? c') wants+=('http://a/b/c/a%20b%22%3C%C3%A9%3E?%20c')
for bad in mailto:a@b javascript:1 http:g http:// 'http://h:65536/' 'http://h:x/' 'http://[::1/' 'http://a b/' 'ftp://h/' \
    "//$(printf 'x%.0s' {1..2001})"; do
    references+=("$bad") wants+=("")
done
resolve "${references[@]}"
check "each reference is resolved" test "$(wc -l <out)" -eq ${#references[@]}
for ((i = 0; i < ${#references[@]}; i++)); do
    check "${references[i]:0:40} is ${wants[i]:-nothing to ask for}" is_line $((i + 1)) "${wants[i]}"
done
cat >urls.py <<'P'
import random, subprocess, sys
from urllib.parse import urljoin
random.seed(4)
base = "http://a/b/c/d;p?q"
parts = ["g", "..", ".", "", "x;y", "a=b", "%41", "..g", "g."]
refs = [("/" if random.random() < .3 else "") + "/".join(random.choice(parts) for _ in range(random.randrange(1, 7)))
        + random.choice(["", "?q", "?a/../b"]) for _ in range(600)]
refs = [r for r in refs if r and not r.startswith("//")]
got = subprocess.run([sys.argv[1], "--resolve", base, *refs], stdout=subprocess.PIPE, text=True).stdout.split("\n")
want = [urljoin(base, r).replace("%41", "A") for r in refs]
# Python keeps what RFC 3986 takes away at the root, and joins empty segments differently: only what both define counts.
bad = [(r, g, w) for r, g, w in zip(refs, got, want) if g != w and "//" not in r and "/.." not in w]
assert not bad and len(refs) > 300, bad[:5]
P
check "references made at random are what urllib makes of them" "$python" urls.py "$crawl"

# robots.txt, without a network.
cat >robots.txt <<'T'
# a comment
User-Agent: Other
Disallow: /
User-agent: googlebot   # two names, one group
User-agent: mpmap-crawl/9
Disallow: /fish
Allow: /fish/open
Disallow: /*.php$
Disallow: /page
Allow: /page
Disallow: /a%3cd.html
Disallow: /q?
Crawl-delay: 2

User-agent: *
Disallow: /
User-agent: MPMAP-CRAWL
Disallow: /second-group
T
paths=() wants=()
while read -r path want; do
    paths+=("http://h$path") wants+=("$want")
done <<'T'
/ allowed
/fish forbidden
/fish.html forbidden
/fish/open/x allowed
/Fish allowed
/x.php forbidden
/x.php5 allowed
/x/y.php?z allowed
/page allowed
/a%3Cd.html forbidden
/a<d.html forbidden
/q allowed
/q?x forbidden
/second-group/x forbidden
/robots.txt allowed
T
"$crawl" --robots-file robots.txt "${paths[@]}" >out 2>err </dev/null
for ((i = 0; i < ${#paths[@]}; i++)); do
    check "RFC 9309: ${paths[i]} is ${wants[i]}" is_line $((i + 1)) "${wants[i]} ${paths[i]}"
done
"$crawl" --robots-file robots.txt http://h/x --user-agent nobody/1 >out 2>err </dev/null
check "the group of * is for those without one" is_line 1 "forbidden http://h/x"
"$crawl" --robots-file robots.txt http://h/fish --user-agent other >out 2>err </dev/null
check "the group of another is not for us" is_line 1 "forbidden http://h/fish"

# Mistakes.
run http://h/
check "a folder must be given" fails_with 2 "--out must say"
run ftp://h/ --out x
check "a URL that cannot be asked for is refused" fails_with 2 "'ftp://h/' is no URL"
run http://h/ --out x --select 'a=h1 >'
check "a selector that ends early is refused" fails_with 2 "an element is missing"
run http://h/ --out x --select 'a:f32=h1'
check "a type that is none is refused" fails_with 2 "its type must be"
run http://h/ --out x --delay -1
check "a delay below 0 is refused" fails_with 2 "--delay is '-1'"

# The whole site.
selects=(--select 'h=h1' --select 'price:f64=p.price' --select 'n:count=body > a[href]')
quick=(--delay 0 --backoff 0.1)
RETRY_AFTER=1 serve site
run "${starts[@]}" --out home "${quick[@]}" --connections 6 "${selects[@]}"
check "a page that is not there makes the status 1" ends_with 1
whole home "at home"
check "rows are what the pages say" found home rows
check "what robots.txt, comments, scripts, nofollow and meta forbid was not asked for" "$python" look.py trapped site
check "a host has at most 6 requests at once" "$python" look.py crowd site 6
check "a host that asks for a pause has it" "$python" look.py paused site 1
check "each page was asked for once" "$python" look.py again site 0
if /usr/bin/python3 -c 'import h5py' 2>/dev/null; then
    check "crawl.h5 has the pages and the rows" /usr/bin/python3 -c '
import h5py, json
file = h5py.File("home/crawl.h5")
pages = [json.loads(line) for line in open("home/pages.jsonl")]
assert [u.decode() for u in file["pages/url"][:]] == [p["url"] for p in pages]
assert list(file["pages/status"][:]) == [p["status"] for p in pages]
rows = [json.loads(line) for line in open("home/rows.jsonl")]
assert [t.decode() for t in file["rows/page"][:]] == [r["page"] for r in rows] and len(rows) > 700
assert [n for n in file["rows/n"][:]] == [r["n"] for r in rows]
assert all(a == b["price"] or (a != a and b["price"] is None) for a, b in zip(file["rows/price"][:], rows))'
fi
run "${starts[@]}" --out home "${quick[@]}" "${selects[@]}"
check "a folder that holds a crawl is not written over" fails_with 1 "--resume goes on with it"
run "${starts[0]}" --out home "${quick[@]}" --resume
check "another command does not go on with it" fails_with 1 "was begun with"

# Only what has changed, which is nothing.
serve site
run "${starts[@]}" --out first "${quick[@]}" "${selects[@]}"
serve site 0 "$port" # what the server remembers of requests is gone
run "${starts[@]}" --out second "${quick[@]}" "${selects[@]}" --since first
check "on the second crawl pages are the same" found second urls
check "so are the rows of what was not sent again" found second rows
check "what has not changed was not sent again" "$python" look.py unchanged second site

# Politeness, by the server's log.
serve polite
run "${starts[@]}" --out slow --delay 0.05 --backoff 0.01 --max-pages 45 --no-sitemaps
check "with a delay no request comes before the last answer and the delay" "$python" look.py polite polite 0.05 3
serve polite
run "${starts[0]}" --out depth0 "${quick[@]}" --depth 0 --no-sitemaps --no-robots
check "--depth 0 asks for nothing else" test "$(wc -l <depth0/pages.jsonl)" -eq 1
run "${starts[0]}" --out only "${quick[@]}" --include '*/p/*' --exclude '*/p/1*' --pages-only --no-sitemaps
check "--include and --exclude choose" test -z "$("$python" look.py urls only | grep -v "/p/[02-9][0-9]*.html$" | grep -v ":$port/$")"
check "something was chosen" test "$(wc -l <only/pages.jsonl)" -gt 50
run "${starts[0]}" --out few "${quick[@]}" --host-pages 20 --no-warc
check "a host has at most its budget" test "$(wc -l <few/pages.jsonl)" -le 22
check "--no-warc keeps nothing" test ! -e few/crawl-0.warc.gz

# Over nodes.
serve site
MPMAP_RANKS_PER_NODE=1 timeout 100 mpirun -n 3 "$crawl" "${starts[@]}" --out nodes "${quick[@]}" "${selects[@]}" --quiet \
    >out 2>err </dev/null
whole nodes "over 3 nodes"
check "over 3 nodes: rows are what the pages say" found nodes rows

# Killed, all of it, again and again: each page takes the server a while, so that some are always on their way.
serve site 0.004
kills=${3:-4} # more than a few are for tests/soak.sh
for ((i = 0; i < kills; i++)); do
    setsid "$crawl" "${starts[@]}" --out killed "${quick[@]}" "${selects[@]}" --connections 4 --resume --quiet \
        >out 2>err </dev/null &
    victim=$!
    wait_for 10 has_asked $(($(wc -l <site/log) + RANDOM % (600 / kills)))
    kill -9 -- "-$victim" 2>/dev/null
    wait "$victim" 2>/dev/null
done
run "${starts[@]}" --out killed "${quick[@]}" "${selects[@]}" --connections 4 --resume
check "killed $kills times: the last run comes to its end" ends_with 1
whole killed "killed $kills times"
check "killed $kills times: rows are what the pages say" found killed rows
# On its way at a kill is what connections and parsers have, of each host: 4, and what a fetcher holds until it is parsed.
check "killed $kills times: only what was on its way is asked for again" "$python" look.py again site $((kills * 3 * 4 * 4))
run "${starts[@]}" --out killed "${quick[@]}" "${selects[@]}" --connections 4 --resume
check "a crawl that is whole stays so" found killed urls

# A fetcher of the killed run may still write when the next run begins. This one writes for a second longer.
wait_for 60 test -f killed/links-0.bin
cat >late.py <<'P'
import fcntl, sys, time
links = open("late/links-0.bin", "ab")
fcntl.flock(links, fcntl.LOCK_EX)
open("locked", "w").close()
time.sleep(1)
links.write(b"late" * 1000)
open("late/crawl-0.warc.gz", "ab").write(b"late" * 1000)
links.flush()
P
cp -r killed late
"$python" late.py &
late=$!
wait_for 60 test -f locked
run "${starts[@]}" --out late "${quick[@]}" "${selects[@]}" --connections 4 --resume
wait "$late"
check "a run that is resumed waits for what is left of the last one" "$python" look.py once late

# A fetcher is killed, and nothing else.
serve site 0.004
"$crawl" "${starts[@]}" --out fetcher "${quick[@]}" "${selects[@]}" --quiet >out 2>err </dev/null &
main=$!
wait_for 60 has_asked 100
fetchers=$(named mpmap-process $(tree "$main"))
check "there is a fetcher to be killed" test -n "$fetchers"
kill -9 ${fetchers%%[!0-9]*}
wait "$main"
whole fetcher "a fetcher was killed"

# By depth. Here a page is slow through which others are two links nearer than by other paths.
serve site 0.004
run "${starts[@]}" --out deep "${quick[@]}" --depth 4 --no-sitemaps --no-warc
check "--depth 4: just the pages that are so near, each at its depth" found deep depths

# Drained by a signal.
serve site 0.004
"$crawl" "${starts[@]}" --out drained "${quick[@]}" --quiet >out 2>err </dev/null &
main=$!
wait_for 60 has_asked 100
kill -TERM "$main"
wait "$main"
status=$?
check "a drained crawl ends with 75" fails_with 75 "the same command with --resume goes on"
run "${starts[@]}" --out drained "${quick[@]}" --resume
whole drained "drained and resumed"
check "drained and resumed: nothing is asked for twice" "$python" look.py again site 0

# By TLS.
if command -v openssl >/dev/null; then
    openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.pem -out ca.pem -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 2>err
    cat ca.pem >>tls.pem
    TLS=tls.pem serve site
    run "https://127.0.0.1:$port/p/0.html" --out tls "${quick[@]}" --include '*/p/*' --no-sitemaps --ca-file ca.pem
    check "pages come by TLS" test "$(grep -c '"status":200' tls/pages.jsonl)" -gt 200
    run "https://127.0.0.1:$port/p/0.html" --out distrust "${quick[@]}" --attempts 1
    check "a certificate that nobody has signed is not trusted" grep -q '"error":"robots.txt .*certificate' \
        distrust/pages.jsonl
fi

# Hostile pages.
serve site
SECONDS=0
run "http://127.0.0.2:$port/hostile.html" --out hostile "${quick[@]}" --attempts 2 --timeout 3 --parse-timeout 2 \
    --max-links 1000 --connections 30 --no-sitemaps --select h=h1
check "hostile pages end in time" test "$SECONDS" -lt 60
"$python" look.py causes hostile >causes
costs() { grep -q "^$1 $2" causes; }
check "a stall costs its page" costs h/stall "0 Operation timed out"
check "a body that is too short costs its page" costs h/short "0 transfer closed with"
check "a body that is too long is cut" costs h/long "200 *$"
check "a body that never ends costs its page" costs h/endless "0 it is larger than --max-size"
check "10 GB of zeros cost their page" costs h/bomb "200 unpacked it is larger than --max-size"
check "damaged gzip costs its page" costs h/damaged "200 what is packed is damaged"
check "a million links are cut" costs h/links "200 .*True"
check "a page that keeps its parser busy costs its row" costs h/deep "200 nothing was extracted: it ran past its 2 s"
check "what is no HTTP costs its page" costs h/garbage "0 Received HTTP/0.9"
check "headers that never end cost their page" costs h/headers "0 its headers are larger"
check "no answer at all costs its page" costs h/nothing "0 Empty reply"
for name in nul urls unclosed quotes crash-bait; do
    check "$name is a page like others" costs "h/$name" "200 *$"
done
check "no tag within a comment or a value is a link" test "$(grep -c hidden causes)" -eq 0
check "rows of others are there" grep -q '"h":"bait"' hostile/rows.jsonl
report
