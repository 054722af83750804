import { afterEach, beforeEach } from "bun:test";

const variables = ["HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH"];

/** Each test of the file begins without the Hub's variables, and leaves them as they were. */
export function withoutHubVariables(): void {
  let saved: Record<string, string | undefined>;
  beforeEach(() => {
    saved = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
    for (const name of variables) delete process.env[name];
  });
  afterEach(() => {
    for (const name of variables) {
      delete process.env[name];
      if (saved[name] !== undefined) process.env[name] = saved[name];
    }
  });
}

/** A Hub of one model (or data set) on loopback: the few routes that a download uses, with hashes and ranges as the real one. */
export class FakeHub implements Disposable {
  /** "METHOD path range" of every request. */
  readonly requests: string[] = [];
  private readonly server: Bun.Server<undefined>;

  constructor(
    private readonly repo: string,
    private readonly commit: string,
    private readonly files: ReadonlyMap<string, Uint8Array>,
    public token?: string,
    private readonly type: "model" | "dataset" = "model",
  ) {
    this.server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.answer(request) });
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  /** Range headers of the requests for one file. */
  ranges(file: string): string[] {
    const part = `/resolve/${this.commit}/${file} `;
    return this.requests.filter((line) => line.includes(part)).map((line) => line.split(" ")[2]);
  }

  /** The hash that names a file's blob: weights are large files. */
  hashOf(file: string): string {
    const bytes = this.files.get(file) ?? new Uint8Array();
    if (file.endsWith(".safetensors")) return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    return new Bun.CryptoHasher("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  }

  [Symbol.dispose](): void {
    this.server.stop(true);
  }

  private async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const range = request.headers.get("range") ?? "";
    this.requests.push(`${request.method} ${pathname} ${range}`);
    if (this.token !== undefined && request.headers.get("authorization") !== `Bearer ${this.token}`)
      return new Response("no", { status: 401 });
    const api = `/api/${this.type}s/${this.repo}`;
    if ([`${api}/revision/main`, `${api}/revision/${this.commit}`].includes(pathname))
      return Response.json({ _id: "1", id: this.repo, sha: this.commit });
    if (pathname === `${api}/tree/${this.commit}`) return Response.json(this.tree());
    if (pathname === `${api}/paths-info/${this.commit}`) {
      const { paths } = (await request.json()) as { paths: string[] };
      return Response.json(this.tree().filter(({ path }) => paths.includes(path)));
    }
    const folder = this.type === "model" ? "" : "/datasets";
    const file = pathname.replace(`${folder}/${this.repo}/resolve/${this.commit}/`, "");
    return this.file(file, range);
  }

  private tree() {
    return [...this.files].map(([path, { length: size }]) => {
      const oid = this.hashOf(path);
      return { type: "file", path, size, oid, ...(oid.length === 64 ? { lfs: { oid, size, pointerSize: 1 } } : {}) };
    });
  }

  private file(name: string, range: string): Response {
    const bytes = this.files.get(name);
    if (!bytes) return new Response("no such thing", { status: 404 });
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    const part = first === undefined ? bytes : bytes.subarray(Number(first), Number(last) + 1);
    const headers = { ETag: `"${this.hashOf(name)}"`, "Content-Range": `bytes ${first}-${last}/${bytes.length}` };
    return new Response(new Uint8Array(part), { status: first === undefined ? 200 : 206, headers });
  }
}
