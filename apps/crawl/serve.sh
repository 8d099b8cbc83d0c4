# SPDX-License-Identifier: BSD-3-Clause
# Sourced by demo.sh and bench.sh: nginx serves Debian's documentation of OpenJDK to this machine alone.
pages=/usr/share/doc/openjdk-17-jre-headless/api # of openjdk-17-doc
served=

# Ends the server that this script has started.
end_server()
{
    [ -z "$served" ] || kill "$served" 2>/dev/null
    [ -z "$served" ] || wait "$served" 2>/dev/null
    served=
}

write_configuration()
{
    cat >"$1/nginx.conf" <<T
daemon off;
worker_processes 2;
pid $1/nginx.pid;
error_log $1/nginx.log;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path $1/tmp1; proxy_temp_path $1/tmp2; fastcgi_temp_path $1/tmp3;
    uwsgi_temp_path $1/tmp4; scgi_temp_path $1/tmp5;
    log_format times '\$msec \$request_time \$server_addr \$connection \$status \$request_uri';
    access_log $1/access.log times buffer=64k flush=1s;
    server { listen 127.0.0.1:$2; listen 127.0.0.2:$2; root $pages; }
}
T
}

is_serving() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# serve FOLDER: starts nginx at a port that is free, with its files in the folder; sets $port.
serve()
{
    local try
    mkdir -p "$1"
    for ((try = 0; try < 20; try++)); do
        port=$((20000 + RANDOM))
        is_serving "$port" && continue
        write_configuration "$1" "$port"
        "$(command -v nginx || echo /usr/sbin/nginx)" -c "$1/nginx.conf" 2>/dev/null &
        served=$!
        while kill -0 "$served" 2>/dev/null; do
            is_serving "$port" && return
            sleep 0.05
        done
        served=
    done
    echo "nginx does not start: see $1/nginx.log" >&2
    return 1
}
