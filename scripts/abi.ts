/** Write the symbol table of the engine libraries from their header: `bun run build:abi`. */
import { symbolTable } from "../engine/src/ffi/header.ts";

const engine = new URL("../engine/", import.meta.url);
const header = await Bun.file(new URL("include/safedelta.h", engine)).text();
await Bun.write(new URL("src/ffi/symbols.ts", engine), symbolTable(header));
