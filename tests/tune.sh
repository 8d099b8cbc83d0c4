#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap-tune on small data: each fold's score is that of svm-train and svm-predict, by way of shared matrices or
# without, from text, CSV and HDF5, at home and over nodes; the final model is theirs, byte by byte; what crashes, hangs
# or eats memory costs its candidate; kill -9 loses nothing that was recorded. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/data_sets.sh"
needs_program mpmap-tune
needs_h5py
export TMPDIR=$work

# tune COMMAND… -- ARGUMENT…: mpmap tune behind the command; sets $status.
tune()
{
    local before=()
    while [ "$1" != -- ]; do
        before+=("$1")
        shift
    done
    shift
    timeout 100 "${before[@]}" "$bin/mpmap" tune "$@" >out 2>err </dev/null
    status=$?
}

succeeds() { [ "$status" -eq 0 ]; }
fails_with() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }
lines() { cat "$1" 2>/dev/null | wc -l; }
look() { /usr/bin/python3 look.py "$@"; }

cat >made.py <<'P'
import h5py, random
random.seed(5)
rows = []
for i in range(150):
    label = i % 3
    x = [round(random.gauss(0.8 * ((label + f) % 3 == 0), 0.7), 3) if random.random() < 0.8 else 0.0 for f in range(6)]
    rows.append((label, x))
with open("data.svm", "w") as text:
    for label, x in rows:
        text.write("%d %s\n" % (label + 1, " ".join("%d:%g" % (f + 1, v) for f, v in enumerate(x) if v)))
with open("whole.svm", "w") as text: # sums of whole numbers are exact
    for label, x in rows:
        text.write("%d %s\n" % (label + 1, " ".join("%d:%d" % (f + 1, 8 * v) for f, v in enumerate(x) if int(8 * v))))
with open("data.csv", "w") as text:
    text.write("kind,a,\"b,c\",d,e,f,g\n")
    for label, x in rows:
        text.write("%s,%s\n" % (("one", '"two"', "three")[label], ",".join("%r" % v for v in x)))
with h5py.File("data.h5", "w") as file:
    file["X"] = [x for _, x in rows]
    file["y"] = [label + 1 for label, _ in rows]
    file["target"] = [x[0] * 2 - x[1] + random.gauss(0, 0.1) for _, x in rows]
P
# What is asked of a run's files.
cat >look.py <<'P'
import h5py, subprocess, sys
def fits(folder):
    return h5py.File(folder + "/scores.h5")["fits"][:]
def scores(folder):
    unlike = ("cpu_s", "wall_s", "peak_bytes", "node", "fitted_C")
    names = [n for n in fits(folder).dtype.names if n not in unlike]
    return sorted(str([row[n] for n in names]) for row in fits(folder))
what, folder = sys.argv[1:3]
if what == "same":
    sys.exit(scores(folder) != scores(sys.argv[3]))
if what == "count":
    sys.exit(len(fits(folder)) != int(sys.argv[3]) or not fits(folder)["good"].all())
if what == "lacks": # it is the same, but for one candidate that has failed
    bad = {row["candidate"] for row in fits(folder) if not row["good"]}
    def named(row):
        return tuple(int(row[name]) for name in ("candidate", "repeat", "fold", "right", "model_size"))
    whole = {named(row) for row in fits(sys.argv[3])}
    sys.exit(len(bad) != 1 or not all(named(row) in whole for row in fits(folder) if row["good"]))
if what == "nodes":
    sys.exit(len(set(fits(folder)["node"])) < 2)
if what == "measured":
    own = fits(folder)[fits(folder)["fitted_C"] == fits(folder)["C"]]
    sys.exit(int(not (len(own) > 20 and (own["cpu_s"] > 0).all() and (own["peak_bytes"] > 100000).all())))
if what == "shared": # some fits have the result of a larger C, and took no time
    table = fits(folder)
    shared = table[table["fitted_C"] != table["C"]]
    sys.exit(not (len(shared) >= 15 and (shared["fitted_C"] > shared["C"]).all() and (shared["cpu_s"] == 0).all()))
