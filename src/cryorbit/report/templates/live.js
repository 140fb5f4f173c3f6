const REFRESH_MS = 20_000;
const IDLE_MS = 5_000;
const SILENT_MS = 600_000;
const SETTLING_MS = 10_000;

/** Loads the page of a running job again and again, but not while somebody is just turning a map. */
function refreshWhenIdle() {
  let touched = 0;
  for (const kind of ["pointermove", "keydown", "wheel", "input"]) {
    addEventListener(kind, () => { touched = performance.now(); }, { passive: true });
  }
  setInterval(() => {
    if (performance.now() > REFRESH_MS && performance.now() - touched > IDLE_MS) location.reload();
  }, 1_000);
}

/** Goes back to a place while the page is still growing, unless somebody goes elsewhere. */
function returnTo(place) {
  const observer = new ResizeObserver(() => scrollTo(0, place));
  observer.observe(document.body);
  setTimeout(() => observer.disconnect(), SETTLING_MS);
  for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
    addEventListener(kind, () => observer.disconnect(), { passive: true, once: true });
  }
}

/** Keeps the place on the page: the browser alone cannot, because maps come into it late. */
function keepPlace() {
  const memory = `cryorbit ${location.pathname} place`;
  try {
    const place = Number(sessionStorage.getItem(memory));
    if (place > 0) returnTo(place);
    addEventListener("pagehide", () => sessionStorage.setItem(memory, scrollY));
  } catch {
    // some browsers deny a file any memory: the page then begins at its top
  }
}

/** Says so when the job has not written its page for long. */
function tellSilence() {
  const standing = document.querySelector("[data-written]");
  const silent = Date.now() - Date.parse(standing.dataset.written) > SILENT_MS;
  standing.querySelector(".silence").hidden = !silent;
}

tellSilence();
keepPlace();
refreshWhenIdle();
