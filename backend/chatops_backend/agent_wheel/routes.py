"""Routes under ``/agent/wheel``. Public: a host that is about to be added has no credential yet, and the wheel holds no
secret."""

from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from chatops_backend.accounts.access import allow_anyone
from chatops_backend.agent_wheel.build import agent_wheel
from chatops_backend.problems import ProblemError
from chatops_protocol.resources import AgentWheel


@get("/", opt=allow_anyone(), sync_to_thread=True)
def read_agent_wheel(request: Request[Any, Any, Any]) -> AgentWheel:
    """Where the wheel is, by the address that the caller itself used."""
    wheel = agent_wheel()
    return AgentWheel(wheel.filename, f"{str(request.url).split('?')[0].rstrip('/')}/{wheel.filename}", wheel.sha256)


@get("/{filename:str}", opt=allow_anyone(), sync_to_thread=True, media_type="application/octet-stream")
def download_agent_wheel(filename: FromPath[str]) -> Response[bytes]:
    wheel = agent_wheel()
    if filename != wheel.filename:
        raise ProblemError(
            404, "Not found", f"This backend's agent is {wheel.filename}; get that, or ask for its address."
        )
    return Response(wheel.content, headers={"ETag": f'"{wheel.sha256}"'})


route_handlers = [Router("/agent/wheel", route_handlers=[read_agent_wheel, download_agent_wheel], tags=["agent"])]
