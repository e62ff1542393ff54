/** The softmax of scaled cosines of rows (n, dim), one behind the other, with a unit vector: (n,). */
export function shares(rows: Float32Array, seen: Float32Array, scale: number): number[] {
  const width = seen.length;
  const logits = Array.from({ length: rows.length / width }, (_, at) => {
    let cosine = 0;
    for (let i = 0; i < width; i++) cosine += rows[at * width + i]! * seen[i]!;
    return scale * cosine;
  });
  const most = Math.max(...logits);
  const raised = logits.map((logit) => Math.exp(logit - most));
  const total = raised.reduce((sum, one) => sum + one, 0);
  return raised.map((one) => one / total);
}
