"""How `chatops up` treats the processes it started, tried on small ones of Python."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from chatops_backend.settings import Settings, SettingsError
from chatops_cli.up import _Part, _relay, _require_free, _Supervisor

pytestmark = pytest.mark.anyio


def part(name: str, program: str) -> _Part:
    return _Part(name, [sys.executable, "-c", program], {})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
async def test_a_port_is_free_or_not_whatever_the_kind_of_address(host: str) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as taken:
        try:
            taken.bind(address)
        except OSError:
            pytest.skip(f"this machine has no {host}")
        port: int = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(SettingsError, match=f"port {port} of {host} .*set CHATOPS_PORT"):
            _require_free(host, port, "CHATOPS_PORT")
    _require_free(host, port, "CHATOPS_PORT")


async def test_a_host_that_nobody_knows_is_one_clear_line() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.invalid"):
        _require_free("nowhere.invalid", 8000, "CHATOPS_PORT")


async def test_a_part_whose_line_is_too_long_does_not_stand_still(capfd: pytest.CaptureFixture[str]) -> None:
    program = "print('x' * 300_000); [print('y' * 99) for _ in range(5000)]; print('last')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            await _relay("part", process.stdout)
    finally:
        if process.returncode is None:
            process.kill()
    assert "part: last" in capfd.readouterr().err


async def test_a_part_that_died_just_before_the_stop_is_not_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor = _Supervisor(Settings(data_dir=tmp_path))
    mark = str(tmp_path / "ran")
    # Ends at its first start, stays at its second.
    dying = part("dying", f"import os, time; os.path.exists({mark!r}) and time.sleep(60); open({mark!r}, 'w').close()")
    # Its stop takes longer than the pause before the other one would be started again.
    slow = part(
        "slow", "import signal, time; signal.signal(15, lambda *_: None); print('here', flush=True); time.sleep(3)"
    )
    text = ""
    await supervisor._add(slow)
    await supervisor._add(dying)
    async with asyncio.timeout(20):
        while "slow: here" not in text or "dying ended" not in text:
            await asyncio.sleep(0.02)
            text += capfd.readouterr().err
    assert dying.process is not None
    first = dying.process.pid
    await supervisor._stop()
    if dying.process.pid != first:
        dying.process.kill()
        await dying.process.wait()
    assert dying.process.pid == first
