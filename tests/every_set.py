# SPDX-License-Identifier: BSD-3-Clause
"""Maps each data set of HDF5 files as a whole, by each of its fields and as a struct, and compares with h5py. For every_set.sh.

Arguments: the program mpmap, the folder of its headers, and files. Each row is copied by a task; its bytes must be those that
h5py reads, or the data set is refused by a sentence that names its type. Prints what went wrong, and a table."""
import collections
import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
from h5py import h5t

MPMAP, HEADERS = sys.argv[1:3]
MOST_BYTES = 1 << 22  # of a data set that is compared; of larger ones the first rows
MOST_SETS = 200  # of a file
OUT = "every.h5"
TASK = """#include <mpmap.h>
#include <string.h>
%s
int copy(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}
int sized(mpm_call *call, const void *item, void *result)
{
    uint64_t size = mpm_call_item_size(call);
    memset(result, 0, mpm_call_result_size(call));
    memcpy(result, &size, sizeof size);
    memcpy((char *)result + sizeof size, item, size);
    return 0;
}
"""
table = collections.Counter()
sentences = collections.Counter()
wrong = 0


def complain(what, why, said=""):
    global wrong
    wrong += 1
    table["wrong"] += 1
    print(f"{what}: {why}" + (f"\n    {said[:600]}" if said else ""), flush=True)


