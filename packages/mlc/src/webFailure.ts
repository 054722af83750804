import { webLlm } from "./versions.ts";

/** What kept web-llm from running a model. */
export type WebFailureKind =
  | "library-version"
  | "library-model"
  | "library-missing"
  | "no-webgpu"
  | "no-gpu"
  | "no-shader-f16"
  | "gpu-limit"
  | "out-of-memory"
  | "storage-full"
  | "insecure-page"
  | "model-not-found"
  | "not-reached"
  | "damaged"
  | "prompt-too-long"
  | "other";

/** A failure in plain words. */
export interface WebFailure {
  readonly kind: WebFailureKind;
  /** What happened, one sentence. */
  readonly what: string;
  /** What to do next. */
  readonly next: string;
  /** What web-llm said. */
  readonly detail: string;
}

interface Rule {
  readonly kind: WebFailureKind;
  /** Looks at `name: message` of the error and of what caused it. */
  readonly sign: RegExp;
  readonly what: string;
  readonly next: string;
}

const smaller = "Close other pages that use the graphics card, or take a smaller model or q4f16_1 or q4f32_1.";

/**
 * By what a failure is known, the first that fits. Source: the errors of the pinned web-llm (error.ts, its TVM runtime) and of Chromium,
 * whose WebAssembly and WebGPU errors pass through it; a worker hands on the text alone. A runtime that lacks a tensor ends its program.
 */
const rules: readonly Rule[] = [
  {
    kind: "library-version",
    sign: /LinkError|function import requires a callable|Import #\d+ /,
    what: `The model's library was built for another version of web-llm than this page's ${webLlm.npmVersion}.`,
    next: `Take the library from the folder ${webLlm.libraryFolder} of binary-mlc-llm-libs, or export the model again.`,
  },
  {
    kind: "no-shader-f16",
    sign: /ShaderF16SupportError|shader-f16/,
    what: "This graphics card or browser cannot compute in 16-bit floats (shader-f16), which this model needs.",
    next: "Export the model as q0f32 or q4f32_1.",
  },
  {
    kind: "no-gpu",
    sign: /compatible GPU|Cannot find adapter|No available adapters/i,
    what: "The browser found no graphics card that it may use.",
    next: "Switch on hardware acceleration in the browser's settings, or use the engine that needs no graphics card.",
  },
  {
    kind: "no-webgpu",
    sign: /WebGPUNot(Available|Found)Error|WebGPU is not supported|Cannot find WebGPU|navigator\.gpu/,
    what: "This browser has no WebGPU.",
    next: "Use a recent Chrome, Edge, Firefox or Safari over https or on localhost, or the engine that needs no graphics card.",
  },
  {
    kind: "gpu-limit",
    sign: /exceeds limit|FeatureSupportError|larger than the maximum|exceeds the max/i,
    what: "The model needs more of the graphics card than it allows.",
    next: smaller,
  },
  {
    kind: "storage-full",
    sign: /QuotaExceeded|quota/i,
    what: "The browser has no room left to keep the model.",
    next: "Free disk space, or let the browser forget models that it has kept for this site.",
  },
  {
    kind: "out-of-memory",
    sign: /DeviceLost|device was lost|device is lost|out of memory|OutOfMemory|allocation failed|\bOOM\b/i,
    what: "The memory of the graphics card or the browser was not enough.",
    next: smaller,
  },
  {
    kind: "library-missing",
    sign: /MissingModelError|Missing `model_lib`/,
    what: "No library is known that computes this model.",
    next: "Give one when exporting: safedelta export mlc --lib FILE.wasm.",
  },
  {
    kind: "library-model",
    sign: /ExitStatus|terminated with exit|Cannot find param|CompileError|expected magic word/i,
    what: "The library computes another model than this one, or is no library.",
    next: "Check it against the model: safedelta export mlc with --lib FILE.wasm tells every difference.",
  },
  {
    kind: "model-not-found",
    sign: /ModelNotFoundError|Cannot find model record|\b404\b|Not Found/,
    what: "The model is not where the page looked for it.",
    next: "Check that the exported folder is still there and served.",
  },
  {
    kind: "damaged",
    sign: /IntegrityError|Integrity verification|record has \d+ bytes|Unexpected token|not valid JSON|JSON\.parse/,
    what: "A file of the model is damaged.",
    next: "Let the browser forget the kept model and load it again; if that does not help, export it again.",
  },
  {
    kind: "insecure-page",
    sign: /caches is not defined|reading 'open'|insecure|secure context/i,
    what: "The browser keeps models and opens the graphics card only for pages from https or localhost.",
    next: "Open the page as http://localhost or over https.",
  },
  {
    kind: "not-reached",
    sign: /Cannot fetch|Failed to fetch|on 'Cache'|NetworkError|Unable to fetch|Load failed|network error|ERR_/i,
    what: "A file of the model or its library could not be fetched.",
    next: "Check the connection; without internet, export with --lib so that the library lies beside the model.",
  },
  {
    kind: "prompt-too-long",
    sign: /ContextWindowSizeExceeded|exceed context window/,
    what: "The conversation is longer than the model's context.",
    next: "Begin a new conversation, or shorten the question.",
  },
];

/** What web-llm's failure means. Takes whatever was thrown, be it an error or the text of one. */
export function explainFailure(thrown: unknown): WebFailure {
  const detail = textOf(thrown);
  const rule = rules.find(({ sign }) => sign.test(detail));
  if (rule) return { kind: rule.kind, what: rule.what, next: rule.next, detail };
  return {
    kind: "other",
    what: "web-llm could not run the model.",
    next: "Load the page again; if it happens again, use the engine that needs no graphics card.",
    detail,
  };
}

/** Name and message of an error and, in turn, of its cause. */
function textOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return String(thrown);
  const { name, message, cause } = thrown as { name?: unknown; message?: unknown; cause?: unknown };
  const own = [name, message].filter((part) => typeof part === "string" && part !== "").join(": ");
  const text = own === "" ? String(thrown) : own;
  return cause === undefined || cause === thrown ? text : `${text} (${textOf(cause)})`;
}
