#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The four programs under a real Slurm of its own, each on two of its nodes, by slurm/node.sbatch as users are told to: the job
# completes, and what it makes is what the same command makes without Slurm. A crawl that is cancelled goes on in the next job.
# A program that was not built is left out, with a word. Arguments: folder of the programs, folder of the sources. Needs root
# and Slurm.
set -uo pipefail
source_folder=$(realpath "${2:-${MPMAP_SOURCE:?}}")
set -- "$(realpath "${1:-${MPMAP_BIN:?}}")" "$source_folder"
. "$source_folder/tests/support/slurm.sh"

one_host "$@"
. "$source_folder/tests/support/data_sets.sh"
support=$source_folder/tests/support
python=$(python3 -c 'import sys; print(sys.executable)')
server=
chmod 755 "$work"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

has() { [ -x "$bin/mpmap-$1" ] || { skip "mpmap $1 under Slurm" "it was not built"; return 1; }; }
has_ended() { has_state "COMPLETED FAILED CANCELLED TIMEOUT"; }

# submit PROGRAM ARGUMENT…: on two nodes, each with two CPUs; sets $id and $log.
submit()
{
    id=$(PATH=$bin:$PATH OMPI_MCA_btl=self,tcp sbatch --parsable --mem=400 --time=5 --nodes=2 --cpus-per-task=2 \
        "$source_folder/slurm/node.sbatch" "$bin/mpmap" "$@" 2>err)
    log=$work/mpmap-$id.log
}

# in_a_job PROGRAM ARGUMENT…: until the job has ended; what it has printed is out.
in_a_job()
{
    submit "$@"
    wait_for 100 has_ended
    cp "$log" out
}
alone() { "$bin/mpmap" "$@" >alone.out 2>alone.err </dev/null; }
ran_on_two_nodes() { grep -qE '^job [0-9]+: 2 ranks on 2 nodes' "$log"; }
look() { "$python" "$support/crawl_look.py" "$@"; }
found() { diff <(look "$2" "$1" | sort) <("$python" "$support/crawl_site.py" expect site "$2" | sort); }
has_asked() { [ -f site/log ] && [ "$(wc -l <site/log)" -ge "$1" ]; }

for ((k = 1; k <= 2; k++)); do nodes[k]="n$k NodeHostname=$(hostname -s) NodeAddr=10.97.0.1 Port=$((17000 + k))"; done
slurm_daemons "$(hostname -s)" 10.97.0.1 "${nodes[@]}"
for ((k = 1; k <= 2; k++)); do slurmd -N "n$k" -f "$SLURM_CONF"; done
check "Slurm is up" wait_for 60 all_idle 2

if has tally; then
    awk 'BEGIN { print "station,day,temperature"
        for (i = 0; i < 200000; i++) printf "%s,%d,%.1f\n", i % 3 ? "valley" : "hill", i % 365, i * 31 % 500 / 10 }' >readings.csv
    words=(readings.csv --by station --show 'count, mean(temperature), median(day), distinct(day)' --quiet)
    alone tally "${words[@]}" --csv
    in_a_job tally "${words[@]}" --csv
    check "tally: the job completes" has_state COMPLETED
    check "tally: it has two nodes" ran_on_two_nodes
    check "tally: its table is the same to the byte" cmp <(grep -v ^job out) alone.out
    check "tally: and there is one" grep -q '^valley,133333,' alone.out
fi

if has photos && /usr/bin/python3 -c 'import h5py, numpy, PIL' 2>/dev/null; then
    mkdir library
    /usr/bin/python3 -c 'import numpy
from PIL import Image
for at in range(24):
    noise = numpy.random.default_rng(at).integers(0, 256, (7, 9, 3), "u1")
    Image.fromarray(noise).resize((400, 300), Image.BICUBIC).save("library/%d.jpg" % at)
open("library/broken.jpg", "w").write("hello")'
    alone photos library --out web --sizes 200,100 --quiet
    in_a_job photos library --out slurm_web --sizes 200,100 --quiet
    check "photos: a broken file is its exit status" has_state FAILED
    check "photos: and is named" grep -q "'library/broken.jpg'" out
    check "photos: it has two nodes" ran_on_two_nodes
    check "photos: outputs are the same to the byte" diff -r web/200 slurm_web/200
    check "photos: so is the catalogue" /usr/bin/python3 -c 'import h5py, numpy
with h5py.File("web/photos.h5") as a, h5py.File("slurm_web/photos.h5") as b:
    assert len(a["photos/path"]) == 25
    for name in a["photos"]:
        assert numpy.array_equal(a["photos"][name][()], b["photos"][name][()]), name'
fi

if has crawl; then
    mkdir site
    "$python" "$support/crawl_site.py" serve site 0.004 &
    server=$!
    trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
    wait_for 60 test -f site/port
    port=$(cat site/port)
    words=("http://127.0.0.1:$port/" "http://127.0.0.2:$port" "http://127.0.0.3:$port/" --out crawled --delay 0 --backoff 0.1
        --resume --quiet)
    submit crawl "${words[@]}"
    check "crawl: it begins" wait_for 60 has_asked 100
    scancel "$id"
    check "crawl: it is cancelled" wait_for 60 has_state CANCELLED
    check "crawl: its nodes are free again" wait_for 60 all_idle 2
    in_a_job crawl "${words[@]}"
    check "crawl: broken links are its exit status" has_state FAILED
    check "crawl: it has two nodes" ran_on_two_nodes
    check "crawl: the pages are those of the site" found crawled urls
    check "crawl: each page is in one record, which is where the index says" look once crawled
    check "crawl: only what was on its way is asked for again" look again site $((3 * 8 * 4))
fi

if has tune && /usr/bin/python3 -c 'import h5py' 2>/dev/null; then
    awk 'BEGIN { print "x,y,kind"
        for (i = 1; i <= 240; i++) { x = i * 0.618034 % 1; y = i * 0.414214 % 1
            print x "," y "," ((x - 0.5) ^ 2 + (y - 0.5) ^ 2 < 0.12 ? "in" : "out") } }' >points.csv
    words=(points.csv --param C=log2:-3:7:2 --param gamma=log2:5:-5:-2 --quiet)
    alone tune "${words[@]}" --out points
    in_a_job tune "${words[@]}" --out slurm_points
    check "tune: the job completes" has_state COMPLETED
    check "tune: it has two nodes" ran_on_two_nodes
    check "tune: the final model is the same to the byte" cmp points/model.svm slurm_points/model.svm
    check "tune: so are the scores" /usr/bin/python3 -c 'import h5py, numpy
def scores(name):
    with h5py.File(name) as file:
        fits = file["fits"][()]
    return numpy.sort(fits[["candidate", "outer", "repeat", "fold", "rung", "C", "gamma", "accuracy", "right"]])
a, b = scores("points/scores.h5"), scores("slurm_points/scores.h5")
assert len(a) > 100 and numpy.array_equal(a, b)'
fi

mapfile -t daemons < <(cat slurm/slurmd-*.pid slurm/slurmctld.pid slurm/munge/pid)
kill "${daemons[@]}"
check "Slurm's daemons end" wait_for 60 none_left "${daemons[@]}" # they write until then
report
