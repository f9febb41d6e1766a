"""What is typed stays what it says: injections are literal, and a host allows what its own file lists."""

from pathlib import Path

import pytest

from chatops_backend.commands.requests import act_of
from chatops_backend.problems import ProblemError
from chatops_protocol.command_resources import RunCommandRequest

pytestmark = pytest.mark.anyio

CANARY = "injected"
ALLOWLIST = """
signals = ["HUP"]

[say]
argv = ["printf", "%s|", "{what}"]
[say.arguments]
what = { type = "text", pattern = '[\\s\\S]*' }

[twice]
argv = ["printf", "%s|", "--first={a}", "{b}{a}"]
[twice.arguments]
a = { type = "integer", minimum = 1, maximum = 10 }
b = { type = "choice", values = ["{a}", "x"] }

[show]
argv = ["cat", "{file}"]
[show.arguments]
file = { type = "path", under = "FOLDER" }

[slow]
argv = ["sleep", "60"]
timeout_s = 1

[home]
argv = ["pwd"]
working_directory = "/usr"
"""


def injections(target: Path) -> list[str]:
    """More than two hundred texts that would touch `target` if anything read them as more than text."""
    touch = f"touch {target}"
    simple = [
        f"; {touch}",
        f";{touch};",
        f"| {touch}",
        f"|| {touch}",
        f"& {touch}",
        f"&& {touch}",
        f"`{touch}`",
        f"$({touch})",
        f"${{IFS}};{touch}",
        f"\n{touch}",
        f"\r\n{touch}\n",
        f"x\n{touch} #",
        f"> {target}",
        f">> {target}",
        f"< /dev/null > {target}",
        f"2> {target}",
        f"x >| {target}",
        f"<({touch})",
        f">({touch})",
        f"$(<{target})",
        f"() {{ :; }}; {touch}",
        f"{{{touch},}}",
        f"eval {touch}",
        f"exec {touch}",
        f"\\; {touch}",
        f"\x1b;{touch}",
        f"%0a{touch}",
        f"a{chr(0x2028)}{touch}",
        f"\t;{touch}",
        f"*;{touch}",
        f"~;{touch}",
        f"!{touch}",
        f"#\n{touch}",
        f"$((1;{touch}))",
        f"$[`{touch}`]",
        f"${{x:-$({touch})}}",
        f"${{x:=`{touch}`}}",
    ]
    wrapped = [frame.format(text) for text in simple for frame in ("'{}'", '"{}"', "a' {} 'b", 'a" {} "b', "x{}")]
    return [*simple, *wrapped]


async def test_arguments_are_literal_even_where_a_shell_is_allowed(host, tmp_path) -> None:
    target = tmp_path / CANARY
    texts = injections(target)
    assert len(texts) >= 200
    result = host.run("printf", "%s\x01", *texts)
    assert result["state"] == "ok"
    assert result["stdout"].split("\x01")[:-1] == texts
    assert not target.exists()


async def test_a_text_is_split_and_not_interpreted_where_no_shell_is_allowed(new_host, tmp_path) -> None:
    target = tmp_path / CANARY
    listed = with_list(new_host, tmp_path)
    for text in injections(target)[:40]:
        answer = listed.post(command=f"say {text}", wait_s=10)
        assert answer.status_code in (200, 400), answer.text
    assert not target.exists()
    assert listed.run(command="say '$(id) ; `id` > x'")["stdout"] == "$(id) ; `id` > x|"


def test_splitting_a_text_leaves_every_injection_a_word() -> None:
    refused = 0
    for text in injections(Path("/x")):
        try:
            act = act_of(RunCommandRequest(command=f"say {text}"))
        except ProblemError:
            refused += 1  # what is open is not closed
        else:
            assert act.argv[0] == "say"
            assert "/x" in "".join(act.argv[1:])
    assert refused < 40


async def test_a_shell_reads_a_text_only_where_the_host_says_so(host) -> None:
    assert host.run(command="echo a | tr a b; echo $((1 + 1))")["stdout"] == "b\n2\n"
    assert host.run("echo", "a | tr a b")["stdout"] == "a | tr a b\n"


def with_list(new_host, folder: Path, text: str = ALLOWLIST):
    (folder / "inside").mkdir(exist_ok=True)
    (folder / "inside" / "file").write_text("inside")
    (folder / "outside").write_text("outside")
    (folder / "inside" / "link").symlink_to(folder / "outside")
    listing = folder / "commands.toml"
    listing.write_text(text.replace("FOLDER", str(folder / "inside")))
    listing.chmod(0o600)
    return new_host(CHATOPS_ALLOW_COMMANDS="allowlist", CHATOPS_COMMANDS_FILE=str(listing))