if what == "best":
    file = h5py.File(folder + "/scores.h5")
    best = max(range(len(file["candidates"])), key=lambda i: (file["candidates"][i]["mean"], -i))
    sys.exit(int(file.attrs["best_candidate"] != best))
if what == "failed": # only these values of C have failed, and the others are done
    table = h5py.File(folder + "/scores.h5")["candidates"][:]
    wanted = {float(c) for c in sys.argv[3].split(",")}
    sys.exit(not all((row["state"] == b"failed") == (row["C"] in wanted) for row in table))
if what == "liblinear": # the same of liblinear
    wrong = 0
    for row in fits(folder):
        part = "folds/repeat%d.fold%d." % (row["repeat"], row["fold"])
        subprocess.run(["liblinear-train", "-q", *sys.argv[3].split(), "-c", repr(float(row["C"])), part + "train", "m"],
                       check=True)
        said = subprocess.run(["liblinear-predict", part + "test", "m", "p"], capture_output=True, text=True).stdout
        if "right" in row.dtype.names and "accuracy" in row.dtype.names:
            good = "(%d/%d)" % (row["right"], row["tested"]) in said
        else:
            good = abs(float(said.split("Mean squared error = ")[1].split()[0]) / row["mse"] - 1) < 1e-5
        if not good:
            wrong += 1
            print(row, said)
    sys.exit(wrong > 0 or len(fits(folder)) == 0)
if what == "xgboost": # the same of xgboost's Python; and its model of all rows has the same trees
    import json, numpy, scipy.sparse, xgboost
    def matrix(path):
        cells, labels = [], []
        for number, line in enumerate(open(path)):
            words = line.split()
            labels.append(int(words[0]) - 1)
            cells += [(number, int(i) - 1, float(v)) for i, v in (word.split(":") for word in words[1:])]
        rows, columns, values = zip(*cells)
        table = scipy.sparse.csr_matrix((values, (rows, columns)), (len(labels), 6), numpy.float32)
        return xgboost.DMatrix(table, labels, nthread=1), numpy.array(labels)
    def grow(row, path):
        wanted = {"objective": "multi:softmax", "num_class": 3, "max_depth": int(row["depth"]), "eta": float(row["eta"]),
                  "nthread": 1, "verbosity": 0, "seed": int(sys.argv[3])}
        return xgboost.train(wanted, matrix(path)[0], int(row["rounds"]))
    wrong = 0
    for row in fits(folder):
        part = "folds/repeat%d.fold%d." % (row["repeat"], row["fold"])
        table, labels = matrix(part + "test")
        right = int((grow(row, part + "train").predict(table) == labels).sum())
        if right != row["right"]:
            wrong += 1
            print(row, right)
    file = h5py.File(folder + "/scores.h5")
    grow(file["candidates"][file.attrs["best_candidate"]], "data.svm").save_model("m.json")
    trees = [json.load(open(name))["learner"]["gradient_booster"]["model"]["trees"]
             for name in ("m.json", folder + "/model.json")]
    sys.exit(wrong > 0 or len(fits(folder)) == 0 or trees[0] != trees[1])
if what == "libsvm": # each fit is that of the programs
    options = sys.argv[3].split()
    wrong = 0
    for row in fits(folder):
        part = "folds/repeat%d.fold%d." % (row["repeat"], row["fold"])
        given = [word for name, option in (("C", "-c"), ("gamma", "-g"), ("nu", "-n"), ("p", "-p"), ("degree", "-d"))
                 if name in row.dtype.names for word in (option, repr(float(row[name])))]
        given = [word[:-2] if i and given[i - 1] == "-d" else word for i, word in enumerate(given)]
        subprocess.run(["svm-train", "-q", *options, *given, part + "train", "m"], check=True)
        said = subprocess.run(["svm-predict", part + "test", "m", "p"], capture_output=True, text=True).stdout
        vectors = [line.split()[1] for line in open("m") if line.startswith("total_sv")][0]
        if "right" in row.dtype.names and "accuracy" in row.dtype.names:
            good = "(%d/%d)" % (row["right"], row["tested"]) in said
        else:
            good = abs(float(said.split("Mean squared error = ")[1].split()[0]) / row["mse"] - 1) < 1e-5
        if not good or int(vectors) != row["model_size"]:
            wrong += 1
            print(row, said, vectors)
    sys.exit(wrong > 0 or len(fits(folder)) == 0)
