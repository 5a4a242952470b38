/** The entry of the bundle: one classic script for every page with an explorer. */
import { LessonExplorer } from "./element.js";
import { setBase } from "./model/runtime.js";

// A classic script knows its own address; models and their runtime lie beside it.
setBase(new URL(".", document.currentScript.src).href);
customElements.define("lesson-explorer", LessonExplorer);