async def test_a_list_allows_what_it_holds_and_nothing_else(new_host, tmp_path) -> None:
    listed = with_list(new_host, tmp_path)
    inside = tmp_path / "inside"
    assert listed.run("say", "hello")["stdout"] == "hello|"
    assert listed.run("twice", "07", "{a}")["stdout"] == "--first=7|{a}7|", "a value is not read again"
    assert listed.run("show", str(inside / "file"))["stdout"] == "inside"
    assert listed.run("slow", timeout_s=50)["state"] == "timed_out"
    assert listed.run("home")["stdout"] == "/usr\n"
    refused = [
        ("true",),
        ("/bin/true",),
        ("printf", "x"),
        ("say",),
        ("say", "a", "b"),
        ("say", "-dash"),
        ("say", "x" * 500),
        ("twice", "0", "x"),
        ("twice", "11", "x"),
        ("twice", "1.5", "x"),
        ("twice", "1\n", "x"),
        ("twice", "0x1", "x"),
        ("twice", "1", "y"),
        ("show", str(tmp_path / "outside")),
        ("show", str(inside / "link")),
        ("show", f"{inside}/../outside"),
        ("show", "/etc/passwd"),
        ("show", "file"),
        ("show", f"{inside}/missing"),
        ("", "x"),
        ("signals",),
        ("SAY", "x"),
    ]
    for argv in refused:
        answer = listed.post(argv=list(argv), wait_s=10)
        if answer.status_code != 400:
            result = answer.json()
            assert (result["state"], result["started_at"]) == ("failed", None), argv
            assert result["detail"].startswith("refused: "), argv
            assert (result["stdout"], result["stdout_bytes"]) == ("", 0)
    moved = listed.post(argv=["home"], working_directory="/", wait_s=10).json()
    assert moved["detail"].startswith("refused: ")


async def test_a_list_decides_about_signals_too(new_host, tmp_path, sleeper) -> None:
    listed = with_list(new_host, tmp_path)
    found = listed.backend.call("GET", f"/processes/{listed.server_id}").json()["processes"]
    (one,) = [one for one in found if one["pid"] == sleeper.pid]
    path = f"/processes/{listed.server_id}/{sleeper.pid}/signal"
    answer = listed.backend.call("POST", path, json={"signal": "KILL", "started_at": one["started_at"]}).json()
    assert "does not allow the signal KILL" in answer["detail"]
    assert sleeper.poll() is None
    answer = listed.backend.call("POST", path, json={"signal": "HUP", "started_at": one["started_at"]}).json()
    assert answer["state"] == "ok"


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("[say", 0o600, "cannot be read"),
        ('[say]\nargv = ["{x}"]\narguments.x = { type = "text", pattern = ".*" }', 0o600, "must be fixed"),
        ('[say]\nargv = ["echo", "{x}"]', 0o600, "argv uses ['x'], arguments are []"),
        ('[say]\nargv = ["echo"]\nshell = true', 0o600, "shell"),
        ('[say]\nargv = ["echo"]', 0o666, "can be changed by others"),
    ],
)
async def test_a_list_that_is_not_as_it_must_be_allows_nothing_and_says_why(
    new_host, tmp_path, text, mode, says
) -> None:
    listed = with_list(new_host, tmp_path)
    (tmp_path / "commands.toml").write_text(text)
    (tmp_path / "commands.toml").chmod(mode)
    result = listed.run("say", "x")
    assert (result["state"], result["started_at"]) == ("failed", None)
    assert says in result["detail"]


async def test_the_default_runs_nothing(new_host, tmp_path) -> None:
    for settings in ({"CHATOPS_ALLOW_COMMANDS": ""}, {"CHATOPS_ALLOW_COMMANDS": "off"}):
        host = new_host(**settings)
        for request in ({"argv": ["touch", str(tmp_path / CANARY)]}, {"command": f"touch {tmp_path / CANARY}"}):
            result = host.post(**request, wait_s=10).json()
            assert (result["state"], result["started_at"]) == ("failed", None)
            assert "CHATOPS_ALLOW_COMMANDS" in result["detail"]
    assert not (tmp_path / CANARY).exists()
    assert not list(host.spool.glob("orders.*")), "an agent that takes no orders keeps no ledger"


@pytest.mark.skipif("__import__('os').geteuid() != 0", reason="needs root, who is refused here")
async def test_as_root_nothing_is_run_unless_the_host_says_so(new_host, tmp_path) -> None:
    host = new_host(CHATOPS_ALLOW_ROOT="")
    result = host.run("touch", str(tmp_path / CANARY))
    assert (result["state"], result["started_at"]) == ("failed", None)
    assert "CHATOPS_ALLOW_ROOT" in result["detail"]
    assert not (tmp_path / CANARY).exists()
    assert "runs as root" in host.log
