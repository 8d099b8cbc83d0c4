#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap crawl on a site that is made on the spot, and whose pages, broken links, rows and bodies a script knows from how it
# was made: what is found at home and over nodes, what robots.txt, delays and depths forbid, by the server's log, and what is
# asked for again. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/support/crawl_site.sh"

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
//B%c3%9CCHER.example:81/x http://xn--bcher-kva.example:81/x
//127%2e0.0.1/ http://127.0.0.1/
T
references+=(' a b"<é>? c' '//BÜCHER.example')
wants+=('http://a/b/c/a%20b%22%3C%C3%A9%3E?%20c' http://xn--bcher-kva.example/)
for bad in mailto:a@b javascript:1 http:g http:// 'http://h:65536/' 'http://h:x/' 'http://[::1/' 'http://a b/' 'ftp://h/' //a%2Fb/ //a%3A81/ //a%zz/ \
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


# A rule that is longer than any URL, and a file that is cut within "Disallow: /far".
"$python" -c 'import sys
text = "User-agent: *\nDisallow: /" + "x" * 3000 + "\nDisallow: /near\n#"
sys.stdout.write(text + "#" * (500 * 1024 - len(text) - 12) + "\nDisallow: /far\n")' >robots.txt
"$crawl" --robots-file robots.txt http://h/x http://h/near >out 2>err </dev/null
check "half a rule is none" is_line 1 "allowed http://h/x"
check "others of that file count" is_line 2 "forbidden http://h/near"

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
RETRY_AFTER=1 serve site
run "${starts[@]}" --out home "${quick[@]}" --connections 6 "${selects[@]}"
check "a page that is not there makes the status 1" ends_with 1
whole home "at home"
check "rows are what the pages say" found home rows
check "what robots.txt, comments, scripts, nofollow and meta forbid was not asked for" look trapped site
check "a host has at most 6 requests at once" look crowd site 6
check "a host that asks for a pause has it" look paused site 1
check "each page was asked for once" look again site 0
for why in "file it redirects to 'file:///etc/passwd', which is no URL" "none it has status 302, and no Location" \
    "self it redirects to itself, with a cookie"; do
    check "a redirect that leads nowhere is told: ${why%% *}" grep -q "/r/${why%% *}\",.*\"error\":\"${why#* }" home/pages.jsonl
done
check "a title is what its character set says" grep -q '/odd/gbk.html",.*"title":"標題"' home/pages.jsonl
check "the WARC files have the requests as the server got them" look asked home site
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

# With one connection nothing comes before the answer that asks for a pause, but for what main has heard of: it has given 4
# orders at most of which it has not, and that answer is one of them.
RETRY_AFTER=1 serve paused
run "${starts[@]}" --out paused_by_one "${quick[@]}" --connections 1 --fetchers 1 "${selects[@]}"
check "meanwhile a fetcher asks it for what was on its way only" look paused paused 1 3

# Only what has changed, which is nothing.
serve site
run "${starts[@]}" --out first "${quick[@]}" "${selects[@]}"
serve site 0 "$port" # what the server remembers of requests is gone
run "${starts[@]}" --out second "${quick[@]}" "${selects[@]}" --since first
check "on the second crawl pages are the same" found second urls
check "so are the rows of what was not sent again" found second rows
check "what has not changed was not sent again" look unchanged second site
check "the requests of a second crawl are in its WARC files with their conditions" look asked second site

# Politeness, by the server's log.
serve polite
run "${starts[@]}" --out slow --delay 0.05 --backoff 0.01 --max-pages 45 --no-sitemaps
check "with a delay no request comes before the last answer and the delay" look polite polite 0.05 3
serve polite
run "${starts[0]}" --out depth0 "${quick[@]}" --depth 0 --no-sitemaps --no-robots
check "--depth 0 asks for nothing else" test "$(wc -l <depth0/pages.jsonl)" -eq 1
run "${starts[0]}" --out only "${quick[@]}" --include '*/p/*' --exclude '*/p/1*' --pages-only --no-sitemaps
check "--include and --exclude choose" test -z "$(look urls only | grep -v "/p/[02-9][0-9]*.html$" | grep -v ":$port/$")"
run "${starts[0]}" --out mapped "${quick[@]}" --include '*/only-in-map.html'
check "--include does not keep sitemaps from being read" grep -q 'only-in-map.html",.*"status":200' mapped/pages.jsonl
check "something was chosen" test "$(wc -l <only/pages.jsonl)" -gt 50
run "${starts[0]}" --out small "${quick[@]}" --depth 0 --max-size 99
check "--max-size does not keep robots.txt from being read" grep -q '"error":"it is larger' small/pages.jsonl
ENDLESS=yes serve endless_site
run "http://127.0.0.1:$port/p/0.html" "http://127.0.0.1:$port/private/x" --out endless "${quick[@]}" --depth 0 --no-sitemaps
check "a robots.txt that never ends is read as far as it must be" test \
    "$(grep -c '"outcome":"answered","status":200\|"outcome":"forbidden"' endless/pages.jsonl)" -eq 2
serve polite
run "${starts[0]}" --out few "${quick[@]}" --host-pages 20 --no-warc
check "a host has at most its budget" test "$(wc -l <few/pages.jsonl)" -le 22
check "--no-warc keeps nothing" test ! -e few/crawl-0.warc.gz

# Over nodes.
serve site
MPMAP_RANKS_PER_NODE=1 timeout 300 mpirun -n 3 "$crawl" "${starts[@]}" --out nodes "${quick[@]}" "${selects[@]}" --quiet \
    >out 2>err </dev/null
whole nodes "over 3 nodes"
check "over 3 nodes: rows are what the pages say" found nodes rows

# By depth. Here a page is slow through which others are two links nearer than by other paths.
serve site 0.004
run "${starts[@]}" --out deep "${quick[@]}" --depth 4 --no-sitemaps --no-warc
check "--depth 4: just the pages that are so near, each at its depth" found deep depths

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

report
