#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap-photos beside its peers, all in this run, on the same files and CPUs, with the same outputs: five sizes as
# JPEG of quality 80 in sRGB. Then, what no peer does: 300 damaged files, and how many near-duplicates are found among
# 2 000 copies.
#
#   ./dev bench photos [speed|damage|duplicates|all] [FOLDER]
#
# FOLDER has the photographs: those of the Debian package plasma-workspace-wallpapers if it is not given. MPMAP_BIN:
# folder of the programs; MPMAP_OUT: folder for what is made here. ROUNDS: how often each is run (3); the best counts.
# RUNNERS: some of photos cascade trick xargs parallel magick, instead of all.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
what=${1:-all}
photographs=${2:-/usr/share/wallpapers}
rounds=${ROUNDS:-3}
sizes=(2048 1024 512 256 128)
cpus=$(nproc)
export VIPS_WARNING=0
mkdir -p "$out" && cd "$out" || exit 1

# The photographs, each once: the list that all peers get.
list_photographs()
{
    find "$photographs" -type f \( -iname '*.jpg' -o -iname '*.png' \) -print | sort >files
    wc -l <files
}

clear_outputs()
{
    local size
    rm -rf web
    for size in "${sizes[@]}"; do mkdir -p "web/$size"; done
}

# The usual advice: one vipsthumbnail for each file and size, with the threads that it takes.
run_parallel()
{
    local size
    for size in "${sizes[@]}"; do
        parallel -j"$cpus" vipsthumbnail -s "${size}x$size>" --eprofile srgb -o "$PWD/web/$size/%s-{#}.jpg[Q=80,strip]" {} \
            <files 2>/dev/null
    done
}

# The same with one thread each, and by xargs.
run_xargs()
{
    local size
    for size in "${sizes[@]}"; do
        VIPS_CONCURRENCY=1 xargs -d '\n' -n 8 -P "$cpus" \
            vipsthumbnail -s "${size}x$size>" --eprofile srgb -o "$PWD/web/$size/%s.jpg[Q=80,strip]" <files 2>/dev/null
    done
}

# The trick: all other sizes are made of the largest outputs.
run_trick()
{
    local size
    VIPS_CONCURRENCY=1 xargs -d '\n' -n 8 -P "$cpus" sh -c 'for f; do
        vipsthumbnail -s "2048x2048>" --eprofile srgb -o "$PWD/web/2048/$(echo "$f" | tr / _).jpg[Q=80,strip]" "$f"; done' - \
        <files 2>/dev/null
    for size in "${sizes[@]:1}"; do
        find web/2048 -name '*.jpg' | VIPS_CONCURRENCY=1 xargs -d '\n' -n 32 -P "$cpus" \
            vipsthumbnail -s "${size}x$size>" -o "$PWD/web/$size/%s.jpg[Q=80,strip]" 2>/dev/null
    done
}

run_magick()
{
    tr '\n' '\0' <files | xargs -0 -n 1 -P "$cpus" sh -c 'n=$(echo "$1" | tr / _)
        OMP_NUM_THREADS=1 gm convert "$1" -strip -quality 80 -resize "2048x2048>" -write "web/2048/$n.jpg" \
            -resize "1024x1024>" -write "web/1024/$n.jpg" -resize "512x512>" -write "web/512/$n.jpg" \
            -resize "256x256>" -write "web/256/$n.jpg" -resize "128x128>" "web/128/$n.jpg"' - 2>/dev/null
}

# The limit: libvips alone, in as many processes as there are CPUs.
run_cascade()
{
    local number files
    mapfile -t files <files
    for ((number = 0; number < cpus; number++)); do
        ./cascade web "$number" "$cpus" "${sizes[@]}" -- "${files[@]}" &
    done
    wait
}

run_photos()
{
    rm -rf web
    "$bin/mpmap-photos" @files --out web --quiet
}

seconds()
{
    date +%s.%N
}

