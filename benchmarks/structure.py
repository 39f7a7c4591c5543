"""How the code is divided, here or in a commit: rooms, the arrows between them, floors, cycles, large modules.

A room is a folder of modules, and each module that lies beside the rooms of recjobs or webapp. An arrow is an import
between two rooms; floors are the longest chain of arrows; a cycle is a set of modules that import each other.

    python -m benchmarks.structure [COMMIT]
"""

import ast
import io
import subprocess
import sys
import tarfile
import tempfile
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from recjobs.config import ROOT

Graph = dict[str, set[str]]


def modules(root: Path, package: str) -> dict[str, Path]:
    """Dotted name -> file, of every module of a package."""
    files = sorted((root / package).rglob("*.py"))
    return {".".join(f.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def imports(names: dict[str, Path]) -> Graph:
    """Which modules of the package each module imports, at its top or inside a function."""
    graph: Graph = {}
    for name, file in names.items():
        targets = set[str]()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in names:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(names)
                targets |= inner or {node.module}
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names} & set(names)
        graph[name] = targets - {name}
    return graph


def room(name: str, names: dict[str, Path]) -> str:
    """The room of a module: its folder; a module beside the rooms is one of its own."""
    return name if names[name].name == "__init__.py" or name.count(".") == 1 else name.rpartition(".")[0]


def between(graph: Graph, names: dict[str, Path]) -> Graph:
    """The arrows between rooms."""
    rooms: Graph = {}
    for name, targets in graph.items():
        rooms.setdefault(room(name, names), set()).update(room(target, names) for target in targets)
    return {name: targets - {name} for name, targets in rooms.items()}


def floors(rooms: Graph) -> int:
    """The longest chain of arrows; 0 where arrows run in a circle."""
    try:
        height = dict[str, int]()
        for name in TopologicalSorter(rooms).static_order():
            height[name] = 1 + max((height[target] for target in rooms.get(name, ())), default=0)
        return max(height.values())
    except CycleError:
        return 0


def cycles(graph: Graph) -> int:
    """How many sets of modules import each other."""
    reached = {name: _reachable(graph, name) for name in graph}
    return len({frozenset(b for b in reached[a] if a in reached[b]) for a in graph if a in reached[a]})


def _reachable(graph: Graph, start: str) -> set[str]:
    seen, queue = set[str](), [*graph[start]]
    while queue:
        if (name := queue.pop()) not in seen:
            seen.add(name)
            queue += graph.get(name, ())
    return seen


def row(root: Path, package: str) -> str:
    """The figures of one package."""
    names = modules(root, package)
    graph = imports(names)
    rooms = between(graph, names)
    loose = sum(name.count(".") == 1 and file.name != "__init__.py" for name, file in names.items())
    sizes = [len(file.read_text().splitlines()) for file in names.values()]
    lines = sum(bool(line.strip()) for file in names.values() for line in file.read_text().splitlines())
    arrows = sum(len(targets) for targets in rooms.values())
    figures = (len(rooms), loose, arrows, floors(rooms) or "circle", cycles(graph), sum(n > 200 for n in sizes), lines)
    return f"{package:10}" + "".join(f"{figure:>10}" for figure in figures)


def main() -> None:
    """Print one row a package."""
    print(
        " " * 10 + "".join(f"{n:>10}" for n in ("rooms", "loose", "arrows", "floors", "cycles", ">200 lines", "lines"))
    )
    with tempfile.TemporaryDirectory() as folder:
        root = ROOT
        if len(sys.argv) > 1:
            content = subprocess.run(["git", "archive", sys.argv[1]], cwd=ROOT, capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                tar.extractall(folder, filter="data")
            root = Path(folder)
        for package in ("recjobs", "webapp", "local", "dags"):
            print(row(root, package))


if __name__ == "__main__":
    main()
