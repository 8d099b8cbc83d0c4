#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks that the libraries export symbols that begin with mpm_, at least one each, the same ones, and no
# others. Arguments: nm, the shared library, the static library.
set -u

nm=$1 shared=$2 static=$3
shared_names=$("$nm" -D --defined-only "$shared" | awk 'NF == 3 { print $3 }' | sort) || exit 1
static_names=$("$nm" -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort) || exit 1
failed=0

for library in shared static; do
    names=${library}_names
    others=$(grep -v '^mpm_' <<<"${!names}")
    if [ -n "$others" ]; then
        echo "the $library library exports what does not begin with mpm_:" $others
        failed=1
    fi
done
if [ "$shared_names" != "$static_names" ]; then
    echo "the two libraries export different symbols (< shared, > static):"
    diff <(echo "$shared_names") <(echo "$static_names")
    failed=1
fi
exit $failed
