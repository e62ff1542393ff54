/** What a model was taught, told from what it wasn't: galago/checkpoints/doubt.py reads the same file. */

interface Table {
  shape: number[];
  values: Float32Array;
}

/** The tables of a safetensors file of F32 and F16. Throws for what is none. */
export function readTables(bytes: Uint8Array): Map<string, Table> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tables = new Map<string, Table>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: [from, to] } = entry;
    const size = dtype === "F16" ? 2 : 4;
    const values = new Float32Array((to - from) / size);
    for (let i = 0; i < values.length; i++) {
      const at = 8 + length + from + i * size;
      values[i] = size === 2 ? half(view.getUint16(at, true)) : view.getFloat32(at, true);
    }
    tables.set(name, { shape, values });
  }
  return tables;
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Vectors (n, rows) times a table (rows, columns), of one vector: (columns,). */
function times(vector: Float32Array, { shape: [rows = 0, columns = 0], values }: Table): Float32Array {
  const out = new Float32Array(columns);
  for (let r = 0; r < rows; r++) {
    const factor = vector[r] ?? 0;
    for (let c = 0; c < columns; c++) out[c] = out[c]! + factor * values[r * columns + c]!;
  }
  return out;
}

/** The numbers of `doubt.tensors`. */
export class Taught {
  private readonly tables: Map<string, Table>;

  constructor(bytes: Uint8Array) {
    this.tables = readTables(bytes);
  }

  private table(name: string): Table {
    const found = this.tables.get(name);
    if (!found) throw new Error(`doubt.tensors has no ${name}`);
    return found;
  }

  private single(name: string): number {
    return this.table(name).values[0] ?? 0;
  }

  /** How probably the model knows what it was shown, of its features (D,) and figures of its answer. */
  known(features: Float32Array, answer: readonly number[] = []): number {
    const middle = this.table("middle").values;
    const placed = times(features.map((value, at) => value - middle[at]!), this.table("whiten"));
    const { shape: [count = 0, width = 0], values } = this.table("centres");
    let nearest = Infinity;
    for (let n = 0; n < count; n++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += (values[n * width + k]! - placed[k]!) ** 2;
      nearest = Math.min(nearest, sum);
    }
    const signals = [...placed, Math.sqrt(nearest), ...answer];
    const logit = this.table("weights").values.reduce((sum, weight, at) => sum + weight * (signals[at] ?? 0), this.single("bias"));
    return 1 / (1 + Math.exp(-Math.min(Math.max(logit, -500), 500)));
  }

  /** Whether what is known so probably is doubted. */
  doubts(known: number): boolean {
    return known < this.single("border");
  }

  /** Whether a text, a unit row (D,), names nothing that was taught. */
  strange(row: Float32Array): boolean {
    if (!this.tables.has("words")) return false;
    const placed = times(row, this.table("word_space"));
    const { shape: [count = 0, width = 0], values } = this.table("words");
    let nearest = -Infinity;
    for (let n = 0; n < count; n++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += values[n * width + k]! * placed[k]!;
      nearest = Math.max(nearest, sum);
    }
    return nearest < this.single("word_border");
  }
}
