"""The query parameter that names a measurement, and what it names."""

from typing import Annotated

from litestar.params import QueryParameter

from chatops_backend.problems import ProblemError
from chatops_protocol.catalog import BY_NAME, Measurement

MeasurementName = Annotated[str, QueryParameter(description="A measurement of the catalogue, for example `host`")]


def required_measurement(name: str) -> Measurement:
    """Raises `ProblemError` 404 that lists what there is."""
    found = BY_NAME.get(name)
    if found is None:
        known = ", ".join(BY_NAME)
        raise ProblemError(404, "Unknown measurement", f"There is no measurement {name[:100]!r}; there are: {known}.")
    return found
