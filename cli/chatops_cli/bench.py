"""`chatops bench`: runs the files of a checkout's `benchmarks` folder in turn, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import click


def find_benchmarks(start: Path) -> list[Path]:
    """The benchmark files of the checkout that `start` is in; raise `click.ClickException` outside of one."""
    for folder in start.parents:
        if (folder / "pyproject.toml").is_file() and (folder / "benchmarks").is_dir():
            return sorted(path for path in (folder / "benchmarks").glob("bench_*.py"))
    raise click.ClickException("benchmarks come with the source: run `make bench` in a checkout of ChatOps")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Print their names and run nothing.")
def bench(names: tuple[str, ...], only_list: bool) -> None:
    """Run the benchmarks NAMES, or all of them. Each prints its figure beside its limit."""
    files = {path.stem.removeprefix("bench_"): path for path in find_benchmarks(Path(__file__).resolve())}
    unknown = [name for name in names if name not in files]
    if unknown:
        raise click.UsageError(f"no benchmark {unknown[0]!r}; there are: {', '.join(files) or 'none'}")
    if only_list:
        click.echo("\n".join(files))
        return
    failed = []
    for name in names or tuple(files):
        click.echo(f"== {name}")
        if (
            subprocess.run(
                [sys.executable, "-m", f"benchmarks.{files[name].stem}"], cwd=files[name].parents[1], check=False
            ).returncode
            != 0
        ):  # noqa: S603 - files of this checkout
            failed.append(name)
    if failed:
        raise click.ClickException(f"failed or over the limit: {', '.join(failed)}")
