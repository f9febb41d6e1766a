"""The agent, but at one point around a command it kills itself. Run by the tests: ``python dying_agent.py POINT``."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from chatops_agent.cli import agent
from chatops_agent.control import orders, program
from chatops_agent.control.ledger import Ledger
from chatops_protocol.control_messages import OrderOutput


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*arguments: Any) -> Any:
        die()
        return function(*arguments)

    return dying


def after(function: Callable[..., Any], when: Callable[[Any], bool] = lambda _: True) -> Callable[..., Any]:
    def dying(*arguments: Any) -> Any:
        result = function(*arguments)
        if when(result):
            die()
        return result

    return dying


match sys.argv.pop():
    case "before it is written down":
        Ledger.begin = before(Ledger.begin)  # type: ignore[method-assign]
    case "after it is written down":
        Ledger.begin = after(Ledger.begin)  # type: ignore[method-assign]
    case "after the program began":
        program._start = after(program._start)
    case "in the middle of its output":
        orders.Report.take = after(orders.Report.take, lambda taken: isinstance(taken[0], OrderOutput))  # type: ignore[method-assign]
    case "before its end is written down":
        Ledger.finish = before(Ledger.finish)  # type: ignore[method-assign]
    case "after its end is written down":
        Ledger.finish = after(Ledger.finish)  # type: ignore[method-assign]
    case point:
        sys.exit(f"there is no point {point}")

agent(prog_name="chatops agent")
