"""The host's containers: readings, answers, acts, events. Nothing here runs unless CHATOPS_ALLOW_DOCKER allows it."""
