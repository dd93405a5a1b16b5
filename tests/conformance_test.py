#!/usr/bin/python3
"""docs/CONFORMANCE.md says which test proves which row of S3's and KMS's contract; it is made here, from the tests.

    conformance_test.py ROOT                    fails where the file does not say what the tests say, after checking that it can fail
    conformance_test.py ROOT --write            writes the file
    conformance_test.py ROOT --ran TESTLOG...   fails where a test that proves a row did not pass in what meson wrote these of,
                                                and was not skipped for what the machine lacks; prints what was

A test proves the rows that it names: `PBE-08`, `PBE-02..07, 54`, `GBE-03, GBE-04` in a comment on its first line or anywhere
in it. tests/conformance_rows.tsv has the rows: name, evidence, rule.
"""

import collections
import glob
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))

from tally import GTEST, PYTHON_SKIPPED  # noqa: E402

AREAS = {
    "SEED": "PutBucketEncryption, sentence by sentence of its API reference page", "PBE": "PutBucketEncryption",
    "GBE": "GetBucketEncryption", "DBE": "DeleteBucketEncryption", "AUTH": "Authentication", "ERR": "The error document",
    "DIR": "Directory buckets", "OBJ": "Object answers", "KMS": "KMS", "AUD": "Audit", "BK": "Bucket Keys", "DSSE": "DSSE-KMS",
}
EVIDENCE = {
    "REC": "a recorded answer of AWS", "ISS": "an answer of AWS shown in a public issue",
    "DOC": "AWS's documentation or service model", "VGW": "versitygw's catalogue of errors, built to mirror AWS",
    "IMPL": "an independent implementation only", "INFER": "a choice of ours where S3 says nothing",
    "MEM": "general knowledge, not verified", "MEAS": "a client's behaviour, measured",
}
NAMED = re.compile(r"\b(%s)-(\d\d)((?:\.\.\d\d|, ?\d\d)*)\b" % "|".join(AREAS))
CPP_TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)")
PYTHON_CLASS = re.compile(r"^class (\w+)")
PYTHON_TEST = re.compile(r"^    def (test_\w+)")
CPP_NAME = re.compile(r"(?:\w+/)?(\w+\.\w+)")  # without what it is instantiated for
PYTHON_BEGAN = re.compile(r"^(test_\w+) \(__main__\.\w+", re.M)
PYTHON_BAD = re.compile(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (test_\w+)", re.M)


class Wrong(Exception):
    pass


def read_rows(text):
    rows = {}
    for line in text.splitlines():
        name, evidence, rule = line.split("\t")
        if not NAMED.fullmatch(name) or name in rows or evidence not in EVIDENCE or not rule:
            raise Wrong(f"conformance_rows.tsv: {line}")
        rows[name] = (evidence, rule)
    return rows


def named_rows(line, rows):
    """The rows a line names. A range has the rows between its ends, which must be rows themselves."""
    for area, first, rest in NAMED.findall(line):
        numbers, last = [int(first)], int(first)
        for mark, number in re.findall(r"(\.\.|, ?)(\d\d)", rest):
            if mark == "..":
                numbers += [n for n in range(last + 1, int(number)) if f"{area}-{n:02}" in rows]
            last = int(number)
            numbers.append(last)
        for number in numbers:
            name = f"{area}-{number:02}"
            if name not in rows:
                raise Wrong(f"there is no row {name}")
            yield name


def cpp_tests(source):
    """Each line of a C++ test file, with the test it is in or None."""
    test = None
    for line in source.splitlines():
        if begins := CPP_TEST.match(line):
            test = ".".join(begins.groups())
        yield test, line
        if line.startswith("}"):
            test = None


def python_tests(source):
    group = test = None
    for line in source.splitlines():
        if begins := PYTHON_CLASS.match(line):
            group = begins[1]
        if begins := PYTHON_TEST.match(line):
            test = f"{group}.{begins[1]}"
        elif re.match(r"^ {0,4}[^ \n]", line):
            test = None
        yield test, line


def proofs(sources, rows):
    """{row: [test]}, the tests as `file: name`."""
    found = collections.defaultdict(list)
    for path, source in sorted(sources.items()):
        for test, line in (cpp_tests if path.endswith(".cc") else python_tests)(source):
            try:
                names = list(named_rows(line, rows))
            except Wrong as wrong:
                raise Wrong(f"{path}: {wrong}: {line.strip()}") from None
            if names and test is None:
                raise Wrong(f"{path} names a row outside a test: {line.strip()}")
            for name in names:
                if (proof := f"{path}: {test}") not in found[name]:
                    found[name].append(proof)
    return found


def outcomes(log):
    """{file's stem: {test: whether it passed}} of what passed or was skipped; a Python test goes by its method: its class may be another's
    base. `log`: the lines of a testlog.json."""
    found = collections.defaultdict(dict)
    for line in log:
        record = json.loads(line)
        output = record.get("stdout", "") + "\n" + record.get("stderr", "")
        tests = found[record["name"].split(" / ")[-1]]
        tests.update({CPP_NAME.match(name)[1]: word == "OK" for word, name in GTEST.findall(output) if word != "FAILED"})
        began, skipped = set(PYTHON_BEGAN.findall(output)), {name.split()[0] for name, _ in PYTHON_SKIPPED.findall(output)}
        tests.update({name: name not in skipped for name in began - set(PYTHON_BAD.findall(output))})
        if record["result"] == "SKIP":
            tests["*"] = False
    return found


def not_passed(found, ran):
    """(proofs that were skipped, proofs that did not pass) of `ran`, as outcomes() has it. The test of a C++ file is in its room's
    program or in one of its own; that of a Python file in the program of its name."""
    skipped, bad = [], []
    for proof in sorted({proof for proofs_of_row in found.values() for proof in proofs_of_row}):
        path, test = proof.split(": ")
        if path.endswith(".cc"):
            said = [tests.get(test) for tests in ran.values()]
        else:
            stem, method = os.path.basename(path).removesuffix(".py").removesuffix("_test"), test.split(".")[1]
            said = [tests.get(method, tests.get("*")) for program, tests in ran.items() if re.fullmatch(rf"(\w+_)?{stem}", program)]
        if True not in said:
            (skipped if False in said else bad).append(proof)
    return skipped, bad


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def document(rows, found):
    by_area = {area: [name for name in rows if name.startswith(area + "-")] for area in AREAS}
    out = ["# Conformance", "",
           "Which test proves which row of S3's and KMS's contract. Made by tests/conformance_test.py from the tests, which name",
           "the rows they prove; a test fails while this file says anything else. `./check` fails unless each test named here passed, but for",
           "those it names as skipped: of a tool that is not there (curl, the AWS CLI, boto3, node and npm's registry, s3cmd, rclone, a second",
           "AES-GCM library), and of the mount without /dev/fuse. A row without a test is *missing*: not built, or built and not proven.", "",
           "What a row rests on:", ""]
    out += [f"* {tag}: {text}" for tag, text in EVIDENCE.items()]
    out += ["", "| area | rows | proven | missing |", "|---|---|---|---|"]
    for area, names in by_area.items():
        proven = sum(name in found for name in names)
        out.append(f"| {area}: {AREAS[area]} | {len(names)} | {proven} | {len(names) - proven} |")
    proven = sum(name in found for name in rows)
    out.append(f"| all | {len(rows)} | {proven} | {len(rows) - proven} |")
    for area, names in by_area.items():
        out += ["", f"## {AREAS[area]}", "", "| row | evidence | rule | proven by |", "|---|---|---|---|"]
        for name in names:
            evidence, rule = rows[name]
            proof = "<br>".join(found[name]) if name in found else "*missing*"
            out.append(f"| {name} | {evidence} | {cell(rule)} | {proof} |")
    return "\n".join(out) + "\n"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_all(root):
    """The rows, and which tests prove them."""
    tests = os.path.join(root, "tests")
    paths = [p for kind in ("cc", "py") for p in glob.glob(os.path.join(tests, "**", f"*_test.{kind}"), recursive=True)]
    sources = {os.path.relpath(path, tests): read(path) for path in paths if os.path.abspath(path) != os.path.abspath(__file__)}
    rows = read_rows(read(os.path.join(tests, "conformance_rows.tsv")))
    return rows, proofs(sources, rows)


def expect_wrong(call, what):
    try:
        call()
    except Wrong:
        return
    sys.exit(f"conformance_test.py accepts {what}")


def check_itself():
    rows = read_rows("PBE-01\tREC\tone\nPBE-02\tDOC\ttwo\nPBE-05\tDOC\tfive\nGBE-01\tREC\tfresh\n")
    cpp = "TEST(A, B) {  // PBE-01..05, GBE-01\n}\nTEST_F(C, D) {\n  // PBE-05\n}\n"
    python = "class E:\n    def test_f(self):  # PBE-02\n        pass\n\n    def other(self):\n        pass\n"
    found = proofs({"a.cc": cpp, "b.py": python}, rows)
    expected = {"PBE-01": ["a.cc: A.B"], "PBE-02": ["a.cc: A.B", "b.py: E.test_f"], "PBE-05": ["a.cc: A.B", "a.cc: C.D"],
                "GBE-01": ["a.cc: A.B"]}
    if found != expected:
        sys.exit(f"conformance_test.py reads {dict(found)}")
    if document(rows, found).count("*missing*") != 1 or document(rows, {}).count("*missing*") != 5:  # once in the head
        sys.exit("conformance_test.py does not show what is missing")
    if document(rows, found) == document(rows, proofs({"a.cc": cpp}, rows)):
        sys.exit("conformance_test.py does not see a test that is gone")
    expect_wrong(lambda: proofs({"a.cc": "TEST(A, B) {  // PBE-03\n}\n"}, rows), "a row that is none")
    expect_wrong(lambda: proofs({"a.cc": "}\n// PBE-01\n"}, rows), "a row outside a test")
    expect_wrong(lambda: proofs({"b.py": python + "        # PBE-01\n"}, rows), "a row outside a test")
    expect_wrong(lambda: read_rows("PBE-01\tREC\tone\nPBE-01\tREC\tone\n"), "a row twice")
    said = "[       OK ] Each/A.B/One (3 ms)\n[  SKIPPED ] C.D (0 ms)\n", "test_f (__main__.G.test_f) ... ok\ntest_g (__main__.G.test_g) ... ok\n"
    logs = [json.dumps({"name": name, "result": "OK", "stdout": out}) for name, out in zip(("x_a", "mount_b"), said)]
    ran = outcomes(logs)
    if not_passed(found, ran) != (["a.cc: C.D"], []):
        sys.exit(f"conformance_test.py takes {dict(ran)} for {not_passed(found, ran)}")
    failed = json.dumps({"name": "mount_b", "result": "FAIL", "stdout": said[1] + "FAIL: test_f (__main__.G.test_f)\n"})
    for log in ([logs[0], failed], logs[:1], logs[1:]):
        if not not_passed(found, outcomes(log))[1]:
            sys.exit("conformance_test.py does not see a test that did not pass")


def tell_what_ran(found, paths):
    skipped, bad = not_passed(found, outcomes(line for path in paths for line in read(path).splitlines()))
    print("\n".join([f"skipped: {proof}" for proof in skipped] + [f"did not pass: {proof}" for proof in bad]))
    print(f"{len(found)} rows have tests; of these tests {len(skipped)} were skipped, {len(bad)} did not pass")
    sys.exit(1 if bad else 0)


def main(root, what=None, *paths):
    path = os.path.join(root, "docs", "CONFORMANCE.md")
    check_itself()
    try:
        rows, found = read_all(root)
    except Wrong as wrong:
        sys.exit(str(wrong))
    if what == "--ran":
        tell_what_ran(found, paths)
    text = document(rows, found)
    if what == "--write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    elif not os.path.exists(path) or read(path) != text:
        sys.exit("docs/CONFORMANCE.md does not say what the tests say: run tests/conformance_test.py . --write")


if __name__ == "__main__":
    main(*sys.argv[1:])
