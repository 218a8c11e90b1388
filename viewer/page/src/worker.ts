// Runs in a worker: holds the WebAssembly module and answers one question after the other.

interface Exports {
  memory: WebAssembly.Memory;
  alloc(length: number): number;
  call(pointer: number, length: number): bigint;
  release(pointer: number, length: number): void;
}

let exports: Promise<Exports>;

async function load(base64: string): Promise<Exports> {
  if (base64 === "") throw new Error("this page was built without the module");
  const packed = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return instance.exports as unknown as Exports;
}

function call({ memory, alloc, call, release }: Exports, question: string): string {
  const input = new TextEncoder().encode(question);
  const at = alloc(input.length);
  new Uint8Array(memory.buffer).set(input, at);
  const packed = BigInt.asUintN(64, call(at, input.length));
  const pointer = Number(packed >> 32n);
  const length = Number(packed & 0xffff_ffffn);
  const answer = new TextDecoder().decode(new Uint8Array(memory.buffer, pointer, length));
  release(pointer, length);
  return answer;
}

type Message = { module: string } | { number: number; question: string };

onmessage = async ({ data }: MessageEvent<Message>) => {
  if ("module" in data) {
    exports = load(data.module);
    exports.catch(() => {});
    return;
  }
  let answer: string;
  try {
    answer = call(await exports, data.question);
  } catch (error) {
    const problem = `the module stopped (${String(error)}); try a smaller run, or reload the page`;
    answer = JSON.stringify({ errors: [{ field: "", problem }] });
  }
  postMessage({ number: data.number, answer });
};
