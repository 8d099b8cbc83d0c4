# SPDX-License-Identifier: BSD-3-Clause
# Writes rows into a file that a map follows, for follow.sh: follow_writer.py FILE HOW BURSTS ROWS OUTPUT [HOLDS].
# HOW is swmr, or append: then the file is opened anew for each burst. After each burst it waits until OUTPUT.part shows
# all rows, reading it with SWMR as a user would: what is shown is done, and right. With HOLDS it waits after the last
# burst for the file "close" before it closes the file.
import ctypes
import fcntl
import os
import select
import signal
import sys
import time

import h5py
import numpy as np

name, how, bursts, rows, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
holds = len(sys.argv) > 6
end = time.monotonic() + 60
part = output + ".part"


# Whatever is waited for begins with a change of a file here.
c = ctypes.CDLL(None)
IN_MODIFY, IN_MOVED_TO, IN_CREATE, IN_DELETE = 2, 128, 256, 512
watch = c.inotify_init()
if c.inotify_add_watch(watch, b".", IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE) < 0:
    sys.exit("no watch")


def wait(what):
    while not what():
        if not select.select([watch], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit("not in time")
        os.read(watch, 65536)


def data(first, count):
    return (np.arange(first * 4, (first + count) * 4, dtype="f4") % 1000 + 1).reshape(count, 4)


def create(file):
    file.create_dataset("d", (0, 4), maxshape=(None, 4), chunks=(16, 4), dtype="f4")
    file.create_dataset("over", data=0)


def add(file):
    first = file["d"].shape[0]
    file["d"].resize(first + rows, 0)
    file["d"][first:] = data(first, rows)
    file["d"].flush()


class Reader:
    file = None

    def shows(self, count):
        if output == "none":
            return True
        if not self.file:
            if not os.path.exists(part):
                return False
            self.file = h5py.File(part, "r", swmr=True)
        result, done = self.file["r"], self.file["r.done"]
        done.id.refresh()
        result.id.refresh()
        shown = min(result.shape[0], done.shape[0])
        if shown > count:
            sys.exit(f"{shown} rows are shown, and there are {count}")
        assert (done[:shown] == 1).all(), "a row is shown that is not done"
        assert (result[:shown, 0] == data(0, shown)[:, 0] / 3.0).all(), "a row is shown that is wrong"
        return shown == count


reader = Reader()
if how == "swmr":
    file = h5py.File(name, "w", libver="latest")
    create(file)
    file.swmr_mode = True
    for burst in range(bursts):
        add(file)
        wait(lambda: reader.shows((burst + 1) * rows))
    if holds:
        open("written", "w").close()
        wait(lambda: os.path.exists("close"))
    file.close()
else:
    with h5py.File(name, "w") as file:
        create(file)

    def append():
        try:  # a pass that reads it has it locked
            with h5py.File(name, "a") as file:
                add(file)
            return True
        except OSError:
            return False

    def wait_to_append():
        while not append():
            with open(name) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # as long as that takes

    signal.alarm(60)
    for burst in range(bursts):
        wait_to_append()
        wait(lambda: reader.shows((burst + 1) * rows))
