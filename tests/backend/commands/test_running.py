"""Commands on a real agent: results, streams, limits, ends."""

import pytest

pytestmark = pytest.mark.anyio


async def test_a_quick_command_is_answered_with_its_result(host) -> None:
    result = host.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result["state"], result["exit_code"]) == ("failed", 3)
    assert (result["stdout"], result["stderr"]) == ("out\n", "err\n")
    assert (result["stdout_bytes"], result["stderr_bytes"], result["truncated"]) == (4, 4, False)
    assert 0 <= result["duration_s"] < 5
    assert result["argv"][0] == "sh"
