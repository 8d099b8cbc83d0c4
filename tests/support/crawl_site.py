# SPDX-License-Identifier: BSD-3-Clause
# A site for tests of mpmap crawl, and a hostile one, on 127.0.0.1 to 127.0.0.3.
#
#   crawl_site.py serve FOLDER [SECONDS [PORT]]  serves until it is ended; FOLDER/port has the port, FOLDER/log a line for
#                                                each request: begin, end, host, connection, path, condition, status;
#                                                FOLDER/heads has the requests as they came.
#                                                SECONDS is what each answer takes. Of the environment:
#                                                RETRY_AFTER: what 429 and 503 ask for; TLS: a file with a key and a
#                                                certificate; HOSTILE: hostile pages are made first; ENDLESS:
#                                                robots.txt never ends; HOLD: after so many
#                                                requests the others have no answer until there is a file FOLDER/go
#   crawl_site.py expect FOLDER KIND             prints what a crawl must find: urls, broken, rows, bodies,
#                                                depths
import functools
import gzip
import hashlib
import os
import random
import socket
import ssl
import sys
import threading
import time

PAGES = 240
HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
ETAG = '"v1"'
DATE = "Sun, 01 Mar 2026 10:00:00 GMT"


def links_of(number):
    """Pages that page `number` of a host refers to: all are reached from page 0."""
    rng = random.Random(number)
    return sorted({2 * number + 1, 2 * number + 2} | {rng.randrange(PAGES) for _ in range(8)} - {number})


def page(host, port, number):
    out = ["<!DOCTYPE html><html><head><title>Page %d &amp; more</title></head><body>" % number]
    out.append("<!-- <a href='/trap/comment.html'>no</a> --><script>x='<a href=\"/trap/script.html\">'</script>")
    out.append("<h1>Page <i>%d</i></h1><p class='price'>EUR 1,%03d.50</p>" % (number, number))
    for k, to in enumerate(n for n in links_of(number) if n < PAGES):
        path = "/p/%d.html" % to
        ways = ["%d.html" % to, path, "http://%s:%d%s" % (host, port, path), "//%s:%d%s" % (host, port, path),
                "../p/./x/../%d.html#there" % to, "/%%70/%d.html" % to, "\n " + path + " ", "\\p\\%d.html" % to,
                "&#47;p/%d.html" % to]
        out.append('<a class=x%d href="%s">%d</a>' % (k, ways[(number + k) % len(ways)], to))
    if number % 40 == 7:
        out.append("<a href=/missing.html>gone</a>")
    out.append("<img alt='>' src='/img/%d.png'></body></html>" % (number % 5))
    return "".join(out).encode()


# Pages that are written in odd ways, with the one page to which each refers: path, headers, body, that page's path.
HTML = {"Content-Type": "text/html"}
ODD = [
    ("/odd/gbk.html", {"Content-Type": "text/html; charset=gb2312"},
     "<title>\u6a19\u984c</title><a href='/odd/\u4e57.html?q=\u4e2d'>x</a>".encode("gbk"), "/odd/%E4%B9%97.html?q=%D6%D0"),
    ("/odd/sjis.html", HTML, "<meta charset = 'shift_jis'><a href='/odd/\u8868.html'>x</a>".encode("cp932"),
     "/odd/%E8%A1%A8.html"),
    ("/odd/latin.html", HTML, b"<a href='/odd/\xe9.html'>x</a>", "/odd/%C3%A9.html"),
    ("/odd/ascii.html", HTML, b"<meta charset=utf-16><a href=of-ascii.html>x</a>", "/odd/of-ascii.html"),
    ("/odd/xml.html", {"Content-Type": "application/xhtml+xml"},
     b"<?xml version='1.0' encoding='iso-8859-1'?><a href='/odd/x?\xe9'>x</a>", "/odd/x?%E9"),
    ("/odd/comments.html", HTML, b"<!--><a href=behind.html>x</a><!-- --!><!---><!--<a href=/trap/comment>-->",
     "/odd/behind.html"),
    ("/odd/script.html", HTML, b"<script></scripted><a href=/trap/script></script ><a href=real.html>x</a>", "/odd/real.html"),
    ("/odd/bases.html", HTML, b"<base href=/odd/one/><base href=/trap/><a href=x.html>x</a>", "/odd/one/x.html"),
    ("/odd/twice.html", dict(HTML, **{"Content-Encoding": "gzip, gzip"}),
     gzip.compress(gzip.compress(b"<a href=unpacked.html>x</a>", mtime=0), mtime=0), "/odd/unpacked.html"),
    ("/odd/unpacked-so.html", dict(HTML, **{"Content-Encoding": "UTF-8"}), b"<a href=as-it-is.html>x</a>",
     "/odd/as-it-is.html"),
    ("/odd/untyped.html", {}, b"\xef\xbb\xbf\n <a href=typed.html>x</a>", "/odd/typed.html"),
    ("/odd/trailer.html", HTML, b"<a href=trailed.html>x</a>", "/odd/trailed.html"),
    ("/odd/other-bot.html", dict(HTML, **{"X-Robots-Tag": "otherbot: noindex, nofollow"}), b"<a href=bot.html>x</a>",
     "/odd/bot.html"),
]


