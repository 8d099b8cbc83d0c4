#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints, for wrong_arguments_test.c, a call of every public function for each way in which one argument is wrong.

usage: wrong_arguments.py INCLUDE_FOLDER

The functions are read from the headers, so a new one is tested from its first build on. What a right argument is
depends on its type alone: see RIGHT. A type that is not known here is an error.
"""
import pathlib
import re
import sys

# They end the run or the process, or print; mpm_fail has a test of its own, since its arguments vary.
LEFT_OUT = {"mpm_init", "mpm_finalize", "mpm_exit", "mpm_report_error", "mpm_fail"}

HANDLES = ("process connection queue lock rlock semaphore condition event barrier value array bytes").split()

# A right argument, by type: what stands in `struct fixture` of the test, or a constant.
RIGHT = {
    "size_t": "4", "unsigned": "0", "int": "0", "int64_t": "0", "double": "0", "double timeout_s": "0", "uint64_t *": "(void *)scratch", "size_t *": "(void *)scratch",
    "mpm_task *": "task", "mpm_target *": "target", "mpm_generator *": "generator", "mpm_predicate *": "predicate", "mpm_dataset_tell *": "tell",
    "mpm_type": "MPM_I32", "enum mpm_pipe_direction": "MPM_DUPLEX", "enum mpm_log_level": "MPM_LOG_ERROR",
    "enum mpm_shutdown": "MPM_FINISH",
    "const char *": '"f64"', "mpm_pool *": "fixture.pool", "const mpm_pool *": "fixture.pool",
    "mpm_result *": "fixture.result", "const mpm_result *": "fixture.result", "mpm_stream *": "fixture.stream",
    "const mpm_handle *": "&fixture.queue.handle", "const mpm_shape *": "&fixture.shape",
    "mpm_call *": None, "const mpm_call *": None,  # there is none outside of a task
}

# Wrong ones, by type: (name, expression, whether an int must be negative).
WRONG = {
    "size_t": [("none", "0", False), ("huge", "SIZE_MAX", False), ("half", "SIZE_MAX / 2 + 1", False)],
    "unsigned": [("huge", "UINT_MAX", False)],
    "int": [("huge", "INT_MAX", False), ("small", "INT_MIN", False)],
    "int64_t": [("huge", "INT64_MAX", False), ("small", "INT64_MIN", False)],
    "double": [("nan", "NAN", False), ("negative", "-1.0", False), ("minus infinity", "-INFINITY", False)],
    "double timeout_s": [("nan", "NAN", True), ("negative", "-1.0", False), ("minus infinity", "-INFINITY", False)],
    "mpm_type": [("none", "(mpm_type)0", False), ("odd", "(mpm_type)999", False)],
    "enum mpm_pipe_direction": [("odd", "(enum mpm_pipe_direction)77", True)],
    "enum mpm_log_level": [("odd", "(enum mpm_log_level)77", True)],
    "enum mpm_shutdown": [("odd", "(enum mpm_shutdown)77", True)],
    "const char *": [("NULL", "NULL", False), ("empty", '""', False)],
}
# NULL is an error for these; for other pointers it may be a default.
NEEDED = ("mpm_pool *", "mpm_result *", "mpm_stream *", "mpm_call *", "mpm_task *", "mpm_target *", "mpm_generator *",
          "mpm_predicate *", "mpm_dataset_tell *")
NULL_IS_FINE = {"mpm_pool_close", "mpm_pool_terminate"}  # as of free()
FREED = {"mpm_free", "mpm_blobs_free"}  # NULL is fine, anything else would be freed


def functions(folder):
    text = "\n".join(path.read_text() for path in sorted(pathlib.Path(folder, "mpmap").glob("*.h"))
                     if path.name != "api.h")
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    for found in re.finditer(r"MPM_API\s+((?:[^;(]|\(\()*?)\b(mpm_\w+)\(([^;]*?)\)[^;()]*(?:\(\d, \d\))?;", text):
        result = re.sub(r"MPM_CHECKED|\s+", " ", found.group(1)).strip()
        yield " ".join(result.split()), found.group(2), parameters(found.group(3))


def parameters(text):
    types = []
    for one in " ".join(text.split()).split(","):
        one = one.strip()
        if one != "void":
            whole = one in ("...", "double timeout_s")  # a time limit is not any number: NaN is an error
            types.append(one if whole else re.sub(r"\s*(\w+)$", "", one).replace("**", " **").replace("  ", " "))
    return types


def right(kind):
    if kind.removeprefix("mpm_") in HANDLES:
        return "fixture." + kind.removeprefix("mpm_")
    if kind in RIGHT:
        return RIGHT[kind]
    if kind.endswith("options *") or kind == "const mpm_callbacks *":
        return "NULL"
    if kind.endswith("*"):
        return "(%s)scratch" % kind if "struct" not in kind else "NULL"
    sys.exit("wrong_arguments.py: there is no right argument of type '%s' yet" % kind)


def wrong(kind):
    name = kind.removeprefix("mpm_")
    if name in HANDLES:
        return [(way, "wrong_%s(%s)" % (name, way.upper()), True) for way in ("none", "other", "stale", "wild", "far")]
    if kind in WRONG:
        return WRONG[kind]
    if kind.endswith("*"):
        return [("NULL", "NULL", kind.removeprefix("const ") in NEEDED)]
    sys.exit("wrong_arguments.py: there is no wrong argument of type '%s' yet" % kind)


def calls(result, name, kinds):
    for place, kind in enumerate(kinds):
        for way, expression, must_fail in wrong(kind):
            rest = [right(other) for other in kinds]
            rest[place] = expression
            if None in rest:
                rest = ["NULL" if word is None else word for word in rest]
            if name in FREED and expression != "NULL":
                continue
            must_fail = must_fail and name not in NULL_IS_FINE
            yield ("%s, argument %d (%s) %s" % (name, place + 1, kind, way), "%s(%s)" % (name, ", ".join(rest)), result,
                   must_fail)


def main():
    entries = []
    for result, name, kinds in functions(sys.argv[1]):
        if name in LEFT_OUT:
            continue
        for what, call, kind, must_fail in calls(result, name, kinds):
            number = len(entries)
            is_int = kind == "int"
            body = "return %s;" % call if is_int else ("%s; return 0;" % call if kind == "void" else
                                                       "use(%s); return 0;" % (
                                                           "(const void *)" + call if "*" in kind else
                                                           "(const void *)(uintptr_t)" + call))
            print("static int call_%d(void)\n{\n    %s\n}" % (number, body))
            entries.append('{"%s", call_%d, %d, %d},' % (what, number, is_int, must_fail and is_int))
    print("static const struct wrong_call wrong_calls[] = {\n    %s\n};" % "\n    ".join(entries))


main()
