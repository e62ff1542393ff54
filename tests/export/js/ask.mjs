// Asks an exported folder through transformers.js, on the CPU:  node ask.mjs JOB.json
// The job: {model, dtype, asked: [{picture, exact, question}], tokens}, where `exact` is the square
// that galago made of the picture.  For each question a line of JSON: {exact, own}, the answers for
// that square and for what transformers.js' own processor makes of the picture.
process.env.ORT_DISABLE_TELEMETRY = "1"; // before onnxruntime is loaded: it reports otherwise

const { readFileSync } = await import("node:fs");
const { dirname, basename } = await import("node:path");
const { AutoProcessor, LlavaForConditionalGeneration, RawImage, env } = await import(
  "@huggingface/transformers"
);

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = dirname(job.model);
const name = basename(job.model);
const options = { dtype: job.dtype, device: "cpu" };
const processor = await AutoProcessor.from_pretrained(name);
const vlm = await LlavaForConditionalGeneration.from_pretrained(name, options);

async function ask(file, question) {
  const messages = [{ role: "user", content: `<image>\n${question}` }];
  const prompt = processor.apply_chat_template(messages, { add_generation_prompt: true });
  const picture = await RawImage.read(file);
  const inputs = await processor(picture, prompt, { add_special_tokens: false });
  const output = await vlm.generate({ ...inputs, max_new_tokens: job.tokens, do_sample: false });
  const said = output.slice(null, [inputs.input_ids.dims.at(-1), null]);
  return processor.batch_decode(said, { skip_special_tokens: true })[0];
}

for (const { picture, exact, question } of job.asked) {
  const answers = { exact: await ask(exact, question), own: await ask(picture, question) };
  console.log(JSON.stringify(answers));
}
