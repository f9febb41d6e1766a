"""The five questions: each reads what it needs, and lets the pure modules beside this folder judge it."""
