// A formula wider than the page scrolls by itself; the keyboard has to reach it then, and only then.
const formulas = document.querySelectorAll("div.math");

const letWideOnesBeReached = () => {
  for (const formula of formulas) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  }
};

letWideOnesBeReached();
document.fonts.ready.then(letWideOnesBeReached);
addEventListener("resize", letWideOnesBeReached);
