/** The ways to draw, each named as the function of `lesson_tf.figures` that draws the same. */
import { bar_panels } from "./bar_panels.js";
import { curves } from "./curves.js";
import { head_heatmaps } from "./head_heatmaps.js";
import { translation } from "./translation.js";
import { wave_views } from "./wave_views.js";
import { next_token_shaping } from "./next_token_shaping.js";
import { residual_flow } from "./residual_flow.js";
import { token_chips } from "./token_chips.js";

export const drawings = { bar_panels, curves, head_heatmaps, next_token_shaping, residual_flow, token_chips, translation, wave_views };
