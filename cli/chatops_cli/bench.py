"""`chatops bench`: runs the programs in a checkout's `benchmarks` folder in turn, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import click


def find_checkout(start: Path) -> Path:
    """The checkout that `start` is in; raise `click.ClickException` outside of one."""
    for folder in start.parents:
        if (folder / "pyproject.toml").is_file() and (folder / "benchmarks").is_dir():
            return folder
    raise click.ClickException("benchmarks come with the source: run `make bench` in a checkout of ChatOps")


def find_benchmarks(checkout: Path) -> list[str]:
    """Names of the files that are programs; the others are what those share."""
    files = sorted((checkout / "benchmarks").glob("*.py"))
    return [path.stem for path in files if '__name__ == "__main__"' in path.read_text()]


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Print their names and run nothing.")
def bench(names: tuple[str, ...], only_list: bool) -> None:
    """Run the benchmarks NAMES, or all of them. Each prints its figure beside its limit."""
    checkout = find_checkout(Path(__file__).resolve())
    found = find_benchmarks(checkout)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise click.UsageError(f"no benchmark {unknown[0]!r}; there are: {', '.join(found) or 'none'}")
    if only_list:
        click.echo("\n".join(found))
        return
    failed = []
    for name in names or found:
        click.echo(f"== {name}")
        # As modules from the root of the checkout, so that they find what they share.
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=checkout, check=False)  # noqa: S603
        if done.returncode != 0:
            failed.append(name)
    if failed:
        raise click.ClickException(f"failed or over the limit: {', '.join(failed)}")
