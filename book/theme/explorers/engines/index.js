/** What computes the states of a reader's own text, each named as an explorer names it. */
import { flow } from "./flow.js";
import { heads } from "./heads.js";
import { merges } from "./merges.js";
import { next_token } from "./next_token.js";
import { translate } from "./translate.js";

export const engines = { flow, heads, merges, next_token, translate };
