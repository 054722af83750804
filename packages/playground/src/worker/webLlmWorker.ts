/** web-llm with one model, away from the page's thread: the first pass over a prompt would keep the page from hearing its user. */
import { WebWorkerMLCEngineHandler } from "@mlc-ai/web-llm";

declare const self: Worker;

const handler = new WebWorkerMLCEngineHandler();
self.onmessage = (event: MessageEvent) => handler.onmessage(event);
