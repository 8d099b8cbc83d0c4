# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the tests of mpmap crawl, in their folder of scratch: starts the site of crawl_site.py, and looks at what was
# crawled. Where the program was not built, the test ends here.
bin=$(realpath "${1:-${MPMAP_BIN:?}}")
support=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
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
    rm -f "$1/port" "$1/log" "$1/go"
    "$python" "$support/crawl_site.py" serve "$@" &
    server=$!
    wait_for 60 test -f "$1/port"
    port=$(cat "$1/port")
    starts=(http://127.0.0.1:$port/ http://127.0.0.2:$port http://127.0.0.3:$port/)
}

# A crawl that is to be met on its way is held there: serve_held starts the site, and let_go has it answer all again.
serve_held() { HOLD=100 serve site; }
let_go() { touch site/go; }

# run ARGUMENT…: mpmap-crawl, quietly; sets $status.
run()
{
    timeout 300 "$crawl" "$@" --quiet >out 2>err </dev/null
    status=$?
}

# has_asked COUNT: the site has had so many requests.
has_asked() { [ -f site/log ] && [ "$(wc -l <site/log)" -ge "$1" ]; }
look() { "$python" "$support/crawl_look.py" "$@"; }
expect() { "$python" "$support/crawl_site.py" expect "$@"; }
ends_with() { [ "$status" -eq "$1" ]; }
fails_with() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }

# found FOLDER WHAT: the folder has what the site has.
found()
{
    diff <(look "$2" "$1" | sort) <(expect site "$2" | sort)
}

# whole FOLDER HOW: all that must be so of a crawl of the whole site.
whole()
{
    check "$2: the pages are those of the site" found "$1" urls
    check "$2: each page is in one record, which is where the index says" look once "$1"
    check "$2: bodies are what the server has" found "$1" bodies
    check "$2: broken links have as many referrers as the site has links to them" found "$1" broken
}

selects=(--select 'h=h1' --select 'price:f64=p.price' --select 'n:count=body > a[href]')
quick=(--delay 0 --backoff 0.1)
# What may be asked for again after a kill: of each of three hosts 4 orders for each of 4 connections, and what two parsers
# have or wait for (crew.c).
few=(--connections 4 --fetchers 2 --workers 2)
on_its_way=$((3 * 4 * 4 + 2 * 64))
