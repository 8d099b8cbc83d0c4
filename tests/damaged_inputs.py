# SPDX-License-Identifier: BSD-3-Clause
"""Flips bits of HDF5 files and cuts their ends, and maps them in all forms. For damaged_inputs.sh.

Arguments: the program mpmap, a seed, how many damages. Whatever HDF5 makes of a damage: a look and a map end in time, with
0, or with 1 and a sentence; what a map leaves is an output that is whole, or the part of one that has been begun. What a
sanitizer finds in the code of mpmap itself is an error; what it finds in HDF5 is not."""
import collections
import glob
import json
import os
import random
import re
import subprocess
import sys

import h5py

MPMAP = sys.argv[1]
random.seed(int(sys.argv[2]))
COUNT = int(sys.argv[3])
OUT = "out.h5"
FORMS = [line.split() for line in """
digest bad.h5:/plain u64[2]
digest bad.h5:/packed u64[2] --rows 3:55:4
digest bad.h5:/plain u64[2] --rows :/some
digest bad.h5:/plain u64[2] --rows :/mask
digest bad.h5:/plain u64[2] --cost :/numbers
digest bad.h5:/numbers u64[2] --where row>20
digest bad.h5:/plain u64[2] --where /table.n>=3
structs bad.h5:/table u64[2]
digest bad.h5:/table.s u64[2]
digest bad.h5:/texts u64[2]
digest bad.h5:/ragged u64[2]
digest bad.h5:/nested.text u64[2]
records bad.h5:/nested u64
digest bad.h5:/plain,/table.x u64[2]
digest bad.h5:/plain,/ragged,/texts u64[2]
digest part*.h5:/numbers u64[2]
digest bad.h5:/matrix u64[2] --axis 1
digest bad.h5:/matrix u64[2] --tile 6,5 --halo 2,1 --edge reflect
negative bad.h5:/matrix f32[3,4] --tile 3,4 --stitch
digest bad.h5:/plain {u64_size,u64_digest} --compress gzip --compress-rows 16
digest bad.h5:/outside u64[2]
digest bad.h5:/virtual u64[2]
""".strip().splitlines()]
table = collections.Counter()
wrong = 0
bases = {path: open(path, "rb").read() for path in sorted(glob.glob("base*.h5"))}
# What a file has in common with one of other values is not a value: structures of HDF5 are damaged more often.
places = {path: [at for at, two in enumerate(zip(data, open("twin" + path, "rb").read())) if two[0] == two[1] != 0]
          for path, data in bases.items()}


def complain(what, why, said=""):
    global wrong
    wrong += 1
    print(f"{what}: {why}\n    {said[:1500]}", flush=True)


def damaged(data, places):
    """Mostly a byte or a few: more than that is not HDF5 any more."""
    bad = bytearray(data)
    if random.random() < 0.15:
        return "cut", bytes(bad[:random.randrange(len(bad))])
    used = places if random.random() < 0.8 else range(len(bad))
    for _ in range(random.choice((1, 1, 1, 2, 5, 20))):
        at = random.choice(used)
        bad[at] = random.choice((bad[at] ^ 1 << random.randrange(8), random.randrange(256), 255, 0))
    return "flip", bytes(bad)


def run(what, words):
    for log in glob.glob("sanitizer.*"):
        os.unlink(log)
    try:
        done = subprocess.run(words, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        complain(what, "it hangs")
        return None
    said = done.stderr.decode(errors="replace")
    for log in glob.glob("sanitizer.*"):
        report = open(log, errors="replace").read()
        frames = re.findall(r"^ *#\d+ .*", report.split("\n\n")[0], re.M)
        ours = [frame for frame in frames if "libasan" not in frame and "libubsan" not in frame][:1]
        table["reports of a sanitizer about HDF5"] += 1
        if "runtime error" in report or not ours or "libmpmap" in ours[0] or "/bin/mpmap" in ours[0]:
            complain(what, "the sanitizer says", report)
    if done.returncode not in (0, 1) or done.returncode == 1 and not said.startswith("mpmap: "):
        complain(what, f"status {done.returncode}", said)
        return None
    return done.returncode, done.stdout.decode(errors="replace"), said


def look(what):
    found = run(what + ", a look", [MPMAP, "look", "bad.h5", "--json"])
    if found is None:
        return
    try:
        answer = json.loads(found[1])
    except ValueError as error:
        complain(what, f"the JSON of a look is none: {error}", found[1])
        return
    if ("error" in answer) != (found[0] == 1):
        complain(what, f"a look has status {found[0]}", found[1])


def check_output(what, status, said):
    """An output that has its name is whole: each row has a mark."""
    if not os.path.lexists(OUT):
        if status == 0:
            complain(what, "status 0 without an output", said)
        table["refused, or ended with a part"] += 1
        return
    with h5py.File(OUT) as out:
        marks = out["r.done"][()]
        if 0 in marks:
            complain(what, "an output lacks rows", said)
        if (2 in marks) != (status == 1):
            complain(what, f"status {status}, and {(marks == 2).sum()} failed rows", said)
    if os.path.lexists(OUT + ".part"):
        complain(what, "an output, and a part beside it", said)
    table["mapped" if status == 0 else "mapped with failed rows"] += 1


def damage(number):
    base = random.choice(list(bases))
    how, bad = damaged(bases[base], places[base])
    form = random.choice(FORMS)
    what = f"seed {sys.argv[2]}, {number}: {base}, {how}, {' '.join(form)}"
    for left in glob.glob(OUT + "*"):
        os.unlink(left)
    for name in ("bad.h5", "part1.h5"):
        with open(name, "wb") as file:
            file.write(bad)
    if number % 4 == 0:
        look(what)
    words = [MPMAP, "map", "task.so:" + form[0], form[1], OUT + ":/r", "--result", form[2].replace("_", " ")]
    done = run(what, words + form[3:] + ["--quiet", "--workers", "1", "--attempts", "1", "--timeout", "20"])
    if done is None:
        with open(f"wrong{number}.h5", "wb") as file:
            file.write(bad)
    else:
        check_output(what, done[0], done[2])


for number in range(COUNT):
    damage(number)
print("\n".join(f"{count:6} {what}" for what, count in sorted(table.items())))
sys.exit(wrong != 0)
