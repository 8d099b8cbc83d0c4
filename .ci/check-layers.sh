#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks who includes whom, in the tree given as an argument (this one by default):
# - lib/<layer> includes its own layer, lower ones and public headers;
# - a layer with floors has all its files on them, lib/<layer>/<floor>, and each floor includes itself and lower ones;
# - <linux/futex.h>, <mpi.h> and <hdf5.h> are each included by one layer only;
# - public headers include public headers and the standard library;
# - apps/ include mpmap.h as a user does, files beside them and those of apps/support, but for the simulator, which
#   drives pool/driver/lease.h and pool/worker/chunk.h itself;
# - files of lib/ do not include each other in a circle. A file is name.c, name.h and name_inside.h;
# - a header of lib/ says in its head comment who includes it, in a sentence like "For net/ and the layers above it.",
#   "For pool/ only." or "For node/context.c, data/input*.c and run/." It names everybody who does, and nobody else.
#   A file need not be named to include its own header.
# - nothing in lib/ registers itself by a constructor: run/layers.c names who takes part in a run. Fork handlers have one.
set -u

cd "${1:-$(dirname "$0")/..}" || exit 1
layers=(base claim shm forkserver net node object process sync pool data report run)
declare -A rank owner=([linux/futex.h]=shm [mpi.h]=net [hdf5.h]=data)
for i in "${!layers[@]}"; do
    rank[${layers[i]}]=$i
done
# By the process in which the code of a pool runs: any, a worker, a rank or its host, the driver.
declare -A floors=([pool]="shared worker node driver")
failed=0

complain()
{
    echo "$file:$line: includes $header: $1"
    failed=1
}

# Whether the header is a file beside the one that includes it.
is_neighbour()
{
    [[ $header != */* && -f ${file%/*}/$header ]]
}

# A path into lib/, whatever way it is written.
is_internal()
{
    [[ $header == *lib/* || -n ${rank[${header%%/*}]:-} || $header == mpmap/* ]]
}

# Prints the rank of the floor of its layer that a path without lib/ is on; nothing if it is on none.
floor_of()
{
    local i=0 floor

    for floor in ${floors[$layer]}; do
        [[ $1 != "$layer/$floor"/* ]] || echo $i
        ((i++))
    done
}

# Of an include within a layer that has floors.
check_floors()
{
    local from to

    from=$(floor_of "${file#lib/}") to=$(floor_of "$header")
    if [[ -z $from ]]; then
        complain "lib/$layer has its files in ${floors[$layer]}"
    elif [[ $header == "$layer"/* && (-z $to || $to -gt $from) ]]; then
        complain "it is above ${file%/*} (${floors[$layer]})"
    fi
}

check_library()
{
    local layer=${file#lib/}
    layer=${layer%%/*}
    local other=${header%%/*}

    [[ -z ${floors[$layer]:-} ]] || check_floors

    if [[ -z ${rank[$layer]:-} ]]; then
        complain "lib/$layer is not a layer (${layers[*]})"
    elif [[ -n ${owner[$header]:-} ]]; then
        [[ ${owner[$header]} == "$layer" ]] || complain "only lib/${owner[$header]} may"
    elif [[ $header == *..* ]]; then
        complain "paths start at lib/"
    elif [[ -n ${rank[$other]:-} && $header == */* ]]; then
        ((rank[$other] <= rank[$layer])) || complain "$other is above $layer (${layers[*]})"
    elif [[ $kind == '"' && $header != mpmap/* && $header != mpmap.h ]]; then
        is_neighbour || complain "it is neither in lib/$layer, nor \"layer/name.h\", nor public"
    fi
}

check_public()
{
    if [[ -n ${owner[$header]:-} ]]; then
        complain "public headers do without it"
    elif [[ $kind == '"' && ! -f ${file%/*}/$header ]]; then
        complain "it is not a public header beside it"
    fi
}

check_app()
{
    [[ $file == apps/mpmap/simulate* && $header == pool/@(driver/lease|worker/chunk).h ]] && return
    if is_internal; then
        complain "apps use mpmap.h"
    elif [[ $kind == '"' && $header != mpmap.h && ! -f ${file%/*}/$header &&
        ($header != support/* || ! -f apps/$header) ]]; then
        complain "it is neither mpmap.h, nor a file beside it, nor one of apps/support"
    fi
}

# Prints each include as "file line kind header", kind being " or <.
list_includes()
{
    find lib apps tests -name '*.[ch]' -print0 2>/dev/null | xargs -0 -r awk '
        /^[ \t]*#[ \t]*include[ \t]*["<]/ {
            match($0, /["<][^">]*/)
            print FILENAME, FNR, substr($0, RSTART, 1), substr($0, RSTART + 1, RLENGTH - 1)
        }'
}

