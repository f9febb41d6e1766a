"""Plain tables: text left, numbers right in tabular figures, wide ones scroll inside themselves. Pure."""

from collections.abc import Sequence
from typing import Any

from dash import html

Cell = Any


def data_table(
    heads: Sequence[tuple[str, bool]],
    rows: Sequence[Sequence[Cell]],
    *,
    caption: str,
    hide_on_phone: Sequence[int] = (),
    stacked: bool = False,
) -> html.Div:
    """`heads` are (title, is a number). Columns in `hide_on_phone` give way on narrow screens; `stacked`: each row is a
    block there, whose cells wrap."""

    def classes(index: int) -> str:
        return " ".join(
            name for name, on in (("numeric right", heads[index][1]), ("wide-only", index in hide_on_phone)) if on
        )

    return html.Div(
        html.Table(
            [
                html.Caption(caption, className="visually-hidden"),
                html.Thead(
                    html.Tr([html.Th(title, scope="col", className=classes(i)) for i, (title, _) in enumerate(heads)])
                ),
                html.Tbody(
                    [html.Tr([html.Td(cell, className=classes(i)) for i, cell in enumerate(row)]) for row in rows]
                ),
            ],
            className="data-table stacked" if stacked else "data-table",
        ),
        className="table-box",
    )
