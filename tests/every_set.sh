#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every data set of every file: mapped with the bytes that h5py reads, as a whole, by each field, as a struct and along its
# last axis, or refused with a sentence that names its type. The files are some of odd things that h5py makes here, those
# that h5py and PyTables are tested with themselves, where Debian's packages of them are installed; or those in the folder
# that the third argument names. `every_set.sh BIN SOURCE hdf5` takes Debian's source of HDF5, of which there are more than
# 400, if apt can get it. A table of all is printed. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
source_folder=$(cd "${2:-${MPMAP_SOURCE:?}}" && pwd)
from=${3:-}

# Debian's source of HDF5, by a list of our own.
get_source()
{
    local apt=$work/apt key=/usr/share/keyrings/debian-archive-keyring.gpg options
    mkdir -p apt/lists/partial apt/cache/archives/partial hdf5
    # shellcheck disable=SC1091
    printf 'deb-src [signed-by=%s] http://deb.debian.org/debian %s main\n' $key "$(. /etc/os-release && echo "$VERSION_CODENAME")" >apt/list
    options=(-qq -o "Dir::Etc::sourcelist=$apt/list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
        -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=)
    apt-get "${options[@]}" update && (cd hdf5 && apt-get "${options[@]}" source --download-only hdf5 && tar xf ./*.orig.tar.*)
}

cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(11)
with h5py.File("made.h5", "w") as f:
    f.attrs["title"] = "odd things"
    for kind in ("i1", ">i2", "u4", ">u8", "f2", ">f4", "f8", "g", "c8", ">c16", "?", "S3", "V5"):
        f["plain/" + kind.strip(">?") + kind[0].strip("iufgcSV")] = np.frombuffer(random.bytes(6 * 32 * 4), "V32").view(
            kind if kind not in "?" else "i1")[:24].reshape(6, 4) if kind not in ("?", "g", "V5", "S3") else np.zeros(
            (6, 4), kind)
    g = f.create_group("layouts")
    data = random.integers(0, 1 << 30, (37, 5, 3)).astype("i4")
    g.create_dataset("chunked", data=data, chunks=(5, 2, 3))
    g.create_dataset("packed", data=data, chunks=(5, 5, 1), compression="gzip", shuffle=True, fletcher32=True)
    g.create_dataset("scaled", data=data, chunks=(37, 1, 1), scaleoffset=0)
    g.create_dataset("unwritten", (11, 2), "f4", fillvalue=7, chunks=(4, 2))
    g.create_dataset("outside", data=data, external=[("outside.bin", 0, h5py.h5f.UNLIMITED)])
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(g.id, b"compact", h5py.h5t.STD_U16BE, h5py.h5s.create_simple((9, 2)), compact).write(
        h5py.h5s.ALL, h5py.h5s.ALL, random.integers(0, 999, (9, 2)).astype("u2"))
    layout = h5py.VirtualLayout((37, 5), "i4")
    layout[:] = h5py.VirtualSource(".", "/layouts/packed", data.shape)[:, :, 1]
    g.create_virtual_dataset("virtual", layout)
    t = f.create_group("tables")
    kind = np.dtype([("x", ">f8"), ("a,b", "i4"), ("s", "S4"), ("in", [("v", "f4", (2,)), ("r", h5py.ref_dtype)]),
                     ("text", h5py.string_dtype()), ("only", [("r", h5py.ref_dtype)])])
    table = np.zeros((8,), kind)
    table["x"], table["a,b"], table["in"]["v"] = random.random(8), range(8), random.random((8, 2))
    table["text"] = ["text %d" % n for n in range(8)]
    for name in ("r",):
        table["in"][name] = table["only"][name] = f.ref
    t["nested"] = table
    t["comma"] = np.zeros(4, [("a,b", "f4"), ("c}", "i2")])
    t["texts"] = table[["text"]]
    t["references"] = np.array([(f.ref,)], [("r", h5py.ref_dtype)])
    v = f.create_group("variable")
    v["texts"] = ["", "a", "more\n", "\u00e9"]
    v["columns"] = np.array([["a", "b"], ["c", "d"]], h5py.string_dtype())
    rows = v.create_dataset("rows", (4,), h5py.vlen_dtype(">f4"))
    rows[1], rows[3] = [1, 2, 3], [4]
    f["none/scalar"] = 3.5
    f["none/null"] = h5py.Empty("f4")
    f["none/empty"] = np.zeros((0, 3))
    f["none/hollow"] = np.zeros((3, 0), "f4")
    f["none/reference"] = np.array([f.ref, f.ref], h5py.ref_dtype)
    f["none/type"] = np.dtype("f8")
    f["none/link"] = h5py.SoftLink("/nowhere")
    f["none/far"] = h5py.ExternalLink("nowhere.h5", "/x")
    f["odd/a:b.c d\u00e9"] = np.arange(6)
with h5py.File("lost.h5", "w") as f:
    f.create_dataset("outside", (4,), "f4", external=[("lost.bin", 0, 16)])
P
/usr/bin/python3 made.py || exit 1

files=(made.h5 lost.h5)
if [[ $from == hdf5 ]]; then
    if ! get_source; then
        echo "skipped, because apt cannot get the source of hdf5"
        exit 0
    fi
    from=hdf5
elif [[ -z $from ]]; then
    from=(/usr/lib/python3/dist-packages/h5py/_debian_h5py_*/tests/data_files /usr/share/python-tables/tests)
fi
while IFS= read -r -d '' file; do files+=("$file"); done < <(
    find "${from[@]}" \( -name '*.h5' -o -name '*.hdf5' -o -name '*.h5f' \) -size -30M -print0 2>/dev/null | sort -z)
/usr/bin/python3 "$source_folder/tests/every_set.py" "$bin/mpmap" "$source_folder/lib/include" "${files[@]}" >out 2>err
status=$?
cat out
check "each data set has h5py's bytes, or is refused by its type" test $status -eq 0
equal=$(grep -c '^ *[0-9]* equal: ' out)
check "there are data sets of all kinds among them" test "$equal" -ge 11
check "and all kinds of refusals" test "$(grep -c '^ *[0-9]* refused: ' out)" -ge 8

# What has its values elsewhere is refused before any row is begun.
external()
{
    rm -f out.h5 out.h5.part
    timeout 100 "$bin/mpmap" map copy.so:copy "$1" out.h5:/r --result 'f32' --quiet >out 2>err
    [[ $? -eq 1 && $(cat err) == "mpmap: $1 has its values in $2, which does not exist: HDF5 looks for such a file from the "* &&
        ! -e out.h5 && ! -e out.h5.part ]]
}
check "a lost external file is named" external lost.h5:/outside lost.bin
mkdir elsewhere && cp lost.h5 elsewhere && head -c 16 /dev/zero >elsewhere/lost.bin
export HDF5_EXTFILE_PREFIX=elsewhere
rm -f out.h5
check "unless HDF5 finds it in the folder that it is told" timeout 100 "$bin/mpmap" map copy.so:copy lost.h5:/outside \
    out.h5:/r --result f32 --quiet
# shellcheck disable=SC2016 # HDF5's own word
export HDF5_EXTFILE_PREFIX='${ORIGIN}'
rm -f out.h5
check "or beside the HDF5 file" timeout 100 "$bin/mpmap" map copy.so:copy elsewhere/lost.h5:/outside out.h5:/r \
    --result f32 --quiet
rm elsewhere/lost.bin
unset HDF5_EXTFILE_PREFIX
report
