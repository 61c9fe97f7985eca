"""Shared by the checks: the list of our files, their text without comments and strings,
reporting."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOPS = ("src", "bench", "tests", "contrib", "cmake")
CPP_SUFFIXES = (".h", ".cpp", ".c")

_NOISE = re.compile(
    r"""
    //[^\n]*                            # a line comment
  | /\*.*?\*/                           # a block comment
  | R"([^()\s\\]{0,16})\(.*?\)\1"       # a raw string
  | "(?:\\.|[^"\\\n])*"                 # a string
  | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+' # a character, but no digit separator
    """,
    re.VERBOSE | re.DOTALL,
)


def files(*suffixes):
    """Paths, relative to ROOT, of our files with one of these suffixes."""
    found = (path for top in TOPS for path in (ROOT / top).rglob("*"))
    return sorted(path.relative_to(ROOT) for path in found if path.suffix in suffixes and path.is_file())


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def without_noise(text):
    """C++ text with comments, strings and characters blanked; line numbers do not change."""
    def blank(match):
        return '""' * match.group().startswith(('"', "R")) + "\n" * match.group().count("\n")
    return _NOISE.sub(blank, text)


def finish(complaints):
    """Prints `file:line: error: text` for each complaint and exits accordingly."""
    for path, line, text in complaints:
        print(f"{path}:{line}: error: {text}")
    sys.exit(1 if complaints else 0)
