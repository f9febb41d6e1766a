"""`chatops demo`: a fleet of servers that do not exist, with weeks of plausible history.

`fleet` says who they are, `incidents` what befell them, `activity` what they did all that time, `readings` what an
agent would have read of it: all pure, the same for the same seed and moment. `command` brings it to a running backend.
"""
