#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap crawl by HTTP/2 with TLS, of an nginx on this machine: pages come by HTTP/2, no more requests to a host are on their
# way at once than --connections allows, although one connection could have them all, and WARC files are like those of
# HTTP/1.1. Needs nginx with HTTP/2, and openssl. Arguments: the folder of the programs, that of the sources. Last line: "N
# passed, N failed".
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/support/crawl_site.sh"
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null && command -v openssl >/dev/null || { echo "skipped, because there is no nginx or no openssl"; exit 0; }
grep -q http_v2_module <<<"$(nginx -V 2>&1)" || { echo "skipped, because nginx has no HTTP/2"; exit 0; }
pages=200 slow=12 most=3

mkdir -p site/html/slow
chmod 755 "$work"
"$python" - site/html $pages $slow <<'P'
import sys
folder, count = sys.argv[1], int(sys.argv[2])
for n in range(count):
    with open("%s/%d.html" % (folder, n), "w") as file:
        if n == 0:
            links = "".join("<a href=slow/%d.html>%d</a>" % (to, to) for to in range(int(sys.argv[3])))
        else:
            links = "".join("<a href=%d.html>%d</a>" % (to, to) for to in (2 * n, 2 * n + 1, 1) if to < count)
        file.write("<title>Page %d</title><a href=1.html>1</a>%s" % (n, links))
for n in range(int(sys.argv[3])):
    with open("%s/slow/%d.html" % (folder, n), "w") as file:
        file.write("<title>Slow %d</title>%s" % (n, "<p>text</p>" * 3000))
P
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.pem -out ca.pem -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 2>err

# nginx counts each request that is on its way by HTTP/2 as a connection. Slow answers take a second, so they overlap.
write_configuration()
{
    cat >site/nginx.conf <<END
daemon off;
pid $work/site/pid;
error_log $work/site/error.log;
events { worker_connections 256; }
http {
    default_type text/html;
    client_body_temp_path $work/site/1; proxy_temp_path $work/site/2; fastcgi_temp_path $work/site/3;
    uwsgi_temp_path $work/site/4; scgi_temp_path $work/site/5;
    log_format protocols '\$server_protocol \$connection \$status \$uri';
    access_log $work/site/log protocols;
    limit_conn_zone \$binary_remote_addr zone=clients:1m;
    server {
        listen 127.0.0.1:$1 ssl http2;
        ssl_certificate $work/ca.pem;
        ssl_certificate_key $work/tls.pem;
        root $work/site/html;
        limit_conn clients $most;
        limit_conn_status 418;
        location /slow/ { limit_rate 20k; }
    }
}
END
}
is_serving() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
is_up_or_gone() { is_serving "$port" || none_left "$server"; }

for ((try = 0; try < 20; try++)); do
    port=$((20000 + RANDOM))
    ! is_serving "$port" || continue
    write_configuration "$port"
    nginx -c "$work/site/nginx.conf" 2>err &
    server=$!
    wait_for 60 is_up_or_gone
    none_left "$server" || break
done
run "https://127.0.0.1:$port/0.html" --out crawled --ca-file ca.pem --delay 0 --connections $most --no-robots --no-sitemaps
end_server
has() { [ "$(grep -c "$1" "$2")" = "$3" ]; }
check "all pages have come" has '"status":200' crawled/pages.jsonl $((pages + slow))
check "they have come by HTTP/2" has '^HTTP/2.0 [0-9]* 200 ' site/log $((pages + slow))
check "no more requests were on their way at once than --connections allows" has ' 418 ' site/log 0
check "connections are used again" [ "$(cut -d' ' -f2 site/log | sort -u | wc -l)" -le $most ]
check "each page is in one record, which is where the index says" look once crawled
report
