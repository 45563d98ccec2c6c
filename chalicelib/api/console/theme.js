// Runs before the first paint, so that a chosen scheme does not flash.
try {
  const chosen = localStorage.getItem('hft:theme');
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* without storage, the system's scheme */ }
