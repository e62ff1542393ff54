/** The data of server-sent events, one after the other, up to OpenAI's closing [DONE]. */
export async function* events(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new TypeError("the stream was cut"); // [DONE] has not come
      rest += value.replaceAll("\r", "");
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const lines = block.split("\n").filter((line) => line.startsWith("data:"));
        const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
        ended = data === "[DONE]";
        if (ended) return;
        if (data) yield data;
      }
    }
  } finally {
    // Who reads no further lets the server stop; after the end that would cost the connection.
    if (!ended) void reader.cancel().catch(() => {});
  }
}
