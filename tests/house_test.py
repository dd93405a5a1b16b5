#!/usr/bin/python3
"""The house of the README: which room may include which, and which file alone speaks a foreign language.

    house_test.py ROOT      checks the tree below ROOT, after checking that this check can fail
"""

import os
import re
import sys
import tempfile

ROOMS = {
    "base": set(),
    "iam": {"base"},
    "crypto": {"iam", "base"},
    "store": {"crypto", "iam", "base"},
    "admin": {"iam", "base"},
    "cli": {"admin", "store", "crypto", "iam", "base"},
    "daemon": {"admin", "store", "crypto", "iam", "base"},
}

# A header of somebody else's, and the files that alone may include it.
FOREIGN = [
    (re.compile(r"^(fuse3?/|fuse|linux/fuse\.h)"), re.compile(r"^daemon/fuse_[a-z_]*\.(h|cc)$")),
    (re.compile(r"^microhttpd"), re.compile(r"^admin/http_server\.(h|cc)$")),
    (re.compile(r"^sqlite3"), re.compile(r"^store/")),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
# About tables: what the database says of itself (sqlite_schema) is none.
TABLE_SQL = re.compile(
    r"\b(SELECT\b.*?\bFROM\s+(?!sqlite_)|INSERT\s+(OR\s+\w+\s+)?INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|"
    r"CREATE\s+(UNIQUE\s+)?(TABLE|INDEX)\b)", re.DOTALL)
SQL_FILES = re.compile(r"^store/catalog[a-z_]*\.(h|cc)$")
LITERAL = re.compile(r'R"(\w*)\((?P<raw>.*?)\)\1"|"(?P<plain>(?:[^"\\\n]|\\.)*)"', re.DOTALL)
COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def literals(source):
    """All text in string literals; neighbours are one, as they are to the compiler."""
    source = COMMENT.sub(lambda found: found.group(1) or " ", source)
    source = INCLUDE.sub("", source)
    text, end = [], 0
    for found in LITERAL.finditer(source):
        if source[end:found.start()].strip():
            text.append("\n;\n")
        text.append(found.group("raw") if found.group("raw") is not None else found.group("plain"))
        end = found.end()
    return "".join(text)


def check_includes(name, room, source):
    for ours, foreign in INCLUDE.findall(source):
        header = ours or foreign
        target = header.split("/")[0]
        if ours and target not in ROOMS:
            yield f'{name} includes "{header}", which is in no room'
        elif ours and target != room and target not in ROOMS[room]:
            yield f'{name} includes "{header}": {room} may include {", ".join(sorted(ROOMS[room])) or "nothing"}'
        for pattern, allowed in FOREIGN:
            if not (ours and target in ROOMS) and pattern.match(header) and not allowed.match(name):
                yield f"{name} includes <{header}>, which only {allowed.pattern} may"


def check_file(name, source):
    yield from check_includes(name, name.split("/")[0], source)
    if not SQL_FILES.match(name):
        for statement in literals(source).split("\n;\n"):
            if TABLE_SQL.search(statement):
                yield f"{name} has SQL about tables, which only {SQL_FILES.pattern} may: {statement.strip()[:60]}"


def check_tree(root):
    wrong, files = [], 0
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(root, room)):
            for base in sorted(names):
                if not base.endswith((".h", ".cc")):
                    continue
                files += 1
                path = os.path.join(folder, base)
                with open(path, encoding="utf-8") as file:
                    wrong += check_file(os.path.relpath(path, root), file.read())
    return wrong, files


# What must be refused, and what stands beside it and must not.
PLANTED = [
    ("crypto/x.cc", '#include "store/disk.h"\n', True),
    ("crypto/x.cc", '#include "base/bytes.h"\n', False),
    ("base/x.h", '# include "crypto/key.h"\n', True),
    ("admin/x.h", '#include "crypto/key.h"\n', True),
    ("iam/x.h", '#include "crypto/key.h"\n', True),
    ("base/x.h", '#include "iam/policy.h"\n', True),
    ("crypto/x.h", '#include "iam/decision.h"\n', False),
    ("store/x.cc", '#include "admin/control.h"\n', True),
    ("cli/x.cc", '#include "daemon/options.h"\n', True),
    ("daemon/x.cc", '#include "cli/json.h"\n', True),
    ("cli/x.cc", '#include "../store/disk.h"\n', True),
    ("cli/x.cc", '#include "json.h"\n', True),
    ("cli/x.cc", '#include "store/store.h"\n#include "cli/json.h"\n', False),
    ("daemon/main.cc", "#include <fuse3/fuse_lowlevel.h>\n", True),
    ("daemon/main.cc", "#include <fuse_lowlevel.h>\n", True),
    ("daemon/main.cc", "#include <linux/fuse.h>\n", True),
    ("daemon/fuse_shell.cc", "#include <fuse_lowlevel.h>\n", False),
    ("daemon/main.cc", '#include "daemon/fuse_shell.h"\n', False),
    ("admin/server.cc", "#include <microhttpd.h>\n", True),
    ("admin/http_server.cc", "#include <microhttpd.h>\n", False),
    ("daemon/x.cc", "#include <sqlite3.h>\n", True),
    ("store/sealed_vfs.cc", "#include <sqlite3.h>\n", False),
    ("store/store.cc", 'run("SELECT ino "\n    "FROM names");\n', True),
    ("store/store.cc", 'run(R"(\nDELETE\nFROM names)");\n', True),
    ("store/store.cc", 'run("INSERT OR REPLACE INTO meta VALUES(?)");\n', True),
    ("store/store.cc", 'run("UPDATE inodes SET size = ?");\n', True),
    ("store/store.cc", 'run("CREATE TABLE t(a)");\n', True),
    ("store/store.cc", 'run("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;");\n', False),
    ("store/catalog_inodes.cc", 'run("SELECT ino FROM names");\n', False),
    ("store/store.cc", '// "SELECT ino FROM names" is the catalog\'s\nrun("SAVEPOINT op");\n', False),
]


def check_this_check():
    """A test that cannot fail is worse than none."""
    for name, source, refused in PLANTED:
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, os.path.dirname(name)))
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(source)
            wrong, files = check_tree(root)
        if files != 1 or bool(wrong) != refused:
            return f"{name} with {source!r} should be {'refused' if refused else 'fine'}: {wrong}"
    return None


def main():
    blind = check_this_check()
    if blind:
        sys.exit(f"the check itself is wrong: {blind}")
    wrong, files = check_tree(sys.argv[1])
    for line in wrong:
        print(line)
    print(f"{files} files, {len(wrong)} wrong")
    sys.exit(1 if wrong or files == 0 else 0)


if __name__ == "__main__":
    main()
