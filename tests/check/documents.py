#!/usr/bin/env python3
"""The documents match the code: end reasons, fields of the log, configuration keys, files, licences."""

import re
import tomllib

import sources

README_WORDS_MAX = 1200
EXAMPLE = "config.toml.example"


def documents():
    paths = [*sources.ROOT.glob("*.md"), *sources.ROOT.glob("docs/*.md"), sources.ROOT / "src/README.md"]
    return sorted(path.relative_to(sources.ROOT) for path in paths if path.is_file())


def matches(pattern, text):
    """(line, match) of each occurrence."""
    for match in re.finditer(pattern, text):
        yield text.count("\n", 0, match.start()) + 1, match


def word_complaints(path, text):
    words = len(text.split())
    if words > README_WORDS_MAX:
        yield path, 1, f"{words} words; at most {README_WORDS_MAX}: the rest belongs into docs/"


def end_reasons(code):
    """The names in to_string(EndReason), without `none`."""
    body = code[code.index("to_string(EndReason"):]
    names = re.findall(r'"(\w+)"', body[:body.index("static_assert")])
    return [name for name in names if name != "none"]


def end_complaints(path, text, reasons):
    begin, end = text.index("<!-- ends:begin -->"), text.index("<!-- ends:end -->")
    listed = re.findall(r"^\| `(\w+)` \|", text[begin:end], re.MULTILINE)
    line = text.count("\n", 0, begin) + 1
    for name in sorted(set(reasons) - set(listed)):
        yield path, line, f"the table of end= lacks '{name}' (src/core/session/session.cpp)"
    for name in sorted(set(listed) - set(reasons)):
        yield path, line, f"the table of end= has '{name}', which no connection ends by"
    if len(listed) != len(set(listed)):
        yield path, line, "the table of end= has a line twice"


def field_complaints(path, text, code):
    """The table of the access line's fields against the calls that write them."""
    written = re.findall(r'fields\.\w+\("(\w+)"', code)
    begin, end = text.index("<!-- fields:begin -->"), text.index("<!-- fields:end -->")
    cells = re.findall(r"^\|([^|]*)\|", text[begin:end], re.MULTILINE)
    listed = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    line = text.count("\n", 0, begin) + 1
    for name in sorted(set(written) ^ set(listed)):
        place = "lacks" if name in written else "has what no line has:"
        yield path, line, f"the table of fields {place} '{name}' (src/core/session/access_line.cpp)"
    if not set(written) ^ set(listed) and written != listed:
        yield path, line, "the table of fields has another order than the line, or a field twice"


def known_keys(example):
    """Every `section.key` of the example, and the sections."""
    keys = set()
    for section, value in tomllib.loads(example).items():
        for table in value if isinstance(value, list) else [value]:
            keys |= {f"{section}.{key}" for key in table}
    return keys


def key_complaints(path, text, known):
    sections = sorted({key.split(".")[0] for key in known})
    for line, match in matches(r"`((?:" + "|".join(sections) + r")\.([a-z0-9_]+))\b(?!\()[^`]*`", text):
        key = match.group(1)
        if key not in known and match.group(2) not in ("toml", "h", "cpp"):
            yield path, line, f"`{key}` is no key of {EXAMPLE}"


def link_complaints(path, text):
    for line, match in matches(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", text):
        if not (sources.ROOT / path.parent / match.group(1)).exists():
            yield path, line, f"there is no {match.group(1)}"


def path_complaints(path, text):
    """Files and folders below src/ that a document names in backquotes."""
    for line, match in matches(r"`((?:core|bpf|net|main)/[\w./]+)`", text):
        if not (sources.ROOT / "src" / match.group(1)).exists():
            yield path, line, f"there is no src/{match.group(1)}"


def version_complaints(build, changelog):
    version = re.search(r"project\(sni-proxy VERSION ([0-9.]+)", build).group(1)
    newest = re.search(r"^## ([0-9.]+)", changelog, re.MULTILINE).group(1)
    if version != newest:
        yield "CHANGELOG.md", 1, f"its newest version is {newest}, the build's {version}"


def licence_complaints(path, text):
    if not text.startswith("/* SPDX-License-Identifier: MIT OR GPL-2.0-only */\n"):
        yield path, 1, "a file of a program for the kernel opens with its SPDX line, as the others do"
    for line, match in matches(r'SEC\("license"\) = "([^"]*)"', text):
        if match.group(1) != "Dual MIT/GPL":
            yield path, line, 'the licence that the kernel is told is "Dual MIT/GPL"'


def main():
    complaints = []
    known = known_keys(sources.read(EXAMPLE))
    for path in documents():
        text = sources.read(path)
        complaints.extend(key_complaints(path, text, known))
        complaints.extend(link_complaints(path, text))
        complaints.extend(path_complaints(path, text))
    readme = sources.read("README.md")
    complaints.extend(word_complaints("README.md", readme))
    reasons = end_reasons(sources.read("src/core/session/session.cpp"))
    complaints.extend(end_complaints("README.md", readme, reasons))
    complaints.extend(field_complaints("docs/operation.md", sources.read("docs/operation.md"),
                                       sources.read("src/core/session/access_line.cpp")))
    complaints.extend(version_complaints(sources.read("CMakeLists.txt"), sources.read("CHANGELOG.md")))
    for path in sources.files(".c", ".h"):
        if path.name.endswith((".bpf.c", ".bpf.h", "_shared.h")) and path.parts[:2] == ("src", "bpf"):
            complaints.extend(licence_complaints(path, sources.read(path)))
    sources.finish(complaints)


if __name__ == "__main__":
    main()
