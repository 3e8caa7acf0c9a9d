"use strict";
// A link into a fold opens it, and printing opens all; without scripts everything can still be opened by hand.
function reveal() {
  const there = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  for (let one = there; one; one = one.parentElement) {
    if (one.tagName === "DETAILS") one.open = true;
  }
  if (there) there.scrollIntoView();
}
addEventListener("hashchange", reveal);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) reveal();
});
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});
reveal();
