"""Rules, their evaluation over the roll-ups, alerts, silences, notifications, and the replay of rules over history."""
