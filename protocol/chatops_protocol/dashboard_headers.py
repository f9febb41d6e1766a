"""How the dashboard tells the backend for which browser it calls. Without the right secret the address is not believed,
so neither header is of use to anybody else."""

BROWSER_ADDRESS_HEADER = "X-ChatOps-Browser-Address"
DASHBOARD_SECRET_HEADER = "X-ChatOps-Dashboard-Secret"  # noqa: S105 - a header's name
