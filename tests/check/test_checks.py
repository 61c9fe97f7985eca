#!/usr/bin/env python3
"""Tests of the checks: each fires on its target, and only there."""

import pathlib
import unittest

import bans
import documents
import layering
import lengths
import sources


def messages(check, path, text):
    return [(line, text) for _, line, text in check.complaints_about(pathlib.Path(path), text)]


class Noise(unittest.TestCase):
    def test_comments_strings_and_characters_are_blanked_and_lines_stay(self):
        text = 'a = "{ // no";  // {\nb = \'{\'; /* {\n{ */ c = 1\'000\'000; d = R"x({)x";\n'
        blanked = sources.without_noise(text)
        self.assertNotIn("{", blanked)
        self.assertEqual(blanked.count("\n"), 3)
        self.assertIn("c = 1'000'000;", blanked)


class Layering(unittest.TestCase):
    def test_an_include_from_above_is_refused(self):
        self.assertTrue(messages(layering, "src/core/a.cpp", '#include "net/loop/ring.h"\n'))
        self.assertTrue(messages(layering, "src/bpf/a.cpp", '#include "bench/lab.h"\n'))
        self.assertTrue(messages(layering, "src/net/a.cpp", '#include "bench/lab.h"\n'))
        self.assertTrue(messages(layering, "src/main.cpp", '#include "bench/lab.h"\n'))

    def test_includes_from_below_and_beside_are_fine(self):
        for path in ("src/net/a.cpp", "src/main.cpp", "bench/a.cpp"):
            self.assertEqual(messages(layering, path, '#include "core/x.h"\n#include "net/y.h"\n'), [])
        self.assertEqual(messages(layering, "tests/core/test_a.cpp", '#include "net/y.h"\n'), [])
        self.assertEqual(messages(layering, "src/bpf/a.cpp", '#include "xdp.skel.h"\n'), [])

    def test_core_performs_nothing(self):
        self.assertTrue(messages(layering, "src/core/a.cpp", "#include <liburing.h>\n"))
        self.assertTrue(messages(layering, "src/core/a.cpp", "#include <spdlog/spdlog.h>\n"))
        self.assertEqual(messages(layering, "src/core/a.h", "#include <sys/socket.h>\n"), [])


class Lengths(unittest.TestCase):
    def spans(self, text):
        return list(lengths.cpp_functions(text))

    def test_functions_are_found_at_every_level(self):
        text = ("namespace a {\nstruct S {\n  int f() {\n    return 1;\n  }\n  int x = 0;\n};\n"
                "int g(int a,\n      int b) {\n  if (a) {\n    b = 2;\n  }\n  return b;\n}\n}\n")
        self.assertEqual(self.spans(text), [(3, 5), (8, 14)])

    def test_data_is_no_function(self):
        self.assertEqual(self.spans("int a[] = {\n1,\n2};\nenum class E : int {\n x,\n};\n"), [])

    def test_member_initialisers_do_not_end_a_constructor(self):
        text = "A::A()\n    : a_{1},\n      b_{2} {\n  f();\n\n}\nint g() {\n}\n"
        self.assertEqual(max(last - first for first, last in self.spans(text)), 5)

    def test_a_long_function_and_a_long_file_are_refused(self):
        body = "void f() {\n" + "  g();\n" * 69 + "}\n"
        self.assertEqual(len(messages(lengths, "src/a.cpp", body)), 1)
        self.assertEqual(messages(lengths, "src/a.cpp", "void f() {\n" + "  g();\n" * 68 + "}\n"), [])
        self.assertEqual(len(messages(lengths, "src/a.cpp", "int x;\n" * 401)), 1)
        self.assertEqual(len(messages(lengths, "tests/a.py", "def f():\n" + "    g()\n" * 70)), 1)


class Bans(unittest.TestCase):
    def test_what_is_banned_is_found_with_its_line(self):
        found = messages(bans, "src/net/a.cpp", "int a;\nauto* p = new int;\n")
        self.assertEqual([line for line, _ in found], [2])
        self.assertTrue(messages(bans, "src/net/a.cpp", "f();  // TO" "DO: more\n"))
        self.assertTrue(messages(bans, "src/core/a.cpp", "// NOLINTNEXTLINE(google-x)\n"))

    def test_comments_and_strings_are_not_code(self):
        self.assertEqual(messages(bans, "src/net/a.cpp", '// a new thing\nlog("a new thing");\n'), [])
        self.assertEqual(messages(bans, "src/net/a.cpp", "A(const A&) = delete;\n"), [])

    def test_c_keeps_what_only_c_can_say(self):
        self.assertEqual(messages(bans, "src/bpf/a.bpf.c", "if (p == NULL) return 0;\n"), [])
        self.assertTrue(messages(bans, "src/bpf/a.cpp", "if (p == NULL) return 0;\n"))


