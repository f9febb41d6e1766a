"""`chatops import`: a file of readings into a running backend."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click
import polars as pl

from chatops_cli.log_in import log_in, login_options
from chatops_cli.transfer.bars import Bars, bars, errors_in_words
from chatops_cli.transfer.files import (
    SUFFIXES,
    Format,
    Piece,
    UnusableFileError,
    read_csv,
    read_lines,
    read_table,
    size_of,
)
from chatops_cli.transfer.progress_file import Checkpoint
from chatops_cli.transfer.readings import LINE, Faults, as_custom, guards_taken_off, readings, unusable
from chatops_cli.transfer.rollups import until_rolled_up
from chatops_cli.transfer.spool import Spool
from chatops_client import Client
from chatops_client.transfer import pieces_of
from chatops_protocol.catalog import BY_NAME, CUSTOM, Measurement


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option("--measurement", required=True, type=click.Choice(list(BY_NAME)), help="Where the readings belong.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "arrow", "line"]),
    help="Without it by the file's name; line is InfluxDB line protocol.",
)
@click.option("--server", help="Name or id of the server they are of, where the file has no column for it.")
@click.option("--server-tag", default="host", show_default=True, help="Line protocol: the tag that names the server.")
@click.option(
    "--rename", multiple=True, metavar="OLD=NEW", help="A column has another name. May be given several times."
)
@click.option("--skip-unknown-columns", is_flag=True, help="Leave out columns that the measurement does not have.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the roll-ups hold the readings.")
@login_options
def import_file(
    file: Path,
    measurement: str,
    form: Format | None,
    server: str | None,
    server_tag: str,
    rename: tuple[str, ...],
    skip_unknown_columns: bool,
    no_wait: bool,
    url: str | None,
    username: str | None,
    password_file: TextIO | None,
    totp_code: str | None,
) -> None:
    """Store the readings of FILE (CSV, Parquet, an Arrow stream or InfluxDB line protocol).

    Columns: time, server (a name) or server_id, and the labels and fields of the measurement; `custom` takes every
    other column as a value of its name. Lines that are not usable are counted and named, and the others stored. What is
    stored already is left out: a command that was interrupted is given again, and goes on where it was.
    """
    form = form or SUFFIXES.get(file.suffix.lower())
    if form is None:
        raise click.UsageError(f"nothing says what {file.name} is: give --format csv, parquet, arrow or line")
    source = _Source(file, form, BY_NAME[measurement], _renamed(rename), server, server_tag, skip_unknown_columns)
    with errors_in_words(), log_in(url, username, password_file, totp_code) as client, bars() as shown:
        servers = {found.name: found.id for found in client.servers()}
        if server is not None and server not in servers and server not in map(str, servers.values()):
            raise click.ClickException(f"there is no server {server}; there are: {', '.join(sorted(servers)[:20])}")
        options = [measurement, form, sorted(rename), server, server_tag, skip_unknown_columns]
        faults, outcome = Faults(), Counter[str]()
        with Spool() as spool:
            try:
                _read(source, servers, spool, faults, shown)
            except UnusableFileError as error:
                raise click.ClickException(f"{file.name} cannot be imported: {error}") from None
            _send(client, source.measurement, spool, Checkpoint(file, client.base_url, options), outcome, shown)
        if outcome["stored"] or outcome["already_there"]:
            progress = client.transfer.finish_import()
            if not no_wait:
                advance = shown("roll-ups", progress.pending_days)
                for done in until_rolled_up(client, progress):
                    advance(done)
    _report(faults, outcome, "line" if form in ("csv", "line") else "row")


class _Source:
    """The file, and how its columns become those of the measurement."""

    def __init__(
        self,
        file: Path,
        form: Format,
        measurement: Measurement,
        renamed: dict[str, str],
        server: str | None,
        server_tag: str,
        skip_unknown: bool,
    ) -> None:
        self.file = file
        self.form = form
        self.measurement = measurement
        self._renamed = renamed
        self._server = server
        self._server_tag = server_tag
        self._skip_unknown = skip_unknown

    def pieces(self, faults: Faults) -> Iterator[Piece]:
        for frame, done in self._read(faults):
            yield self._columns(frame), done

    def _read(self, faults: Faults) -> Iterator[Piece]:
        if self.form == "csv":
            return read_csv(self.file, faults)
        if self.form == "line":
            return read_lines(self.file, self.measurement, self._server_tag, faults)
        return read_table(self.file, self.form)

    def _columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        frame = frame.rename({old: new for old, new in self._renamed.items() if old in frame.columns})
        if self._server is not None:
            frame = frame.drop("server_id", strict=False).with_columns(server=pl.lit(self._server))
        if self.measurement is CUSTOM:
            frame = as_custom(frame)
        missing = [name for name in ("time", *self.measurement.label_names) if name not in (*frame.columns, "labels")]
        if missing:
            raise UnusableFileError(f"it has no column {missing[0]} (--rename OLD=NEW names one)")
        if not {"server", "server_id"} & set(frame.columns):
            raise UnusableFileError("it has neither a column server nor server_id; give --server")
        unknown = unusable([name for name in frame.columns if name != LINE], self.measurement)
        if unknown and not self._skip_unknown:
            raise UnusableFileError(
                f"{self.measurement.name} has no {', '.join(unknown[:5])}; give --rename or --skip-unknown-columns. "
                f"It has: {', '.join(self.measurement.columns)}"
            )
        frame = frame.drop(unknown)
        if not any(name in frame.columns for name in self.measurement.field_names):
            raise UnusableFileError(f"it has none of: {', '.join(self.measurement.field_names)}")
        return guards_taken_off(frame, self.measurement) if self.form == "csv" else frame


def _read(source: _Source, servers: dict[str, int], spool: Spool, faults: Faults, shown: Bars) -> None:
    advance = shown("reading", size_of(source.file, source.form))
    for frame, done in source.pieces(faults):
        spool.add(readings(frame, source.measurement, servers, faults))
        advance(done)


def _send(
    client: Client, measurement: Measurement, spool: Spool, checkpoint: Checkpoint, outcome: Counter[str], shown: Bars
) -> None:
    done, sent = checkpoint.done, 0
    advance = shown("storing", sum(spool.rows.values()))
    try:
        for day, frame in spool.days():
            if done is None or day > done:
                for piece in pieces_of(frame, measurement.label_names):
                    result = client.transfer.import_rows(measurement.name, piece)
                    outcome["stored"] += result.stored
                    outcome["already_there"] += result.already_there
                    for refused in result.refused:
                        outcome[refused.reason] += refused.count
                checkpoint.reached(day)
            else:
                outcome["already_there"] += frame.height
            done = max(day, done or day)
            sent += frame.height
            advance(sent)
    except BaseException:
        where = f"all up to {done} is stored" if done else "no day is stored as a whole"
        click.echo(f"interrupted: {where}; the same command goes on from there", err=True)
        raise
    checkpoint.forget()


def _report(faults: Faults, outcome: Counter[str], unit: str) -> None:
    stored, there = outcome.pop("stored", 0), outcome.pop("already_there", 0)
    click.echo(f"{stored:,} readings stored, {there:,} were there already, {faults.total:,} {unit}s not usable")
    for words in faults.words(unit):
        click.echo(f"  {words}", err=True)
    for reason, count in sorted(outcome.items()):
        click.echo(f"  {count} refused by the backend: {reason}", err=True)
    if not stored and not there:
        raise click.ClickException("nothing was stored")


def _renamed(pairs: tuple[str, ...]) -> dict[str, str]:
    renamed = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(old and new for old, new in renamed.items()):
        raise click.UsageError("--rename takes OLD=NEW")
    return renamed
