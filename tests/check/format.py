#!/usr/bin/env python3
"""Every C and C++ file is formatted by clang-format 19."""

import os
import shutil
import subprocess
import sys

import sources


def main():
    tool = shutil.which("clang-format-19")
    if not tool:
        print("SKIPPED: clang-format-19 is not installed")
        sys.exit(1 if "CI" in os.environ else 77)
    paths = [str(path) for path in sources.files(*sources.CPP_SUFFIXES)]
    command = [tool, "--dry-run", "--Werror", *paths]
    sys.exit(subprocess.run(command, cwd=sources.ROOT).returncode if paths else 0)


if __name__ == "__main__":
    main()
