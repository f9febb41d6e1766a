"""Progress bars of both commands, and their errors in words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from chatops_client import ApiError, BackendUnreachableError

# Of a stage and its total: a function that is told how much is done.
Bars = Callable[[str, float], Callable[..., None]]


@contextmanager
def bars() -> Iterator[Bars]:
    """On standard error, and only where it is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def stage(name: str, total: float) -> Callable[..., None]:
            task = progress.add_task(name, total=total)

            def advance(done: float, total: float | None = None) -> None:
                progress.update(task, completed=done, total=total)

            return advance

        yield stage


@contextmanager
def errors_in_words() -> Iterator[None]:
    try:
        yield
    except (ApiError, BackendUnreachableError) as error:
        raise click.ClickException(error.detail if isinstance(error, ApiError) else str(error)) from None
