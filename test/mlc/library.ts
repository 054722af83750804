/** A number as WebAssembly writes it (LEB128). */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

const section = (id: number, body: readonly number[]) => [id, ...leb(body.length), ...body];

/** A small valid WebAssembly module with a memory whose data hold a JSON text amid other bytes, as a model library does. */
export function libraryBytes(metadata: object): Uint8Array<ArrayBuffer> {
  const data = [...new TextEncoder().encode(`\0\0tvm{"x"\0${JSON.stringify(metadata)}\x01\0\0}`)];
  const memory = section(5, [1, 0, 1]);
  const segment = section(11, [1, 0, 0x41, 0, 0x0b, ...leb(data.length), ...data]);
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...memory, ...segment]);
}
