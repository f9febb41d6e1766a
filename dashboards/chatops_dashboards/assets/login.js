/* The log-in page: the remembered theme, and back in at once when the session still lives. */
(() => {
  const kept = localStorage.getItem("mantine-color-scheme-value") || "auto";
  const dark = kept === "dark" || (kept === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
  document.addEventListener("DOMContentLoaded", async () => {
    const form = document.querySelector("form");
    form.addEventListener("submit", () => { form.querySelector("button").textContent = "Logging in…"; });
    if (document.querySelector(".message")) return;
    const answer = await fetch("/session", { credentials: "same-origin" });
    if ((await answer.text()) === "in") location.replace(form.elements.next.value);
  });
})();
