// A page in Chromium, driven through a pipe by the DevTools protocol: no package is needed.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
  "--remote-debugging-pipe",
];

/** Opens an address in a browser of its own. `problems` collects what the console says. */
export async function openPage(address, { width = 1280, height = 800 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "chromium-"));
  const browser = spawn(process.env["CHROMIUM"] ?? "chromium", [...FLAGS, `--user-data-dir=${folder}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const [, , , input, output] = browser.stdio;
  const waiting = new Map();
  const problems = [];
  let number = 0, rest = "";
  output.setEncoding("utf8");
  output.on("data", (text) => {
    const parts = (rest + text).split("\0");
    rest = parts.pop();
    for (const part of parts) {
      const { id, result, error, method, params } = JSON.parse(part);
      if (id !== undefined) {
        const { resolve, reject } = waiting.get(id);
        waiting.delete(id);
        if (error) reject(new Error(error.message));
        else resolve(result);
      } else if (method === "Runtime.exceptionThrown") {
        problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
      } else if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) {
        problems.push(params.entry.text);
      } else if (method === "Runtime.consoleAPICalled" && ["error", "warning"].includes(params.type)) {
        problems.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
      } else if (method === "Network.requestWillBeSent" && !/^(file|blob|data):/.test(params.request.url)) {
        problems.push(`the page asked for ${params.request.url}`);
      }
    }
  });
  let session;
  const send = (method, params = {}) => new Promise((resolve, reject) => {
    number += 1;
    waiting.set(number, { resolve, reject });
    input.write(`${JSON.stringify({ id: number, method, params, sessionId: session })}\0`);
  });
  browser.on("error", (error) => waiting.forEach(({ reject }) => reject(error)));

  const { targetInfos } = await send("Target.getTargets");
  const { targetId } = targetInfos.find(({ type }) => type === "page");
  ({ sessionId: session } = await send("Target.attachToTarget", { targetId, flatten: true }));
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  await send("Page.navigate", { url: address });

  /** The value of an expression in the page; of what it promises, if it is a promise. */
  async function evaluate(expression) {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }
  /** Waits until an expression is true; gives up after a minute. */
  async function until(expression) {
    for (let left = 200; left > 0; left--) {
      if (await evaluate(expression).catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`this never became true: ${expression}`);
  }
  async function close() {
    await send("Browser.close").catch(() => {});
    await new Promise((resolve) => (browser.exitCode === null ? browser.once("exit", resolve) : resolve()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  return { send, evaluate, until, close, problems };
}
