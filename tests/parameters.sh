#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Parameters of a task: a struct that a plugin describes, of values from the command line, attributes of the input, and the
# description. What is none of them is refused with a sentence. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py

cat >scale.c <<'C'
#include <mpmap.h>
#include <stdio.h>
#include <string.h>

struct settings {
    double scale;
    int32_t order;
    float weight[3];
    uint8_t name[8];
    uint64_t large;
};

const mpm_task_description scale_description = {
    .result = "text",
    .row = "i64",
    .parameters = "{f64 scale = 1.5, i32 order, f32[3] weight = 1 2 0.5; u8[8] name = none, u64 large = @large}"};

int scale(mpm_call *call, const void *item, void *result)
{
    const struct settings *settings = mpm_call_context(call);
    char text[200];

    snprintf(text, sizeof text, "%d %g %d %g %g %g %s %llu", (int)*(const int64_t *)item, settings->scale,
             settings->order, settings->weight[0], settings->weight[1], settings->weight[2],
             (const char *)settings->name, (unsigned long long)settings->large);
    return mpm_vlen_put_text(call, text, result);
}

/* The sum of what is at least `least`. */
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    *(int64_t *)state += *(const int64_t *)later;
}
const mpm_task_description sum_description = {.result = "i64", .row = "i64", .parameters = "{i64 least = 0}"};
const mpm_reduction sum_reduction = {.combine = combine, .state_size = sizeof(int64_t)};
int sum(mpm_call *call, const void *item, void *state)
{
    const int64_t *least = mpm_call_context(call);

    *(int64_t *)state += *(const int64_t *)item >= *least ? *(const int64_t *)item : 0;
    return 0;
}

const mpm_task_description plain_description = {.result = "i64", .row = "i64"};
int plain(mpm_call *call, const void *item, void *result)
{
    (void)call;
    return memcpy(result, item, sizeof(int64_t)) == NULL;
}

const mpm_task_description odd_description = {.result = "i64", .row = "i64", .parameters = "f64 sigma"};
int odd(mpm_call *call, const void *item, void *result) { return plain(call, item, result); }
C
make_plugin scale
/usr/bin/python3 - <<'P' || exit 1
import h5py, numpy as np
with h5py.File("in.h5", "w") as f:
    d = f.create_dataset("data", data=np.arange(3))
    f.attrs["whole"], f.attrs["title"] = 7, "file"
    d.attrs["scale_factor"], d.attrs["order"], d.attrs["large"] = np.float32(0.1), np.int16(-3), np.uint64(2**64 - 1)
    d.attrs["weights"], d.attrs["units"], d.attrs["fixed"] = [4, 5, 6], "K", np.bytes_("abc")
    d.attrs["long"], d.attrs["half"], d.attrs["pair"] = "12345678", 0.5, np.zeros(1, [("a", "i4"), ("b", "i4")])
    f.create_dataset("table", data=np.zeros(3, [("x", "i8")])).attrs["large"] = 5
P
map() # option…
{
    rm -f out.h5
    timeout 200 "${launcher[@]}" "$bin/mpmap" map scale.so:scale "in.h5:${set:-/data}" out.h5:/r --quiet "$@" >out 2>err </dev/null
}
launcher=(env)
gives() # TEXT option…: the first row
{
    map "${@:2}" && h5dump -y -A 0 -d /r -c 1 out.h5 >dumped && grep -qF "\"0 $1\"" dumped
}
show() { tail -q -n 20 err dumped 2>/dev/null; }
most=18446744073709551615
check "values of the description" gives "1.5 2 1 2 0.5 none $most" --param order=2
check "of the command line" gives "-2e+10 255 9 8 7 a b 3" --param scale=-2e10 --param order=0xff --param 'weight= 9 8  7' \
    --param 'name = a b' --param large=3
check "the last one counts" gives "1.5 4 1 2 0.5 none $most" --param order=3 --param order=4
check "attributes of the data set" gives "0.1 -3 4 5 6 K $most" --param scale=@scale_factor --param order=@order \
    --param weight=@weights --param name=@units