def special(host, port):
    """Paths that are not pages of the graph: status, headers, body."""
    html = {"Content-Type": "text/html; charset=utf-8"}
    site = {}
    site["/"] = (200, html, ("<title>Start</title><a href=p/0.html>pages</a><a href=/r/1>r</a><a href=/loop/a>l</a>"
                 "<a href=/endless/0>e</a><a rel='x nofollow' href=/trap/rel.html>n</a><a href=/private/shut.html>s</a>"
                 "<a href=/private/open.html>o</a><a href=/file.secret>f</a><a href=/meta.html>m</a><a href=based.html>b</a>"
                 "<a href='mailto:a@b'>x</a><a href='javascript:1'>x</a><a href='ftp://h/'>x</a>"
                 "<a href='http://127.0.0.9:%d/out.html'>out</a><a href=/latin.html>l</a><a href=/wide.html>w</a>"
                 "<a href='/q?a=1&amp;b=2'>q</a><a href='/q?b=2&a=1'>q</a><a href=/flaky/503>f</a><a href=/flaky/429>f</a>"
                 "<a href=/flaky/close>f</a><link rel=stylesheet href=/style.css><a href=/tagged.html>t</a>"
                 "<a href=/r/file>f</a><a href=/r/none>f</a><a href=/r/self>f</a>" % port
                 + "".join("<a href=%s>o</a>" % odd[0] for odd in ODD)).encode())
    for path, headers, body, target in ODD:
        site[path] = (200, headers, body)
        site[target] = (200, html, b"<h1>odd</h1>")
    rules = (200, {"Content-Type": "text/plain"},
                           b"User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /private/\nAllow: /private/open\n"
                           b"Disallow: /*.secret$\nSitemap: /map-index.xml\nSitemap: /map.txt\n")
    # One host redirects those who ask for it, in the end to another, which has it packed (in Server.answer).
    site["/robots.txt"] = (301, {"Location": "/moved.txt"}, b"") if host == HOSTS[2] else rules
    site["/moved.txt"] = (302, {"Location": "http://%s:%d/rules.txt" % (HOSTS[1], port)}, b"")
    site["/rules.txt"] = rules
    site["/map-index.xml"] = (200, {"Content-Type": "text/xml"}, ("<sitemapindex><sitemap><loc>http://%s:%d/map.xml.gz"
                              "</loc></sitemap></sitemapindex>" % (host, port)).encode())
    site["/map.xml.gz"] = (200, {"Content-Type": "application/gzip"}, gzip.compress(
        ("<urlset><url><loc>\n <![CDATA[http://%s:%d/only-in-map.html]]> </loc></url></urlset>" % (host, port)).encode(), mtime=0))
    site["/only-in-map.html"] = (200, html, b"<h1>map</h1>")
    site["/map.txt"] = (200, {"Content-Type": "text/plain"},
                        b"\xef\xbb\xbfhttp://%s:%d/only-in-text.html\r\n" % (host.encode(), port))
    site["/only-in-text.html"] = (200, html, b"<h1>text</h1>")
    site["/r/file"] = (302, {"Location": "file:///etc/passwd"}, b"")
    site["/r/none"] = (302, {}, b"")
    site["/r/self"] = (302, {"Location": "/r/self", "Set-Cookie": "seen=1"}, b"")
    site["/r/1"] = (301, {"Location": "/r/2"}, b"")
    site["/r/2"] = (302, {"Location": "http://%s:%d/p/5.html" % (host, port)}, b"")
    site["/loop/a"] = (302, {"Location": "b"}, b"")
    site["/loop/b"] = (302, {"Location": "a"}, b"")
    for i in range(20):
        site["/endless/%d" % i] = (302, {"Location": "/endless/%d" % (i + 1)}, b"")
    site["/private/open.html"] = (200, html, b"<h1>open</h1>")
    site["/meta.html"] = (200, html, b"<meta name=robots content='noindex, nofollow'><a href=/trap/meta.html>no</a>")
    site["/tagged.html"] = (200, dict(html, **{"X-Robots-Tag": "noindex\r\nX-Robots-Tag: nofollow"}), b"<a href=/trap/tag.html>no</a>")
    site["/based.html"] = (200, html, b"<base href='/deep/er/'><a href=in.html>in</a><a href='../up.html'>up</a>")
    site["/deep/er/in.html"] = (200, html, b"<link rel=canonical href=/canon.html><h1>in</h1>")
    site["/deep/up.html"] = (200, html, b"<h1>up</h1>")
    site["/canon.html"] = (200, html, b"<h1>canon</h1>")
    site["/latin.html"] = (200, {"Content-Type": "text/html; charset=iso-8859-1"}, "<h1>caf\xe9</h1>".encode("latin-1"))
    site["/wide.html"] = (200, {"Content-Type": "text/html"},
                          b"\xff\xfe" + "<h1>w\u00efde</h1><a href=/from-wide.html>x</a>".encode("utf-16le"))
    site["/from-wide.html"] = (200, html, b"<h1>from wide</h1>")
    site["/q?a=1&b=2"] = (200, html, b"<h1>q1</h1>")
    site["/q?b=2&a=1"] = (200, html, b"<h1>q2</h1>")
    site["/style.css"] = (200, {"Content-Type": "text/css"}, b"/* url(/trap/css.png) */ a{b:url( '/img/css.png' )}"
                          b"@import \"more.css\";")
    site["/more.css"] = (200, {"Content-Type": "text/css"}, b"")
    site["/img/css.png"] = (200, {"Content-Type": "image/png"}, b"png")
    for name in ("503", "429", "close"):
        site["/flaky/" + name] = (200, html, b"<h1>flaky</h1>")
    for i in range(5):
        site["/img/%d.png" % i] = (200, {"Content-Type": "image/png"}, b"\x89PNG" + bytes([i]) * 100)
    for i in range(PAGES):
        site["/p/%d.html" % i] = (200, html, page(host, port, i))
    return site