def run(words, **more):
    """Status and both outputs; a hang is a status of its own."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=100, stdin=subprocess.DEVNULL, **more)
        return done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired:
        return "hang", "", ""


def build(name, description):
    with open(name + ".c", "w") as file:
        file.write(TASK % description)
    subprocess.run(["cc", "-shared", "-fPIC", "-I", HEADERS, "-o", name + ".so", name + ".c"], check=True)
    return os.path.abspath(name + ".so")


# What a task is to get -------------------------------------------------------------------------------------------------

class Refused(Exception):
    """That is nothing which a map takes."""


def of_integer(size, is_signed):
    size = 1 if size <= 1 else 2 if size <= 2 else 4 if size <= 4 else 8 if size <= 8 else 0
    if not size:
        raise Refused
    return np.dtype(f"{'i' if is_signed else 'u'}{size}")


def memory_of(kind):
    """The type in which h5py is to read elements of that kind: numpy's, and HDF5's."""
    family = kind.get_class()
    if family in (h5t.INTEGER, h5t.ENUM):
        base = kind.get_super() if family == h5t.ENUM else kind
        dtype = of_integer(base.get_size(), base.get_sign() == h5t.SGN_2)
        return dtype, h5t.py_create(dtype)
    if family == h5t.FLOAT:
        dtype = np.dtype("f4" if kind.get_size() <= 4 else "f8")
        return dtype, h5t.py_create(dtype)
    if family == h5t.BITFIELD and kind.get_size() in (1, 2, 4, 8):
        native = {1: h5t.NATIVE_B8, 2: h5t.NATIVE_B16, 4: h5t.NATIVE_B32, 8: h5t.NATIVE_B64}
        return np.dtype(f"u{kind.get_size()}"), native[kind.get_size()]
    if family in (h5t.BITFIELD, h5t.OPAQUE) or family == h5t.STRING and not kind.is_variable_str():
        return np.dtype(f"V{kind.get_size()}"), kind
    if family == h5t.ARRAY:
        dtype, memory = memory_of(kind.get_super())
        return np.dtype((dtype, kind.get_array_dims())), h5t.array_create(memory, kind.get_array_dims())
    if family == h5t.COMPOUND:
        return of_complex(kind)
    raise Refused


def of_complex(kind):
    names = tuple(kind.get_member_name(i).decode(errors="replace") for i in range(kind.get_nmembers()))
    parts = [kind.get_member_type(i) for i in range(kind.get_nmembers())]
    if names not in (("r", "i"), ("re", "im"), ("real", "imag")) or parts[0].get_class() != h5t.FLOAT or parts[0] != parts[1]:
        raise Refused
    dtype, memory = memory_of(parts[0])
    pair = h5t.create(h5t.COMPOUND, 2 * dtype.itemsize)
    for number, name in enumerate(names):
        pair.insert(name.encode(), number * dtype.itemsize, memory)
    return np.dtype((dtype, (2,))), pair


def read(data, rows, memory, size):
    """The first rows, as so many bytes for each of their elements."""
    space = data.id.get_space()
    extent = (rows,) + data.shape[1:]
    space.select_hyperslab((0,) * len(extent), extent)
    values = np.zeros(extent, f"V{size}")
    data.id.read(h5py.h5s.create_simple(extent), space, values, mtype=memory)
    return values


def wrap(kind, names):
    """The same for a field, or a field of a field."""
    member = kind.get_member_type(kind.get_member_index(names[0]))
    dtype, memory = wrap(member, names[1:]) if len(names) > 1 else memory_of(member)
    compound = h5t.create(h5t.COMPOUND, dtype.itemsize)
    compound.insert(names[0], 0, memory)
    return dtype, compound


def is_variable(kind):
    if kind.get_class() == h5t.STRING:
        return kind.is_variable_str()
    if kind.get_class() != h5t.VLEN:
        return False
    try:
        memory_of(kind.get_super())
    except Refused:
        return False
    return True


def sizes_and_bytes(data, rows, kind, field=None):
    """Rows of variable length: the bytes of each."""
    values = data.fields(field)[:rows] if field else data[:rows]
    if kind.get_class() == h5t.STRING:
        return [value if isinstance(value, bytes) else str(value).encode() for value in values.reshape(rows)]
    dtype, base = memory_of(kind.get_super())[0].base, kind.get_super()
    if base.get_class() in (h5t.INTEGER, h5t.FLOAT) and base.get_order() == h5t.ORDER_BE:
        return [value.byteswap().astype(dtype).tobytes() for value in values.reshape(rows)]  # h5py 3.7 leaves them as they are
    return [np.asarray(value).astype(dtype, copy=False).tobytes() for value in values.reshape(rows)]


# Maps ------------------------------------------------------------------------------------------------------------------

def map_set(task, name, result, rows=None, more=()):
    """Maps, and returns the status, what it said, and the results."""
    for left in (OUT, OUT + ".part"):
        if os.path.lexists(left):
            os.unlink(left)
    words = [MPMAP, "map", task, name, OUT + ":/r", "--quiet", "--workers", "1", "--result", result]
    status, _, said = run(words + (["--rows", f":{rows}"] if rows else []) + list(more))
    if status != 0:
        if os.path.lexists(OUT) and "items failed" not in said and "item failed" not in said:
            complain(name, "it failed, and made an output", said)
        return status, said, None
    with h5py.File(OUT) as out:
        if not (out["r.done"][()] == 1).all():
            complain(name, "status 0 with rows that are not good")
        return status, said, out["r"][()]


def is_sentence(said):
    """One, or those of the first rows that have failed."""
    lines = said.splitlines()
    more = r"\s+(row \d+: |that is all of them|and \d+ more|all \d+ in |the first \d+ )"
    return bool(lines) and lines[0].startswith("mpmap: ") and all(re.match(more, line) for line in lines[1:])


def rows_of(data, size):
    """How many rows are compared."""
    row = max(1, int(np.prod(data.shape[1:], dtype=float)) * size)
    return min(data.shape[0], max(1, MOST_BYTES // row))


def compare(name, what, task, want, result, rows, more=()):
    status, said, have = map_set(task, name, result, rows, more)
    if want is None:
        if status == 1 and is_sentence(said):
            table["neither h5py nor a map can read it"] += 1
            sentences[re.sub(r".*?(cannot|could|unable|need|filter)", r"\1", said.splitlines()[-1])[:100]] += 1
        else:
            complain(name, f"h5py cannot read it, and a map has status {status}", said)
    elif status != 0:
        complain(name, f"{what} of which a map {more} has status {status}", said)
    elif np.ascontiguousarray(have).tobytes() != want:
        complain(name, f"{what} {more} with other bytes than h5py's", f"{have.tobytes()[:64].hex()} {want[:64].hex()}")
    else:
        table[what] += 1


def attempt(function):
    """What h5py reads, or None where it cannot."""
    try:
        return function()
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        attempt.why = error
        return None


def map_fixed(name, what, data, dtype, memory):
    rows = rows_of(data, dtype.itemsize)
    values = attempt(lambda: read(data, rows, memory, dtype.itemsize))
    want = None if values is None else values.tobytes()
    size = int(np.prod(data.shape[1:], dtype=int)) * dtype.itemsize
    compare(name, what, copy + ":copy", want, f"u8[{size}]", rows)
    if want and len(data.shape) > 1 and rows == data.shape[0]:
        turned = np.moveaxis(values, -1 + len(data.shape), 0)
        size = values.nbytes // turned.shape[0]
        compare(name, "equal: along the last axis", copy + ":copy", np.ascontiguousarray(turned).tobytes(), f"u8[{size}]", 0,
                ("--axis", str(len(data.shape) - 1)))


def map_variable(name, what, data, kind, field=None):
    rows = rows_of(data, 16)
    values = attempt(lambda: sizes_and_bytes(data, rows, kind, field))
    most = 8 if values is None else max(map(len, values), default=0) + 8
    want = values and b"".join(len(v).to_bytes(8, "little") + v.ljust(most - 8, b"\0") for v in values)
    compare(name, what, copy + ":sized", want, f"u8[{most}]", rows)


def refuse(name, what, words):
    """A map must say one of the words, or all of a sentence."""
    status, said, _ = map_set(copy + ":copy", name, "u8")
    if status != 1 or len(said.splitlines()) != 1 or not is_sentence(said):
        complain(name, f"{what}: status {status} without a sentence", said)
    elif not any(word in said for word in words):
        complain(name, f"{what}: the sentence has none of {words}", said)
    else:
        table["refused: " + what] += 1


# Structs ---------------------------------------------------------------------------------------------------------------

def parse_struct(text, kind):
    """Reads "{f64 x, u8[3] name, {…} in}": the aligned numpy type, and HDF5's to read it."""
    at = 0

    def fields(kind):
        nonlocal at
        found, at = [], at + 1
        while True:
            at += len(text[at:]) - len(text[at:].lstrip())
            if text[at] == "{":
                begun = at
                depth = 0
                while True:  # its name is behind it
                    depth += {"{": 1, "}": -1}.get(text[at], 0)
                    at += 1
                    if not depth:
                        break
                name = re.match(r"\s*([^,}]+)", text[at:])
                member = kind.get_member_type(kind.get_member_index(name[1].encode(errors="surrogateescape")))
                end, at = at + name.end(), begun
                dtype, memory = fields(member)
                at = end
                found.append((name[1], dtype, memory))
            else:
                match = re.match(r"([a-z]+)(\d+)(?:\[([\d,]+)\])?\s+([^,}]+)", text[at:])
                at += match.end()
                member = kind.get_member_type(kind.get_member_index(match[4].encode(errors="surrogateescape")))
                plain = np.dtype(f"{match[1]}{int(match[2]) // 8}")
                shape = tuple(int(n) for n in match[3].split(",")) if match[3] else ()
                dtype, memory = memory_of(member)
                if dtype.itemsize != plain.itemsize * int(np.prod(shape)):
                    raise ValueError(f"{match[0]} is not {dtype}")
                found.append((match[4], np.dtype((plain, shape)), memory))
            at += 1
            if text[at - 1] == "}":
                break
        dtype = np.dtype([(str(n), one[1]) for n, one in enumerate(found)], align=True)
        memory = h5t.create(h5t.COMPOUND, dtype.itemsize)
        for n, (name, _, inner) in enumerate(found):
            memory.insert(name.encode(errors="surrogateescape"), dtype.fields[str(n)][1], inner)
        return dtype, memory

    return fields(kind)


