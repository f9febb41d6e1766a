"""``/explore/download``: what a view of Explore shows, as a file, read anew with the session of whoever asks."""

from datetime import UTC, datetime

from quart import Quart, Response, request

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.pages.explore.frame import MEDIA_TYPES, shown_frame, written
from chatops_dashboards.pages.explore.query import ExploreQuery
from chatops_dashboards.pages.explore.reading import read, shown_top
from chatops_dashboards.session import SessionEndedError, current_session

PATH = "/explore/download"


def add_download_route(server: Quart) -> None:
    """The address takes the parameters of the page, and `format`."""

    @server.get(PATH)
    async def download() -> Response:
        chosen = next((form for form in MEDIA_TYPES if form == request.args.get("format", "csv")), None)
        if chosen is None:
            return _plain("Choose format=csv, parquet or arrow.", 400)
        asked = ExploreQuery.from_query(request.args)
        if not asked.metrics:
            return _plain("Name a metric.", 400)
        now = datetime.now(UTC)
        try:
            reading = await read(current_session(), asked, now)
        except ApiError as error:
            if error.status == 401:
                raise SessionEndedError from error
            return _plain(error.detail, error.status)
        except BackendUnreachableError:
            return _plain("The backend does not answer; try again in a moment.", 503)
        failed = next((one.error for one in reading.answers if one.error is not None), None)
        if isinstance(failed, ApiError) and all(one.error is not None for one in reading.answers):
            return _plain(failed.detail, failed.status)
        response = Response(
            written(shown_frame(reading.answers, shown_top(asked)), chosen), content_type=MEDIA_TYPES[chosen]
        )
        name = f"{asked.metrics[0]}-{reading.start:%Y%m%dT%H%M%S}Z.{chosen}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def _plain(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")