ASKED = ("/ /r/1 /r/2 /loop/a /loop/b /private/open.html /meta.html /tagged.html /based.html /deep/er/in.html "
         "/deep/up.html /canon.html /latin.html /wide.html /from-wide.html /q?a=1&b=2 /q?b=2&a=1 /style.css /more.css "
         "/img/css.png /flaky/503 /flaky/429 /flaky/close /only-in-map.html /only-in-text.html /missing.html /r/file /r/none "
         "/r/self").split() + [path for odd in ODD for path in (odd[0], odd[3])]


def expected_paths():
    seen, todo = {0}, [0]
    while todo:
        for to in links_of(todo.pop()):
            if to < PAGES and to not in seen:
                seen.add(to)
                todo.append(to)
    paths = set(ASKED) | {"/p/%d.html" % n for n in seen} | {"/img/%d.png" % (n % 5) for n in seen}
    return paths | {"/endless/%d" % i for i in range(11)}, seen


HOSTILE = ("stall short long endless bomb damaged links deep garbage nul headers urls unclosed quotes nothing "
           "crash-bait brotli").split()


@functools.lru_cache(maxsize=None)
def hostile_body(name):
    """What takes time to make is made before anybody asks: who waits for it would give up on a busy machine."""
    return {
        "bomb": lambda: gzip.compress(b"\0" * (1 << 24), 9, mtime=0) * 640,  # 10 GB of zeros
        "damaged": lambda: gzip.compress(b"<a href=/hidden.html>x</a>" * 1000)[:60] + b"damage" * 10,
        "brotli": lambda: b"\x0b\x02\x80hello\x03",
        "links": lambda: b"".join(b"<a href=/l/%d>" % i for i in range(1000000)),
        "deep": lambda: b"<div>" * 200000 + b"<h1>deep</h1>",
        "nul": lambda: b"<a\0 href\0=\0>\0<h1>n\0ul</h1>" + bytes(range(256)) * 100,
        "urls": lambda: b"<a href='/" + b"x" * 200000 + b"'>" + b"<a href='http://" + b"%" * 5000 + b"'>"
                b"<a href='http://[::1'><a href='http://h:99999/'><a href='http:///'><a href='//'><a href='\xff\xfe'>",
        "unclosed": lambda: b"<!--" + b"<a href=/hidden.html>" * 100000,
        "quotes": lambda: b"<x y='<a href=\"/hidden.html\">" * 50000,
        "crash-bait": lambda: b"<b><i><a><table>" * 30000 + b"<h1>bait</h1>",
    }.get(name, bytes)()