# The best of the rounds, which go through all runners in turn, so that what else the machine does meets all of them.
measure()
{
    local round runner start spent cpu
    declare -gA best=() outputs=() best_cpu=()
    for ((round = 0; round < rounds; round++)); do
        for runner in "$@"; do
            clear_outputs
            read -r -a before <<<"$(cut -d' ' -f16,17 /proc/$$/stat)"
            start=$(seconds)
            "run_$runner"
            spent=$(awk "BEGIN { print $(seconds) - $start }")
            read -r -a after <<<"$(cut -d' ' -f16,17 /proc/$$/stat)"
            cpu=$(awk "BEGIN { print (${after[0]} + ${after[1]} - ${before[0]} - ${before[1]}) / $(getconf CLK_TCK) }")
            outputs[$runner]=$(find web -name '*.jpg' | wc -l)
            if [ -z "${best[$runner]:-}" ] || awk "BEGIN { exit !($spent < ${best[$runner]}) }"; then best[$runner]=$spent; fi
            if [ -z "${best_cpu[$runner]:-}" ] || awk "BEGIN { exit !($cpu < ${best_cpu[$runner]}) }"; then
                best_cpu[$runner]=$cpu
            fi
        done
    done
}

line()
{
    local runner=$1 text=$2
    [ -n "${best[$runner]:-}" ] || return 0
    awk -v text="$text" -v s="${best[$runner]}" -v own="${best[photos]}" -v n="${outputs[$runner]}" -v cpu="${best_cpu[$runner]}" \
        -v own_cpu="${best_cpu[photos]}" \
        'BEGIN { printf "  %-58s %8.2f s  %6.2f x  %8.2f s CPU  %6.2f x  %5d files\n", text, s, s / own, cpu, cpu / own_cpu, n }'
}

bench_speed()
{
    local runners=(photos cascade trick xargs parallel)
    command -v gm >/dev/null && runners+=(magick)
    [ -z "${RUNNERS:-}" ] || read -r -a runners <<<"$RUNNERS"
    cc -O2 -o cascade "$here/bench/cascade.c" $(pkg-config --cflags --libs vips) || exit 1
    echo "$(list_photographs) photographs, sizes ${sizes[*]}, $cpus CPUs, best of $rounds (x: time of mpmap-photos):"
    measure "${runners[@]}"
    line photos "mpmap-photos, with catalogue, duplicates and gallery"
    line cascade "limit: libvips alone, one decode, $cpus processes"
    line trick "vipsthumbnail, smaller sizes from the 2048 outputs"
    line xargs "vipsthumbnail by xargs, one thread each"
    line parallel "vipsthumbnail by parallel -j$cpus"
    line magick "GraphicsMagick, one decode, by xargs"
    rm -rf web
}

bench_damage()
{
    rm -rf damage damage.web
    /usr/bin/python3 "$here/bench/damage.py" "$photographs" damage 300 || exit 1
    find damage -type f -exec sha256sum {} + | sort >damage.before
    "$bin/mpmap-photos" damage --out damage.web --quiet --json --timeout 20 --memory 1G >damage.json 2>/dev/null
    echo "300 damaged files: exit status $?"
    find damage -type f -exec sha256sum {} + | sort | cmp - damage.before && echo "  every original is unharmed"
    /usr/bin/python3 "$here/bench/damage.py" damage.web
}

bench_duplicates()
{
    rm -rf copies copies.web
    /usr/bin/python3 "$here/bench/copies.py" make "$photographs" copies 2000 || exit 1
    "$bin/mpmap-photos" copies --out copies.web --sizes 256 --quiet || exit 1
    /usr/bin/python3 "$here/bench/copies.py" judge copies.web
}

case $what in
    speed | damage | duplicates) "bench_$what" ;;
    all)
        bench_speed
        bench_damage
        bench_duplicates
        ;;
    *)
        echo "bench: \"$what\" is none of speed, damage, duplicates and all" >&2
        exit 2
        ;;
esac
