"""What the page shows, as its live view and as its address."""

from chatops_dashboards.live import View


def view_of(group_id: int | None, command_id: int | None) -> View:
    return {"kind": "commands", "group": group_id, "command": command_id}


def address_of(group_id: int | None, command_id: int | None) -> dict[str, str]:
    parts = {"group": group_id, "run": command_id}
    return {"place": "/commands", **{name: str(number) for name, number in parts.items() if number is not None}}
