export {};

/** Run the test suite and close with one plain line; further arguments go to `bun test`. */
const run = Bun.spawn([process.execPath, "test", "--timeout", "300000", ...process.argv.slice(2)], {
  stdio: ["ignore", "inherit", "pipe"],
});
const counts = { pass: 0, fail: 0, skip: 0 };
for await (const line of lines(run.stderr)) {
  process.stderr.write(`${line}\n`);
  const [, count, kind] = /^\s*(\d+) (pass|fail|skip)$/.exec(line) ?? [];
  if (count !== undefined) counts[kind as keyof typeof counts] = Number(count);
}
const code = await run.exited;
console.log(`${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped`);
process.exit(code !== 0 ? code : counts.pass === 0 ? 1 : 0);

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}