class Documents(unittest.TestCase):
    PATH = pathlib.Path("docs/a.md")
    ENDS = "<!-- ends:begin -->\n| `done` | x |\n| `cut` | x |\n<!-- ends:end -->\n"

    def texts(self, complaints):
        return [text for _, _, text in complaints]

    def test_a_readme_of_more_words_than_it_may_have_is_refused(self):
        self.assertEqual(self.texts(documents.word_complaints(self.PATH, "word " * 1200)), [])
        self.assertEqual(len(self.texts(documents.word_complaints(self.PATH, "word " * 1201))), 1)

    def test_the_table_of_ends_is_that_of_the_code(self):
        code = 'const char* to_string(EndReason r) { names[] = {"none", "done", "cut"}; static_assert(x);'
        self.assertEqual(documents.end_reasons(code), ["done", "cut"])
        for reasons, complaints in ((["done", "cut"], 0), (["done", "cut", "new"], 1), (["done"], 1)):
            found = self.texts(documents.end_complaints(self.PATH, self.ENDS, reasons))
            self.assertEqual(len(found), complaints, found)

    def test_the_table_of_fields_is_that_of_the_code(self):
        code = 'fields.string("a", x);\nif (y) fields.number("b_ms", y);\n'
        for rows, complaints in (("| `a`, `b_ms` | of `c` |\n", 0), ("| `a` | x |\n", 1),
                                 ("| `b_ms` | x |\n| `a` | x |\n", 1),
                                 ("| `a` | x |\n| `b_ms` | x |\n| `c` | x |\n", 1)):
            table = f"<!-- fields:begin -->\n| field | meaning |\n{rows}<!-- fields:end -->\n"
            found = self.texts(documents.field_complaints(self.PATH, table, code))
            self.assertEqual(len(found), complaints, found)

    def test_a_key_that_the_example_lacks_is_refused(self):
        known = documents.known_keys('[timeouts]\nidle = "1s"\n[[route]]\nnames = ["a"]\n')
        text = "`timeouts.idle`, `timeouts.idle = 3`, `route.names`\n`timeouts.idel`\n"
        self.assertEqual([line for _, line, _ in documents.key_complaints(self.PATH, text, known)], [2])

    def test_a_link_to_a_file_that_is_not_there_is_refused(self):
        text = "[a](measured.md#x) [b](https://x.example/y)\n[c](no-such-file.md)\n"
        self.assertEqual([line for _, line, _ in documents.link_complaints(self.PATH, text)], [2])

    def test_a_source_that_is_not_there_is_refused(self):
        text = "`core/config/config.h`, `net/`\n`net/no_such.h`\n"
        self.assertEqual([line for _, line, _ in documents.path_complaints(self.PATH, text)], [2])

    def test_the_kernel_is_told_the_licence_of_the_file(self):
        head = "/* SPDX-License-Identifier: MIT OR GPL-2.0-only */\n"
        good = head + 'char LICENSE[] SEC("license") = "Dual MIT/GPL";\n'
        self.assertEqual(self.texts(documents.licence_complaints(self.PATH, good)), [])
        self.assertEqual(len(self.texts(documents.licence_complaints(self.PATH, good[1:]))), 1)
        bad = good.replace("Dual MIT/GPL", "GPL")
        self.assertEqual(len(self.texts(documents.licence_complaints(self.PATH, bad))), 1)

    def test_the_changelog_begins_with_the_version_of_the_build(self):
        build = "project(sni-proxy VERSION 0.2.0 LANGUAGES C)"
        self.assertEqual(self.texts(documents.version_complaints(build, "# C\n\n## 0.2.0 (x)\n## 0.1.0\n")), [])
        self.assertEqual(len(self.texts(documents.version_complaints(build, "## 0.1.0\n"))), 1)


if __name__ == "__main__":
    unittest.main()
