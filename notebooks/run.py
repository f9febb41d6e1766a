"""Runs notebooks against the backend that the environment names, and saves them with their outputs.

`python run.py` runs all, `python run.py first_look` one. What a run adds beside outputs (times, versions) is left out.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

FOLDER = Path(__file__).parent
TIMEOUT_S = 120


def execute(path: Path) -> NotebookNode:
    """The notebook with fresh outputs; raises `CellExecutionError` with the traceback when a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    # The kernel is spoken to through socket files: whoever else is on this machine reads nothing.
    with TemporaryDirectory() as sockets:
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
        where = {"metadata": {"path": str(FOLDER)}}
        NotebookClient(notebook, config=config, timeout=TIMEOUT_S, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or path.stem in names:
            nbformat.write(execute(path), path)
            print(f"{path.name} is saved")


if __name__ == "__main__":
    main(sys.argv[1:])
