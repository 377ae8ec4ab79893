(() => {
  "use strict";
  const tip = document.getElementById("tip");
  document.querySelectorAll("svg title").forEach((title) => {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  });
  const show = (event) => {
    const mark = event.target.closest && event.target.closest("[data-tip]");
    if (!mark) { tip.style.opacity = 0; return; }
    if (tip.textContent !== mark.dataset.tip) tip.textContent = mark.dataset.tip;
    const left = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16;
    const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8);
    tip.style.transform = `translate(${Math.max(4, left)}px,${top}px)`;
    tip.style.left = 0; tip.style.top = 0; tip.style.opacity = 1;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("scroll", () => { tip.style.opacity = 0; }, true);
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  document.querySelectorAll("table").forEach((table) => {
    const body = table.tBodies[0];
    table.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        const [n, m] = [parseFloat(x), parseFloat(y)];
        return isFinite(n) && isFinite(m) ? n - m : x.localeCompare(y);
      };
      [...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a))).forEach((row) => body.append(row));
    }));
  });
})();