def leaves(dtype, values):
    """The bytes of all fields, without what is between them."""
    if dtype.names:
        return b"".join(leaves(dtype[name], values[name]) for name in dtype.names)
    return np.ascontiguousarray(values).tobytes()


def c_struct(text):
    """Reads the same into the members of a C struct, whose names are f and the number. Returns them, and the names of those
    of the struct itself that are of variable length, with their numbers."""
    at, count = 0, 0

    def fields():
        nonlocal at, count
        made, spans, at = "", [], at + 1
        while True:
            at += len(text[at:]) - len(text[at:].lstrip())
            if text[at] == "{":
                inner, _ = fields()
                name = re.match(r"\s*([^,}]+)", text[at:])
                made += "struct { %s } f%d; " % (inner, count)
            else:
                name = re.match(r"(?:text|[a-z]+(\d+)(?:\[([\d,]*)\])?)\s+([^,}]+)", text[at:])
                if not name[1] or name[2] == "":
                    made += "mpm_span f%d; " % count
                    spans.append((name[3], count))
                else:
                    size = int(name[1]) // 8
                    extents = [int(n) for n in name[2].split(",")] if name[2] else []
                    made += "_Alignas(%d) char f%d[%d]; " % (size, count, size * int(np.prod(extents)))
            at += name.end() + 1
            count += 1
            if text[at - 1] == "}":
                return made, spans

    return fields()


