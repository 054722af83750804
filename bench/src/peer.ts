import { fileURLToPath } from "node:url";
import type { PeerTask, Sample } from "./case.ts";

/** Environment variables under which OpenBLAS would not show its real speed, and those that set its threads. */
const unwanted = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"];
const threadVariables = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"];

/** `peers/openblas.py` in its own process, which does one task after the other. */
export class Peer implements Disposable {
  private readonly child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  private readonly lines: AsyncGenerator<string, void>;

  /** @param python an interpreter that has numpy and scipy */
  constructor(
    private readonly python: string,
    nThreads: number,
  ) {
    const env: Record<string, string | undefined> = { ...process.env };
    for (const name of unwanted) delete env[name];
    for (const name of threadVariables) env[name] = String(nThreads);
    const script = fileURLToPath(new URL("../peers/openblas.py", import.meta.url));
    this.child = Bun.spawn([python, script], { env, stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.lines = linesOf(this.child.stdout);
  }

  /** What the peer says of itself. Throws when python, numpy or scipy is missing. */
  async hello(): Promise<string> {
    return ((await this.nextLine()) as { peer: string }).peer;
  }

  /** Time of the task, run for about `seconds`. */
  async run(task: PeerTask, seconds: number): Promise<Sample> {
    this.child.stdin.write(`${JSON.stringify({ ...task, seconds })}\n`);
    this.child.stdin.flush();
    return (await this.nextLine()) as Sample;
  }

  private async nextLine(): Promise<unknown> {
    const { value, done } = await this.lines.next();
    if (!done) return JSON.parse(value);
    throw new Error(
      `${this.python} ended with code ${await this.child.exited}. The peers need numpy and scipy: set SAFEDELTA_PYTHON to an interpreter that has them.`,
    );
  }

  [Symbol.dispose](): void {
    this.child.kill();
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
