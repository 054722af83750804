import type { Checkpoint, Tensor, TensorInfo } from "@safedelta/checkpoint";
import type { CheckpointHead } from "../scene.ts";

/** A checkpoint whose tensors and files the server hands out by name. */
export async function openRemote(model: string): Promise<Checkpoint> {
  const base = `/api/models/${encodeURIComponent(model)}`;
  const head: CheckpointHead = await (await get(`${base}/head`)).json();
  const tensors = new Map(head.tensors.map((info) => [info.name, info as TensorInfo]));
  const part = async (kind: "tensor" | "file", name: string) =>
    new Uint8Array(await (await get(`${base}/${kind}?name=${encodeURIComponent(name)}`)).arrayBuffer());
  const read = async (name: string): Promise<Tensor> => {
    const info = tensors.get(name);
    if (!info) throw new Error(`${model} has no tensor ${name}.`);
    return { ...info, bytes: await part("tensor", name) };
  };
  return {
    spec: model,
    kind: "folder",
    config: head.config,
    companions: new Map(head.companions.map((name) => [name, { bytes: () => part("file", name) }])),
    tensors,
    read,
    readRows: async (name, start, count) => rowsOf(await read(name), start, count),
    close: async () => {},
  };
}

function rowsOf(tensor: Tensor, start: number, count: number): Tensor {
  const [rows, ...rest] = tensor.shape;
  const rowBytes = tensor.bytes.length / rows;
  const bytes = tensor.bytes.subarray(start * rowBytes, (start + count) * rowBytes);
  return { ...tensor, shape: [count, ...rest], bytes };
}

/** @throws Error in words when the server does not give it */
export async function get(path: string): Promise<Response> {
  const response = await fetch(path);
  if (response.ok) return response;
  const body = await response.json().catch(() => undefined);
  throw new Error(body?.error?.message ?? `${path}: the server answered ${response.status}.`);
}
