#!/usr/bin/env python3
"""A file has at most 400 lines and a function at most 70.

C++ functions are found by their braces: a `{` at namespace or class level, whose head (the text
since the last `;`, `{` or `}`) has a parameter list, opens one. Lambdas count as part of the
function around them. Python functions come from the standard parser.
"""

import ast
import re

import sources

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

_ATTRIBUTES = re.compile(r"\b(alignas|__attribute__|SEC)\s*\((?:[^()]|\([^()]*\))*\)|\[\[.*?\]\]")
_SCOPE = re.compile(r"^(?:template\s*<.*>\s*)?(?:inline\s+|typedef\s+|static\s+|export\s+)*"
                    r"(?:namespace|class|struct|union|enum|extern)\b(?!.*\()", re.DOTALL)


def _kind_of(head):
    head = _ATTRIBUTES.sub("", head).strip()
    if _SCOPE.match(head):
        return "scope"
    if head.endswith("=") or "(" not in head:
        return "other"
    return "function"


def _code(text):
    """The text without comments, strings and preprocessor lines; line numbers do not change."""
    return re.sub(r"(?m)^[ \t]*#(?:.*\\\n)*.*$", lambda match: "\n" * match.group().count("\n"),
                  sources.without_noise(text))


def cpp_functions(text):
    """(first line, last line) of each function."""
    stack, head, head_line, line = [], "", 1, 1
    function_line = None  # First line of the function that may continue in the next braces.
    for char in _code(text):
        if char == "\n":
            line += 1
        if any(kind != "scope" for kind, _ in stack):
            if char == "{":
                stack.append(("inner", line))
            elif char == "}":
                kind, start = stack.pop()
                if kind == "function":
                    yield start, line
                    function_line = start
                head, head_line = "", line
        elif char == "{":
            kind = _kind_of(head)
            start = head_line
            # `: a_{1}, b_{2} {`: the braces of a member initialiser end, but not the function.
            if function_line and (not head.strip() or head.lstrip().startswith(",")):
                kind, start = "function", function_line
            stack.append((kind, start))
            head, head_line = "", line
        elif char in ";}":
            if char == "}" and stack:
                stack.pop()
            head, head_line, function_line = "", line, None
        else:
            if not head.strip():
                head_line = line
            head += char
            if head.strip() and not head.lstrip().startswith(","):
                function_line = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def complaints_about(path, text):
    lines = len(text.splitlines())
    if lines > FILE_LINES_MAX:
        yield path, lines, f"{lines} lines; a file has at most {FILE_LINES_MAX}: split it by what it knows"
    if path.suffix == ".py":
        functions = python_functions(text)
    elif path.suffix in sources.CPP_SUFFIXES:
        functions = cpp_functions(text)
    else:
        return
    longest = {}
    for first, last in functions:
        longest[first] = max(last, longest.get(first, 0))
    for first, last in longest.items():
        length = last - first + 1
        if length > FUNCTION_LINES_MAX:
            yield path, first, f"a function of {length} lines; it may have {FUNCTION_LINES_MAX}"


def main():
    complaints = []
    for path in sources.files(*sources.CPP_SUFFIXES, ".py", ".sh", ".cmake"):
        complaints.extend(complaints_about(path, sources.read(path)))
    sources.finish(complaints)


if __name__ == "__main__":
    main()
