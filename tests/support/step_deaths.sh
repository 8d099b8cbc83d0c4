# SPDX-License-Identifier: BSD-3-Clause
# Deaths of main before each of its steps on the disk. A script that sources this, and data_sets.sh, starts its runs by
# "${launcher[@]}", and has a function `step_is_survived N`, which begins with `dies_before N COMMAND… || return 1`.
launcher=(env)

# dies_before N COMMAND…: false if the run has not so many steps: it has come to its end.
dies_before()
{
    rm -f told
    launcher=(env MPMAP_TEST_MARK="$mark" DIES_AT="$1" DIES_TELLS="$PWD/told" LD_PRELOAD="$(dirname "$bin")/tests/dies_at.so")
    { "${@:2}"; } 2>/dev/null
    launcher=(env)
    wait_for 60 no_process_is_left
    [ ! -e told ]
}

# try_steps STRIDE: every so many, from one that is drawn. Sets $steps, how many there were; false if none can be tried.
try_steps()
{
    local stride=$1 n
    steps=0
    if grep -qE 'lib(a|t)san' <<<"$(ldd "$bin/mpmap")"; then
        skip "a death before each step on the disk" "a sanitizer stands before the C library already"
        return 1
    fi
    for ((n = 1 + RANDOM % stride; n < 300; n += stride)); do
        step_is_survived $n || break
        steps=$((steps + 1))
    done
    check "deaths before $steps steps on the disk, and the last one was beyond them" [ -e told ]
}
