"""What a run failed with fits a line of a page or a terminal."""

import pytest

from harness.errors import brief, described


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("KeyError: 'labels'", "KeyError: 'labels'"),
        ("RuntimeError: sizes\n\tdiffer", "RuntimeError: sizes differ"),
        ("OSError: no file '/home/me/data/x.npz'", "OSError: no file 'x.npz'"),
        ("OSError: no file C:\\\\me\\\\x.npz, sorry", "OSError: no file x.npz, sorry"),
        ("see https://example.org/a/b, or 3/4", "see https://example.org/a/b, or 3/4"),
        ('f()\n  File "/a/b.py", line 3, in f\n    g()\nValueError: one value', "ValueError: one value"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_an_error_is_one_short_line_without_folders(text, line):
    assert brief(text) == line


def test_an_error_of_a_users_own_code_keeps_the_folders_that_it_names():
    error = FileNotFoundError(2, "No such file", "/home/me/data/x.npz")
    assert described(error) == "FileNotFoundError: [Errno 2] No such file: '/home/me/data/x.npz'"
    assert described(KeyboardInterrupt()) == "KeyboardInterrupt"
