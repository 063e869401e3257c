"""The private parts of libraries that litspike uses, a file for each library.

Each is here because there is no public way, and its docstring says for what. ``tests/test_internals.py`` fails where
one is gone or means something else, and pyproject.toml bounds the library's version from above.
"""