# Prints each header of lib/ and whom it names: "lib/net/courier.h net/,above".
list_readers()
{
    find lib -name '*.h' -not -path 'lib/include/*' -print0 2>/dev/null | xargs -0 -r awk '
        function finish() {
            if (header == "")
                return
            reader = "(all of lib/|the layers above it|its tests|the simulator|[a-z_]+/[a-z0-9_/*.]*)"
            gsub(/[ \t]+/, " ", text)
            if (match(text, "For " reader "(, " reader ")*(,? and " reader ")?( only)?[.]( |$)")) {
                text = substr(text, RSTART + 4, RLENGTH - 4)
                sub(/( only)?[.] ?$/, "", text)
                sub(/the layers above it/, "above", text)
                sub(/all of lib\//, "all", text)
                sub(/its tests/, "tests/", text)
                sub(/the simulator/, "apps/", text)
                gsub(/,? and |, /, ",", text)
            } else
                text = ""
            print header, text
        }
        FNR == 1 { finish(); header = FILENAME; text = ""; is_head = 1 }
        /^#/ { is_head = 0 }
        is_head { line = $0; gsub(/^[ \t]*(\/\*|\*)|\*\//, "", line); text = text " " line }
        END { finish() }'
}

# Whether the file is among those that a reader, as list_readers prints it, stands for.
is_reader()
{
    local layer=${file#lib/} own=${target#lib/}

    layer=${layer%%/*} own=${own%%/*}
    case $1 in
        all) return 0 ;;
        above) ((${rank[$layer]:--1} > ${rank[$own]:-0})) ;;
        tests/ | apps/) [[ $file == "$1"* ]] ;;
        */) [[ $file == lib/$1* ]] ;;
        # shellcheck disable=SC2053 # it may be a pattern
        *) [[ $file == lib/$1 ]] ;;
    esac
}

# Whether the header names the file among its readers.
check_reader()
{
    local reader is_named=0

    IFS=, read -ra named <<<"${readers[$target]:-}"
    for reader in "${named[@]}"; do
        if is_reader "$reader"; then
            is_named=1
            has_read[$target $reader]=1
        fi
    done
    [[ $file != lib/* || -z ${readers[$target]:-} ]] && return
    ((is_named)) || [[ $module == "$target_module" ]] ||
        complain "it names its readers (${readers[$target]}), and this is none of them"
}

# What is included, if that is a file of lib/ that is not public.
find_target()
{
    target=lib/$header
    is_neighbour && target=${file%/*}/$header
    [[ $target != lib/include/* && -f $target ]]
}

check_readers_exist()
{
    local target reader

    for target in "${!readers[@]}"; do
        [[ -n ${readers[$target]} ]] ||
            { echo "$target: its head comment does not say who includes it: \"For net/ and run/layers.c.\""; failed=1; }
        IFS=, read -ra named <<<"${readers[$target]}"
        for reader in "${named[@]}"; do
            [[ $reader == all || ${readers[$target]} == *above || -n ${has_read[$target $reader]:-} ]] ||
                { echo "$target: names $reader among its readers, and nobody there includes it"; failed=1; }
        done
    done
}

check_loops()
{
    local loops

    loops=$(printf '%s\n' "${edges[@]}" | tsort 2>&1 >/dev/null)
    [[ -z $loops ]] && return
    sed 's/^tsort: -: .*/these files include each other in a circle:/; s/^tsort: /    /' <<<"$loops"
    failed=1
}

check_constructors()
{
    local found

    found=$(grep -rn '__attribute__((.*constructor' lib --include='*.[ch]' 2>/dev/null |
        grep -vE '^lib/(shm/thread_token|node/context)\.c:.* at_fork\(void\)')
    [[ -z $found ]] && return
    echo "$found: a constructor: run/layers.c has a table for that"
    failed=1
}

declare -A readers has_read
edges=()
while read -r target names; do
    readers[$target]=$names
done < <(list_readers)

while read -r file line kind header; do
    case $file in
        lib/include/*) check_public ;;
        lib/*) check_library ;;
        apps/*) check_app ;;
    esac
    if find_target; then
        module=${file%.[ch]} target_module=${target%.[ch]}
        module=${module%_inside} target_module=${target_module%_inside}
        check_reader
        [[ $file != lib/* ]] || edges+=("$module $target_module")
    fi
done < <(list_includes)
check_readers_exist
check_loops
check_constructors
exit $failed
