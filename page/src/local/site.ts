/** What `galago export --to web` put beside this page: `site.json`. */

import type { Language, Preset } from "../engine";

/** How a picture becomes pixel values, as galago's ImageSpec says. */
export interface ImageSpec {
  side: number; // pixels
  fit: "pad" | "crop";
  resample: "bicubic" | "bilinear";
  rounded: boolean; // where a crop begins: rounded, not cut off
  mean: [number, number, number];
  std: [number, number, number];
}

export interface SiteFile {
  path: string; // below the model's folder
  bytes: number;
  sha256: string; // "" where only the size is known
}

export interface SiteModel {
  id: string;
  kind: "fastvlm" | "mobileclip";
  demo: boolean;
  knows: string;
  licence: string; // of the weights, a line
  folder: string; // address relative to the page, ends with a slash; absolute of the hub's
  dtype: string;
  image: ImageSpec;
  presets: Preset[]; // of a fastvlm
  files: SiteFile[];
}

export interface Site {
  version: string;
  default: string; // the model that answers questions
  models: SiteModel[];
  languages: Language[];
  runtime: Runtime;
}

/** ONNX Runtime's files: the .wasm ones are read like a model's (progress, kept), the .mjs imported. */
export interface Runtime {
  folder: string; // as of a model
  version: string;
  files: SiteFile[];
}
