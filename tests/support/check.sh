# SPDX-License-Identifier: BSD-3-Clause
# Counting what is so. A script sources this, calls `check` for each thing that must be so, and ends with `report`.
# `show`, which a script may define anew, prints what helps to understand a check that has failed.
passed=0 failed=0

# check WHAT COMMAND…: whether the command succeeds. `said`, if it is set, is a file for what the command prints.
check()
{
    local what=$1
    shift
    if [ -n "${said:-}" ]; then
        "$@" >"$said" 2>&1
    else
        "$@"
    fi
    count "$what" $?
}

# count WHAT STATUS: the same of what was found out already.
count()
{
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
        show | cut -c1-300 | sed 's/^/    /'
    fi
}

show()
{
    tail -q -n 20 "${said:-${work:-.}/out}" "${work:-.}/err" 2>/dev/null
}

# skip WHAT WHY
skip()
{
    echo "skipped: $1: $2"
}

# A script that has looked at nothing has failed, too.
report()
{
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
