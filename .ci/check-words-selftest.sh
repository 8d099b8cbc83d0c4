#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks that check-words.sh finds what it is there for: each fault is planted in a copy of the tree.
set -u

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# finds WHAT WORDS: the check fails, and says these words.
finds()
{
    if "$here/check-words.sh" "$scratch/tree" >"$scratch/output"; then
        echo "$1: nothing was found"
        failed=1
    elif ! grep -qF "$2" "$scratch/output"; then
        echo "$1: what was said is not \"$2\":"
        cat "$scratch/output"
        failed=1
    fi
}

make_tree()
{
    rm -rf "$scratch/tree"
    mkdir "$scratch/tree"
    cp -r "$here/../lib" "$here/../ARCHITECTURE.md" "$scratch/tree"
}

make_tree
"$here/check-words.sh" "$scratch/tree" || { echo "the tree itself is refused"; failed=1; }
echo 'void ring_bell(void);' >>"$scratch/tree/lib/net/courier.h"
finds "a name" '"bell" was given up: it is "doorbell" now'
make_tree
echo '/* The steward does it. */' >>"$scratch/tree/lib/pool/driver/map.c"
finds "a comment" '"steward" was given up: it is "node agent" now'
make_tree
echo '/* It is hung up again. */' >>"$scratch/tree/lib/pool/driver/map.c"
finds "two words" '"hang up" was given up'
make_tree
sed -i 's/^| arena |/| zeppelin | flies |\n&/' "$scratch/tree/ARCHITECTURE.md"
finds "a word that is not used" 'explains "zeppelin"'
make_tree
sed -i 's/^## The words/## Words/' "$scratch/tree/ARCHITECTURE.md"
finds "no table" 'no table of words'
make_tree
sed -i '/Pairs with object_commit/d' "$scratch/tree/lib/object/object.h"
finds "a partner that is not named" 'it is not said what this pairs with'
exit $failed
