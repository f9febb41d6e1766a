"""``GET /commands/policies``: what the hosts allow, as their agents say it of themselves. For people, who then need not
try; what is carried out is decided by the agent, whatever stands here."""

from collections.abc import Iterable

from litestar import get
from litestar.di import NamedDependency

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible
from chatops_backend.control.channel import AgentChannel
from chatops_backend.paging import IdFilter
from chatops_protocol.command_resources import CommandPolicies, HostPolicy


def may_run_shells(channel: AgentChannel, server_ids: Iterable[int]) -> bool:
    """Whether any of the hosts runs whatever it is told, as far as is known here: one that is not connected may."""
    policies = {agent.server_id: agent.command_policy for agent in channel.everyone()}
    return any(policies.get(server_id, "shell") == "shell" for server_id in server_ids)


@get("/policies", opt=allow("viewer"))
async def list_policies(
    channel: NamedDependency[AgentChannel], visible: Visible, server_id: IdFilter = None
) -> CommandPolicies:
    """Of the agents that are connected to this backend. A host that is missing is not connected."""
    return CommandPolicies(
        [
            HostPolicy(agent.server_id, agent.command_policy)
            for agent in channel.everyone()
            if visible.sees(agent.server_id) and server_id in (None, agent.server_id)
        ]
    )
