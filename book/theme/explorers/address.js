/** The state of a page's explorers in its address, as #heads:d_model=32&heads=8/masks:mask=none. */

function read() {
  const stored = new Map();
  for (const part of location.hash.slice(1).split("/")) {
    const [name, settings] = part.split(":", 2);
    if (settings !== undefined) stored.set(name, new URLSearchParams(settings));
  }
  return stored;
}

/** Give the settings of one explorer that the address holds, as strings by name. */
export function settingsOf(name) {
  return Object.fromEntries(read().get(name) ?? []);
}

/** Tell whether the address leads to this explorer, before all others. */
export function leadsTo(name) {
  return [...read().keys()][0] === name;
}

/** Put the settings of one explorer into the address; none takes them out. */
export function store(name, settings) {
  const stored = read();
  // An address that leads to a heading keeps leading there until an explorer is touched.
  if (Object.keys(settings).length) stored.set(name, new URLSearchParams(settings));
  else if (!stored.delete(name)) return;
  const parts = [...stored].map(([each, values]) => `${each}:${values}`);
  // The fragment never leaves the reader's machine: a text typed here stays here.
  const address = parts.length ? `#${parts.join("/")}` : location.href.split("#")[0];
  try {
    history.replaceState(history.state, "", address);
  } catch {
    // A browser may refuse while a slider is dragged; the next move tries again.
  }
}
