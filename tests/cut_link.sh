#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A map over three hosts, one of which falls silent. Its link is cut and stays so: the run ends, names the node, says how
# many rows are good and where, and nothing is left on any host, the one that is cut off included, nor of mpirun. The
# same where main is cut off from the others. A link that is healed in time, a node that was stopped and goes on, or main:
# nothing is said and every row is right. Where mpirun lets the others live, a link that stays cut costs no row. An mpirun on a host without ranks ends if it has been told to watch its daemons.
# A host that is killed is mpirun's to notice and to name: main says how much is good.
# Arguments: folder of mpmap and folder of the sources.
set -uo pipefail
bin=$(readlink -f "${1:-${MPMAP_BIN:?}}")
source_folder=$(readlink -f "${2:-${MPMAP_SOURCE:?}}")
. "$source_folder/tests/support/processes.sh"
. "$source_folder/tests/support/pseudo_hosts.sh"
lack=$(hosts_lack)
if [ -n "$lack" ]; then
    echo "skipped, because $lack"
    exit 0
fi
enter_namespaces "$@"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
hosts_up 3 "$work"
plugin=$(dirname "$bin")/tests/plugins/napping.so
rows=160
# The hosts that have ranks, as mpirun takes them; their numbers; and more options of mpirun, which is on h1.
list=h1:2,h2:2,h3:1
working="1 2 3"
options=()

make_rows()
{
    yes 0.2 | head -n "$rows" >rows.txt
    printf '%s\n' 'PATH /data' 'INPUT-CLASS TEXTFP' 'INPUT-SIZE 32' 'RANK 1' "DIMENSION-SIZES $rows" >rows.cfg
    h5import rows.txt -c rows.cfg -o in.h5 >/dev/null
}

# All processes of a run, and none that is at its end.
of_run()
{
    local pid
    for pid in /proc/[0-9]*; do
        case $(cat "$pid/comm" 2>/dev/null) in
        mpmap | mpmap-* | mpirun | orted) none_left "${pid#/proc/}" || echo "${pid#/proc/}" ;;
        esac
    done
}

# Those with main's program that are on a host: ranks, hosts and workers.
on() # K
{
    local pid space
    space=$(readlink "/proc/${hosts[$1]}/ns/net")
    for pid in $(of_run); do
        is_named mpirun "$pid" || is_named orted "$pid" || [ "$(readlink "/proc/$pid/ns/net")" != "$space" ] || echo "$pid"
    done
}

has_begun()
{
    local k
    for k in $working; do [ "$(stat -c %s "began.h$k" 2>/dev/null || echo 0)" -ge 4 ] || return 1; done
}
has_ended() { ! kill -0 "$started" 2>/dev/null || none_left "$started"; }
all_is_gone() { [ -z "$(of_run)" ]; }
pause() { read -rt "$1" <> <(:) || true; }

has_begun_or_ended() { has_begun || has_ended; }
# mpirun's own words where its daemons have not met, as just after a link was healed; and main's, where the ranks have not.
have_not_met()
{
    has_ended &&
        grep -qE 'complete a TCP connection|reliably start one or more daemons|the ranks have not all met' out err
}

# Starts a map, and returns in the midst of it.
begin() # what node_timeout
{
    local attempt
    what=$1
    for attempt in 1 2 3; do
        rm -f began.* out.h5*
        : >out
        MPMAP_NODE_TIMEOUT=$2 mpirun_on_hosts "$list" "${options[@]}" "$bin/mpmap" map --quiet --chunk 1 "$plugin:nap" \
            in.h5:/data out.h5:/r >out 2>err &
        started=$!
        wait_for 200 has_begun_or_ended
        have_not_met || break
        wait "$started" 2>/dev/null
        echo "$what: mpirun has not started, attempt $attempt"
    done
    check "$what: rows run on all hosts" has_begun
    begin_s=$SECONDS
}

end()
{
    check "$what: it ends" wait_for 60 has_ended
    has_ended || kill -KILL "$started"
    wait "$started" 2>/dev/null
    status=$?
    check "$what: no process is left on any host" wait_for 60 all_is_gone
    echo "$what: status $status, all is over $((SECONDS - begin_s)) s later: $(grep -m 1 '^mpmap: ' err)"
}

says() { grep -qE "$1" err; }
good_rows() { h5dump -d /r.done -A 0 -y -w 1 "$1" | grep -cE '^ +1,?$'; }

# Every row that is said to be good is, and perhaps some that were written meanwhile.
count_is_right()
{
    local said
    said=$(sed -n 's/.*; \([0-9]*\) of [0-9]* rows are good: they are in .*out.h5.part$/\1/p' err)
    [ -n "$said" ] && [ "$said" -gt 0 ] && [ "$said" -le "$(good_rows out.h5.part)" ]
}

all_rows_are_right() { [ "$status" = 0 ] && [ "$(good_rows out.h5)" = "$rows" ] && [ -z "$(said_by_run err)" ]; }

make_rows
begin "the link of h2 is cut" 3
cut_link 2
end
check "$what: the node is named" says "^mpmap: node h2 has not answered for 3 s; [0-9]+ of $rows rows are good: they are in .*out.h5.part$"
check "$what: the count is right" count_is_right
check "$what: the run has failed" [ "$status" != 0 ]
heal_link 2

begin "the link of main's host is cut" 3
cut_link 1
end
check "$what: a node is named" says "^mpmap: node h[23] has not answered for 3 s; [0-9]+ of $rows rows are good"
check "$what: the count is right" count_is_right
heal_link 1

begin "the link of h2 is healed in time" 8
cut_link 2
pause 1.5
heal_link 2
end
check "$what: nothing is said, and all rows are right" all_rows_are_right

for k in 2 1; do
    begin "all of h$k is stopped, and goes on in time" 6
    mapfile -t stopped < <(on "$k")
    kill -STOP "${stopped[@]}"
    pause 2
    kill -CONT "${stopped[@]}"
    end
    check "$what: nothing is said, and all rows are right" all_rows_are_right
done

options=(--enable-recovery)
agent=$enter_host
enter_host=$enter_host_quietly
begin "mpirun lets the others live, and the link of h2 is cut" 3
cut_link 2
end
check "$what: the run goes on" says "^mpmap: node h2 has not answered.* for 3 s: the run goes on without it$"
check "$what: all rows are right" [ "$(good_rows out.h5)" = "$rows" ]
heal_link 2
options=()
enter_host=$agent

# mpirun is out of mpmap's reach there: it must notice by itself, and before mpmap does, as doc/clusters.md says.
list=h2:2,h3:2
working="2 3"
options=(--mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3)
begin "mpirun is on a host without ranks, and the link of h3 is cut" 15
cut_link 3
end
check "$what: main says how much is good" says "^mpmap: .*[1-9][0-9]* of $rows rows are good: they are in .*out.h5.part$"
check "$what: the run has failed" [ "$status" != 0 ]
heal_link 3
list=h1:2,h2:2,h3:1
working="1 2 3"
options=()

begin "h3 is killed" 3
kill_host 3
end
check "$what: main says how much is good" \
    says "^mpmap: draining: .*; at least [1-9][0-9]* of $rows rows are good: they are in .*out.h5.part$"
check "$what: rows that are good are kept" [ "$(good_rows out.h5.part)" -gt 0 ]
report
