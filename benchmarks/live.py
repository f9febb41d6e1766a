"""From a reading at the agent to the point in the browser, measured in Chromium on a server's live tab.

A simulated agent stamps each frame with the time it is sent; the page notes when the chart's last point has that time.
The figure is that delay less the writer's batch window.
"""

import argparse
import asyncio
import time
from typing import Any

from playwright.async_api import Page, async_playwright

from benchmarks.environment import describe_machine, fresh_settings, percentile, table
from benchmarks.simulated_agents import SimulatedAgent
from chatops_backend.ingest.writer import BATCH_WINDOW_S
from chatops_backend.settings import Settings
from tests.stack import Program, environment, running_backend

LIMIT_MS = 500.0
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

# Looks at the chart's data at each frame the browser paints, and notes when a new last point is there.
_WATCH = """
() => {
  window.arrivals = [];
  let last = null;
  const look = () => {
    const plot = document.querySelector('#live-chart-cpu .js-plotly-plot');
    const times = plot && plot.data && plot.data[0] && plot.data[0].x;
    const newest = times && times.length ? new Date(times[times.length - 1]).getTime() : null;
    if (newest !== null && newest !== last) {
      if (last !== null) window.arrivals.push([newest, Date.now()]);
      last = newest;
    }
    requestAnimationFrame(look);
  };
  look();
}
"""


async def log_in(page: Page, dashboard: str, username: str, password: str) -> None:
    await page.goto(f"{dashboard}/login")
    await page.fill("input[name=username]", username)
    await page.fill("input[name=password]", password)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=Fleet")


async def measure(settings: Settings, points: int, interval_s: float) -> list[float]:
    """Delays in milliseconds, one per point."""
    dashboard = f"http://127.0.0.1:{settings.dashboard_port}"
    with running_backend(settings) as backend:
        server_id, key = backend.add_server("live")
        env = {**environment(settings), "CHATOPS_API_URL": backend.url}
        program = Program(["dashboard"], env, settings.data_dir / "dashboard.log")
        try:
            program.wait_until_answers(f"{dashboard}/ready")
            agent = SimulatedAgent(backend.agents_url, key, "live", interval_s)
            sending = asyncio.create_task(agent.run())
            agent.produce(server_id)
            await agent.drained()
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
                page = await browser.new_page()
                await log_in(page, dashboard, settings.admin_username, settings.admin_password or "")
                await page.goto(f"{dashboard}/servers/{server_id}")
                await page.wait_for_selector("#live-chart-cpu .js-plotly-plot .main-svg")
                await page.evaluate(_WATCH)
                arrivals: list[Any] = []
                while len(arrivals) < points + 2:
                    agent.produce(server_id, time.time())
                    await asyncio.sleep(interval_s)
                    arrivals = await page.evaluate("window.arrivals")
                await browser.close()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        finally:
            program.stop()
    # The first two come while the page still loads its other charts.
    return [seen - collected for collected, seen in arrivals[2:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=60, help="readings to follow (%(default)s)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between them (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    with fresh_settings(None) as settings:
        delays = asyncio.run(measure(settings, arguments.points, arguments.interval))
    window = BATCH_WINDOW_S * 1000
    beyond = percentile(delays, 0.95) - window
    rows = [
        ["reading → point in Chromium, p50", f"{percentile(delays, 0.5):,.0f} ms", ""],
        ["reading → point in Chromium, p95", f"{percentile(delays, 0.95):,.0f} ms", ""],
        ["batch window", f"{window:,.0f} ms", ""],
        ["p95 beyond the batch window", f"{beyond:,.0f} ms", f"≤ {LIMIT_MS:,.0f} ms"],
    ]
    print(table(["figure", "measured", "limit"], rows))


if __name__ == "__main__":
    main()
