"""`chatops export`: readings of a running backend into a file."""

import contextlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TextIO, cast

import click

from chatops_cli.log_in import log_in, login_options
from chatops_cli.transfer.bars import bars, errors_in_words
from chatops_client.transfer import ExportOptions
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.resources import Tier

Format = Literal["csv", "parquet", "arrow"]
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def moment(text: str) -> datetime:
    """A time, or how long ago."""
    ago = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if ago is not None:
        return datetime.now(UTC) - int(ago[1]) * UNITS[ago[2]]
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a time like 2026-11-24T08:00Z nor a while like 12h or 7d"
        ) from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--measurement", type=click.Choice(list(BY_NAME)), help="All fields of a measurement.")
@click.option("--metric", "metrics", multiple=True, help="Only these fields: measurement.field. Several times.")
@click.option("--server", "names", multiple=True, help="Name or id of a server. Several times.")
@click.option("--tag", help="All servers with this tag.")
@click.option("--start", type=moment, required=True, help="From when on: a time (UTC), or how long ago: 12h, 7d.")
@click.option("--end", type=moment, help="Up to when; now without it.")
@click.option(
    "--tier",
    type=click.Choice(["raw", "1m", "1h", "1d"]),
    default="raw",
    show_default=True,
    help="Readings as they came, which are kept for some days, or minutes, hours or days of them.",
)
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "arrow"]), help="Without it by the file's name.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@login_options
def export_file(
    file: Path,
    measurement: str | None,
    metrics: tuple[str, ...],
    names: tuple[str, ...],
    tag: str | None,
    start: datetime,
    end: datetime | None,
    tier: Tier,
    form: Format | None,
    force: bool,
    url: str | None,
    username: str | None,
    password_file: TextIO | None,
    totp_code: str | None,
) -> None:
    """Write readings to FILE as CSV, Parquet or an Arrow stream. FILE appears when it is whole."""
    form = form or cast(Format, file.suffix.lower().removeprefix("."))
    if form not in ("csv", "parquet", "arrow"):
        raise click.UsageError(f"nothing says what {file.name} is to be: give --format csv, parquet or arrow")
    if (measurement is None) == (not metrics):
        raise click.UsageError("give either --measurement or --metric")
    if not names and tag is None:
        raise click.UsageError("give --server or --tag")
    if file.exists() and not force:
        raise click.ClickException(f"{file} is there already; --force replaces it")
    options: ExportOptions = {"tier": tier}
    if measurement is not None:
        options["measurement"] = measurement
    if metrics:
        options["metrics"] = metrics
    if tag is not None:
        options["tag"] = tag
    if end is not None:
        options["end"] = end
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.part")
    with errors_in_words(), log_in(url, username, password_file, totp_code) as client:
        ids = {found.name: found.id for found in client.servers()} if names else {}
        ids |= {str(number): number for number in ids.values() if str(number) not in ids}
        unknown = [name for name in names if name not in ids]
        if unknown:
            raise click.ClickException(f"there is no server {unknown[0]}")
        options["server_ids"] = [ids[name] for name in names]
        try:
            with unfinished.open("xb") as to, bars() as shown:
                size = client.transfer.export(to, form, start, shown("export", 0), **options)
                to.flush()
                os.fsync(to.fileno())
            unfinished.replace(file)
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error}") from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                unfinished.unlink()
    click.echo(f"{file}: {size:,} bytes")