def hostile(name, send, sock):
    """Answers that break rules."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    if name == "stall":
        send(head + "Content-Length: 1000\r\n\r\n<h1>half")
        time.sleep(3600)
    elif name == "short":
        send(head + "Content-Length: 100000\r\n\r\n<h1>short</h1>")
    elif name == "long":
        send(head + "Content-Length: 4\r\nConnection: close\r\n\r\n<h1>longer than it says</h1>")
    elif name == "endless":
        send(head + "Transfer-Encoding: chunked\r\n\r\n")
        while True:
            send("10000\r\n" + "<p>and on</p>  \n" * 4096 + "\r\n")
    elif name == "garbage":
        send("\x00\x01\x02 no HTTP at all\r\n\r\n")
    elif name == "headers":
        send(head)
        while True:
            send("X-More: " + "x" * 4000 + "\r\n")
    elif name == "nothing":
        pass
    else:
        body = hostile_body(name)
        encoding = {"bomb": "gzip", "damaged": "gzip", "brotli": "br"}.get(name)
        if encoding:
            head += "Content-Encoding: %s\r\n" % encoding
        send(head + "Content-Length: %d\r\n\r\n" % len(body))
        sock.sendall(body)
    sock.close()


def mutated(number):
    """A page in which bytes are changed, lost and doubled, and marks of HTML stand where they do not belong."""
    rng = random.Random(number)
    marks = [b"<", b">", b'"', b"'", b"<!--", b"-->", b"<script>", b"</script", b"<a href=", b"&#x", b"=", b"\0", b"<style>",
             b"url(", b"<base href=//", b"<title>", b'srcset="a 1x,', b"\xff\xfe", b"@import ", b"/*", b"<template>",
             b"<svg><a href=x>", b"<![CDATA["]
    data = bytearray(page("127.0.0.1", 1, number % PAGES) * 4)
    for _ in range(rng.randrange(1, 60)):
        at = rng.randrange(len(data))
        way = rng.random()
        if way < .3:
            data[at] = rng.randrange(256)
        elif way < .8:
            data[at:at] = rng.choice(marks)
        else:
            del data[at:at + rng.randrange(30)]
    return bytes(data)


class Server:
    def __init__(self, folder, seconds, port=0):
        self.seconds = seconds
        self.tls = None
        if "TLS" in os.environ:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(os.environ["TLS"])
        self.log = open(os.path.join(folder, "log"), "a", buffering=1)
        if "HOSTILE" in os.environ:
            for name in HOSTILE:
                hostile_body(name)
        self.heads = open(os.path.join(folder, "heads"), "wb", buffering=0)
        self.lock = threading.Lock()
        self.asked = {}
        self.served = 0
        self.hold = int(os.environ.get("HOLD", 0))
        self.go = os.path.join(folder, "go")
        self.connections = 0
        self.listeners = self.bind(port)
        self.sites = {host: special(host, self.port) for host in HOSTS}
        with open(os.path.join(folder, "port.part"), "w") as file:
            file.write(str(self.port))
        os.rename(os.path.join(folder, "port.part"), os.path.join(folder, "port"))

    def bind(self, port):
        while True:
            listeners = []
            try:
                for host in HOSTS:
                    listener = socket.socket()
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind((host, listeners[0].getsockname()[1] if listeners else port))
                    listener.listen(512)
                    listeners.append(listener)
                self.port = listeners[0].getsockname()[1]
                return listeners
            except OSError:
                for listener in listeners:
                    listener.close()

    def run(self):
        for host, listener in zip(HOSTS, self.listeners):
            threading.Thread(target=self.accept, args=(host, listener), daemon=True).start()
        while True:
            time.sleep(3600)

    def accept(self, host, listener):
        while True:
            sock = listener.accept()[0]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self.serve, args=(host, sock, number), daemon=True).start()

    def serve(self, host, sock, number):
        pending = b""
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            while True:
                while b"\r\n\r\n" not in pending:
                    got = sock.recv(65536)
                    if not got:
                        return
                    pending += got
                head, pending = pending.split(b"\r\n\r\n", 1)
                self.heads.write(head + b"\r\n\r\n")
                self.answer(host, sock, number, head.decode("latin-1").split("\r\n"))
        except OSError:
            pass
        finally:
            sock.close()

    def answer(self, host, sock, number, lines):
        begin = time.time()
        path = lines[0].split(" ")[1]
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        condition = headers.get("if-none-match", "-")
        with self.lock:
            self.asked[host, path] = times = self.asked.get((host, path), 0) + 1
            self.served += 1
            is_held = 0 < self.hold < self.served
        while is_held and not os.path.exists(self.go):
            time.sleep(0.02)
        if path[:3] == "/h/" and path[3:] in HOSTILE:
            self.note(begin, host, number, path, condition, 200)
            hostile(path[3:], lambda text: sock.sendall(text.encode("latin-1")), sock)
            return
        if path == "/robots.txt" and "ENDLESS" in os.environ:
            self.note(begin, host, number, path, condition, 200)
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /private/\n")
            while True: # until nobody reads it
                sock.sendall(b"Disallow: /else\n" * 1000)
        if self.seconds: # one of the first pages takes long, so that others are found by longer paths before it
            time.sleep(self.seconds * (20 if path == "/p/2.html" else 1))
        if path == "/flaky/close" and times == 1:
            self.note(begin, host, number, path, condition, 0)
            raise OSError
        status, more, body = self.sites[host].get(path, (404, {"Content-Type": "text/html"}, b"<h1>not here</h1>"))
        more = dict(more)
        if path in ("/flaky/503", "/flaky/429") and times == 1:
            status, more, body = int(path[-3:]), {"Retry-After": os.environ.get("RETRY_AFTER", "0")}, b""
        elif status == 200:
            more.update({"ETag": ETAG, "Last-Modified": DATE})
            if condition == ETAG:
                status, body = 304, b""
            elif "gzip" in headers.get("accept-encoding", "") and (
                    (path.startswith("/p/") and int(path[3:-5]) % 2) or (path == "/robots.txt" and host == HOSTS[1])):
                body = gzip.compress(body, 1, mtime=0)
                more["Content-Encoding"] = "gzip"
        if path == "/hostile.html":
            body = "".join("<a href=/h/%s>%s</a>" % (name, name) for name in HOSTILE).encode()
            status, more = 200, {"Content-Type": "text/html"}
        if path.startswith("/big/"):
            status, more, body = 200, {"Content-Type": "text/html"}, b"<h1>big</h1>" + b"<!--x-->" * 131072
        if path == "/mutated.html":
            body = "".join("<a href=/m/%d>%d</a>" % (n, n) for n in range(300)).encode()
            status, more = 200, {"Content-Type": "text/html"}
        elif path.startswith("/m/") and path[3:].isdigit():
            status, more, body = 200, {"Content-Type": "text/html"}, mutated(int(path[3:]))
        if path == "/odd/trailer.html" and status == 200:
            more["Transfer-Encoding"] = "chunked"
            body = b"%x\r\n%s\r\n0\r\nX-Trailer: HTTP/1.1\r\nLocation: /trap/trailer\r\n\r\n" % (len(body), body)
        else:
            more["Content-Length"] = str(len(body))
        text = "HTTP/1.1 %d X\r\n" % status + "".join("%s: %s\r\n" % item for item in more.items()) + "\r\n"
        self.note(begin, host, number, path, condition, status)
        sock.sendall(text.encode() + (b"" if status == 304 else body))

    # Before the answer goes out, so that what the crawler does next is later in the log.
    def note(self, begin, host, number, path, condition, status):
        self.log.write("%.6f %.6f %s %d %s %s %d\n" % (begin, time.time(), host, number, path, condition, status))


def expect(folder, kind):
    port = int(open(os.path.join(folder, "port")).read())
    paths, numbers = expected_paths()
    for host in HOSTS:
        base = "http://%s:%d" % (host, port)
        site = special(host, port)
        if kind == "urls":
            print("\n".join(base + path for path in sorted(paths)))
        elif kind == "broken":
            print("%s/missing.html %d" % (base, sum(1 for n in numbers if n % 40 == 7)))
        elif kind == "depths": # up to 4; a redirect from the start page leads to page 5, and is no link
            depths, todo = {0: 1, 5: 1}, [0, 5]
            for n in todo:
                for to in links_of(n):
                    if to < PAGES and to not in depths and depths[n] < 4:
                        depths[to] = depths[n] + 1
                        todo.append(to)
            for n in sorted(depths):
                print("%s/p/%d.html %d" % (base, n, depths[n]))
        elif kind == "rows":
            for n in sorted(numbers):
                print("%s/p/%d.html|Page %d|%s|%d" % (base, n, n, 1000 + n + 0.5,
                                                      len([to for to in links_of(n) if to < PAGES]) + (n % 40 == 7)))
        elif kind == "bodies":
            for path in sorted(paths):
                if path in site and site[path][0] == 200:
                    print(base + path, hashlib.sha256(site[path][2]).hexdigest())


if sys.argv[1] == "serve":
    Server(sys.argv[2], *map(float, sys.argv[3:4] or [0]), *map(int, sys.argv[4:5])).run()
else:
    expect(sys.argv[2], sys.argv[3])
