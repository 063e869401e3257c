"""How much code there is, and who imports whom: `python benchmarks/counts.py`, and `--mermaid` for a drawing.

Lines of code are those that are neither blank nor a comment nor part of a docstring. A use of a private part is an
attribute of another object, or an imported name, that begins with one underscore.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "litspike"
CORE = ("engine", "neurons", "surrogates", "networks", "coding")
GROUND = "ground"
"""What the files of the first level that every package may import are called in the drawing."""
_PACKAGES = ("surrogates",)
"""Files of the first level that are drawn as packages are."""
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_OWN = {"self", "cls"}
_NAMEDTUPLE = {"_replace", "_make", "_asdict", "_fields"}
"""Methods of named tuples, which are public though their names begin with an underscore."""


def files() -> list[Path]:
    """Every file of the source."""
    return sorted(SOURCE.rglob("*.py"))


def lines_of_code(path: Path) -> int:
    """How many lines of a file are code."""
    text = path.read_text(encoding="utf-8")
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def private_uses(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every use of another's private part in a file.

    What a file's own classes keep privately is its own: names that are defined in the package are left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("litspike"):
            private = any(part.startswith("_") and part != "__future__" for part in (node.module or "").split("."))
            for alias in node.names:
                if private or _is_private(alias.name):
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in _own_names():
            yield node.lineno, ast.unparse(node)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in {"_", *_NAMEDTUPLE}


_known: set[str] = set()


def _own_names() -> set[str]:
    """The private names that the package itself defines: attributes of ``self``, methods, functions and classes."""
    if not _known:
        for path in files():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    if isinstance(node.value, ast.Name) and node.value.id in _OWN:
                        _known.add(node.attr)
                elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                    _known.add(node.name)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    _known.add(node.target.id)
    return _known


def module_of(path: Path) -> str:
    """The name by which a file is imported; of a package's ``__init__.py`` the package's."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports() -> dict[str, set[str]]:
    """Module → the modules of the package that it imports, wherever in the file, and for types alone too."""
    modules = {module_of(path): path for path in files()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports relatively"
                within = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= {name if name in modules else str(node.module) for name in within}
        graph[module] = named & modules.keys()
    return graph


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """A circle of modules that import each other, the first one again at the end; None where there is none."""
    done: set[str] = set()

    def search(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        for other in sorted(graph[module]):
            if found := search(other, [*way, module]):
                return found
        done.add(module)
        return None

    return next((found for module in sorted(graph) if (found := search(module, []))), None)


def floor_of(module: str) -> str:
    """The package of the first level that a module belongs to; :data:`GROUND` of a file that stands by itself."""
    name = module.split(".")[1] if "." in module else ""
    if name in ("", "callbacks"):  # both only give names to what lies below
        return "litspike"
    return name if (SOURCE / name).is_dir() or name in _PACKAGES else GROUND


def package_imports() -> dict[str, set[str]]:
    """Package → the packages that it imports, without itself."""
    drawn: dict[str, set[str]] = defaultdict(set)
    for module, others in imports().items():
        floor = floor_of(module)
        drawn[floor] |= {floor_of(other) for other in others} - {floor}
    return dict(drawn)


def mermaid() -> str:
    """The imports between packages as a drawing for Mermaid.

    Left out are what everybody may import, and arrows from a package to one that it reaches by others as well.
    """
    everywhere = {GROUND, "internals", "litspike"}
    graph = {floor: others - everywhere for floor, others in package_imports().items() if floor not in everywhere}

    def reached(floor: str) -> set[str]:
        return graph[floor].union(*map(reached, graph[floor]))

    lines = []
    for floor, others in sorted(graph.items()):
        direct = others.difference(*map(reached, others))
        lines += [f"    {floor} --> {other}" for other in sorted(direct)]
    return "\n".join(["graph TD", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mermaid", action="store_true", help="print the imports between packages for Mermaid")
    parser.add_argument("--private", action="store_true", help="list every use of a library's private part")
    given = parser.parse_args()
    if given.mermaid:
        print(mermaid())
        return
    code = {path: lines_of_code(path) for path in files()}
    private = {path: list(private_uses(path)) for path in code}
    if given.private:
        for path, uses in private.items():
            for line, text in uses:
                print(f"{path.relative_to(SOURCE)}:{line}: {text}")
        return
    packages: dict[str, list[Path]] = defaultdict(list)
    for path in code:
        packages[floor_of(module_of(path))].append(path)
    print(f"{'package':<12}{'files':>7}{'lines of code':>15}{'longest file':>14}{'private parts':>15}")
    for name, paths in sorted(packages.items()):
        longest = max(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
        print(
            f"{name:<12}{len(paths):>7}{sum(code[path] for path in paths):>15}{longest:>14}"
            f"{sum(len(private[path]) for path in paths):>15}"
        )
    core = sum(code[path] for name in CORE for path in packages[name])
    print(f"\ncore ({', '.join(CORE)}): {core} lines of code")
    print(f"src/litspike: {sum(code.values())} lines of code, {len(code)} files")
    print(f"uses of libraries' private parts: {sum(map(len, private.values()))}")


if __name__ == "__main__":
    main()
