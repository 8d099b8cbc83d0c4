#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks who includes whom, in the tree given as an argument (this one by default):
# - lib/<layer> includes its own layer, lower ones and public headers;
# - <linux/futex.h>, <mpi.h> and <hdf5.h> are each included by one layer only;
# - public headers include public headers and the standard library;
# - apps/ include mpmap.h as a user does, but for the simulator, which drives pool/lease.h and chunk.h itself.
set -u

cd "${1:-$(dirname "$0")/..}" || exit 1
layers=(base shm host net node object process sync pool data report run)
declare -A rank owner=([linux/futex.h]=shm [mpi.h]=net [hdf5.h]=data)
for i in "${!layers[@]}"; do
    rank[${layers[i]}]=$i
done
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

check_library()
{
    local layer=${file#lib/}
    layer=${layer%%/*}
    local other=${header%%/*}

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
    [[ $file == apps/mpmap/simulate* && $header == pool/@(lease|chunk).h ]] && return
    if is_internal; then
        complain "apps use mpmap.h"
    elif [[ $kind == '"' && $header != mpmap.h && ! -f ${file%/*}/$header ]]; then
        complain "it is neither mpmap.h nor a file beside it"
    fi
}

# Prints each include as "file line kind header", kind being " or <.
list_includes()
{
    find lib apps -name '*.[ch]' -print0 2>/dev/null | xargs -0 -r awk '
        /^[ \t]*#[ \t]*include[ \t]*["<]/ {
            match($0, /["<][^">]*/)
            print FILENAME, FNR, substr($0, RSTART, 1), substr($0, RSTART + 1, RLENGTH - 1)
        }'
}

while read -r file line kind header; do
    case $file in
        lib/include/*) check_public ;;
        lib/*) check_library ;;
        apps/*) check_app ;;
    esac
done < <(list_includes)
exit $failed