P
/usr/bin/python3 made.py
grid=(--param C=0.5,8,512 --param gamma=0.5,0.0625)

tune -- data.svm --out svm "${grid[@]}" --repeats 2 --folds 3 --json
check "a grid is searched" succeeds
check "all fits are in scores.h5" look count svm 36
check "time and memory of each fit are there" look measured svm
check "the best candidate is the one with the best mean" look best svm
[[ $(cat out) == *'"failed": 0'*'"best": {'*'"mean": '*'"model": "svm/model.svm"'* ]]
count "a summary is printed as JSON" $?
[[ $(cat svm/report.html) == *"optimistic"*"<svg"*"</html>"* ]]
count "there is a report" $?

tune -- data.svm --write-folds folds --repeats 2 --folds 3
check "files of the folds are written" test -s folds/repeat1.fold2.test
has_libsvm=$(command -v svm-train || true)
if [ -n "$has_libsvm" ]; then
    check "each fold's accuracy and model are those of svm-train and svm-predict" look libsvm svm "-t 2"
    read -r c gamma < <(/usr/bin/python3 -c '
import h5py
f = h5py.File("svm/scores.h5"); b = f["candidates"][f.attrs["best_candidate"]]; print(b["C"], b["gamma"])')
    svm-train -q -c "$c" -g "$gamma" data.svm model
    check "the final model is that of svm-train, byte by byte" cmp model svm/model.svm
    tune -- data.svm --out shared --folds 3 --param C=log2:-1:15:2 --param gamma=4,0.5 --json
    check "where C has no part in the model, one fit does for several" look shared shared
    check "and each is that of svm-train" look libsvm shared "-t 2"
    [[ $(cat out) =~ '"shared": '[1-9] ]]
    count "how many were shared is told" $?
    tune -- whole.svm --write-folds folds --folds 3
    tune -- whole.svm --out whole --folds 3 --param C=log2:-3:9:4 --param gamma=0.0625,0.0078125
    check "whole numbers: as svm-train" look libsvm whole "-t 2"
    tune -- whole.svm --out wholly --folds 3 --param C=log2:-3:9:4 --param gamma=0.0625,0.0078125 --kernel-memory 1K
    check "whole numbers: without shared matrices the scores are the same" look same whole wholly
    tune -- data.svm --write-folds folds --repeats 2 --folds 3
else
    skip "comparison with svm-train" "libsvm-tools is not installed"
fi

tune -- data.svm --out direct "${grid[@]}" --repeats 2 --folds 3 --kernel-memory 1K
check "without shared matrices the scores are the same" look same svm direct
tune -- data.svm --out many --param C=8 --param gamma=log2:1:-9:-2 --no-model
tune -- data.svm --out few --param C=8 --param gamma=log2:1:-9:-2 --no-model --kernel-memory 1K
check "more matrices than there is room for take turns" look same many few
tune -- data.csv --label kind --out csv "${grid[@]}" --repeats 2 --folds 3
check "CSV is searched" look count csv 36
tune -- data.h5 --out h5 "${grid[@]}" --repeats 2 --folds 3
check "from HDF5 the scores are the same" look same svm h5
tune env MPMAP_RANKS_PER_NODE=1 mpirun -n 3 -- data.svm --out nodes "${grid[@]}" --repeats 2 --folds 3 --workers 3
check "over three nodes it ends well" succeeds
check "over three nodes the scores are the same" look same svm nodes
check "over three nodes the model is the same" cmp svm/model.svm nodes/model.svm
tune mpirun -n 2 -- data.svm --out ranks "${grid[@]}" --repeats 2 --folds 3 --workers 4
check "with two ranks on a node the scores are the same" look same svm ranks

if [ -n "$has_libsvm" ]; then
    tune -- data.svm --out linear --folds 3 --learner c-svc-linear --param C=0.25,4
    check "C-SVC, linear: as svm-train" look libsvm linear "-t 0"
    tune -- data.svm --out poly --folds 3 --learner c-svc-poly --param C=1,4 --param gamma=0.5 --param degree=3,2
    check "C-SVC, polynomial: as svm-train" look libsvm poly "-t 1"
    tune -- data.svm --out nu --folds 3 --learner nu-svc-rbf --param nu=0.2,0.4 --param gamma=0.5
    check "nu-SVC: as svm-train" look libsvm nu "-s 1 -t 2"
    tune -- data.h5 --label target --write-folds folds --folds 3 --learner eps-svr-rbf
    tune -- data.h5 --label target --out svr --folds 3 --learner eps-svr-rbf --param C=1,8 --param gamma=0.25 \
        --param p=0.125
    check "epsilon-SVR: as svm-train" look libsvm svr "-s 3 -t 2"
fi
tune -- data.svm --out liblinear --learner linear --bias 1 --param C=0.5,2 --nested 2 --json
check "liblinear and nested cross-validation" succeeds
[[ $(cat out) == *'"nested": {"folds": 2, "mean": 0.'* ]] && [ -s liblinear/model.linear ]
count "the nested score is told, and the model is written" $?
if command -v liblinear-train >/dev/null; then
    tune -- data.svm --write-folds folds --repeats 2 --folds 3
    for solver in 0 1 2 3 4 5 6 7; do
        tune -- data.svm --out "solver$solver" --repeats 2 --folds 3 --learner linear --solver $solver --param C=0.5,2
        check "liblinear, solver $solver: as liblinear-train" look liblinear "solver$solver" "-s $solver"
    done
    c=$(/usr/bin/python3 -c '
import h5py
f = h5py.File("solver7/scores.h5"); print(f["candidates"][f.attrs["best_candidate"]]["C"])')
    liblinear-train -q -s 7 -c "$c" data.svm model
    check "liblinear: the final model is that of liblinear-train, byte by byte" cmp model solver7/model.linear
    tune -- data.svm --out bias --repeats 2 --folds 3 --learner linear --bias 1 --param C=0.5,2
    check "liblinear with a bias: as liblinear-train" look liblinear bias "-s 2 -B 1"
    tune -- data.h5 --label target --write-folds folds --folds 3 --learner linear-svr
    tune -- data.h5 --label target --out linsvr --folds 3 --learner linear-svr --param C=1,8 --param p=0.125
    check "liblinear's regression: as liblinear-train" look liblinear linsvr "-s 11 -p 0.125"
else
    skip "comparison with liblinear-train" "liblinear-tools is not installed"
fi
tune -- data.svm --out trees --learner trees --param depth=2,3 --param rounds=10 --param eta=0.3 --json
if fails_with 1 "cannot be loaded"; then
    skip "boosted trees" "libxgboost0 is not installed"
else
    check "trees of xgboost are searched" look count trees 10
    /usr/bin/python3 -c '
import json, sys
trees = json.load(open("trees/model.json"))["learner"]["gradient_booster"]["model"]["trees"]
sys.exit(len(trees) != 30 or json.load(open("out"))["best"]["mean"] < 0.6)'
    count "their model is what xgboost reads, and their score is better than chance" $?
    if /usr/bin/python3 -c 'import xgboost, scipy' 2>/dev/null; then
        tune -- data.svm --write-folds folds
        tune -- data.svm --out trees --restart --learner trees --param depth=2,3 --param rounds=10 --param eta=0.3 --seed 1
        check "each fold and the trees themselves are those of xgboost's Python" look xgboost trees 1
    else
        skip "comparison with xgboost's Python" "python3-xgboost is not installed"
    fi
fi
tune -- data.svm --out random --search random --trials 7
check "a random search is as large as it is told" look count random 35
tune -- data.svm --out asha --search asha --trials 24 --least-rows 8 --json
check "ASHA ends well" succeeds
tune -- data.svm --out halves --search asha --least-rows 8 --nested 2 --json
[[ $(cat out) == *'"nested": {"folds": 2,'* ]]
count "ASHA within nested cross-validation" $?
tune -- data.svm --out asha --restart --search asha --trials 24 --least-rows 8 --json
[[ $(cat out) == *'"best": {'* && $(cat asha/report.html) == *"Successive halving"* ]] &&
    ! look count asha 120
count "ASHA does not fit all candidates on all rows" $?

# A library in front of libsvm, which fails where it is told to, and takes its time: as long as the file hold is locked.
hold() { exec 9>hold && flock 9; }
let_go() { flock -u 9 && exec 9>&-; }
cat >front.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libsvm/svm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* If there is no such file, nothing is held. */
static void wait_while_held(void)
{
    int hold = open("hold", O_RDONLY);

    while (flock(hold, LOCK_SH) && errno == EINTR)
        ;
    close(hold);
}

struct svm_model *svm_train(const struct svm_problem *problem, const struct svm_parameter *parameter)
{
    struct svm_model *(*next)(const struct svm_problem *, const struct svm_parameter *);
    char *volatile memory;

    *(void **)&next = dlsym(RTLD_NEXT, "svm_train");
    if (parameter->C == 13)
        abort();
    while (parameter->C == 17)
        pause();
    if (parameter->C == 19 && (memory = malloc(400 << 20))) {
        memset(memory, 1, 400 << 20);
        pause();
    }
    usleep(20000);
    wait_while_held();
    if (parameter->C == 23) {
        struct svm_model *model = next(problem, parameter);

        model->rho[0] = __builtin_nan("");
        return model;
    }
    return next(problem, parameter);
}
C
if ! cc -shared -fPIC -o front.so front.c 2>err; then
    skip "crashes and deaths" "libsvm-dev is not installed"
    report
    exit
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
front=(env LD_PRELOAD="$work/front.so")
tune "${front[@]}" -- data.svm --out hostile --param C=1,13,17,19,2 --param gamma=0.5 --timeout 2 --memory 200M
check "a run with fits that fail ends with 1" fails_with 1 "C=13 gamma=0.5, repeat 0, fold"
check "what crashes, hangs or eats memory costs its candidate only" look failed hostile 13,17,19
[[ $(cat err) == *"C=17"*"2 s"* && $(cat err) == *"C=19"*"more than 200 MiB"* &&
    $(cat hostile/report.html) == *"Failed fits"* ]]
count "each failure is told with its cause" $?
check "there is a model all the same" test -s hostile/model.svm

tune "${front[@]}" -- data.h5 --label target --learner eps-svr-rbf --param C=1,23,2 --param gamma=0.5 --param p=0.1 \
    --out diverged
check "a model that has diverged costs its candidate" fails_with 1 "C=23"
check "and says so" fails_with 1 "the model has diverged"
check "all others have their scores" look failed diverged 23

# A worker dies as it computes a part of a matrix, which others are waiting for.
cat >once.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>

double exp(double x)
{
    static double (*next)(double);
    static int calls;

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "exp");
    if (++calls == 1000 && open("died", O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0)
        abort();
    return next(x);
}
C
cc -shared -fPIC -fno-builtin -o once.so once.c
tune env LD_PRELOAD="$work/once.so" -- data.svm --out once "${grid[@]}" --repeats 2 --folds 3
check "a death in the middle of a matrix is told" fails_with 1 "killed by SIGABRT"
check "and the matrix is whole for all others" look lacks once svm

slow=(--param C=log2:-4:9:1 --param gamma=0.5,0.25 --no-model --quiet)
"$bin/mpmap" tune data.svm --out calm "${slow[@]}" >out 2>err
tune "${front[@]}" MPMAP_RANKS_PER_NODE=1 mpirun -n 3 -x LD_PRELOAD -- data.svm --out busy "${slow[@]}" --workers 3
check "fits that take their time are done on several nodes" look nodes busy
check "and have the same scores" look same calm busy
for round in 1 2 3; do
    rm -rf killed
    setsid "${front[@]}" "$bin/mpmap-tune" data.svm --out killed "${slow[@]}" >out 2>err </dev/null &
    main=$!
    until [ "$(lines killed/fits.journal)" -ge $((round * 12)) ] || ! kill -0 $main 2>/dev/null; do
        sleep 0.02
    done
    hold
    kill -9 $main
    let_go
    wait $main 2>/dev/null
    before=$(lines killed/fits.journal)
    [ "$round" != 2 ] || printf '0123456789abcdef torn' >>killed/fits.journal
    tune "${front[@]}" -- data.svm --out killed "${slow[@]}"
    check "what is there is not overwritten, nor gone on with, unless told" fails_with 1 "--resume goes on"
    tune "${front[@]}" -- data.svm --out killed "${slow[@]}" --resume
    check "after kill -9 it goes on" succeeds
    [ "$before" -lt 140 ] && [ "$(lines killed/fits.journal)" = 140 ] &&
        [ "$(cut -c1-32 killed/fits.journal | sort -u | wc -l)" = 140 ]
    count "killed after $before of 140 fits, and no fit was done twice" $?
    check "after kill -9 the scores are the same" look same calm killed
done
# A signal lets those end that run, and says so by the exit status.
"${front[@]}" "$bin/mpmap-tune" data.svm --out drained "${slow[@]}" >out 2>err </dev/null &
main=$!
until [ "$(lines drained/fits.journal)" -ge 5 ] || ! kill -0 $main 2>/dev/null; do
    sleep 0.02
done
hold
tune -- data.svm --out drained "${slow[@]}" --resume
check "two runs do not write the same folder" fails_with 1 "is in use"
kill -TERM $main
let_go
wait $main
[ $? = 75 ] && [ "$(lines drained/fits.journal)" -lt 140 ]
count "SIGTERM drains: exit status 75" $?
tune "${front[@]}" -- data.svm --out drained "${slow[@]}" --resume
check "after a drain it goes on" look same calm drained

tune "${front[@]}" -- data.svm --out killed --param C=log2:-4:10:1 --param gamma=0.5,0.25 --no-model --resume --json
[[ $(cat out) == *'"fits": 150, "earlier": 140,'* ]]
count "a grid that has grown does only what is new" $?
tune -- data.h5 --label target --learner eps-svr-rbf --param C=1 --param gamma=1 --param p=0.1 --out killed \
    --resume --json
[[ $(cat out) == *'"fits": 5, "earlier": 0,'* ]]
count "other data has other fits" $?
check "and it is said that none was used" fails_with 0 "none of the 150 fits"

# What is wrong is said, with its place.
refused()
{
    printf '%b' "$2" >bad.$1
    tune -- "bad.$1" --out bad
    check "refused: $2" fails_with 1 "$3"
}
refused svm '1 1:2\n2 1:x\n' "bad.svm:2"
refused svm '1 2:1 1:1\n' "bad.svm:1"
refused svm '1 1:1\n1 1:2\n' "all 2 rows have the label 1"
refused svm '1.5 1:1\n1 1:2\n' "1.5 is no whole number"
refused svm '1 1:nan\n2 1:1\n' "finite"
refused svm '' "0 rows"
refused svm '1 1:1\0\n' "NUL"
refused csv 'a,b\n1,2\n1,2,3\n' "bad.csv:3"
refused csv '1,"2\n' "quote"
refused csv '1,2,x\n1,,y\n' "bad.csv:2"
refused h5 'no HDF5' "no HDF5 file"
tune -- data.svm --out bad --param gama=1
check "a parameter that is none" fails_with 2 "no parameter 'gama'; it has C, gamma"
tune -- data.svm --out bad --param C=log2:1:5:-1
check "a range that leads nowhere" fails_with 2 "does not lead"
tune -- data.svm --out bad --learner c-svc-rfb
check "a learner that is none" fails_with 2 "did you mean 'c-svc-rbf'"
tune -- data.svm --out bad --score mse
check "a score of the other kind" fails_with 2 "is of a regression"
tune -- data.svm
check "no folder" fails_with 2 "--out is missing"
for blocks in 8 16; do
    (
        trap '' XFSZ
        ulimit -f "$blocks"
        tune -- data.svm --out "full$blocks" --param C=1,2,3,4 --param gamma=1,2
        exit "$status"
    )
    status=$?
    check "files of at most $blocks KiB, as on a full disk" fails_with 1 "cannot write 'full$blocks/scores.h5'"
    check "$blocks KiB: no half of it is left" [ ! -e "full$blocks/scores.h5" -a ! -e "full$blocks/scores.h5.part" ]
done
report
