// Space, up, down and the page keys are the browser's own; left and right do what they do.
addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const slides = [...document.querySelectorAll("section")];
  const shown = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > innerHeight / 2);
  event.preventDefault();
  slides[shown + step]?.scrollIntoView();
});