SPAN = """struct row { %s };
%s
int span(mpm_call *call, const void *item, void *result)
{
    const mpm_span *span = &((const struct row *)item)->f%d;
    uint64_t size = span->size;
    memset(result, 0, mpm_call_result_size(call));
    memcpy(result, &size, sizeof size);
    memcpy((char *)result + sizeof size, span->at, size);
    return 0;
}
"""


def map_spans(name, data, row):
    """Structs with fields of variable length: each of these is where its struct in C has it."""
    members, spans = c_struct(row)
    quoted = row.replace("\\", "\\\\").replace('"', '\\"')
    kind, rows = data.id.get_type(), rows_of(data, 64)
    for field, number in spans:
        member = kind.get_member_type(kind.get_member_index(field.encode(errors="surrogateescape")))
        values = attempt(lambda: sizes_and_bytes(data, rows, member, field))
        most = 8 if values is None else max(map(len, values), default=0) + 8
        want = values and b"".join(len(v).to_bytes(8, "little") + v.ljust(most - 8, b"\0") for v in values)
        task = build("spans%d" % number, SPAN % (members, 'const mpm_task_description span_description = {.result = "u8", '
                                                 '.row = "%s"};' % quoted, number))
        compare(name, "equal: fields of variable length in structs", task + ":span", want, f"u8[{most}]", rows)


def map_struct(name, data, row):
    if re.search(r"[{ ]text |\[\] ", row):
        map_spans(name, data, row)
        return
    kind = data.id.get_type()
    dtype, memory = parse_struct(row, kind)
    rows = rows_of(data, dtype.itemsize)
    want = attempt(lambda: read(data, rows, memory, dtype.itemsize).view(dtype))
    count = int(np.prod(data.shape[1:], dtype=int))
    quoted = row.replace("\\", "\\\\").replace('"', '\\"')
    task = build("struct", 'const mpm_task_description copy_description = {.result = "u8", .row = "%s"};' % quoted)
    status, said, have = map_set(task + ":copy", name, f"u8[{count * dtype.itemsize}]", rows)
    if status != 0 or want is None:
        if want is None and status == 1 and is_sentence(said):
            table["neither h5py nor a map can read it"] += 1
        else:
            complain(name, f"a struct {row} of which a map has status {status}", said)
    elif leaves(dtype, np.ascontiguousarray(have).view(dtype)) != leaves(dtype, want):
        complain(name, f"a struct {row} with other bytes than h5py's")
    else:
        table["equal: compounds as structs"] += 1


FAMILIES = {h5t.INTEGER: "integers", h5t.FLOAT: "floats", h5t.STRING: "strings", h5t.BITFIELD: "bit fields",
            h5t.OPAQUE: "opaque bytes", h5t.ENUM: "enumerations", h5t.VLEN: "variable length", h5t.ARRAY: "arrays",
            h5t.COMPOUND: "compounds", h5t.REFERENCE: "references", h5t.TIME: "times"}


def map_field(name, data, kind, number):
    field = kind.get_member_name(number)
    member = kind.get_member_type(number)
    full = name + "." + field.decode(errors="surrogateescape")
    try:
        dtype, memory = wrap(kind, [field])
    except Refused:
        if is_variable(member) and np.prod(data.shape[1:], dtype=float) == 1:
            map_variable(full, "equal: fields of variable length", data, member, field.decode(errors="surrogateescape"))
        elif is_variable(member):
            refuse(full, "several of variable length a row", ["a row: a map takes one a row"])
        else:
            refuse(full, "fields of " + FAMILIES[member.get_class()], words_of(member))
        return
    map_fixed(full, "equal: fields", data, dtype, memory)


def words_of(kind):
    family = kind.get_class()
    return {h5t.REFERENCE: ["references"], h5t.TIME: ["times of"], h5t.VLEN: ["variable-length", "of variable length"],
            h5t.COMPOUND: ["{"], h5t.ARRAY: ["["]}.get(family, [f"{8 * kind.get_size()}"])


