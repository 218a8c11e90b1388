import { render } from "preact";
import { App } from "./app";
import { openEmbedded, takeDrops } from "./files";
import { closeMenus, listenToKeys } from "./keys";
import { load } from "./lesson";
import { keepLink, readLink } from "./link";
import { follow } from "./player";

async function begin(): Promise<void> {
  render(<App />, document.getElementById("app")!);
  takeDrops();
  listenToKeys();
  closeMenus();
  await load();
  if (!(await openEmbedded())) await readLink();
  follow();
  keepLink();
  addEventListener("hashchange", () => void readLink());
}

void begin();
