"""`python -m chatops_agent`: the same as `chatops agent`."""

from chatops_agent.cli import agent

agent(prog_name="chatops agent")
