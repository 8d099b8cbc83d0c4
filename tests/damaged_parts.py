# SPDX-License-Identifier: BSD-3-Clause
"""Damages left.part in many ways, and lets a map resume from it. For damaged_parts.sh.

Arguments: a seed, how many random damages, and the command of the map, which makes out.h5. The undisturbed output is
whole.h5. Prints what went wrong, and how many were refused and how many resumed; both must have occurred."""
import os
import random
import re
import socket
import subprocess
import sys

random.seed(int(sys.argv[1]))
count = int(sys.argv[2])
command = sys.argv[3:]
PART, OUT = "out.h5.part", "out.h5"
RECORD_AT_LEAST = 4096  # the record of a part has more bytes than that
whole = open("whole.h5", "rb").read()
left = open("left.part", "rb").read()
refused = resumed = wrong = 0


def complain(what, why, result=None):
    global wrong
    wrong += 1
    print(f"{what}: {why}")
    if result:
        print(f"    status {result.returncode}: {result.stderr.decode(errors='replace')[:400]}")


def run(what, words):
    try:
        return subprocess.run(words, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        complain(what, "it hangs")
        return None


def ask_status(what):
    """Whoever only looks must not die of it either."""
    result = run(what, [command[0], "status", OUT])
    if result and result.returncode not in (0, 1):
        complain(what, "its status cannot be asked for", result)


def resume(what, is_as_before):
    """One map that is to go on. `is_as_before` says whether the part is as it was."""
    global refused, resumed
    ask_status(what)
    result = run(what, command + ["--resume"])
    if result is None:
        return
    if result.returncode == 0:
        resumed += 1
        if open(OUT, "rb").read() != whole:
            complain(what, "the output has other bytes than the undisturbed one", result)
        if os.path.lexists(PART):
            complain(what, "the part is still there", result)
        os.unlink(OUT)
        return
    refused += 1
    if result.returncode != 1 or not re.search(rb"^mpmap: .*out\.h5\.part.{10}", result.stderr):
        complain(what, "it is refused without a sentence", result)
    if not is_as_before():
        complain(what, "it is refused, and has changed", result)
    if os.path.lexists(OUT):
        complain(what, "it is refused, and there is an output", result)
        os.unlink(OUT)


def clear():
    for name in PART, OUT:
        if os.path.isdir(name) and not os.path.islink(name):
            os.rmdir(name)
        elif os.path.lexists(name):
            os.unlink(name)


def try_bytes(what, data):
    clear()
    with open(PART, "wb") as file:
        file.write(data)
    resume(what, lambda: open(PART, "rb").read() == data)


def changed(data, at, new):
    return data[:at] + new + data[at + len(new):]


def flip(at, bit):
    return changed(left, at, bytes([left[at] ^ 1 << bit]))


def any_place():
    """Most bytes of a part are results: the others have their turn as well."""
    size = len(left)
    return random.choice([random.randrange(size), size - 1 - random.randrange(RECORD_AT_LEAST),
                          random.randrange(min(size, 4096)), size - 1 - random.randrange(256)])


def damage(number):
    at = any_place()
    length = min(random.choice([1, 2, 8, 64, 512, 4096]), len(left) - at)
    kind = number % 8
    if kind < 3:
        bit = random.randrange(8)
        return f"bit {bit} of byte {at} is flipped", flip(at, bit)
    if kind == 3:
        return f"it is cut at byte {at}", left[:at]
    if kind == 4:
        return f"{length} bytes from {at} on are zero", changed(left, at, bytes(length))
    if kind == 5:
        return f"{length} bytes from {at} on are any", changed(left, at, random.randbytes(length))
    if kind == 6:
        begin = random.randrange(len(left) - length)
        return f"{length} bytes at {at} are those of {begin}", changed(left, at, left[begin:begin + length])
    return f"{length} bytes are missing at {at}", left[:at] + left[at + length:]


def try_foreign_files():
    """Empty is what a crash leaves of a file that was just made: a map may begin in its place."""
    for name, data in {"of zeros": bytes(len(left)), "a letter": b"Dear all,\n", "a finished output": whole,
                       "the input": open("in.h5", "rb").read(), "a program": open("/bin/sh", "rb").read(),
                       "the record alone": left[-8192:], "two parts": left + left, "one byte more": left + b"\0",
                       "one byte less": left[:-1], "empty": b"", "one byte": b"\x89"}.items():
        try_bytes(f"a file: {name}", data)


def try_no_files():
    for name, make in {"a folder": os.mkdir, "a FIFO": os.mkfifo,
                       "a link": lambda path: os.symlink("left.part", path),
                       "a link to nothing": lambda path: os.symlink("nothing", path),
                       "a link to itself": lambda path: os.symlink(path, path),
                       "another name of a file": lambda path: os.link("left.part", path)}.items():
        clear()
        make(PART)
        before = os.lstat(PART)
        resume(name, lambda: os.path.lexists(PART) and os.lstat(PART).st_ino == before.st_ino)
    clear()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(PART)
        resume("a socket", lambda: os.path.lexists(PART))
    clear()


try_bytes("nothing is damaged", left)
if resumed != 1:
    complain("nothing is damaged", "it is refused")
try_foreign_files()
try_no_files()
for number in range(count):
    try_bytes(*damage(number))
clear()
if open("left.part", "rb").read() != left:
    complain("left.part", "it was written into by another name")
print(f"{refused} refused, {resumed} resumed, {wrong} wrong")
sys.exit(wrong > 0 or not refused or resumed < 2)
