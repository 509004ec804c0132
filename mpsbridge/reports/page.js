"use strict";
(() => {
  const form = document.querySelector(".filters");
  const text = form.querySelector("input[type=search]");
  const attention = form.querySelector("input[type=checkbox]");
  const count = form.querySelector("output");
  const hosts = [...document.querySelectorAll("section.host")];
  const line = (host) => document.querySelector(`tr[data-host="${host.id}"]`);

  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const host of hosts) {
      const fits = host.textContent.toLowerCase().includes(wanted) && !(attention.checked && "calm" in host.dataset);
      host.hidden = !fits;
      line(host).hidden = !fits;
      shown += fits;
    }
    count.value = shown === hosts.length ? "" : `${shown} of ${hosts.length}`;
  };

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
  apply();
})();
