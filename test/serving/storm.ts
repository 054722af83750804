/**
 * Requests of every kind, of which clients leave some at a random moment. As a command, against `safedelta serve` of the tiny pair in
 * a process of its own, whose memory is looked at on the way: `bun test/serving/storm.ts [REQUESTS]`, 10,000 unless given. Prints
 * memory after each tenth, the first of which warms up.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { tinyFolder } from "../support/pico.ts";
import { Random } from "../support/random.ts";

export interface Storm {
  readonly requests: number;
  readonly together: number;
  readonly seed: number;
}

/** Send the requests; gives how many were answered to their end, and how many were left. @throws on an answer that should not be */
export async function storm(
  url: string,
  { requests, together, seed }: Storm,
): Promise<{ finished: number; left: number }> {
  const random = new Random(seed);
  const counts = { finished: 0, left: 0 };
  let next = 0;
  const client = async () => {
    while (next < requests) {
      next++;
      counts[await oneRequest(url, random)]++;
    }
  };
  await Promise.all(Array.from({ length: together }, client));
  return counts;
}

async function oneRequest(url: string, random: Random): Promise<"finished" | "left"> {
  const stop = new AbortController();
  const timer = random.uniform() < 0.5 ? setTimeout(() => stop.abort(), 40 * random.uniform()) : undefined;
  const [stream, isChat, wrong] = [random.uniform() < 0.5, random.uniform() < 0.5, random.uniform() < 0.1];
  const asked = isChat
    ? { messages: [{ role: "user", content: "say hello" }], logprobs: true }
    : { prompt: "say", n: 2, logprobs: 1 };
  const body = {
    model: wrong ? "other" : "tuned",
    stream,
    max_tokens: random.int(1, 40),
    seed: random.int(0, 99),
    ...asked,
  };
  try {
    const response = await fetch(`${url}/v1/${isChat ? "chat/" : ""}completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: stop.signal,
    });
    const text = await response.text();
    const expected = wrong ? 404 : 200;
    if (response.status !== expected) throw new Error(`${response.status} ${text}`);
    return "finished";
  } catch (error) {
    if (stop.signal.aborted) return "left";
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Resident bytes of a process and of anonymous memory alone (Linux). */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1]);
}

if (import.meta.main) {
  const requests = Number(process.argv[2] ?? 10_000);
  const main = join(import.meta.dir, "../../cli/src/main.ts");
  const words = ["serve", join(tinyFolder, "tuned"), "--port", "0", "--json", "--quiet"];
  const child = Bun.spawn([process.execPath, main, ...words], { stdout: "pipe", stderr: "inherit" });
  const told = await child.stdout.getReader().read();
  const { url } = JSON.parse(new TextDecoder().decode(told.value));
  const memory: number[] = [];
  for (let tenth = 0; tenth < 10; tenth++) {
    const counts = await storm(url.replace(/\/v1$/, ""), { requests: requests / 10, together: 16, seed: tenth });
    await Bun.sleep(1000);
    memory.push(await residentBytes(child.pid));
    console.log(`${(tenth + 1) * (requests / 10)} requests`, counts, `${(memory[tenth] / 1e6).toFixed(0)} MB`);
  }
  child.kill("SIGINT");
  console.log(`exit ${await child.exited}`);
}
