# SPDX-License-Identifier: BSD-3-Clause
# Looks at what mpmap crawl has made, and at the log of crawl_site.py: crawl_look.py WHAT ARGUMENT…
import csv, gzip, glob, hashlib, json, re, sys, collections, zlib
def pages(folder):
    return [json.loads(line) for line in open(folder + "/pages.jsonl")]
def urls(folder):
    print("\n".join(sorted(p["url"] for p in pages(folder) if not p.get("sitemap") and p["outcome"] != "forbidden")))
def broken(folder):
    report = json.load(open(folder + "/report.json"))
    for b in report["broken"]:
        if b["status"] == 404:
            print(b["url"], b["referrers"])
def members(name):
    """The gzip members of a file, each unpacked: a WARC file has one for each record."""
    data = open(name, "rb").read()
    while data:
        unpacker = zlib.decompressobj(31)
        yield unpacker.decompress(data) + unpacker.flush()
        assert unpacker.eof, name + " ends within a member"
        data = unpacker.unused_data
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
ID = re.compile(r"<urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}>$")
def read_record(record):
    """The fields of a record and its block, by the grammar of WARC 1.1."""
    assert record.startswith(b"WARC/1.1\r\n"), record[:40]
    end = record.index(b"\r\n\r\n")
    lines = record[:end].decode().split("\r\n")[1:]
    fields = dict(line.split(": ", 1) for line in lines)
    assert len(fields) == len(lines), lines # no field is there twice
    assert DATE.match(fields["WARC-Date"]) and ID.match(fields["WARC-Record-ID"]), lines
    assert record[end + 4 + int(fields["Content-Length"]):] == b"\r\n\r\n", lines
    return fields, record[end + 4:-4]
def all_records(folder):
    """Each record of each WARC file: its fields and its block."""
    for name in glob.glob(folder + "/*.warc.gz"):
        for number, record in enumerate(members(name)):
            fields, block = read_record(record)
            is_info = fields["WARC-Type"] == "warcinfo"
            assert is_info == (number == 0), (name, number)
            assert not is_info or (fields["WARC-Filename"] == name.split("/")[-1] and b"software: mpmap-crawl/" in block)
            if not is_info:
                yield fields, block
def records(folder):
    """The answer of each page; before it stands what was asked for."""
    found = collections.Counter()
    bodies = {}
    asked = None
    ids = set()
    for fields, block in all_records(folder):
        assert fields["WARC-Record-ID"] not in ids
        ids.add(fields["WARC-Record-ID"])
        url, kind = fields["WARC-Target-URI"], fields["WARC-Type"]
        if kind == "request":
            assert not asked and fields["Content-Type"] == "application/http;msgtype=request", fields
            asked = (url, fields["WARC-Concurrent-To"])
            continue
        assert kind in ("response", "revisit") and fields["Content-Type"] == "application/http;msgtype=response", fields
        assert asked == (url, fields["WARC-Record-ID"]), (asked, fields)
        asked = None
        found[url] += 1
        http, body = block.split(b"\r\n\r\n", 1)
        assert http.startswith(b"HTTP/1.1 "), http
        if b"content-encoding: gzip\r\n" in http.lower() + b"\r\n":
            body = gzip.decompress(body)
        bodies[url] = (kind, http.split(b" ")[1], body)
    assert not asked, asked
    return found, bodies
def asked(folder, log_folder):
    """What the records say was asked is what the server has read."""
    heads = set(open(log_folder + "/heads", "rb").read().split(b"\r\n\r\n"))
    count = 0
    for fields, block in all_records(folder):
        if fields["WARC-Type"] == "request":
            assert block.endswith(b"\r\n\r\n") and block[:-4] in heads, block
            count += 1
    assert count > 700, count
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
        if status == b"200" and not url.endswith((".xml", ".xml.gz", "/map.txt")):
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
def paused(folder, seconds, most=None):
    """What was answered by 429 or 503 is asked for again after so long, and meanwhile at most so many others."""
    entries = sorted(log(folder))
    pauses = [(e[1], e[2], e[4]) for e in entries if e[6] in (429, 503)]
    assert len(pauses) == 6, pauses
    for end, host, path in pauses:
        later = [e for e in entries if e[2] == host and e[0] > end]
        assert min(e[0] for e in later if e[4] == path) >= end + float(seconds), path
        late = [e for e in later if e[0] < end + float(seconds)]
        assert most is None or len(late) <= int(most), len(late)
ROBOTS = ("/robots.txt", "/moved.txt", "/rules.txt")
def again(folder, most):
    """How many pages were asked for more than once, but for those that make trouble the first time."""
    asked = collections.Counter((e[2], e[4]) for e in log(folder) if "flaky" not in e[4] and e[4] not in ROBOTS)
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
