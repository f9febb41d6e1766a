"""The Litestar service: ingest, schema, query planner, accounts. Feature folders inside, each with its routes."""
