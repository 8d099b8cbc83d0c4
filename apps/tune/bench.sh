#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap-tune beside its peers, on two cores, in one run: the full RBF grid on scikit-learn's digits, successive halving,
# and a grid of liblinear over 20000 paragraphs (TEXTS: another number). Wall time and CPU time: on a machine with other work the second counts.
#
#   MPMAP_BIN  folder with mpmap and mpmap-tune
#   MPMAP_OUT  folder for what is made here
#   bench.sh [digits] [asha] [texts] [--without svm-grid,sklearn]
set -euo pipefail

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
. "$here/digits.sh"
parts="" without=""
while [ $# -gt 0 ]; do
    case $1 in
        --without) without=$2; shift ;;
        *) parts+=" $1" ;;
    esac
    shift
done
parts=${parts:- digits asha texts}
mkdir -p "$out"
cd "$out"
# What is started here has no threads of its own.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# timed NAME COMMAND…: runs it, keeps its output in NAME.out, and its times in wall[NAME] and cpu[NAME].
declare -A wall cpu
timed()
{
    local name=$1 times TIMEFORMAT='%R %U %S'
    shift
    times=$({ time "$@" >"$name.out" 2>"$name.err"; } 2>&1) || {
        echo "$name has failed: $(tail -n 1 "$name.err")" >&2
        return 1
    }
    read -r real user system <<<"$times"
    wall[$name]=$real
    cpu[$name]=$(awk -v u="$user" -v s="$system" 'BEGIN { printf "%.2f", u + s }')
}

# line NAME BASE WHAT: its times, and how many times as long as BASE it takes.
line()
{
    awk -v w="${wall[$1]}" -v c="${cpu[$1]}" -v bw="${wall[$2]}" -v bc="${cpu[$2]}" -v what="$3" \
        'BEGIN { printf "  %-44s %8.2f s %8.2f s CPU %6.2f x %6.2f x CPU\n", what, w, c, w / bw, c / bc }'
}

wants() { [[ " ${without//,/ } " != *" $1 "* ]]; }

bench_digits()
{
    find_digits "$out"
    [ bare_loop -nt "$here/bench/bare_loop.c" ] || gcc -O2 -o bare_loop "$here/bench/bare_loop.c" -lsvm -lm
    echo "110 cells, 5 folds, digits (1797 x 64), two workers:"
    timed tune "$bin/mpmap-tune" digits.svm --out tune --restart --workers 2 --progress off
    line tune tune "mpmap tune, with model and report"
    timed bare ./bare_loop digits.svm
    line bare tune "bare loop, matrices shared over C"
    if wants sklearn; then
        timed sklearn /usr/bin/python3 "$here/bench/sklearn_grid.py" svc digits.svm
        line sklearn tune "GridSearchCV(n_jobs=2)"
    fi
    if wants svm-grid; then
        # Its number of workers is a line of the script.
        sed 's/^nr_local_worker = .*/nr_local_worker = 2/' "$(readlink -f "$(command -v svm-grid)")" >svm_grid_2.py
        timed svmgrid /usr/bin/python3 svm_grid_2.py -svmtrain "$(command -v svm-train)" \
            -log2c -5,15,2 -log2g 3,-15,-2 -v 5 -gnuplot null digits.svm
        line svmgrid tune "svm-grid, two local workers"
    fi
    grep best: tune.out
}

bench_asha()
{
    find_digits "$out"
    echo "successive halving over the same 110 candidates:"
    [ -n "${wall[tune]:-}" ] ||
        timed tune "$bin/mpmap-tune" digits.svm --out tune --restart --workers 2 --progress off
    for seed in 1 2 3; do
        timed asha "$bin/mpmap-tune" digits.svm --out asha --restart --workers 2 --progress off --search asha \
            --seed $seed
        line asha tune "mpmap tune --search asha --seed $seed"
        grep best: asha.out
        /usr/bin/python3 - <<'P' 2>/dev/null || true
import h5py
work = [h5py.File(name + "/scores.h5")["fits"]["cpu_s"].sum() for name in ("asha", "tune")]
print("  time in fits: %.2f s of %.2f s, 1/%.1f" % (*work, work[1] / work[0]))
P
    done
}

bench_texts()
{
    [ -s texts.svm ] || /usr/bin/python3 "$here/bench/texts.py" /usr/share/doc/linux-doc-6.1/html texts.svm "${TEXTS:-20000}"
    echo "3 values of C, 3 folds, liblinear -s 2, $(wc -l <texts.svm) paragraphs, two workers:"
    timed texts "$bin/mpmap-tune" texts.svm --out texts --restart --workers 2 --progress off --learner linear \
        --param C=log2:-2:2:2 --folds 3
    line texts texts "mpmap tune, with model and report"
    if wants sklearn; then
        timed skltexts /usr/bin/python3 "$here/bench/sklearn_grid.py" linear texts.svm
        line skltexts texts "GridSearchCV(LinearSVC, n_jobs=2)"
    fi
    timed train xargs -P 2 -I C liblinear-train -q -s 2 -v 3 -c C texts.svm < <(printf '%s\n' 4 1 0.25)
    line train texts "liblinear-train -v 3, by xargs -P 2"
    grep best: texts.out
}

for part in $parts; do
    "bench_$part"
done
