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
  sha256: string;
}

export interface SiteModel {
  id: string;
  kind: "fastvlm" | "mobileclip";
  demo: boolean;
  knows: string;
  folder: string; // address relative to the page, ends with a slash
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
}