check "a text of a fixed length" gives "1.5 -3 1 2 0.5 abc $most" --param order=@order --param name=@fixed
check "attributes of the file" gives "1.5 7 1 2 0.5 file $most" --param order=@/whole --param name=@/title
set=/table.x
check "attributes of a compound" gives "1.5 1 1 2 0.5 none 5" --param order=1
set=/data
if command -v mpirun >/dev/null; then
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 2)
    check "two nodes have them" gives "1.5 2 1 2 0.5 none $most" --param order=2
    launcher=(env)
fi
map --param order=2
says() { grep -qF -- "$1" err; }
check "a finished map goes on with the same ones" timeout 200 "$bin/mpmap" map scale.so:scale in.h5:/data out.h5:/r --param order=2 --resume --quiet 2>/dev/null
check "and no others" eval '! timeout 200 "$bin/mpmap" map scale.so:scale in.h5:/data out.h5:/r --param order=3 --resume --quiet 2>err && says "belongs to another map: the context"'
refuses() # SENTENCE option…
{
    ! map "${@:2}" && says "$1" && [ ! -e out.h5 ] && [ "$(wc -l <err)" = 1 ]
}
check "one without a value" refuses 'the parameter order has no value: give one (--param order=…)'
check "one that there is not" refuses 'there is no parameter "sigma": there are {f64 scale, i32 order, f32[3] weight, u8[8] name, u64 large}' --param sigma=1
check "no value" refuses 'the parameter "order" has no =: write it like sigma=1.5' --param order
check "no number" refuses 'the parameter order is i32, and cannot be "two"' --param order=two
check "too large a number" refuses 'the parameter order is i32, and cannot be "3000000000"' --param order=3000000000
check "a fraction" refuses 'the parameter order is i32, and cannot be "0.5' --param order=@half
check "an empty value" refuses 'the parameter order is i32, and cannot be ""' --param order=
check "too few numbers" refuses 'the parameter weight is f32[3], and cannot be "1 2"' --param order=1 --param 'weight=1 2'
check "too many" refuses 'the parameter weight is f32[3], and cannot be "1 2 3 4"' --param order=1 --param 'weight=1 2 3 4'
check "too many for the last one" refuses 'the parameter large is u64, and cannot be "1 2 3"' --param order=1 --param 'large=1 2 3'
check "too long a text" refuses 'the parameter name is u8[8], and cannot be "12345678"' --param order=1 --param name=@long
check "no such attribute" refuses 'the data set of in.h5:/data has no attribute "none"' --param order=@none
check "nor of the file" refuses 'the file of in.h5:/data has no attribute "order"' --param order=@/order
check "one of another kind" refuses 'the attribute "pair" of in.h5:/data is neither a text nor at most 256 numbers' --param order=@pair
refuses_task() { ! timeout 200 "$bin/mpmap" map "scale.so:$1" in.h5:/data no.h5:/r --quiet "${@:3}" >out 2>err && says "$2" && [ ! -e no.h5 ]; }
fails_to_reduce() { ! timeout 200 "$bin/mpmap" reduce scale.so:sum in.h5:/data --quiet "${@:2}" >out 2>err && says "$1"; }
check "a task that has none" refuses_task plain '--param a=1: plain has no parameters' --param a=1
check "a description that is none" refuses_task odd 'parameters "f64 sigma" are no struct: write {f64 sigma = 1.5, i32 order}'
reduces() { [ "$(timeout 200 "$bin/mpmap" reduce scale.so:sum in.h5:/data --quiet "${@:2}" 2>err)" = "$1" ]; }
check "a reduction has them" reduces 2 --param least=2
check "with values of the description" reduces 3
check "a reduction of a wrong one" fails_to_reduce 'the parameter least is i64, and cannot be "x"' --param least=x
check "mpmap look tells them" grep -qF 'scale with {f64 scale = 1.5, i32 order,' <("$bin/mpmap" look in.h5 scale.so)
report