def map_compound(name, data, entry):
    kind = data.id.get_type()
    refuse(name, "compounds as a whole", ["name one field", "a map can take none of these fields"])
    row = re.search(r'row = "(.*)"$', entry["why_not"], re.S)
    if row:
        map_struct(name, data, row[1])
    for number in range(min(kind.get_nmembers(), 12)):
        map_field(name, data, kind, number)


def has_dimensions(data, kind):
    """How many dimensions a row has, with those of arrays."""
    count = len(data.shape) - 1
    while kind.get_class() in (h5t.ARRAY, h5t.VLEN):
        count += len(kind.get_array_dims()) if kind.get_class() == h5t.ARRAY else 1
        kind = kind.get_super()
    return count


def map_entry(file, name, data, entry):
    kind = data.id.get_type()
    if data.shape is None or data.shape == ():
        refuse(name, "no rows", ["has no rows: it is " + ("without data" if data.shape is None else "a scalar")])
    elif has_dimensions(data, kind) > 31 or kind.get_class() == h5t.COMPOUND and 0 not in data.shape[1:] and len(data.shape) > 31:
        refuse(name, "too many dimensions", ["dimensions"])
    elif 0 in data.shape[1:] and not is_variable(kind):
        refuse(name, "rows without elements", ["an extent is 0", *words_of(kind)])
    elif is_variable(kind):
        if np.prod(data.shape[1:], dtype=float) == 1:
            map_variable(name, "equal: variable length", data, kind)
        else:
            refuse(name, "several of variable length a row", ["a row: a map takes one a row"])
    else:
        try:
            dtype, memory = memory_of(kind)
        except Refused:
            if kind.get_class() == h5t.COMPOUND:
                map_compound(name, data, entry)
            else:
                refuse(name, FAMILIES[kind.get_class()], words_of(kind))
            return
        map_fixed(name, "equal: " + FAMILIES[kind.get_class()], data, dtype, memory)


def open_file(path):
    try:
        return h5py.File(path)
    except (OSError, RuntimeError) as error:
        attempt.why = error
    return attempt(lambda: h5py.File(path, swmr=True, libver="latest"))


def look(path):
    status, printed, said = run([MPMAP, "look", path, "--json"])
    try:
        found = json.loads(printed, strict=False)
    except ValueError as error:
        found = None
        complain(path, f"a look has status {status}, and its JSON is none: {error}", said)
    if found and status not in (0, 1) or status == 1 and not is_sentence(said):
        complain(path, f"a look has status {status}", said)
    return status, found, said


def take_file(path):
    status, found, said = look(path)
    file = open_file(path)
    table["files"] += 1
    if status != 0:
        if file is not None:
            complain(path, "h5py opens it, and a look does not", said)
        else:
            table["files that neither opens"] += 1
        sentences[said.replace(path, "FILE").strip()[:110]] += 1
        return
    if file is None:
        complain(path, f"a look opens it, and h5py does not: {attempt.why}")
        return
    with file:
        sets = [entry for entry in found["entries"] if entry["kind"] == "data set"]
        for entry in found["entries"]:
            if entry["kind"] != "data set":
                refuse(f"{path}:{entry['path']}", "no data sets", [entry["why_not"][:40], "is a group"])
        if len(sets) > MOST_SETS:
            table["data sets left out, of files that have very many"] += len(sets) - MOST_SETS
        for entry in sets[:MOST_SETS]:
            take_set(file, path, entry)


def take_set(file, path, entry):
    name = f"{path}:{entry['path']}"
    table["data sets"] += 1
    data = attempt(lambda: file[entry["path"].encode(errors="surrogateescape")])
    if data is None:
        complain(name, f"a look finds it, and h5py does not: {attempt.why}")
        return
    try:
        map_entry(file, name, data, entry)
    except Exception as error:  # noqa: BLE001: of h5py or of numpy, which have many
        complain(name, f"was not compared: {type(error).__name__}: {error}")


copy = build("copy", "")
for path in sys.argv[3:]:
    take_file(path)
print("\n".join(f"{table[what]:6} {what}" for what in sorted(table)))
if os.environ.get("MPMAP_SENTENCES"):
    print("\n".join(f"{count:6} {text}" for text, count in sentences.most_common()))
sys.exit(wrong != 0)
